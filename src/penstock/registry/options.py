"""Where the models come from."""

import msgspec


class RegistryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `[registry]`."""

    uri: str = "."
    """The registry: a path or a `file:` URI of a directory in Triton's layout."""

    poll_s: float = 2.0
    """Seconds between two looks at the registry; 0 looks at the start and on request only."""

    require_manifest: bool = False
    """Refuse a version that carries no manifest.json."""
