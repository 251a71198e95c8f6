"""The recipes for users' own CI name options, thresholds and files that there are."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from penstock.bench.report.files import FORMS
from penstock.bench.thresholds import threshold
from penstock.cli import main

RECIPES = Path(__file__).parents[2] / "loadtests" / "recipes"
PIPELINES = ("github-actions.yml", "gitlab-ci.yml")
_COMMAND = re.compile(r"^penstock (\w+) (.+)$", re.MULTILINE)


def scripts(document: object) -> Iterator[str]:
    """Yield every text of a pipeline, wherever it stands, with continued lines as one."""
    if isinstance(document, str):
        yield document.replace("\\\n", " ")
    elif isinstance(document, (dict, list)):
        for part in document.values() if isinstance(document, dict) else document:
            yield from scripts(part)


def commands(recipe: str) -> list[tuple[str, list[str]]]:
    """Return the commands of ours that a pipeline runs: name and arguments, redirections left out."""
    texts = scripts(yaml.safe_load((RECIPES / recipe).read_text("utf-8")))
    found = [match for text in texts for match in _COMMAND.findall(text)]
    return [(name, shlex.split(arguments.partition(" > ")[0])) for name, arguments in found]


def parsed(name: str, arguments: list[str]) -> dict[str, object]:
    """Return the options as the command itself understands them; fails where it would."""
    command = main.commands.commands[name]
    return command.make_context(name, list(arguments), parent=click.Context(main.commands)).params


@pytest.mark.parametrize("recipe", PIPELINES)
def test_a_pipeline_serves_and_then_loads(recipe: str) -> None:
    """One server, one load test, in this order."""
    assert [name for name, _ in commands(recipe)] == ["serve", "bench"]


@pytest.mark.parametrize("recipe", PIPELINES)
def test_the_commands_know_every_option(recipe: str) -> None:
    """A renamed option, a threshold that says nothing or an unknown kind of file fails here, not in a user's CI."""
    (_, serving), (_, loading) = commands(recipe)

    parsed("serve", serving)
    options = parsed("bench", [argument.replace("$RATE", "200") for argument in loading])

    assert [threshold(text).text for text in options["thresholds"]]
    assert {path.suffix for path in options["outputs"]} <= set(FORMS)


def test_a_pipeline_keeps_the_files_that_the_load_test_writes() -> None:
    """The JUnit report and the summary are what the load test was told to write."""
    github, gitlab = (yaml.safe_load((RECIPES / name).read_text("utf-8")) for name in PIPELINES)
    written = [{str(path) for path in parsed("bench", commands(name)[1][1])["outputs"]} for name in PIPELINES]

    assert gitlab["load-test"]["artifacts"]["reports"]["junit"] in written[1]
    shown = next(step["run"] for step in github["jobs"]["load"]["steps"] if "GITHUB_STEP_SUMMARY" in step.get("run", ""))
    assert shown.split()[1] in written[0]


@pytest.mark.parametrize("recipe", ["locustfile.py", "k6.js"])
def test_other_tools_ask_the_route_of_the_protocol(recipe: str) -> None:
    """The recipes for other tools ask for a prediction of the example model as the reference says."""
    text = (RECIPES / recipe).read_text("utf-8")

    assert re.search(r"/v2/models/\$?\{MODEL\}/infer", text)
    assert "'features'" in text.replace('"', "'")
