"""A result as JUnit XML: one case for each threshold and each compared figure, as CI systems show them."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from penstock.bench.report.text import measured_in_words
from penstock.bench.result import Change, Result, Verdict


def junit(result: Result) -> str:
    """Return the XML of a result. A run that is invalid is an error, a broken threshold a failure."""
    cases = list(_cases(result))
    failed, wrong = (sum(case.find(tag) is not None for case in cases) for tag in ("failure", "error"))
    counts = {"tests": str(len(cases)), "failures": str(failed), "errors": str(wrong)}
    suite = Element("testsuite", {"name": "penstock bench", "timestamp": result.started, "time": f"{result.total.window_s:g}", **counts})
    suite.extend(cases)
    root = Element("testsuites", counts)
    root.append(suite)
    indent(root)
    return tostring(root, "unicode", xml_declaration=True) + "\n"


def _cases(result: Result) -> Iterator[Element]:
    name = f"bench.{result.plan.target.model}"
    valid = Element("testcase", classname=name, name="the measurement is valid")
    for why in result.invalid:
        SubElement(valid, "error", message=why)
    yield valid
    yield from (_threshold(name, verdict) for verdict in result.verdicts)
    if result.comparison is not None:
        yield from (_change(name, change, result.comparison.baseline) for change in result.comparison.changes)


def _threshold(name: str, verdict: Verdict) -> Element:
    case = Element("testcase", classname=name, name=verdict.threshold)
    if not verdict.kept:
        SubElement(case, "failure", message=f"{verdict.threshold} is broken: measured {measured_in_words(verdict)}")
    return case


def _change(name: str, change: Change, baseline: str) -> Element:
    case = Element("testcase", classname=name, name=f"{change.figure} beside {baseline}")
    if change.worse:
        interval = f"{change.low - 1:+.1%} to {change.high - 1:+.1%}"
        SubElement(
            case, "failure", message=f"{change.measured:.4g} after {change.baseline:.4g}: {interval}, tolerance {change.tolerance:.0%}"
        )
    return case
