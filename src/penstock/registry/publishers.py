"""Which registries can be written from here."""

from penstock.registry.directory import DirectorySource
from penstock.registry.object_store import ObjectStoreSource
from penstock.registry.publish_directory import DirectoryPublisher
from penstock.registry.publish_object_store import ObjectStorePublisher
from penstock.registry.publisher import Publisher
from penstock.registry.source import ReadOnlyRegistry, Source


def publisher_of(source: Source) -> Publisher:
    """Return what writes versions into the registry; raises `ReadOnlyRegistry` for one that others write."""
    if isinstance(source, DirectorySource):
        return DirectoryPublisher(source.root)
    if isinstance(source, ObjectStoreSource):
        return ObjectStorePublisher(source.bucket)
    raise ReadOnlyRegistry(f"versions of {source.uri} are not written by Penstock; register and delete them with that registry's own tools")
