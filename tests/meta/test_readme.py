"""What the README and the guides show works when pasted: marked examples run against a real server on the example registry.

`<!-- tested -->` before a block of sh or python marks it. A block of json that follows shows what it prints.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs" / "guides").glob("*.md"))]
CLIENTS = ROOT / ".venv-clients" / "bin" / "python"
DEFAULTS = {"http": "127.0.0.1:8080", "grpc": "127.0.0.1:8081", "admin": "127.0.0.1:8082"}
START_S, RUN_S, STOP_S = 60, 60, 40

_BLOCK = re.compile(r"^(<!-- tested -->\n+)?```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Example(NamedTuple):
    """A marked block of a page, and what it prints, if that is said."""

    page: Path

    language: str
    text: str
    prints: str | None


def examples(page: Path) -> list[Example]:
    """Return the marked blocks of a page, in order."""
    blocks = _BLOCK.findall(page.read_text("utf-8"))
    following = [*blocks[1:], ("", "", "")]
    return [
        Example(page, language, text, shown if kind == "json" else None)
        for (mark, language, text), (_, kind, shown) in zip(blocks, following, strict=True)
        if mark
    ]


EXAMPLES = [example for page in PAGES for example in examples(page)]


@pytest.fixture(name="addresses", scope="module")
def _addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The addresses of a server on free ports that serves the example registry."""
    home = tmp_path_factory.mktemp("readme")
    ready, log = home / "ready.json", home / "log"
    ports = [part for name in ("http", "grpc", "admin") for part in (f"--{name}-port", "0")]
    command = [sys.executable, "-m", "penstock", "serve", "--registry", "examples/registry", *ports]
    command += ["--ready-file", str(ready), "--set", f"server.state_dir={home / 'state'}"]
    with log.open("w") as stream, subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=stream) as server:
        try:
            _wait_for(ready, server, log)
            yield json.loads(ready.read_text())["addresses"]
        finally:
            server.terminate()
            try:
                server.wait(STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait_for(ready: Path, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_S
    while not ready.exists():
        if server.poll() is not None or time.monotonic() > until:
            pytest.fail(f"the server did not get ready; it said:\n{log.read_text()[-2000:]}")
        time.sleep(0.02)


def _command(example: Example, text: str) -> list[str]:
    if example.language == "sh":
        return ["bash", "-euo", "pipefail", "-c", text]
    if "tritonclient" not in text:
        return [sys.executable, "-c", text]
    if not CLIENTS.exists():
        pytest.skip(f"there is no {CLIENTS.relative_to(ROOT)}, which holds tritonclient")
    return [str(CLIENTS), "-c", text]


def differences(shown: Any, seen: Any, place: str = "$") -> list[str]:
    """Return where two JSON values differ: in keys, lengths and texts; numbers only if they are not close."""
    if isinstance(shown, dict) and isinstance(seen, dict):
        if shown.keys() != seen.keys():
            return [f"{place} has the keys {sorted(seen)}, the page shows {sorted(shown)}"]
        return [line for key in shown for line in differences(shown[key], seen[key], f"{place}.{key}")]
    if isinstance(shown, list) and isinstance(seen, list):
        if len(shown) != len(seen):
            return [f"{place} has {len(seen)} items, the page shows {len(shown)}"]
        pairs = enumerate(zip(shown, seen, strict=True))
        return [line for index, (one, other) in pairs for line in differences(one, other, f"{place}[{index}]")]
    if _is_number(shown) and _is_number(seen):
        same = seen == pytest.approx(shown, rel=0.05, abs=0.005)
    else:
        same = type(shown) is type(seen) and shown == seen
    return [] if same else [f"{place} is {seen!r}, the page shows {shown!r}"]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@pytest.mark.timeout(START_S + RUN_S + STOP_S)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.page.stem}: {example.text.partition(chr(10))[0][:60]}")
def test_example_works(example: Example, addresses: Mapping[str, str]) -> None:
    """A marked example ends with exit status 0 and prints what its page says."""
    text = example.text
    for name, address in DEFAULTS.items():
        text = text.replace(address, addresses[name])

    done = subprocess.run(_command(example, text), cwd=ROOT, capture_output=True, text=True, timeout=RUN_S, check=False)

    assert done.returncode == 0, done.stderr + done.stdout
    if example.prints is not None:
        assert differences(json.loads(example.prints), json.loads(done.stdout)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_mark_stands_before_an_example_that_is_run(page: Path) -> None:
    """One anywhere else would promise what nobody tries."""
    assert page.read_text("utf-8").count("<!-- tested -->") == sum(example.page == page for example in EXAMPLES)


def test_readme_marks_its_examples() -> None:
    """A block of sh or python is marked, unless all it does is to call make or to install something."""
    blocks = _BLOCK.findall(README.read_text("utf-8"))

    unmarked = [text for mark, language, text in blocks if language in {"sh", "python"} and not mark]

    assert {example.language for example in EXAMPLES if example.page == README} == {"sh", "python"}
    assert [text for text in unmarked if not re.match(r"(make|sudo|git|cp|penstock|\.venv)\b", text)] == []
