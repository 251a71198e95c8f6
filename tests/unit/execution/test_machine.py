"""The name of the hardware."""

from pathlib import Path

from penstock.execution.devices import Device
from penstock.execution.machine import hardware_name


def test_cpu_is_named_by_its_model(tmp_path: Path) -> None:
    """The first core speaks for all."""
    cpus = tmp_path / "cpuinfo"
    cpus.write_text("processor\t: 0\nmodel name\t: Fast 9000 @ 3.00GHz\n\nprocessor\t: 1\nmodel name\t: other\n")

    assert hardware_name(Device("cpu"), cpus) == "Fast 9000 @ 3.00GHz"


def test_gpus_are_named_by_their_models(tmp_path: Path) -> None:
    """Two of one kind have one name."""
    for number, model in enumerate(["Board A", "Board B", "Board A"]):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "information").write_text(f"Model: \t\t {model}\nIRQ: 3\n")

    assert hardware_name(Device("cuda", 0), gpus=tmp_path) == "Board A, Board B"


def test_architecture_stands_in_where_nothing_is_told(tmp_path: Path) -> None:
    """Other systems have other files."""
    names = {hardware_name(Device("cpu"), tmp_path / "none"), hardware_name(Device("cuda", 0), gpus=tmp_path)}

    assert len(names) == 1
    assert names.pop()
