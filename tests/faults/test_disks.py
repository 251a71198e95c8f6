"""F24, F25, F27: disks that are full, or not to be written to. The server has mounts of its own, which end with it."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from serving import GOOD, Serving, until

Figure = Callable[..., float]
CACHE_KIB, PAYLOADS_KIB = 512, 1024
MOUNTS = """
set -e
mount --make-rprivate /
mkdir -p "$1/cache" "$1/payloads"
mount --bind "$1" "$1"
mount -t tmpfs -o size={cache}k none "$1/cache"
mount -t tmpfs -o size={payloads}k none "$1/payloads"
mount -o remount,ro,bind /
shift
exec "$@"
"""
"""A root that is read only, but for the directory of the server, and small disks for what grows."""
DROPPED = "penstock_payload_dropped_total{"


@pytest.fixture(scope="module")
def may_mount() -> None:
    """Skip where tests may have no mounts of their own."""
    if subprocess.run(["unshare", "-m", "mount", "--make-rprivate", "/"], capture_output=True, check=False).returncode:
        pytest.skip("this process may not make mounts of its own")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server may write to."""
    return tmp_path_factory.mktemp("disks")


@pytest.fixture(scope="module")
def serving(may_mount: None, home: Path, registry: Path, models: ModuleType) -> Iterator[Serving]:
    """A server on small disks, below a root that it cannot write to."""
    root = home / "registry"
    shutil.copytree(registry, root)
    script = MOUNTS.format(cache=CACHE_KIB, payloads=PAYLOADS_KIB)
    serving = Serving(root, home)
    serving.command = ["unshare", "-m", "/bin/sh", "-c", script, "sh", home, Path(sys.executable).with_name("penstock")]
    recorded = ("defaults.payloads.sample=1.0", "payloads.flush_s=0.02", f'payloads.dir="{home}/payloads"')
    with serving.during(f'registry.cache_dir="{home}/cache"', *recorded):
        yield serving


def seen(serving: Serving, path: Path) -> Path:
    """Return a path as the server sees it."""
    return Path(f"/proc/{serving.pid}/root{path}")


def left_over(cache: Path) -> list[Path]:
    """Return the files of a cache that are no copies of anything served."""
    return [path for path in cache.rglob("*") if path.is_file() and path.name == "heavy.bin"]


def test_root_that_is_read_only_suffices(serving: Serving, home: Path) -> None:
    """F25: with the state directory, the cache and that of the payloads to write to."""
    with pytest.raises(OSError, match="Read-only"):
        seen(serving, home.parent / "touched").touch()

    serving.assert_serving()


def test_model_that_the_cache_has_no_room_for_is_refused(serving: Serving, home: Path, models: ModuleType) -> None:
    """F24: with the reason; what serves goes on, nothing of it stays in the cache, and with room it is loaded."""
    models.write_external(serving.registry)
    weights = next(path for path in (serving.registry / "external" / "1").iterdir() if path.suffix != ".onnx")
    small = weights.read_bytes()
    weights.write_bytes(small + bytes(2 * CACHE_KIB * 1024))
    before = {path for path in seen(serving, home / "cache").rglob("*") if path.is_file()}

    refused = serving.load("external")

    assert refused.status_code in {400, 503}
    assert "No space left" in refused.json()["error"] or "no room" in refused.json()["error"], refused.text
    assert {path for path in seen(serving, home / "cache").rglob("*") if path.is_file()} <= before
    serving.assert_serving()
    weights.write_bytes(small)
    assert serving.load("external").status_code == 200
    serving.assert_serving()


def test_payloads_that_a_full_disk_does_not_take_are_counted(serving: Serving, home: Path, figure: Figure) -> None:
    """F27: predictions are answered all the same, and rows are written again once there is room."""
    filler = seen(serving, home / "payloads") / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))

    def asked() -> bool:
        serving.http.infer("id_fp32", GOOD)
        return figure(serving, DROPPED) > 0

    until(asked)
    serving.assert_serving()
    filler.unlink()
    written = figure(serving, "penstock_payload_rows_total{")
    until(lambda: serving.http.infer("id_fp32", GOOD).family == "OK" and figure(serving, "penstock_payload_rows_total{") > written)


def test_directory_of_payloads_that_is_removed_is_made_again(serving: Serving, home: Path, figure: Figure) -> None:
    """F27: under the writer's hands; the rows that come then are written."""
    for path in seen(serving, home / "payloads").iterdir():
        shutil.rmtree(path, ignore_errors=True)
    written = figure(serving, "penstock_payload_rows_total{")

    until(lambda: serving.http.infer("id_fp32", GOOD).family == "OK" and figure(serving, "penstock_payload_rows_total{") > written)

    serving.assert_serving()
