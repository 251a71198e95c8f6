"""From `penstock models publish` to answers, over a bucket that goes away in the end."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from types import ModuleType
from typing import Any

import httpx2
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
    """Asks some hundred times a second all the while, and remembers what went wrong."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address, self.answers, self.wrong, self.enough = address, 0, [], Event()

    def run(self) -> None:
        while not self.enough.wait(0.005):
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
        assert (self.wrong, self.answers > 20) == ([], True)


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


def healthy(address: str, what: str) -> bool:
    """Tell whether a server says so; one that does not listen yet does not."""
    try:
        with urllib.request.urlopen(f"http://{address}/v2/health/{what}", timeout=20) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.timeout(200)
def test_server_waits_for_a_bucket_that_cannot_be_reached_at_the_start(
    *, late_s3: Any, penstock: Penstock, server_process: ModuleType, models: ModuleType, tmp_path: Path, port: int
) -> None:
    """Nothing is in the cache either: alive and not ready, it asks again and again, says so once, and serves once the bucket is there."""
    models.write_tagged(tmp_path / "built", 1)
    log, address, uri = tmp_path / "server.log", f"127.0.0.1:{port}", "s3://models/prod"
    command = ["penstock", "serve", "--registry", uri, "--http-port", str(port), "--grpc-port", "0", "--admin-port", "0"]
    command += ["--set", f"server.state_dir={tmp_path / 'state'}", "--set", "registry.poll_s=0.1"]
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", *command], stdout=output, stderr=output)
    try:
        server_process.wait_for(lambda: "the registry cannot be read" in log.read_text() or process.poll() is not None, FOLLOWS_WITHIN_S)
        during = healthy(address, "live"), healthy(address, "ready"), process.poll()
        with late_s3() as s3:
            assert httpx2.put(f"{s3.address}/models").status_code == 200
            arguments = ("models", "publish", tmp_path / "built/tagged/1/model.onnx", "--name", "tagged", "--registry", uri)
            assert penstock(*arguments).returncode == 0
            server_process.wait_for(lambda: healthy(address, "ready"), FOLLOWS_WITHIN_S)
            server_process.wait_for(lambda: healthy(address, "ready") and "tagged/1 is ready" in log.read_text(), FOLLOWS_WITHIN_S)
            answered = answered_by(address)
    finally:
        server_process.stop(process)

    assert during == (True, False, None), log.read_text()
    assert answered == ("1", 1)
    assert log.read_text().count("the registry cannot be read") == 1
    assert "the registry can be read again" in log.read_text()
