"""What every client of tritonclient can do, run once with each: http (gevent), http.aio, grpc and grpc.aio."""

import asyncio
import contextlib
import importlib
import inspect
from collections.abc import AsyncIterator
from types import SimpleNamespace

import ml_dtypes
import numpy as np
from checks import CONFORMANCE, EXAMPLES, VARIANT, raises, run
from example_models import MODELS, ROWS, assert_same, expected
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

PROTOCOL = VARIANT.partition("_")[0]
KIT = importlib.import_module(f"tritonclient.{VARIANT.replace('_', '.')}")
NOT_FOUND = {"http": "404", "grpc": "StatusCode.NOT_FOUND"}[PROTOCOL]
INVALID = {"http": "400", "grpc": "StatusCode.INVALID_ARGUMENT"}[PROTOCOL]
UNAUTHENTICATED = {"http": "401", "grpc": "StatusCode.UNAUTHENTICATED"}[PROTOCOL]
AS_JSON = {} if PROTOCOL == "http" else {"as_json": True}
SIXTEEN = np.arange(16, dtype=np.int32).reshape(1, 16)


class Client:
    """Any of the four clients, with every method awaitable."""

    def __init__(self, client) -> None:
        self._client = client

    def __getattr__(self, name):
        method = getattr(self._client, name)

        async def call(*args, **kwargs):
            answer = method(*args, **kwargs)
            return await answer if inspect.isawaitable(answer) else answer

        return call


@contextlib.asynccontextmanager
async def client(server: SimpleNamespace, listener: str = PROTOCOL) -> AsyncIterator[Client]:
    """Open a client of a server, as the documentation of tritonclient does."""
    opened = KIT.InferenceServerClient(getattr(server, listener))
    try:
        yield Client(opened)
    finally:
        closed = opened.close()
        if inspect.isawaitable(closed):
            await closed


def tensor(name: str, values: np.ndarray, datatype: str | None = None):
    """Return an input as it is sent by default: in binary."""
    made = KIT.InferInput(name, list(values.shape), datatype or np_to_triton_dtype(values.dtype))
    made.set_data_from_numpy(values)
    return made


def addsub_inputs(rows: int = 1):
    """Return the two inputs of addsub."""
    values = np.repeat(SIXTEEN, rows, axis=0)
    return [tensor("INPUT0", values), tensor("INPUT1", values)]


async def check_example_models_answer_what_onnxruntime_answers() -> None:
    """One row and batches, each bit of each output."""
    async with client(EXAMPLES) as c:
        for model in MODELS:
            for count in ROWS:
                rows = model.rows(count)
                answer = await c.infer(model.name, [tensor(model.input, rows, model.datatype)], model_version=model.version)
                for output, wanted in expected(model, rows).items():
                    assert_same(model, output, answer.as_numpy(output), wanted)


async def check_concurrent_callers_get_their_own_rows() -> None:
    """Requests that may share a batch do not share answers. (ONNX Runtime itself rounds otherwise in other batches.)"""
    model = MODELS[0]
    requests = np.split(model.rows(40), 40)
    async with client(EXAMPLES) as c:
        answers = await asyncio.gather(*(c.infer(model.name, [tensor(model.input, rows)]) for rows in requests))
    for rows, answer in zip(requests, answers, strict=True):
        wanted = expected(model, rows)
        assert_same(model, "label", answer.as_numpy("label"), wanted["label"])
        np.testing.assert_allclose(answer.as_numpy("probabilities"), wanted["probabilities"], rtol=1e-4, atol=1e-6)


async def check_c93_infer_with_default_arguments() -> None:
    """C93: as_numpy equals numpy's sum and difference; version 3 swaps them."""
    async with client(CONFORMANCE) as c:
        first = await c.infer("addsub", addsub_inputs(), model_version="1")
        newest = await c.infer("addsub", addsub_inputs())
    assert (first.as_numpy("OUTPUT0") == SIXTEEN + SIXTEEN).all()
    assert (first.as_numpy("OUTPUT1") == 0).all()
    assert (newest.as_numpy("OUTPUT1") == SIXTEEN + SIXTEEN).all()
    assert (newest.as_numpy("OUTPUT0") == 0).all()


async def check_c94_server_metadata() -> None:
    """C94: name, version and the extensions."""
    async with client(CONFORMANCE) as c:
        metadata = await c.get_server_metadata(**AS_JSON)
    assert metadata["name"]
    assert metadata["version"]
    assert {"statistics", "binary_tensor_data", "model_configuration"} <= set(metadata["extensions"])


async def check_c94_model_metadata() -> None:
    """C94: inputs and outputs with the batch dimension in front."""
    async with client(CONFORMANCE) as c:
        metadata = await c.get_model_metadata("addsub", **AS_JSON)
    assert metadata["name"] == "addsub"
    assert sorted(metadata["versions"]) == ["1", "3"]
    assert [(i["name"], i["datatype"], [int(d) for d in i["shape"]]) for i in metadata["inputs"]] == [
        ("INPUT0", "INT32", [-1, 16]),
        ("INPUT1", "INT32", [-1, 16]),
    ]
    assert [output["name"] for output in metadata["outputs"]] == ["OUTPUT0", "OUTPUT1"]


async def check_c94_model_config() -> None:
    """C94: Triton's ModelConfig, without the batch dimension."""
    async with client(CONFORMANCE) as c:
        answer = await c.get_model_config("addsub", **AS_JSON)
    config = answer if PROTOCOL == "http" else answer["config"]
    assert config["max_batch_size"] == 8
    assert [(i["name"], i["data_type"], [int(d) for d in i["dims"]]) for i in config["input"]] == [
        ("INPUT0", "TYPE_INT32", [16]),
        ("INPUT1", "TYPE_INT32", [16]),
    ]


async def check_c94_statistics_count_a_request_before_its_answer() -> None:
    """C94: success, queue and compute counts have risen by the time that the answer is here."""
    async with client(CONFORMANCE) as c:
        before = await statistics(c)
        await c.infer("addsub", addsub_inputs(2), model_version="1")
        after = await statistics(c)
    for key in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
        assert after[key] == before[key] + 1, f"{key}: {before} {after}"
    assert after["inference_count"] == before["inference_count"] + 2
    assert after["execution_count"] == before["execution_count"] + 1


async def statistics(c: Client) -> dict[str, int]:
    """Return the counts of addsub's version 1."""
    answer = await c.get_inference_statistics("addsub", "1", **AS_JSON)
    (stats,) = answer["model_stats"]
    assert (stats["name"], stats["version"]) == ("addsub", "1")
    counts = {key: int(value.get("count", 0)) for key, value in stats["inference_stats"].items()}
    return {**counts, **{key: int(stats.get(key, 0)) for key in ("inference_count", "execution_count")}}


async def check_c94_statistics_of_all_models() -> None:
    """C94: without a name, every ready version."""
    async with client(EXAMPLES) as c:
        answer = await c.get_inference_statistics(**AS_JSON)
    assert {(s["name"], s["version"]) for s in answer["model_stats"]} >= {(m.name, m.version) for m in MODELS}


async def check_c94_repository_index() -> None:
    """C94: one entry for each version, without a token."""
    async with client(CONFORMANCE) as c:
        answer = await c.get_model_repository_index(**AS_JSON)
    index = answer if PROTOCOL == "http" else answer["models"]
    states = {(entry["name"], entry.get("version")): entry.get("state") for entry in index}
    assert states["addsub", "1"] == "READY"
    assert states["addsub", "3"] == "READY"


async def check_health() -> None:
    """Live, ready, and ready by model and version."""
    async with client(EXAMPLES) as c:
        assert await c.is_server_live() is True
        assert await c.is_server_ready() is True
        for model in MODELS:
            assert await c.is_model_ready(model.name) is True
            assert await c.is_model_ready(model.name, model.version) is True


async def check_repository_load_and_unload_with_the_token() -> None:
    """The admin listener (HTTP) or gRPC, with the token: unloaded is not ready, loaded is ready again."""
    headers = {"authorization": f"Bearer {CONFORMANCE.token}"}
    manager = "admin" if PROTOCOL == "http" else "grpc"
    async with client(CONFORMANCE) as c, client(CONFORMANCE, manager) as admin:
        await admin.unload_model("id_i16", headers=headers)
        await until(lambda: c.is_model_ready("id_i16"), False)
        with raises(InferenceServerException):
            await c.infer("id_i16", [tensor("X", np.ones((1, 2), np.int16))])
        await admin.load_model("id_i16", headers=headers)
        assert await c.is_model_ready("id_i16") is True
        answer = await c.infer("id_i16", [tensor("X", np.ones((1, 2), np.int16))])
    assert (answer.as_numpy("Y") == 1).all()


async def until(ask, wanted: object) -> None:
    """Ask until the answer is the wanted one."""
    async with asyncio.timeout(20):
        while await ask() != wanted:  # noqa: ASYNC110 - the server is another process
            await asyncio.sleep(0.02)


async def check_repository_changes_need_the_token() -> None:
    """Without it, and with a wrong one, nothing is loaded or unloaded."""
    manager = "admin" if PROTOCOL == "http" else "grpc"
    async with client(CONFORMANCE, manager) as admin, client(CONFORMANCE) as c:
        for headers in ({}, {"authorization": "Bearer wrong"}):
            with raises(InferenceServerException) as caught:
                await admin.unload_model("scores", headers=headers)
            assert caught.error.status() == UNAUTHENTICATED, caught.error
            with raises(InferenceServerException) as caught:
                await admin.load_model("scores", headers=headers)
            assert caught.error.status() == UNAUTHENTICATED, caught.error
        assert await c.is_model_ready("scores") is True


async def check_compressed_requests() -> None:
    """Gzip and deflate, towards the server."""
    option = "request_compression_algorithm" if PROTOCOL == "http" else "compression_algorithm"
    async with client(CONFORMANCE) as c:
        for algorithm in ("gzip", "deflate"):
            answer = await c.infer("addsub", addsub_inputs(4), model_version="1", **{option: algorithm})
            assert (answer.as_numpy("OUTPUT0") == 2 * SIXTEEN).all()


async def check_classification() -> None:
    """class_count: value and index, best first."""
    values = np.array([[1.0, 4.0, 3.0, 2.0], [9.0, 5.0, 6.0, 7.0]], np.float32)
    async with client(CONFORMANCE) as c:
        answer = await c.infer("scores", [tensor("X", values)], outputs=[KIT.InferRequestedOutput("Y", class_count=2)])
    assert answer.as_numpy("Y").tolist() == [[b"4.000000:1", b"3.000000:2"], [b"9.000000:0", b"7.000000:3"]]


async def check_request_ids_come_back() -> None:
    """The id of the request is the id of the answer."""
    async with client(CONFORMANCE) as c:
        answer = (await c.infer("addsub", addsub_inputs(), request_id="mine-7")).get_response()
    assert (answer["id"] if PROTOCOL == "http" else answer.id) == "mine-7"


async def check_only_wanted_outputs_come_back() -> None:
    """Requested outputs, and the version that answered."""
    async with client(CONFORMANCE) as c:
        wanted = [KIT.InferRequestedOutput("OUTPUT1")]
        answer = await c.infer("addsub", addsub_inputs(), outputs=wanted, model_version="3")
    told = answer.get_response()
    assert (told["model_version"] if PROTOCOL == "http" else told.model_version) == "3"
    assert answer.as_numpy("OUTPUT0") is None
    assert (answer.as_numpy("OUTPUT1") == 2 * SIXTEEN).all()


async def check_errors() -> None:
    """Unknown models and versions are not found; a wrong shape, name or type is an invalid argument. All say why."""
    thin = np.zeros((1, 15), np.int32)
    wrong = {
        "shape": [tensor("INPUT0", thin), tensor("INPUT1", thin)],
        "name": [tensor("INPUT0", SIXTEEN), tensor("INPUT7", SIXTEEN)],
        "type": [tensor("INPUT0", SIXTEEN.astype(np.float32)), tensor("INPUT1", SIXTEEN)],
        "missing": [tensor("INPUT0", SIXTEEN)],
        "rows": addsub_inputs(9),
    }
    async with client(CONFORMANCE) as c:
        for name, version in (("nowhere", ""), ("addsub", "2")):
            with raises(InferenceServerException) as caught:
                await c.infer(name, addsub_inputs(), model_version=version)
            assert caught.error.status() == NOT_FOUND, caught.error
            assert name in caught.error.message(), caught.error
        for what, inputs in wrong.items():
            with raises(InferenceServerException) as caught:
                await c.infer("addsub", inputs)
            assert caught.error.status() == INVALID, f"{what}: {caught.error}"
            assert caught.error.message(), what


async def check_every_datatype_makes_the_round_trip() -> None:
    """Extreme values of each type come back to the bit."""
    kinds = {"id_fp16": np.float16, "id_fp32": np.float32, "id_fp64": np.float64}
    kinds |= {f"id_{sign}{bits}": np.dtype(f"{sign}{int(bits) // 8}") for sign in "iu" for bits in ("8", "32", "64")}
    async with client(CONFORMANCE) as c:
        for name, kind in kinds.items():
            limits = np.finfo(kind) if np.issubdtype(kind, np.floating) else np.iinfo(kind)
            values = np.array([[limits.min, limits.max, 0], [1, 2, 3]], kind)
            answer = await c.infer(name, [tensor("X", values)])
            assert answer.as_numpy("Y").tobytes() == values.tobytes(), name
        answer = await c.infer("id_bool", [tensor("X", np.array([[True, False, True]]))])
        assert answer.as_numpy("Y").tolist() == [[True, False, True]]
        texts = np.array([[b"", "grüß".encode(), b"x" * 300]], dtype=np.object_)
        answer = await c.infer("id_str", [tensor("X", texts, "BYTES")])
        assert answer.as_numpy("Y").tolist() == texts.tolist()
        short = np.array([[1.5, -2.0, 0.0]], ml_dtypes.bfloat16)
        answer = await c.infer("id_bf16", [tensor("X", short, "BF16")])
        assert answer.as_numpy("Y").tobytes() == short.tobytes()


async def check_unregister_shared_memory_succeeds() -> None:
    """Nothing is registered, so there is nothing to refuse: perf_analyzer and many samples start with this."""
    async with client(CONFORMANCE) as c:
        await c.unregister_system_shared_memory()
        await c.unregister_cuda_shared_memory()


async def check_log_settings_can_be_read() -> None:
    """A read: without a token."""
    async with client(CONFORMANCE) as c:
        answer = await c.get_log_settings(**AS_JSON)
    settings = answer if PROTOCOL == "http" else answer["settings"]
    assert "log_verbose_level" in settings


async def check_parameters_are_accepted() -> None:
    """Custom parameters, priority and timeout, which other models would read, do no harm."""
    async with client(CONFORMANCE) as c:
        answer = await c.infer(
            "addsub",
            addsub_inputs(),
            model_version="1",
            priority=1,
            timeout=20_000_000,
            parameters={"mine": "x", "number": 3, "flag": True},
        )
    assert (answer.as_numpy("OUTPUT0") == 2 * SIXTEEN).all()


if __name__ == "__main__":
    run(globals())
