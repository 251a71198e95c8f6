"""One server that remembers what it predicted, for all tests that need no settings of their own."""

import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "contract"))

from serving import Serving

REGISTRY = Path(__file__).parents[3] / "examples" / "registry"
SETTINGS = (
    "defaults.feedback.enabled=true",
    "defaults.payloads.sample=1.0",
    'models.iris.payloads.redact={label="hash"}',
    "models.diabetes.feedback.enabled=false",
    'models.language.feedback.classes=["de","en","es","fr","it"]',
    "payloads.flush_s=0.02",
    "payloads.rotate_s=0.2",
)
numbers = count()
Ask = Callable[..., str]


@pytest.fixture(scope="package")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server of the example registry; the truth about every model but diabetes may be told."""
    with Serving(REGISTRY, tmp_path_factory.mktemp("feedback")).during(*SETTINGS) as serving:
        yield serving


def question(model: str, rows: int) -> dict[str, Any]:
    """Return a question for one of the example models."""
    inputs = {
        "digits": {"name": "image", "datatype": "FP32", "shape": [rows, 8, 8], "data": [1.0] * 64 * rows},
        "iris": {"name": "features", "datatype": "FP32", "shape": [rows, 4], "data": [5.1, 3.5, 1.4, 0.2] * rows},
        "diabetes": {"name": "features", "datatype": "FP32", "shape": [rows, 10], "data": [59, 2, 32.1, 101, 157, 93, 38, 4, 5, 87] * rows},
        "language": {"name": "text", "datatype": "BYTES", "shape": [rows], "data": ["Guten Morgen, wie geht es Ihnen?"] * rows},
    }
    return {"inputs": [inputs[model]]}


@pytest.fixture
def ask(serving: Serving) -> Ask:
    """Return a function that has a prediction made, and returns its request id."""

    def asked(model: str = "digits", *, protocol: str = "http", version: str = "", rows: int = 1, **more: Any) -> str:
        request_id = f"asked-{next(numbers)}"
        answer = serving.transports[protocol].infer(model, question(model, rows) | more, version, headers={"x-request-id": request_id})
        assert answer.family == "OK", answer.text
        return request_id

    return asked
