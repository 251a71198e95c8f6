"""Routes that change while requests come, over both wires."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from serving import Serving

TRUE: Final = {"1 stable", "2 b", "3 c", "2 stable"}
"""Which versions may answer as which arm, whatever the route is at that moment."""


@pytest.fixture(scope="module")
def serving(models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with three versions of `tagged`, and two of a model whose inputs are whole numbers."""
    root = tmp_path_factory.mktemp("registry")
    for number in (1, 2, 3):
        models.write_tagged(root, number)
    (root / "tagged" / "aliases.json").write_text('{"champion": "1", "challenger": "2"}')
    models.write_versioned_addsub(root)
    with Serving(root, tmp_path_factory.mktemp("changes")).during('defaults.versions="all"') as serving:
        yield serving


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


@contextmanager
def callers(serving: Serving) -> Iterator[dict[str, Any]]:
    """Have many callers ask over both wires meanwhile; afterwards the value says what they were told."""
    told: dict[str, Any] = {}
    command = [sys.executable, Path(__file__).with_name("callers.py"), serving.addresses["http"], serving.addresses["grpc"]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "asking\n"
            yield told
            output, _ = process.communicate(timeout=60)
            told.update(json.loads(output))
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("count", "within_s"), [(50, 0), pytest.param(1000, 60, marks=[pytest.mark.slow, pytest.mark.timeout(300)])], ids=["50", "1000"]
)
def test_no_request_fails_while_the_route_changes(serving: Serving, count: int, within_s: float) -> None:
    """Each of some fifty callers at once is answered, by a version of the arm that it is told; the changes are spread over the time."""
    began_s = time.monotonic()
    with callers(serving) as told:
        for number in range(count):
            time.sleep(max(0.0, began_s + within_s * number / count - time.monotonic()))  # when it is due
            change(serving, number)

    answers = {wire: Counter(each["seen"]) for wire, each in told.items()}
    took_s = time.monotonic() - began_s
    print(f"{count} changes in {took_s:.0f} s; {', '.join(f'{seen.total()} answers over {wire}' for wire, seen in answers.items())}")
    assert [each["wrong"] for each in told.values()] == [{}, {}]
    assert all(seen and seen.keys() <= TRUE for seen in answers.values())
    assert {answer.split()[1] for seen in answers.values() for answer in seen} == {"stable", "b", "c"}
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
