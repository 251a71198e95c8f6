"""The dashboard and the alerts ask for metrics and labels that there are; a name that has changed would show as an empty panel."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.domain.outcome import Outcome
from penstock.telemetry.metrics import FAMILIES

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "docker" / "grafana" / "penstock.json").read_text("utf-8"))
RULES = (ROOT / "docker" / "prometheus" / "penstock.rules.yml").read_text("utf-8")
DOCUMENTED = (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")
BY_SERIES = {
    series: family
    for family in FAMILIES
    for series in ([f"{family.name}_{part}" for part in ("bucket", "sum", "count")] if family.kind == "histogram" else [family.name])
}
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def alerts() -> Iterator[tuple[str, str]]:
    """Yield the name and the expression of each alert."""
    for block in RULES.split("- alert: ")[1:]:
        name, rest = block.split("\n", 1)
        found = re.search(r"expr: (?:\|\n(.*?)|([^\n]*))\n        for:", rest, re.DOTALL)
        assert found is not None, name
        yield name, found[1] or found[2]


EXPRESSIONS = [
    *((panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]),
    *((variable["name"], variable["query"]) for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"),
    *alerts(),
]


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_every_metric_exists_and_is_documented(where: str, expression: str) -> None:
    """At least one, and each with the suffix that its kind gives it."""
    names = re.findall(r"\b(?:penstock|nv)_\w+", expression)

    assert names, where
    for name in names:
        assert name in BY_SERIES, f"{where}: {name}"
        assert f"`{BY_SERIES[name].name}`" in DOCUMENTED, f"{where}: {name}"


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_every_label_that_is_selected_or_summed_by_exists(where: str, expression: str) -> None:
    """Of the metrics in the same expression."""
    known = {"le", *(label for name in re.findall(r"\bpenstock_\w+", expression) for label in BY_SERIES[name].labels)}
    selected = [label for inner in re.findall(r"\{([^}]*)\}", expression) for label in re.findall(r"(\w+)\s*(?:=~|!=|=)", inner)]
    grouped = [label for inner in re.findall(r"(?:by|ignoring|on) \(([^)]*)\)", expression) for label in inner.split(", ")]

    assert {*selected, *grouped} <= known, where


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_parentheses_and_braces_close(where: str, expression: str) -> None:
    """An expression that Prometheus could not read would be an empty panel too."""
    for left, right in ("()", "{}", "[]"):
        assert expression.count(left) == expression.count(right), where


def test_all_models_and_versions_are_all() -> None:
    """Those that are no version's too: a prediction that ends before one is chosen has an empty label, one for an unknown model `other`."""
    chosen = [variable for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"]

    assert {variable["name"] for variable in chosen} == {"model", "version"}
    assert all(variable["includeAll"] and re.fullmatch(variable["allValue"], label) for variable in chosen for label in ("", "other", "3"))


def test_outcomes_that_alerts_name_exist() -> None:
    """A misspelt outcome would be an alert that never comes."""
    named = {outcome for values in re.findall(r'outcome=~?"([^"]*)"', RULES) for outcome in values.split("|")}

    assert named
    assert named <= set(Outcome)


def test_drift_is_that_of_rows_that_come() -> None:
    """The last window of a canary that was taken back stays for as long as it is loaded."""
    assert "(penstock_drift_rows_total[" in dict(alerts())["PenstockDrift"]


def test_only_versions_that_answer_are_held_against_each_other() -> None:
    """The figures of a canary that was taken back stay for a week, and so would the alert."""
    expression = dict(alerts())["PenstockCanaryLessAccurate"]

    for route in ("stable", "canary"):
        assert f'rate(penstock_requests_total{{route="{route}"}}[15m])) > 0' in expression


def test_panels_do_not_overlap_and_legends_name_labels_of_their_expression() -> None:
    """Grafana shows an unknown label as nothing."""
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    for panel in PANELS:
        for target in panel["targets"]:
            shown = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            labels = {label for name in re.findall(r"penstock_\w+", target["expr"]) for label in BY_SERIES[name].labels}
            assert set(shown) <= labels, panel["title"]
