"""A number for each request id, by which servers agree on what is sampled."""

from typing import Final
from zlib import crc32

MARKS: Final = 1 << 32
"""Marks are below this number, spread evenly."""
_MASK: Final = MARKS - 1
_SPREAD: Final = 0x85EBCA6B
_MIX: Final = 0xC2B2AE35


def mark_of(request_id: str, salt: int = 0) -> int:
    """Return the mark of a request: the same in every process, evenly spread whatever the ids look like.

    A checksum spreads ids that differ in few places; the finalizer of MurmurHash3 (Appleby, 2011) breaks its linearity, so that marks of
    two salts have nothing to do with each other. A tenth of what a cryptographic digest takes, and nobody gains by a forged mark.
    """
    mark = (crc32(request_id.encode("utf-8", "surrogatepass")) + salt * _SPREAD) & _MASK
    mark = ((mark ^ (mark >> 16)) * _SPREAD) & _MASK
    mark = ((mark ^ (mark >> 13)) * _MIX) & _MASK
    return mark ^ (mark >> 16)


def threshold_of(share: float) -> int:
    """Return the number below which that share of all marks lies."""
    return round(share * MARKS)
