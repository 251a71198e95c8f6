"""Batches run beside each other on a GPU, and come back as they are; what does not fit is told, and nothing else breaks."""

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from penstock.domain.errors import ModelFailed, OutOfMemory
from penstock.domain.halt import Halt
from penstock.domain.tensor import Array
from penstock.execution.devices import Device
from penstock.execution.session import OrtSession, SessionSettings

pytestmark = pytest.mark.gpu
Sessions = Callable[..., OrtSession]
WIDTH = 256  # of the model `deep`


def values(count: int, seed: int = 0, width: int = WIDTH) -> Array:
    """Return seeded rows."""
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("halves", np.arange(-6, 6, 0.5, dtype=np.float16).reshape(4, 6)),
        ("wholes", np.array([[-(2**63), 2**63 - 1, 0]], dtype=np.int64)),
        ("halves", np.empty((0, 6), np.float16)),
        ("halves", np.arange(24, dtype=np.float16).reshape(4, 6).T),
    ],
    ids=["fp16", "int64", "no rows", "not contiguous"],
)
def test_bits_survive_the_way_to_the_device_and_back(session_of: Sessions, name: str, array: Array) -> None:
    """Nothing is computed, so nothing may change."""
    (answer,) = session_of(name, "cuda:0").run({"X": array}, ["Y"])

    assert answer.dtype == array.dtype
    np.testing.assert_array_equal(answer, array)


def test_texts_stay_with_the_cpu(session_of: Sessions) -> None:
    """A model of strings on a GPU has no buffers there, and answers."""
    texts = np.array([["a", "\u00e4"]], dtype=object)

    (answer,) = session_of("texts", "cuda:0").run({"X": texts}, ["Y"])

    assert answer.tolist() == texts.tolist()


def test_runs_of_changing_sizes_are_never_mixed(session_of: Sessions) -> None:
    """The device's memory is used again by each run, as the one before left it."""
    on_cuda, on_cpu = session_of("deep", "cuda:0"), session_of("deep", "cpu")

    for turn, count in enumerate((4, 64, 1, 4, 64, 1, 4)):
        inputs = {"h0": values(count, turn)}
        np.testing.assert_allclose(on_cuda.run(inputs, ["h40"])[0], on_cpu.run(inputs, ["h40"])[0], rtol=1e-3, atol=1e-4)


def test_batches_run_beside_each_other(session_of: Sessions) -> None:
    """Batches of several threads meet on the device, and each comes back as its own."""
    on_cuda = session_of("deep", "cuda:0")
    expected = [on_cuda.run({"h0": values(8, seed)}, ["h40"])[0] for seed in range(8)]
    seen: dict[int, list[Array]] = {seed: [] for seed in range(8)}

    def ask(seed: int) -> None:
        for _ in range(50):
            seen[seed].append(on_cuda.run({"h0": values(8, seed)}, ["h40"])[0])

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for seed, answers in seen.items():
        assert len(answers) == 50
        for answer in answers:
            np.testing.assert_array_equal(answer, expected[seed])


def test_batch_that_does_not_fit_is_told_and_the_next_one_runs(session_of: Sessions) -> None:
    """The session has 256 MiB; a row of 20,000 values wants 1.6 GB."""
    on_cuda = session_of("greedy", "cuda:0", gpu_mem_limit=256 * 2**20)

    with pytest.raises(OutOfMemory):
        on_cuda.run({"X": values(1, width=20_000)}, ["Y"])

    (answer,) = on_cuda.run({"X": np.ones((2, 100), np.float32)}, ["Y"])
    np.testing.assert_allclose(answer, np.ones((2, 1, 1)))


def test_shrinking_gives_the_memory_of_the_largest_run_back(session_of: Sessions) -> None:
    """What ONNX Runtime's pool kept for a run of 1.6 GB is free for other models afterwards."""
    on_cuda = session_of("greedy", "cuda:0")
    small = {"X": values(1, width=10)}
    on_cuda.run(small, ["Y"])
    before = used_mib()

    on_cuda.run({"X": values(1, width=20_000)}, ["Y"])
    grown = used_mib()
    on_cuda.shrink(small, ["Y"])

    assert grown > before + 1000
    assert used_mib() < before + 200


def test_closed_sessions_give_their_memory_back(registry: Path) -> None:
    """Each of twenty sessions would keep its pool of 150 MB, else."""
    seen = []
    for _ in range(20):
        session = OrtSession(registry / "greedy" / "1" / "model.onnx", SessionSettings(Device("cuda")))
        session.run({"X": values(1, width=6_000)}, ["Y"])
        session.close()
        seen.append(used_mib())

    assert seen[-1] <= seen[1] + 100


def test_run_that_nobody_waits_for_is_ended(session_of: Sessions) -> None:
    """An order to halt that comes before the run ends it at its first node."""
    on_cuda = session_of("deep", "cuda:0")
    halt = Halt()
    halt.ask()

    with pytest.raises(ModelFailed, match="nobody waited"):
        on_cuda.run({"h0": values(1)}, ["h40"], halt=halt)

    assert on_cuda.run({"h0": values(1)}, ["h40"])[0].shape == (1, WIDTH)


def used_mib() -> int:
    """Return what all processes have in the first GPU's memory."""
    command = ["nvidia-smi", "--id=0", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
