"""From `penstock models publish` to answers, over a bucket that goes away in the end."""

import json
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from types import ModuleType
from typing import Any

import pytest

Penstock = Callable[..., "subprocess.CompletedProcess[str]"]
FOLLOWS_WITHIN_S = 30


def answered_by(address: str) -> tuple[str, int]:
    """Return which version says that it answered, and which one did."""
    body = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
    call = urllib.request.Request(
        f"http://{address}/v2/models/tagged/infer", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(call, timeout=20) as answer:
        outputs = {output["name"]: output["data"] for output in json.loads(answer.read())["outputs"]}
        return answer.headers["penstock-model-version"], outputs["version"][0]


class Caller(Thread):
    """Asks all the while, and remembers what went wrong."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address, self.answers, self.wrong, self.enough = address, 0, [], Event()

    def run(self) -> None:
        while not self.enough.is_set():
            try:
                said, did = answered_by(self.address)
                self.answers += 1
                if said != str(did):
                    self.wrong.append(f"version {did} said that it was {said}")
            except OSError as error:
                self.wrong.append(repr(error))

    def stop(self) -> None:
        """End, and assert that nothing went wrong."""
        self.enough.set()
        self.join()
        assert (self.wrong, self.answers > 100) == ([], True)


@pytest.mark.timeout(200)
def test_server_follows_a_bucket_and_outlives_it(
    own_s3: Any, penstock: Penstock, server_process: ModuleType, models: ModuleType, tmp_path: Path
) -> None:
    """Publish, serve, publish, move the alias, move it back; then the bucket goes, and a restart serves from the cache.

    Nobody who asks meanwhile is failed.
    """
    uri, home = own_s3.bucket(), tmp_path / "home"
    home.mkdir()
    for number in (1, 2):
        models.write_tagged(tmp_path / "built", number)
    first, second = (tmp_path / "built" / "tagged" / number for number in ("1", "2"))

    def done(*arguments: object) -> None:
        result = penstock("models", *arguments, "--registry", uri)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "not-to-be-shown" not in result.stdout + result.stderr

    def follows(number: int) -> None:
        server_process.wait_for(lambda: answered_by(server.http) == (str(number), number), FOLLOWS_WITHIN_S)
        assert answered_by(server.http) == (str(number), number), server.last_words()

    done("publish", first / "model.onnx", "--name", "tagged", "--alias", "champion")
    with server_process.running(uri, home, "registry.poll_s=0.1") as server:
        follows(1)
        caller = Caller(server.http)
        caller.start()
        done("publish", second, "--name", "tagged")
        assert answered_by(server.http) == ("1", 1)
        done("alias", "set", "tagged", "champion", 2)
        follows(2)
        done("alias", "set", "tagged", "champion", 1)
        follows(1)
        done("alias", "set", "tagged", "champion", 2)
        follows(2)
        own_s3.stop()
        server_process.wait_for(lambda: "cannot be reached" in server.last_words(), FOLLOWS_WITHIN_S)
        assert "its endpoint does not answer" in server.last_words()
        assert answered_by(server.http) == ("2", 2)
        caller.stop()
    with server_process.running(uri, home, "registry.poll_s=0.1") as server:
        assert answered_by(server.http) == ("2", 2)
        assert "what the cache holds is served" in server.last_words()
        assert "not-to-be-shown" not in server.last_words()
