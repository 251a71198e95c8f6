"""Compiles the path of a prediction to machine code: `python native/build.py [--into build/native]`, one to three minutes.

mypyc translates annotated Python to C (needs a C compiler); the code stays as it is, and runs as Python where nothing was compiled. What is
compiled is what runs for each request or batch. All else gains nothing, and stays open to what only Python allows: endpoints, settings
(structs of msgspec take options that mypyc does not pass on), errors (tables of class attributes), what is referred to weakly (tenants) or
has interpreted heirs (callers).
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
STAMP: Final = ".made"
PATHS: Final = (
    "batching/*.py",
    *(f"domain/{name}.py" for name in ("batch", "buffers", "clock", "padded_batch", "request", "schema", "tensor", "ticket")),
    *(
        f"grpc/{name}.py"
        for name in ("answers", "call_head", "codec", "connection", "messages", "native_call", "native_stream", "predictions", "stream")
    ),
    *(f"http/{name}.py" for name in ("binary_form", "body", "call", "codec", "exchange", "fastpath", "framing", "head")),
    *(f"http/{name}.py" for name in ("json_data", "json_text", "json_weight", "output_forms", "plain_form", "raw_body", "wait")),
    *(
        f"http2/{name}.py"
        for name in ("allowance", "connection", "controlled", "events", "field_blocks", "fields", "frame_reader", "frames")
    ),
    *(f"http2/{name}.py" for name in ("outbox", "requests", "sending", "settings", "streams", "windows")),
    *(f"inference/{name}.py" for name in ("admission", "ledger", "predictor")),
    *(f"lifecycle/{name}.py" for name in ("catalog", "version")),
    *(f"payloads/{name}.py" for name in ("intake", "json_cells", "json_rows", "offer", "recording")),
    "telemetry/statistics.py",
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


def main() -> int:
    """Return 0 if a compiled copy of the package lies where it was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "native", help="the directory that is to hold penstock/")
    into = parser.parse_args().into.resolve()
    draft = into.parent / f"{into.name}.draft"
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(ROOT / "src" / "penstock", draft / "penstock", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    if code := compiled(draft):
        return code
    settle(draft, into)
    return 0


def compiled(draft: Path) -> int:
    """Compile the modules of a copy of the package beside their sources; returns the compiler's exit code."""
    files = sorted(
        str(path.relative_to(draft)) for pattern in PATHS for path in (draft / "penstock").glob(pattern) if path.stem != "__init__"
    )
    jobs = len(os.sched_getaffinity(0))
    command = [sys.executable, "-c", _SET_UP.format(jobs=jobs), str(ROOT / "pyproject.toml"), *files]
    print(f"compiling {len(files)} modules", flush=True)
    done = subprocess.run(command, cwd=draft, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
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
