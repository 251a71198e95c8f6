"""Every relative link of the documentation leads to a file, and to a heading where it names one."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md", "examples/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

_FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FILE = re.compile(r"(?<![\w/.-])(?:benchmarks|docker|examples|fuzz|loadtests|native|protos|requirements|tests)/[\w./-]+\.\w+")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def links(page: Path) -> Iterator[str]:
    """Yield the targets of the page's links but for those to other sites."""
    text = _CODE.sub("", _FENCE.sub("", page.read_text("utf-8")))
    yield from (target for target in _LINK.findall(text) if not re.match("[a-z]+:", target))


def anchors(page: Path) -> set[str]:
    """Return the fragments that the page's headings have, as GitHub makes them."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def problem(page: Path, target: str) -> str | None:
    """Return what is wrong with a link, None if it leads somewhere."""
    name, _, fragment = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.is_relative_to(ROOT):
        return f"{target} leads out of the repository"
    if not path.exists():
        return f"{target} leads to nothing"
    if fragment and fragment not in anchors(path):
        return f"{target} leads to no heading of {path.name}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """A reader who follows a link arrives."""
    problems = [found for target in links(page) if (found := problem(page, target))]

    assert problems == []


def test_every_page_is_linked() -> None:
    """Each page of docs/ can be reached from another page."""
    reached = {(page.parent / target.partition("#")[0]).resolve() for page in PAGES for target in links(page)}

    lost = [str(page.relative_to(ROOT)) for page in PAGES if (ROOT / "docs") in page.parents and page not in reached]

    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_commands_name_exist(page: Path) -> None:
    """A command that is pasted finds what it is about."""
    blocks = "".join(match[0] for match in _FENCE.finditer(page.read_text("utf-8")))

    assert [name for name in _FILE.findall(blocks) if not (ROOT / name).is_file()] == []
