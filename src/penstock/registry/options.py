"""Where the models come from."""

from typing import Final, Literal

import msgspec

GIB: Final = 1024**3


class RegistryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `[registry]`."""

    uri: str = "."
    """The registry: a path or `file:` URI of a directory in Triton's layout, s3://bucket/prefix (also gs, az), or mlflow+http(s)://host."""

    poll_s: float = 2.0
    """Seconds between two looks at the registry; 0 looks at the start and on request only."""

    require_manifest: bool = False
    """Refuse a version that carries no manifest.json."""

    signatures: Literal["off", "warn", "enforce"] = "off"
    """Whether versions must be signed by one of `trusted_keys`: not looked at, told in the log, or refused without."""

    trusted_keys: list[str] = msgspec.field(default_factory=list)
    """Files of public EC keys (PEM)."""

    cache_dir: str = ""
    """Where verified copies of versions are kept; "": the folder `cache` in `server.state_dir`."""

    cache_bytes: int = 20 * GIB
    """What the copies may take before those that no version in use needs are removed, the least recently used first."""

    webhook_secret: str = ""
    """What MLflow signs its webhooks with, so that POST /admin/webhooks/mlflow makes the server look at once; "": there is no such door."""
