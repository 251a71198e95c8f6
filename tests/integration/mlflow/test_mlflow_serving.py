"""`penstock serve` with its models in a real MLflow: it follows the aliases, and goes on without MLflow."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

QUESTION = json.dumps({"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 1, 1, 1]}]}).encode()


def ask(server: Any, model: str = "fraud") -> tuple[str, float]:
    """Return which version answers, and its factor."""
    asked = urllib.request.Request(f"http://{server.http}/v2/models/{model}/infer", QUESTION)
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return answer.headers["penstock-model-version"], json.loads(answer.read())["outputs"][0]["data"][0]


def told(url: str) -> tuple[int, str]:
    """Return what the server says to a delivery that nobody has signed, sent to whatever name MLflow knows it by."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, b"{}", {"host": "penstock.example"}), timeout=20).close()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.loads(refusal.read())["error"]
    return 200, ""


@contextmanager
def asking(server: Any) -> Iterator[list[tuple[str, float] | Exception]]:
    """Ask all the time, one question after the other; give the answers."""
    answers: list[tuple[str, float] | Exception] = []
    done = threading.Event()

    def keep_asking() -> None:
        while not done.wait(0.002):
            try:
                answers.append(ask(server))
            except (OSError, ValueError, KeyError) as error:
                answers.append(error)

    thread = threading.Thread(target=keep_asking)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()


def test_webhook_of_mlflow_makes_the_server_look(mlflow: Any, server_process: ModuleType, tmp_path: Path) -> None:
    """It never looks by itself here."""
    mlflow.log("hooked", 2.0)
    mlflow.log("hooked", 3.0)
    mlflow.call("set_registered_model_alias", "hooked", "champion", "1")

    with server_process.running(mlflow.server.uri, tmp_path, "registry.poll_s=0", "registry.webhook_secret=tell-nobody") as server:
        url = f"http://{server.admin}/admin/webhooks/mlflow"
        assert ask(server, "hooked") == ("1", 2.0)
        mlflow.call("create_webhook", "penstock", url, ["model_version_alias.created"], "", "tell-nobody")

        mlflow.call("set_registered_model_alias", "hooked", "champion", "2")

        server_process.wait_for(lambda: ask(server, "hooked") == ("2", 3.0), 20)
        assert ask(server, "hooked") == ("2", 3.0)
        assert told(url) == (401, "the webhook is not signed with registry.webhook_secret; give MLflow the same secret")


def test_server_follows_the_alias_and_outlives_mlflow(mlflow: Any, server_process: ModuleType, tmp_path: Path) -> None:
    """Without a failed request; each answer is that of the version it names; a restart without MLflow serves from the cache."""
    mlflow.log("fraud", 2.0)
    mlflow.log("fraud", 3.0)
    mlflow.call("set_registered_model_alias", "fraud", "champion", "1")

    with server_process.running(mlflow.server.uri, tmp_path, "registry.poll_s=0.2") as server:
        assert told(f"http://{server.admin}/admin/webhooks/mlflow")[0] == 404
        with asking(server) as answers:
            server_process.wait_for(lambda: ("1", 2.0) in answers, 20)
            mlflow.call("set_registered_model_alias", "fraud", "champion", "2")
            server_process.wait_for(lambda: ("2", 3.0) in answers, 20)
            mlflow.call("set_registered_model_alias", "fraud", "champion", "1")
            server_process.wait_for(lambda: answers[-1] == ("1", 2.0), 20)
            mlflow.server.stop()
            server_process.wait_for(lambda: "what is loaded stays loaded" in server.log.read_text(), 20)
            seen = len(answers)
            server_process.wait_for(lambda: len(answers) >= seen + 20, 20)
        assert set(answers) == {("1", 2.0), ("2", 3.0)}
        assert set(answers[seen:]) == {("1", 2.0)}

    with server_process.running(mlflow.server.uri, tmp_path) as server:
        assert ask(server) == ("1", 2.0)
        assert "what the cache holds is served" in server.log.read_text()
