"""The first runs of a version, before anybody waits for them."""

from collections.abc import Sequence
from time import monotonic

from penstock.domain.clock import NS_PER_S
from penstock.domain.errors import PenstockError
from penstock.domain.schema import ModelSchema
from penstock.domain.session import Session
from penstock.execution.synthetic import synthetic_inputs

_SHORT_S = 0.01
_RUNS = 4  # the first of a size allocates and chooses algorithms; the later ones are measured


def warm_up(
    session: Session, schema: ModelSchema, max_rows: int, limit_s: float, only: Sequence[int] | None = None
) -> tuple[dict[int, int], str | None]:
    """Run the batch sizes, and return the measured nanoseconds by rows, with a note if the model rejects synthetic input.

    Order: 1, the largest, then the powers of two between, so that a time limit still leaves both ends measured. `only` names the
    sizes to run in place of these.
    """
    table: dict[int, int] = {}
    until = monotonic() + limit_s
    for rows in sizes(max_rows if schema.batched else 1) if only is None else only:
        if monotonic() >= until:
            return table, f"warm-up stopped after {limit_s:g} s, with {len(table)} sizes measured"
        try:
            table[rows] = _measure(session, schema, rows, until)
        except PenstockError as error:
            return table, f"warm-up of {rows} rows failed on synthetic input: {error.message}"
    return table, None


def sizes(max_rows: int) -> list[int]:
    """Return 1, the largest size, then the powers of two between them, in falling order."""
    between = [1 << power for power in range(1, max_rows.bit_length()) if 1 << power < max_rows]
    return list(dict.fromkeys([1, max_rows, *reversed(between)]))


def _measure(session: Session, schema: ModelSchema, rows: int, until: float) -> int:
    inputs = synthetic_inputs(schema, rows)
    times: list[float] = []
    for _ in range(_RUNS):
        started = monotonic()
        # The watch over a limit is a thread of its own, which takes longer to start than a small model to run.
        limit_s = None if times and times[-1] < _SHORT_S else max(0.001, until - started)
        session.run(inputs, schema.output_names, limit_s)
        times.append(monotonic() - started)
        if monotonic() >= until:
            break
    return int(min(times) * NS_PER_S)
