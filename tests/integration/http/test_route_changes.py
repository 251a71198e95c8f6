"""Routes that change while requests come, over both wires."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, Final

import pytest
from serving import Serving

ROW: Final = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [1.0, 2.0, 3.0, 4.0]}]}
TRUE: Final = {("1", "stable"), ("2", "b"), ("3", "c"), ("2", "stable")}
"""Which versions may answer as which arm, whatever the route is at that moment."""


@pytest.fixture(scope="module")
def serving(models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with three versions of `tagged`, and two of a model whose inputs are whole numbers."""
    root = tmp_path_factory.mktemp("registry")
    for number in (1, 2, 3):
        models.write_tagged(root, number)
    (root / "tagged" / "aliases.json").write_text('{"champion": "1", "challenger": "2"}')
    models.write_versioned_addsub(root)
    serving = Serving(root, tmp_path_factory.mktemp("changes"))
    try:
        serving.start('defaults.versions="all"')
        yield serving
        serving.assert_balanced()
        serving.stop()
    finally:
        serving.kill()


def change(serving: Serving, number: int) -> None:
    """Make the change of that number: other weights, another stable version, a promotion and its way back, no route at all."""
    path = "/admin/models/tagged"
    kind = number % 10
    if kind == 7:
        answer = serving.admin.post(f"{path}/promote", json={"canary": "b"}, headers=serving.authorized)
    elif kind in (8, 9):  # away with the other canary, then back to the version before
        answer = serving.admin.post(f"{path}/rollback", headers=serving.authorized)
    elif kind == 5:
        answer = serving.admin.delete(f"{path}/route", headers=serving.authorized)
    else:
        canaries = [{"name": "b", "version": "challenger", "weight": kind * 10}, {"name": "c", "version": "3", "weight": kind}]
        sticky = {"header": "x-user-id"} if kind % 2 else None
        answer = serving.admin.put(f"{path}/route", json={"canaries": canaries, "sticky": sticky}, headers=serving.authorized)
    assert answer.status_code in (200, 204), answer.text


def asked(serving: Serving, wire: str, stop: threading.Event) -> Counter[tuple[str, str]]:
    """Ask until told to stop; returns which version has answered as which arm. Each request must be answered."""
    seen: Counter[tuple[str, str]] = Counter()
    while not stop.is_set():
        answer = serving.transports[wire].infer("tagged", ROW, "", {"x-user-id": f"user-{seen.total() % 50}"})
        assert answer.family == "OK", answer.text
        seen[answer.headers["penstock-model-version"], answer.headers["penstock-arm"]] += 1
    return seen


@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
def test_no_request_fails_while_the_route_changes(serving: Serving, count: int) -> None:
    """Each is answered, by a version of the arm that it is told."""
    stop = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        callers = [pool.submit(asked, serving, wire, stop) for wire in ("http", "grpc")]
        try:
            for number in range(count):
                change(serving, number)
        finally:
            stop.set()
        seen: Counter[tuple[str, str]] = sum((caller.result() for caller in callers), Counter())

    assert seen.keys() <= TRUE
    assert {arm for _, arm in seen} == {"stable", "b", "c"}
    served = serving.admin.get("/admin/models/tagged", headers=serving.authorized).json()
    assert served["aliases"] == {"champion": "1", "challenger": "2"}


def question(user: int) -> dict[str, Any]:
    """Return a question whose first element is the caller's number."""
    data = [user, *[0] * 15]
    return {"inputs": [{"name": name, "datatype": "INT32", "shape": [1, 16], "data": data} for name in ("INPUT0", "INPUT1")]}


def test_key_in_an_input_gives_the_same_arm_over_both_wires(serving: Serving) -> None:
    """Sent as JSON or as a message."""
    route = {"stable": "1", "canaries": [{"name": "b", "version": "3", "weight": 50}], "sticky": {"input": "INPUT0"}}
    answer = serving.admin.put("/admin/models/addsub/route", json=route, headers=serving.authorized)
    assert answer.status_code == 200, answer.text

    arms = [[wire.infer("addsub", question(user)).headers["penstock-arm"] for wire in (serving.http, serving.grpc)] for user in range(40)]

    assert all(one == other for one, other in arms)
    assert {one for one, _ in arms} == {"stable", "b"}
