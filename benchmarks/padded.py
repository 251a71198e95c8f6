"""Rows of log-normal lengths through an encoder: padded to run together, beside rows that meet others of their own length only.

`python benchmarks/padded.py` serves the same graph twice in this process, asks both in turn with as many callers as wait, and checks
every answer against a run alone. The last line is the bound: what rows of one length gain from the same batch without any padding.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import numpy as np
from harness import ROOT, load_file

from penstock.batching.actions import Dispatch
from penstock.batching.batcher import Batcher
from penstock.batching.buckets import bucket_length
from penstock.batching.job import Job, Key
from penstock.batching.lane_kind import LaneKind
from penstock.batching.latency import LatencyModel
from penstock.batching.limits import BatchLimits
from penstock.batching.scheduler import Scheduler
from penstock.domain.clock import NS_PER_S
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.tensor import DATATYPES, Array, Tensor
from penstock.execution.devices import Device
from penstock.execution.session import OrtSession, SessionSettings
from penstock.inference.admission import Admission
from penstock.inference.ledger import Ledger
from penstock.inference.predictor import Predictor
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.manager import Manager
from penstock.lifecycle.options import ModelOptions
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.verified import VerifiedRegistry

_WORDS: Final = 1000
_ROWS: Final = 400
_SIMULATED_S: Final = 3
_RTOL, _ATOL = 1e-3, 1e-4
_PAD: Final = '[pad.tokens]\naxis = 1\nmask = "mask"\n'
_BLOCK: Final = """
    qI = MatMul (hI, WqI)
    kI = MatMul (hI, WkI)
    vI = MatMul (hI, WvI)
    tI = Transpose <perm = [0, 2, 1]> (kI)
    sI = MatMul (qI, tI)
    fI = Mul (sI, scale)
    mI = Add (fI, away)
    aI = Softmax <axis = -1> (mI)
    cI = MatMul (aI, vI)
    oI = MatMul (cI, WoI)
    rI = Add (hI, oI)
    nI = LayerNormalization <axis = -1> (rI, ones)
    uI = MatMul (nI, WuI)
    gI = Relu (uI)
    dI = MatMul (gI, WdI)
    eI = Add (nI, dI)
    hJ = LayerNormalization <axis = -1> (eI, ones)"""


class Shape(NamedTuple):
    """Of the encoder."""

    layers: int
    width: int


class Figures(NamedTuple):
    """What one model answered."""

    per_s: float
    per_cpu_s: float
    """Rows by second of CPU time, which tells more than the rate where others use the machine too."""
    rows_per_run: float
    error_percent: float
    """Median of |actual - expected| / expected over the last runs."""

    def __str__(self) -> str:
        return (
            f"{self.per_s:8.0f} rows/s {self.per_cpu_s:8.0f} rows/CPU s {self.rows_per_run:6.1f} rows per run  "
            f"run times predicted within {self.error_percent:.0f} % (median)"
        )


class Plan(NamedTuple):
    """How long, and by how many, the models are asked."""

    callers: int
    seconds: float
    rounds: int


def write_encoder(registry: Path, name: str, shape: Shape, settings: str) -> Path:
    """Write layers of attention and perceptron, seeded; returns the path of the graph."""
    path, width = registry / name / "1" / "model.onnx", shape.width
    blocks = "".join(_BLOCK.replace("I", str(layer)).replace("J", str(layer + 1)) for layer in range(shape.layers))
    graph = f"""encoder (int64[batch,length] tokens, int64[batch,length] mask) => (float[batch,length,{width}] hidden)
<int64[1] along = {{1}}, float one = {{1.0}}, float far = {{-1e9}}, float scale = {{{width**-0.5}}}>
{{
    h0 = Gather (table, tokens)
    real = Cast <to = 1> (mask)
    absent = Sub (one, real)
    distance = Mul (absent, far)
    away = Unsqueeze (distance, along){blocks}
    hidden = Identity (h{shape.layers})
}}"""
    build = load_file("build", ROOT / "tests" / "models" / "build.py")
    build.write_graph(graph, path, _weights(shape))
    (registry / name / "model.toml").write_text(f"slo_ms = 2000\n{settings}")
    return path


def _weights(shape: Shape) -> dict[str, Array]:
    random, width = np.random.default_rng(7), shape.width
    sizes = {"table": (_WORDS, width)}
    for layer in range(shape.layers):
        sizes |= {f"W{part}{layer}": (width, width) for part in "qkvo"}
        sizes |= {f"Wu{layer}": (width, 4 * width), f"Wd{layer}": (4 * width, width)}
    weights: dict[str, Array] = {name: (random.normal(size=size) / size[0] ** 0.5).astype(np.float32) for name, size in sizes.items()}
    return weights | {"table": random.normal(size=sizes["table"]).astype(np.float32), "ones": np.ones(width, np.float32)}


def lengths(median: int, sigma: float) -> Array:
    """Return the lengths of the rows: log-normal, seeded, up to 256."""
    drawn = np.random.default_rng(3).lognormal(np.log(median), sigma, _ROWS)
    return np.clip(drawn.astype(np.int64), 1, 256)


def rows_of(median: int, sigma: float) -> list[Array]:
    """Return rows of words, one row in each array."""
    random = np.random.default_rng(5)
    return [random.integers(1, _WORDS, (1, int(length))) for length in lengths(median, sigma)]


def asked(model: str, row: Array) -> InferenceRequest:
    """Return the request of one row; the mask is the caller's, so that both models are asked the same."""
    whole = DATATYPES["INT64"]
    return InferenceRequest("http", model, "", [Tensor("tokens", whole, row), Tensor("mask", whole, np.ones_like(row))])


@asynccontextmanager
async def serving(registry: Path) -> AsyncIterator[tuple[Predictor, Catalog]]:
    """Load both models."""
    catalog, source = Catalog(), VerifiedRegistry(DirectorySource(registry), Cache(registry / ".cache"))
    manager = Manager(source, Loader(source, ModelOptions(), {}), catalog, poll_s=0, only=())
    await manager.start()
    yield Predictor(Ledger(catalog), Admission(30, 600), catalog), catalog
    await manager.aclose()


async def closed_loop(
    predictor: Predictor, model: str, rows: list[Array], callers: int, seconds: float
) -> list[tuple[int, InferenceResponse]]:
    """Return (row, answer) of every prediction; each caller asks again when it is answered."""
    answers: list[tuple[int, InferenceResponse]] = []
    until = time.monotonic() + seconds

    async def call(caller: int) -> None:
        number = caller
        while time.monotonic() < until:
            index = number % len(rows)
            answers.append((index, await predictor.predict(asked(model, rows[index]))))
            number += callers

    await asyncio.gather(*(call(caller) for caller in range(callers)))
    return answers


def check(answers: list[tuple[int, InferenceResponse]], alone: list[Array]) -> float:
    """Return the largest difference from the runs alone; exits if one is beyond the tolerance or has another length."""
    worst = 0.0
    for index, answer in answers:
        (output,) = answer.outputs
        if output.array.shape != alone[index].shape or not np.allclose(output.array, alone[index], rtol=_RTOL, atol=_ATOL):
            raise SystemExit(f"row {index} of length {alone[index].shape[1]} was answered differently")
        worst = max(worst, float(np.abs(output.array - alone[index]).max()))
    return worst


def figures(answers: list[tuple[int, InferenceResponse]], seconds: float, cpu_s: float, batcher: Batcher) -> Figures:
    """Return what a round of one model shows."""
    errors = [abs(run.actual_ns - run.expected_ns) / run.expected_ns for run in batcher.history if run.expected_ns and not run.failed]
    mean = len(answers) / sum(1 / answer.batch_rows for _, answer in answers)
    return Figures(len(answers) / seconds, len(answers) / cpu_s, mean, 100 * statistics.median(errors))


async def measure(registry: Path, rows: list[Array], alone: list[Array], plan: Plan) -> None:
    """Ask both models in turn, and print what they do."""
    async with serving(registry) as (predictor, catalog):
        rounds: dict[str, list[Figures]] = {"exact": [], "padded": []}
        for number in range(plan.rounds + 1):
            for name, seen in rounds.items():
                cpu_s = time.process_time()
                answers = await closed_loop(predictor, name, rows, plan.callers, plan.seconds)
                figure = figures(answers, plan.seconds, time.process_time() - cpu_s, catalog.find(name).batcher)
                worst = check(answers, alone)
                if number:  # the first is for the latency model to learn
                    seen.append(figure)
                    print(f"{name:8}{figure}  largest difference {worst:.1e}", flush=True)
        exact, padded = (statistics.median(figure.per_s for figure in seen) for seen in rounds.values())
        exact_cpu, padded_cpu = (statistics.median(figure.per_cpu_s for figure in seen) for seen in rounds.values())
        print(f"padded / exact: {padded / exact:.2f} times the rate, {padded_cpu / exact_cpu:.2f} times the rows by second of CPU")


def bound(path: Path, drawn: Array, threads: int = 1) -> None:
    """Print what one thread makes of rows alone, and of rows of the mean length in batches: what padding could gain at most."""
    session = OrtSession(path, SessionSettings(Device("cpu"), threads))
    alone_s = statistics.mean(_run_s(session, 1, int(length)) for length in drawn[:100])
    mean = int(np.mean(drawn))
    best_s, rows = min((_run_s(session, rows, mean) / rows, rows) for rows in (1, 2, 4, 8, 16, 32))
    print(
        f"bound: a row alone {1000 * alone_s:.2f} ms, a row of the mean length {mean} in a batch of {rows} {1000 * best_s:.2f} ms:", end=" "
    )
    print(f"{alone_s / best_s:.2f} times")


def simulated(drawn: Array, callers: int, curve: LatencyModel, *, padded: bool, alpha_ns: int, beta_ns: int) -> float:  # noqa: PLR0913
    """Return rows by second of the scheduler over a lane whose run takes `alpha + beta * elements`; callers ask again at once."""
    scheduler = Scheduler(BatchLimits(64, max_elements=64 * 512), [LaneKind(1, curve)], slo_ns=2 * NS_PER_S)
    now_ns = done = 0
    waiting = list(range(callers))
    while now_ns < _SIMULATED_S * NS_PER_S:
        for row in waiting:
            length = int(drawn[row % len(drawn)])
            shape, bucket = (-1, bucket_length(length)) if padded else (length, length)
            job = Job({}, 1, Key(("Y",), (("X", (shape,)),), bucket), length=length)
            job.size_bytes = row
            scheduler.arrive((job,), now_ns)
        (run,) = [action for action in scheduler.tick(now_ns) if isinstance(action, Dispatch)]
        now_ns += alpha_ns + beta_ns * run.cost
        scheduler.done(run, now_ns)
        waiting = [job.size_bytes + callers for job in run.jobs]
        done += run.rows
    return done * NS_PER_S / now_ns


def print_simulated(drawn: Array, callers: int) -> None:
    """Print the gain by how many elements cost as much as a run itself: some tens on a CPU, thousands on a GPU."""
    for elements in (10, 100, 1000, 10_000):
        alpha_ns, beta_ns = 1000 * elements, 1000
        warmed = {16 * rows: alpha_ns + 16 * rows * beta_ns for rows in (1, 2, 4, 8, 16, 32, 64)}
        exact, padded = (
            simulated(drawn, callers, LatencyModel(warmed), padded=each, alpha_ns=alpha_ns, beta_ns=beta_ns) for each in (False, True)
        )
        print(f"simulated, a run costs as much as {elements} elements: padded / exact {padded / exact:.2f}")


def _run_s(session: OrtSession, rows: int, length: int) -> float:
    row: dict[str, np.ndarray[Any, Any]] = {name: np.ones((rows, length), np.int64) for name in ("tokens", "mask")}
    session.run(row, ["hidden"])
    times = []
    for _ in range(3):
        started = time.thread_time()
        session.run(row, ["hidden"])
        times.append(time.thread_time() - started)
    return min(times)


@click.command()
@click.option("--layers", default=4, show_default=True)
@click.option("--width", default=256, show_default=True)
@click.option("--median", default=24, show_default=True, help="Of the lengths.")
@click.option("--sigma", default=0.8, show_default=True, help="Of their logarithm.")
@click.option("--callers", default=32, show_default=True)
@click.option("--seconds", default=4.0, show_default=True, help="Of a round.")
@click.option("--rounds", default=3, show_default=True)
def main(layers: int, width: int, median: int, sigma: float, callers: int, seconds: float, rounds: int) -> None:  # noqa: PLR0913, PLR0917
    """Compare padding with equal shapes."""
    drawn, rows = lengths(median, sigma), rows_of(median, sigma)
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        registry, shape = Path(name), Shape(layers, width)
        path = write_encoder(registry, "exact", shape, "")
        write_encoder(registry, "padded", shape, _PAD)
        print_simulated(drawn, callers)
        bound(path, drawn)
        session = OrtSession(path, SessionSettings(Device("cpu"), 1))
        alone = [session.run({"tokens": row, "mask": np.ones_like(row)}, ["hidden"])[0] for row in rows]
        asyncio.run(measure(registry, rows, alone, Plan(callers, seconds, rounds)))


if __name__ == "__main__":
    main()
