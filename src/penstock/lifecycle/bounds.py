"""The bounds of a version's runs and queue, from its options and its schema."""

from typing import Final

from penstock.batching.limits import BatchLimits
from penstock.domain.clock import NS_PER_MS
from penstock.domain.schema import ModelSchema
from penstock.lifecycle.options import ModelOptions

_ELEMENTS_PER_ROW: Final = 512
_AUTO_SLO_MS: Final = 100.0
_AUTO_SLAB_BYTES: Final = 256 * 1024 * 1024
_AUTO_QUEUE_BYTES: Final = 256 * 1024 * 1024


def largest_run(schema: ModelSchema, options: ModelOptions) -> int:
    """Return the most rows of one run."""
    if not schema.batched:
        return 1
    return min(options.max_batch_rows, schema.max_batch_rows or options.max_batch_rows)


def limits_of(options: ModelOptions, schema: ModelSchema) -> BatchLimits:
    """Return the bounds that a version's scheduler keeps."""
    return BatchLimits(
        max_rows=largest_run(schema, options),
        max_elements=_max_elements(schema, options),
        queue_rows=None if options.queue_rows == "auto" else options.queue_rows,
        queue_bytes=_AUTO_QUEUE_BYTES if options.queue_bytes == "auto" else options.queue_bytes,
        together=schema.batched and options.batching != "off",
        adaptive=options.batching == "adaptive",
        spill=options.spill,
    )


def slab_bytes_of(options: ModelOptions) -> int:
    """Return the most bytes that a session keeps between runs for their inputs and outputs."""
    return _AUTO_SLAB_BYTES if options.slab_bytes == "auto" else options.slab_bytes


def slo_ms_of(options: ModelOptions, single_ns: int) -> float:
    """Return the latency to aim at; `single_ns` is what a run of one row takes, 0 if that is not known."""
    if options.slo_ms != "auto":
        return options.slo_ms
    return max(_AUTO_SLO_MS, 10 * single_ns / NS_PER_MS)


def _max_elements(schema: ModelSchema, options: ModelOptions) -> int | None:
    if schema.padding is None or schema.padding.follows is None:
        return None
    return _ELEMENTS_PER_ROW * options.max_batch_rows if options.max_batch_elements == "auto" else options.max_batch_elements
