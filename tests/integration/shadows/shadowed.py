"""A server whose models have shadows: asked over both wires, byte by byte, and asked what the shadows answered."""

import http.client
import itertools
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from serving import Serving, until

from penstock.wire import inference as pb

_INFER: Final = "/inference.GRPCInferenceService/ModelInfer"


class Told(NamedTuple):
    """What a caller got."""

    output: bytes
    version: str
    arm: str


class Shadowed:
    """Asks a server that runs."""

    def __init__(self, serving: Serving) -> None:
        self.serving: Final = serving
        self._connection = http.client.HTTPConnection(serving.addresses["http"], timeout=30)
        self._numbers = itertools.count()

    def route(self, model: str, *shadows: tuple[str, float], stable: str = "1") -> None:
        """Have a model's predictions answered by one version and followed by others."""
        self._connection.close()  # between two tests it may have been idle for longer than the server likes
        # A shadow that stays in the route goes on counting, so it is taken out first.
        for kept in ([], [{"version": version, "sample": sample} for version, sample in shadows]):
            route = {"stable": stable, "shadows": kept}
            answer = self.serving.admin.put(f"/admin/models/{model}/route", json=route, headers=self.serving.authorized)
            assert answer.status_code == 200, answer.text

    def ask_http(self, model: str, rows: Any, request_id: str = "", version: str = "") -> Told:
        """Ask over HTTP, with raw tensors both ways."""
        rows = np.asarray(rows, np.float32)
        tensor = {"name": "X", "shape": list(rows.shape), "datatype": "FP32", "parameters": {"binary_data_size": rows.nbytes}}
        head = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
        headers = {"inference-header-content-length": str(len(head)), "x-request-id": request_id or self._new_id()}
        path = f"/v2/models/{model}/versions/{version}/infer" if version else f"/v2/models/{model}/infer"
        self._connection.request("POST", path, head + rows.tobytes(), headers)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        start = int(answer.headers["inference-header-content-length"])
        return Told(body[start:], answer.headers["penstock-model-version"], answer.headers["penstock-arm"])

    def ask_grpc(self, model: str, rows: Any, request_id: str = "") -> Told:
        """Ask over gRPC, with raw tensors both ways."""
        rows = np.asarray(rows, np.float32)
        message = pb.ModelInferRequest(model_name=model)
        message.inputs.add(name="X", datatype="FP32", shape=rows.shape)
        message.raw_input_contents.append(rows.tobytes())
        call = self.serving.channel.unary_unary(_INFER)
        answer, ended = call.with_call(message.SerializeToString(), metadata=[("x-request-id", request_id or self._new_id())], timeout=30)
        trailing = dict(ended.trailing_metadata())
        (output,) = pb.ModelInferResponse.FromString(answer).raw_output_contents
        return Told(output, str(trailing["penstock-model-version"]), str(trailing["penstock-arm"]))

    def shadows(self, model: str) -> list[dict[str, Any]]:
        """Return what is told of a model's shadows."""
        answer = self.serving.admin.get(f"/admin/models/{model}/shadows", headers=self.serving.authorized)
        assert answer.status_code == 200, answer.text
        shadows: list[dict[str, Any]] = answer.json()["shadows"]
        return shadows

    def settled(self, model: str, sampled: Sequence[int] | None = None, within_s: float = 30) -> list[dict[str, Any]]:
        """Return the same once no shadow has anything left to do, `sampled` of which tells how many requests each has followed."""
        seen: list[Any] = []

        def done() -> bool:
            seen[:] = self.shadows(model)
            enough = sampled is None or [shadow["sampled"] for shadow in seen] == list(sampled)
            return enough and all(sum(shadow["ends"].values()) == shadow["sampled"] for shadow in seen)

        until(done, within_s=within_s, otherwise=lambda: f"{model}: {seen}")
        return seen

    def close(self) -> None:
        """Give up the connection."""
        self._connection.close()

    def _new_id(self) -> str:
        return f"request-{next(self._numbers)}"
