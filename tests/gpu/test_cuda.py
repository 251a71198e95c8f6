"""A CUDA device answers like the CPU, says what runs on it, and is refused when too little does."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime as ort
import pytest

from penstock.domain.errors import LoadRefused
from penstock.domain.model import ModelVersion
from penstock.domain.tensor import Array
from penstock.execution.devices import Device, parse_device
from penstock.execution.session import OrtSession, SessionSettings
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.version import Readiness, ServedVersion
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.verified import VerifiedRegistry

PROVIDER = "CUDAExecutionProvider"

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        PROVIDER not in ort.get_available_providers(),
        reason=f"ONNX Runtime {ort.__version__} has no {PROVIDER} here (installed: {', '.join(ort.get_available_providers())})",
    ),
    pytest.mark.skipif(
        not (any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()),
        reason="there is no NVIDIA GPU here: no /dev/nvidia0, nor WSL's /dev/dxg",
    ),
]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, models: ModuleType) -> Path:
    """Write the perceptron, which CUDA takes whole, and a model of strings, of which it takes nothing."""
    root = tmp_path_factory.mktemp("registry")
    models.write_mlp(root)
    models.save(models.parse(models.identity("texts", "string", "batch,n")), root / "texts" / "1")
    return root


@pytest.fixture
def on_cuda(registry: Path) -> Iterator[OrtSession]:
    """Load the perceptron onto the first GPU."""
    session = session_of(registry / "mlp" / "1" / "model.onnx", Device("cuda"))
    yield session
    session.close()


def session_of(path: Path, device: Device) -> OrtSession:
    """Load a model as the server does. TF32 is off: it rounds inputs to 10 bits, which no tolerance should hide."""
    return OrtSession(path, SessionSettings(device, provider_options={"cuda": {"use_tf32": False}}))


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
def test_answers_equal_those_of_the_cpu(registry: Path, on_cuda: OrtSession, count: int) -> None:
    """Sums in another order round differently, and no more than that."""
    on_cpu = session_of(registry / "mlp" / "1" / "model.onnx", Device("cpu"))

    (expected,) = on_cpu.run(rows(count), ["Y"])
    (answer,) = on_cuda.run(rows(count), ["Y"])

    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)
    on_cpu.close()


def test_placement_names_cuda(on_cuda: OrtSession) -> None:
    """The perceptron runs on the GPU as a whole."""
    assert on_cuda.placement == {"cuda": 1.0}


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
