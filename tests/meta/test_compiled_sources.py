"""What the compiler would make slow without a word is not in the sources that `make native` compiles."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import load

ROOT: Final = Path(__file__).parents[2]


PACKAGE: Final = ROOT / "src" / "penstock"
COMPILED: Final = sorted(
    {path for pattern in load(ROOT / "native" / "build.py").PATHS for path in PACKAGE.glob(pattern) if path.stem != "__init__"}
)


def open_numbers(tree: ast.Module) -> Iterator[str]:
    """Yield the module's names for numbers that nothing says are final: compiled code looks them up, and computes with objects."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and holds_number(statement.value):
            yield from (name.id for target in statement.targets for name in ast.walk(target) if isinstance(name, ast.Name))
        if isinstance(statement, ast.AnnAssign) and "Final" not in ast.unparse(statement.annotation) and holds_number(statement.value):
            yield ast.unparse(statement.target)


def holds_number(value: ast.expr | None) -> bool:
    """Tell whether a number is written in the expression."""
    parts = [] if value is None else ast.walk(value)
    return any(isinstance(part, ast.Constant) and isinstance(part.value, int | float) for part in parts)


@pytest.mark.parametrize("path", COMPILED, ids=[str(path.relative_to(PACKAGE)) for path in COMPILED])
def test_nothing_is_computed_anew_that_reads_as_if_it_were_kept(path: Path) -> None:
    """Compiled, a `cached_property` is a property, and a number in a module is a look into a dictionary unless it is `Final`."""
    source = path.read_text("utf-8")

    assert "cached_property" not in source.replace("`cached_property`", "")
    assert list(open_numbers(ast.parse(source))) == []


def test_a_module_that_would_be_slow_is_found() -> None:
    """Numbers alone, in tuples, and as products."""
    source = "A = 1\nB, C = 0.5, 2\nD: Final = 3\nE = 16 * 1024\nF = 'text'\nG: int = 5\n"

    assert list(open_numbers(ast.parse(source))) == ["A", "B", "C", "E", "G"]


@pytest.mark.parametrize("changed", ["house.py", "wire/inference.binpb", "http/assets/docs.js"])
def test_what_was_compiled_is_made_again_once_the_package_has_changed(tmp_path: Path, changed: str) -> None:
    """The copy that is served holds pages and messages, too."""
    for made in ("venv/bin/python", "venv/.served", "venv/.developed", "native/.made"):
        (tmp_path / made).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / made).touch()
    wanted = ["make", "--dry-run", f"VENV={tmp_path / 'venv'}", f"NATIVE={tmp_path / 'native'}", "native"]

    still, again = (
        subprocess.run([*wanted, *more], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for more in ([], ["--what-if", f"src/penstock/{changed}"])
    )

    assert "native/build.py" not in still
    assert "native/build.py" in again
