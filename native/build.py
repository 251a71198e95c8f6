"""Compiles the path of a prediction to machine code: `python native/build.py [--into build/native] [--train]`, two minutes, or six.

mypyc translates annotated Python to C (needs a C compiler); the code stays as it is, and runs as Python where nothing was compiled. What is
compiled is what runs for each request or batch. All else gains nothing, and stays open to what only Python allows: endpoints, settings
(structs of msgspec take options that mypyc does not pass on), errors (tables of class attributes), what is referred to weakly (tenants) or
has interpreted heirs (callers).

With `--train` it is compiled twice: first so that it counts which way it goes, while `train.py` asks it, and then laid out by those counts.
That needs gcc.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
_ENVIRONMENT: Final = os.environ  # noqa: TID251 - by which every compiler is told of its options
STAMP: Final = ".made"
PATHS: Final = (
    "batching/*.py",
    *(f"domain/{name}.py" for name in ("batch", "buffers", "clock", "padded_batch", "request", "schema", "tensor", "ticket")),
    *(
        f"grpc/{name}.py"
        for name in ("answers", "call_head", "codec", "connection", "messages", "native_call", "native_stream", "predictions", "stream")
    ),
    *(f"http/{name}.py" for name in ("binary_form", "body", "call", "codec", "errors", "exchange", "fastpath", "framing", "gate", "head")),
    *(f"http/{name}.py" for name in ("json_data", "json_text", "json_weight", "output_forms", "plain_form", "raw_body", "wait")),
    *(
        f"http2/{name}.py"
        for name in ("allowance", "connection", "controlled", "events", "field_blocks", "fields", "frame_reader", "frames")
    ),
    *(f"http2/{name}.py" for name in ("outbox", "requests", "sending", "settings", "streams", "windows")),
    *(f"inference/{name}.py" for name in ("admission", "ledger", "predictor")),
    *(f"lifecycle/{name}.py" for name in ("catalog", "version")),
    *(f"payloads/{name}.py" for name in ("intake", "json_cells", "json_rows", "offer", "recording")),
    *(f"telemetry/{name}.py" for name in ("access_log", "statistics")),
    *(f"traffic/{name}.py" for name in ("marks", "split", "sticky_key")),
    *(f"wire/{name}.py" for name in ("call", "raw", "raw_request", "raw_response", "varint")),
)
"""What a request runs through."""
_SHARED: Final = "*__mypyc.*.so"
"""What the compiled modules have in common."""
_SET_UP: Final = """
import sys
from mypyc.build import mypycify
from setuptools import setup
config, *files = sys.argv[1:]
sys.argv = ["native", "build_ext", "--inplace", "--parallel", "{jobs}"]
setup(name="penstock-native", ext_modules=mypycify(["--config-file", config, *files], opt_level="2", multi_file=True))
"""
_WITHIN: Final = "-fno-semantic-interposition"
"""Nobody replaces a function of the library by one of the same name, so that calls within it need no detour."""


class Flags(NamedTuple):
    """Options of the compiler and of the linker, beside mypyc's."""

    compiler: str = ""
    linker: str = ""


def main() -> int:
    """Return 0 if a compiled copy of the package lies where it was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "native", help="the directory that is to hold penstock/")
    parser.add_argument("--train", action="store_true", help="compile twice, the second time by what the first has counted")
    arguments = parser.parse_args()
    into = arguments.into.resolve()
    draft, counts = into.parent / f"{into.name}.draft", into.parent / f"{into.name}.counts"
    flags = trained(draft, counts) if arguments.train and has_gcc() else Flags()
    if code := compiled(draft, flags):
        return code
    settle(draft, into)
    shutil.rmtree(counts, ignore_errors=True)
    return 0


def has_gcc() -> bool:
    """Tell whether extensions are compiled by gcc, whose options these are."""
    found = "gcc" in (_ENVIRONMENT.get("CC") or sysconfig.get_config_var("CC") or "")
    if not found:
        print("compiling once: --train is for gcc")
    return found


def trained(draft: Path, counts: Path) -> Flags:
    """Return the options by which the compiler uses what a first build has counted while it was asked."""
    shutil.rmtree(counts, ignore_errors=True)
    count, use = f"-fprofile-generate={counts}", f"-fprofile-use={counts} -fprofile-correction -Wno-missing-profile -flto=auto"
    if compiled(draft, Flags(f"{count} {_WITHIN}", count)):
        print("compiling once: what counts could not be compiled")
        return Flags()
    print("asking it", flush=True)
    subprocess.run([sys.executable, str(ROOT / "native" / "train.py"), str(draft)], check=True)
    return Flags(f"{use} {_WITHIN}", f"{use} -O2")


def compiled(draft: Path, flags: Flags) -> int:
    """Compile the modules of a new copy of the package beside their sources; returns the compiler's exit code."""
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(ROOT / "src" / "penstock", draft / "penstock", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    files = sorted(
        str(path.relative_to(draft)) for pattern in PATHS for path in (draft / "penstock").glob(pattern) if path.stem != "__init__"
    )
    jobs = len(os.sched_getaffinity(0))
    command = [sys.executable, "-c", _SET_UP.format(jobs=jobs), str(ROOT / "pyproject.toml"), *files]
    print(f"compiling {len(files)} modules", flush=True)
    options = {name: f"{_ENVIRONMENT.get(name, '')} {more}" for name, more in zip(("CFLAGS", "LDFLAGS"), flags, strict=True) if more}
    environment = {**_ENVIRONMENT, **options}
    done = subprocess.run(command, cwd=draft, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout, file=sys.stderr)
    return done.returncode


def settle(draft: Path, into: Path) -> None:
    """Put what was compiled in the place of what an earlier call has compiled, and note when."""
    into.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(into / "penstock", ignore_errors=True)
    for library in into.glob(_SHARED):
        library.unlink()
    for made in (draft / "penstock", *draft.glob(_SHARED)):
        made.rename(into / made.name)
    shutil.rmtree(draft)
    (into / STAMP).touch()


if __name__ == "__main__":
    sys.exit(main())
