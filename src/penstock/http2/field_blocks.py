"""Field blocks and what they mean: decoded by hpack (RFC 7541), or looked up where the same bytes meant the same before.

Clients repeat themselves to the byte. A block that only refers to the dynamic table, and does not change it, means the same
as long as that table stays as it is: so what was read is kept until the table changes, and no longer.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from hpack import Decoder, HPACKDecodingError, HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from penstock.http2.errors import Code, ConnectionFault
from penstock.http2.requests import Fields, Request, request_of

H = TypeVar("H")
_MOST_KEPT: Final = 32
_LONGEST_KEPT: Final = 1024
_PER_FIELD: Final = 32
"""What a field counts beside its bytes (RFC 9113, section 6.5.2)."""
_MOST_RESIZES: Final = 2
"""How often a block may change the size of the dynamic table: to the smallest that it had, and to the last (RFC 7541, section 4.2)."""
_HARD_LIMIT: Final = 4
"""Times the allowed size, up to which fields are still decoded, so that they can be refused on their stream alone."""


class FieldBlocks(Generic[H]):
    """Reads the blocks of one connection, every one, in their order: what decoding does to the table is part of the protocol."""

    def __init__(self, read: Callable[[Request], H], max_bytes: int) -> None:
        self.max_block_bytes: Final = max_bytes * _HARD_LIMIT
        """The longest block that is taken in."""
        self._read = read
        self._max_bytes = max_bytes
        self._table = _CountedTable()
        self._decoder = Decoder(max_bytes * _HARD_LIMIT)
        self._decoder.header_table = self._table
        self._kept: dict[bytes, tuple[H, int | None]] = {}

    def head(self, block: bytes) -> tuple[H, int | None] | None:
        """Return what a request's block means, and the length of its body if told; None if its fields are longer than allowed.

        Raises `Malformed`, and `ConnectionFault` for what cannot be decoded.
        """
        kept = self._kept.get(block)
        if kept is not None:
            return kept
        fields = self.fields(block)
        if sum(len(name) + len(value) + _PER_FIELD for name, value in fields) > self._max_bytes:
            return None
        request = request_of(fields)
        head = self._read(request), request.body_bytes
        if self._unchanged and len(block) <= _LONGEST_KEPT:
            self._keep(block, head)
        return head

    def fields(self, block: bytes) -> Fields:
        """Return the fields of a block; raises `ConnectionFault`."""
        changes = self._table.changes
        self._table.resizes = 0
        try:
            return self._decoder.decode(block, raw=True)  # type: ignore[return-value]
        except OversizedHeaderListError as error:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "the fields of a request are far longer than allowed") from error
        except (HPACKError, IndexError) as error:
            raise ConnectionFault(Code.COMPRESSION_ERROR, "a field block cannot be decoded") from error
        finally:
            self._unchanged = changes == self._table.changes
            if not self._unchanged:
                self._kept.clear()

    def _keep(self, block: bytes, head: tuple[H, int | None]) -> None:
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[block] = head


class _CountedTable(HeaderTable):
    """A dynamic table that counts what changes it."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0
        self.resizes = 0
        """Changes of its size in the present block."""

    def add(self, name: bytes, value: bytes) -> None:
        """Add a field; hpack's name for it."""
        self.changes += 1
        super().add(name, value)

    @property
    def maxsize(self) -> int:
        """The size up to which fields are kept; hpack's name for it."""
        return self._maxsize

    @maxsize.setter
    def maxsize(self, size: int) -> None:
        self.changes += 1
        self.resizes += 1
        if self.resizes > _MOST_RESIZES:
            raise HPACKDecodingError("a block that changes the size of the table again and again")
        HeaderTable.maxsize.fset(self, size)  # type: ignore[attr-defined]
