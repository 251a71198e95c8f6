"""One process holds our wire messages and every client: names in protobuf's pool do not clash."""

import subprocess
import sys

from checks import TOLD, run

OURS = "from penstock.wire import inference; inference.ModelInferRequest(model_name='x').SerializeToString()"
ORDERS = {
    "ours, tritonclient": (OURS, "import tritonclient.grpc.aio"),
    "ours, kserve": (OURS, "import kserve"),
    "tritonclient, ours": ("import tritonclient.grpc.aio", OURS),
    "kserve, ours": ("import kserve", OURS),
}


def _import(order: str) -> None:
    code = "\n".join([f"import sys; sys.path.insert(0, {TOLD['source']!r})", *ORDERS[order]])
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def check_tritonclient_after_ours() -> None:
    """The names are in its pool once."""
    _import("ours, tritonclient")


def check_tritonclient_before_ours() -> None:
    """The other order."""
    _import("tritonclient, ours")


def check_kserve_after_ours() -> None:
    """The names are in its pool once. (tritonclient and kserve themselves do clash with each other.)"""
    _import("ours, kserve")


def check_kserve_before_ours() -> None:
    """The other order."""
    _import("kserve, ours")


def check_a_message_crosses_from_one_to_the_other() -> None:
    """What tritonclient's class writes, ours reads, in one process."""
    sys.path.insert(0, TOLD["source"])
    from tritonclient.grpc import service_pb2

    from penstock.wire import inference

    theirs = service_pb2.ModelInferRequest(model_name="m", id="7", raw_input_contents=[b"abc"])
    ours = inference.ModelInferRequest.FromString(theirs.SerializeToString())
    assert (ours.model_name, ours.id, list(ours.raw_input_contents)) == ("m", "7", [b"abc"])


if __name__ == "__main__":
    run(globals())
