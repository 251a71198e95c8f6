"""Devices and their providers."""

import onnxruntime as ort
import pytest

from penstock.domain.errors import LoadRefused
from penstock.execution.devices import PROVIDER_OF, Device, Options, parse_device


@pytest.fixture
def all_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every provider be installed."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: list(PROVIDER_OF.values()))


@pytest.mark.usefixtures("all_providers")
@pytest.mark.parametrize(
    ("text", "device"),
    [("cpu", Device("cpu")), ("cuda:0", Device("cuda")), ("tensorrt:12", Device("tensorrt", 12))],
)
def test_name_of_a_device_is_read_and_written(text: str, device: Device) -> None:
    """The same text names the same device."""
    assert parse_device(text) == device
    assert str(device) == text


@pytest.mark.parametrize("text", ["", "gpu", "CPU", "cpu:0", "cuda", "cuda:", "cuda:-1", "cuda:1000", "cuda:0 ", "rocm:0"])
def test_malformed_device_is_refused_with_the_forms_that_exist(text: str) -> None:
    """The refusal tells what may be written."""
    with pytest.raises(LoadRefused, match=r"use 'cpu', 'cuda:<number>' or 'tensorrt:<number>'"):
        parse_device(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cuda:0", ["CUDAExecutionProvider", "penstock[gpu]", "CUDA libraries", "installed: CPUExecutionProvider"]),
        ("tensorrt:1", ["TensorrtExecutionProvider", "penstock[gpu]", "CUDA and TensorRT libraries"]),
    ],
)
def test_device_whose_provider_is_missing_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, text: str, words: list[str]
) -> None:
    """The refusal names the provider, what is there, and what to install."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])

    with pytest.raises(LoadRefused) as refused:
        parse_device(text)

    assert [word for word in words if word not in refused.value.message] == []


def test_tensorrt_lists_cuda_behind_it_each_with_its_own_options() -> None:
    """Nodes that TensorRT does not take run on CUDA of the same GPU, with options as text."""
    options: Options = {"tensorrt": {"trt_fp16_enable": True}, "cuda": {"gpu_mem_limit": 5}, "cpu": {"ignored": 1}}

    providers = Device("tensorrt", 2).providers(options)

    assert providers == [
        ("TensorrtExecutionProvider", {"device_id": "2", "trt_fp16_enable": "1"}),
        ("CUDAExecutionProvider", {"device_id": "2", "gpu_mem_limit": "5"}),
    ]


def test_cpu_runs_alone_and_without_a_number() -> None:
    """A CPU session has one provider."""
    assert Device("cpu").providers({}) == [("CPUExecutionProvider", {})]
