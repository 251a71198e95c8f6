"""F14, F19, F20, F22: a registry that is emptied, versions that come all at once, and commands that cross."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from serving import GOOD, Serving, until

Figure = Callable[..., float]
ROW = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [1.0] * 4}]}
PROBLEM = 'penstock_model_problem{model="tagged"}'


@pytest.fixture(scope="module")
def following(tmp_path_factory: pytest.TempPathFactory, models: ModuleType) -> Iterator[Serving]:
    """A server that looks at its registry ten times in a second."""
    root = tmp_path_factory.mktemp("registry")
    models.write_configured_model(root, "id_fp32", models.identity("id_fp32", "float", "batch,n"), 8)
    for number in (1, 2):
        models.write_tagged(root, number)
    with Serving(root, tmp_path_factory.mktemp("following")).during("registry.poll_s=0.1") as serving:
        yield serving


def version_of(serving: Serving, reference: str = "") -> str:
    """Return which version of `tagged` answers."""
    answer = serving.http.infer("tagged", ROW, reference)
    assert answer.family == "OK", answer.text
    return str(answer.headers["penstock-model-version"])


def test_versions_that_come_at_once_cost_one_load(following: Serving, models: ModuleType, tmp_path: Path) -> None:
    """F19: five of them, whole; the policy wants the newest, and no other was ever loaded."""
    for number in range(3, 8):
        models.write_tagged(tmp_path, number)
    for number in range(3, 8):
        shutil.copytree(tmp_path / "tagged" / str(number), following.registry / "tagged" / f".{number}")
    for number in range(7, 2, -1):
        (following.registry / "tagged" / f".{number}").rename(following.registry / "tagged" / str(number))

    until(lambda: version_of(following) == "7")

    assert following.log.count("tagged/7 is ready") == 1
    assert not any(f"tagged/{number} is ready" in following.log for number in range(3, 7))
    following.assert_serving()


def test_pin_to_an_older_version_is_in_force_and_in_the_audit_log(following: Serving) -> None:
    """F20: by an alias, without a restart and without a request that fails meanwhile."""
    before = version_of(following)

    moved = following.admin.put("/admin/models/tagged/aliases/champion", json={"version": "1"}, headers=following.authorized)

    assert moved.status_code == 200
    assert version_of(following) == "1" != before
    (entry, *_) = following.admin.get("/admin/events?limit=1", headers=following.authorized).json()["events"]
    assert (entry["what"], entry["after"]) == ("alias champion", "1")
    assert following.admin.delete("/admin/models/tagged/aliases/champion", headers=following.authorized).status_code == 200
    until(lambda: version_of(following) == before)


def test_registry_that_is_emptied_leaves_everything_serving_and_is_told(following: Serving, figure: Figure) -> None:
    """F14: the last good version goes on, a metric tells, and it is all over when the files are back."""
    aside, before = following.registry.with_name("aside"), version_of(following)
    assert figure(following, PROBLEM) == 0
    (following.registry / "tagged").rename(aside)

    until(lambda: figure(following, PROBLEM) == 1)
    assert version_of(following) == before
    following.assert_serving()

    aside.rename(following.registry / "tagged")
    until(lambda: figure(following, PROBLEM) == 0)
    assert version_of(following) == before


@pytest.mark.parametrize("rounds", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_loads_and_unloads_that_cross_end_as_the_last_one_says(following: Serving, rounds: int) -> None:
    """F22: eight who load and unload the same model at once, while it is asked; then one after the other, each twice."""
    over, before = threading.Event(), version_of(following)
    seen: set[str] = set()

    def ask() -> None:
        while not over.is_set():
            seen.add(following.http.infer("tagged", ROW).family)

    def command(number: int) -> None:
        for turn in range(rounds):
            (following.load if (turn + number) % 2 else following.unload)("tagged")

    asking = threading.Thread(target=ask)
    commanding = [threading.Thread(target=command, args=(number,)) for number in range(8)]
    for thread in (asking, *commanding):
        thread.start()
    for thread in commanding:
        thread.join()
    assert [following.unload("tagged").status_code for _ in range(2)] == [200, 200]
    assert following.http.infer("tagged", ROW).family in {"NOT_FOUND", "UNAVAILABLE"}
    assert [following.load("tagged").status_code for _ in range(2)] == [200, 200]
    over.set()
    asking.join()

    assert version_of(following) == before
    assert seen <= {"OK", "NOT_FOUND", "UNAVAILABLE"}
    assert following.http.infer("id_fp32", GOOD).family == "OK"
    following.assert_serving()
    following.assert_balanced()
