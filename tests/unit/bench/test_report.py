"""A result in each of its forms."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace
from rounds import round_with

from penstock.bench.arrivals import Closed
from penstock.bench.compare import compared
from penstock.bench.gate import exit_code
from penstock.bench.messages import FailureCount
from penstock.bench.plan import Plan, Target
from penstock.bench.report.files import FORMS, read, write
from penstock.bench.report.markdown import markdown
from penstock.bench.report.text import text
from penstock.bench.result import Result
from penstock.bench.run import result_of
from penstock.bench.stalls import Stalls
from penstock.bench.thresholds import judged, threshold

PLAN = Plan(target=Target("host:1", "m"), load=Closed(8))


@pytest.fixture(name="result")
def _result() -> Result:
    """A result with everything in it: a threshold kept and one broken, a comparison, failures, stalls, a doubt."""
    measured = round_with(
        failed=2, due=110, failures=(FailureCount("HTTP 500", 2, "a | b\n<c>"),), stalls=Stalls(3, 203.0, 5.0), server_cpu_s=0.1
    )
    result = result_of(PLAN, [measured, measured, measured])
    comparison = compared("there", [round_with(server_cpu_s=0.05)] * 3, result.rounds, PLAN, {}, paired=True)
    verdicts = judged([threshold("p(99)<1s"), threshold("p(50)<1ms")], result.total)
    return replace(result, verdicts=verdicts, comparison=comparison)


@pytest.mark.parametrize("suffix", FORMS)
def test_each_form_is_written(result: Result, tmp_path: Path, suffix: str) -> None:
    """The suffix says in which form; what is XML can be parsed."""
    path = tmp_path / f"result{suffix}"

    write(result, path)

    assert path.stat().st_size > 300
    if suffix in {".xml", ".svg"}:
        ET.parse(path)


def test_json_comes_back(result: Result, tmp_path: Path) -> None:
    """What was written is read by a later run, to the last figure."""
    write(result, tmp_path / "result.json")

    assert read(tmp_path / "result.json") == result


@pytest.mark.parametrize("content", ["", "{}", '{"format": 1}'])
def test_what_is_no_result_is_refused(tmp_path: Path, content: str) -> None:
    """A file of something else is named."""
    path = tmp_path / "other.json"
    path.write_text(content)

    with pytest.raises(ValueError, match=r"other\.json is no result"):
        read(path)


def test_junit_has_a_case_for_each_threshold(result: Result, tmp_path: Path) -> None:
    """A broken threshold is a failure, a doubt about the measurement an error."""
    write(result, tmp_path / "result.xml")

    suite = ET.parse(tmp_path / "result.xml").getroot()[0]
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert cases["p(99)<1s"] == []
    assert cases["p(50)<1ms"] == ["failure"]
    assert cases["cpu_us beside there"] == ["failure"]
    assert cases["the measurement is valid"] == ["error"]


def test_summary_tells_what_a_reader_must_know(result: Result) -> None:
    """Figures, verdicts, stalls, failures and doubts are all there."""
    summary = text(result)

    for words in ("latency p99", "BROKEN", "WORSE", "for up to 203 ms, 9 times", "6 x HTTP 500: a | b <c>", "INVALID: 9"):
        assert words in summary
    assert "| p(50)<1ms |" in markdown(result)


def test_exit_code_is_the_worst_finding(result: Result) -> None:
    """An invalid measurement outweighs a broken threshold: its figures say nothing."""
    fine = result_of(PLAN, [round_with()])

    assert exit_code(result) == 3
    assert exit_code(fine) == 0
    assert exit_code(replace(result, invalid=())) == 1
