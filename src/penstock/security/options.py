"""What a user may say about who may come in."""

from typing import Literal

import msgspec


class SecurityOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `[security]`."""

    keys_file: str = ""
    """A file of API keys, as `penstock keys` writes it. Where it is named, every call needs a key, and the admin token is not used."""

    open: list[Literal["metrics", "pages"]] = msgspec.field(default_factory=lambda: ["metrics"])
    """What is answered without a key beside health: `/metrics`, and the pages that hold nothing of a model (`/docs`, `/openapi.json`,
    the admin pages, which ask for the key themselves)."""

    @property
    def keyed(self) -> bool:
        """Whether calls need a key."""
        return bool(self.keys_file)
