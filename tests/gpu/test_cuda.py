"""A CUDA device answers like the CPU, says what runs on it, and is refused when too little does."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from penstock.domain.errors import LoadRefused
from penstock.domain.model import ModelVersion
from penstock.domain.tensor import Array
from penstock.execution.devices import Device, parse_device
from penstock.execution.session import OrtSession
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.version import Readiness, ServedVersion
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.verified import VerifiedRegistry

pytestmark = pytest.mark.gpu
Sessions = Callable[..., OrtSession]


def rows(count: int) -> dict[str, Array]:
    """Return seeded inputs of the perceptron."""
    return {"X": np.random.default_rng(count).normal(size=(count, 64)).astype(np.float32)}


async def load(registry: Path, model: str, options: ModelOptions) -> Readiness:
    """Load version 1 through the loader, and close what it opened."""
    source = VerifiedRegistry(DirectorySource(registry), Cache(registry / ".cache"))
    listing = source.snapshot().models[model]
    loader = Loader(source, options, {})
    try:
        readiness = await loader.load(listing, listing.versions[1], ServedVersion(ModelVersion(model, "1")))
        for session in readiness.sessions:
            session.close()
        readiness.artifact.close()
        return readiness
    finally:
        loader.close()


def test_cuda_device_is_accepted() -> None:
    """The name that users write leads to the first GPU."""
    assert parse_device("cuda:0") == Device("cuda")


@pytest.mark.parametrize("count", [1, 7, 64])
def test_answers_equal_those_of_the_cpu(session_of: Sessions, count: int) -> None:
    """Sums in another order round differently, and no more than that."""
    (expected,) = session_of("mlp", "cpu").run(rows(count), ["Y"])
    (answer,) = session_of("mlp", "cuda:0").run(rows(count), ["Y"])

    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)


def test_placement_names_cuda(session_of: Sessions) -> None:
    """The perceptron runs on the GPU as a whole."""
    assert session_of("mlp", "cuda:0").placement == {"cuda": 1.0}


@pytest.mark.asyncio
async def test_loader_accepts_a_model_that_is_placed_as_required(registry: Path) -> None:
    """A requirement that is met stands in nobody's way."""
    options = ModelOptions(devices=["cuda:0"], require_placement={"cuda": 1.0}, max_batch_rows=4)

    readiness = await load(registry, "mlp", options)

    assert readiness.sessions[0].placement == {"cuda": 1.0}


@pytest.mark.asyncio
async def test_loader_refuses_a_model_that_runs_elsewhere(registry: Path) -> None:
    """A model that CUDA does not take would run on the CPU unnoticed."""
    options = ModelOptions(devices=["cuda:0"], require_placement={"cuda": 0.5}, max_batch_rows=4)

    with pytest.raises(LoadRefused, match=r"require_placement: cuda runs 0\.00 of the nodes, 0\.50 is required"):
        await load(registry, "texts", options)
