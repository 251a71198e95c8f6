"""Loading, unloading and log settings, behind the token."""

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from penstock.wire import inference as pb

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

AUTHORIZED = (("authorization", "Bearer secret"),)
BOOL = pb.ModelRepositoryParameter(bool_param=False)
TEXT = pb.ModelRepositoryParameter(string_param="{}")


def level(value: int) -> pb.LogSettingsRequest:
    """Return a change of the log's verbosity."""
    return pb.LogSettingsRequest(settings={"log_verbose_level": pb.LogSettingsRequest.SettingValue(uint32_param=value)})


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer wrong"),)], ids=["none", "wrong"])
@pytest.mark.parametrize(
    ("rpc", "asked"),
    [
        ("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="addsub")),
        ("RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name="addsub")),
        ("LogSettings", level(1)),
    ],
)
async def test_change_without_the_token_is_unauthenticated(
    served: Any, rpc: str, asked: Message, metadata: tuple[tuple[str, str], ...]
) -> None:
    """B31: nothing is changed by who cannot show the token."""
    error = await served.refusal(rpc, asked, metadata)

    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert served.catalog.model("addsub").ready_versions == [1, 3]
    assert served.log_settings.verbose == 0


async def test_reads_need_no_token(served: Any) -> None:
    """The index and the log settings are reads."""
    index = await served.ask("RepositoryIndex", pb.RepositoryIndexRequest())
    settings = await served.ask("LogSettings", pb.LogSettingsRequest())

    assert [(m.name, m.version, m.state) for m in index.models] == [
        ("addsub", "1", "READY"),
        ("addsub", "3", "READY"),
        ("scores", "1", "READY"),
    ]
    assert settings.settings["log_info"].bool_param is True
    assert settings.settings["log_verbose_level"].uint32_param == 0
    assert settings.settings["log_file"].WhichOneof("parameter_choice") == "string_param"


async def test_change_of_log_settings_answers_with_all(served: Any) -> None:
    """C76 over gRPC: the new value and every other key come back."""
    answer = await served.ask("LogSettings", level(3), AUTHORIZED)

    assert answer.settings["log_verbose_level"].uint32_param == 3
    assert "log_file" in answer.settings


async def test_log_setting_of_a_wrong_type_is_refused(served: Any) -> None:
    """What the settings refuse is the caller's mistake."""
    text = pb.LogSettingsRequest.SettingValue(string_param="loud")

    error = await served.refusal("LogSettings", pb.LogSettingsRequest(settings={"log_verbose_level": text}), AUTHORIZED)

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_log_setting_without_a_value_changes_nothing(served: Any) -> None:
    """A setting whose member is not set leaves things as they are."""
    empty = pb.LogSettingsRequest(settings={"log_verbose_level": pb.LogSettingsRequest.SettingValue()})

    answer = await served.ask("LogSettings", empty, AUTHORIZED)

    assert answer.settings["log_verbose_level"].uint32_param == 0


async def test_unloaded_model_is_gone_until_it_is_loaded(served: Any) -> None:
    """C68, C69 over gRPC."""
    unload = pb.RepositoryModelUnloadRequest(model_name="addsub", parameters={"unload_dependents": BOOL})
    await served.ask("RepositoryModelUnload", unload, AUTHORIZED)
    gone = await served.ask("ModelReady", pb.ModelReadyRequest(name="addsub"))
    await served.ask("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="addsub"), AUTHORIZED)
    back = await served.ask("ModelReady", pb.ModelReadyRequest(name="addsub"))

    assert not gone.ready
    assert back.ready


async def test_kserve_client_names_the_model_where_triton_names_the_repository(served: Any) -> None:
    """A KServe client is understood, and reads model_name = 1, isLoaded = 2 in the answer."""
    load = served.channel.unary_unary(f"/{pb.SERVICE.full_name}/RepositoryModelLoad")

    answer = await load(b"\x0a\x06addsub", metadata=AUTHORIZED, timeout=20)

    assert answer == b"\x0a\x06addsub\x10\x01"


async def test_triton_client_gets_an_empty_message(served: Any) -> None:
    """The answer of Triton's copy of the protocol has no fields."""
    load = served.channel.unary_unary(f"/{pb.SERVICE.full_name}/RepositoryModelUnload")

    assert await load(b"\x12\x06scores", metadata=AUTHORIZED, timeout=20) == b""


@pytest.mark.parametrize(
    ("rpc", "asked", "status"),
    [
        ("Load", pb.RepositoryModelLoadRequest(model_name="nope"), grpc.StatusCode.NOT_FOUND),
        ("Load", pb.RepositoryModelLoadRequest(), grpc.StatusCode.INVALID_ARGUMENT),
        ("Load", pb.RepositoryModelLoadRequest(model_name="../x"), grpc.StatusCode.INVALID_ARGUMENT),
        (
            "Load",
            pb.RepositoryModelLoadRequest(repository_name="r", model_name="addsub"),
            grpc.StatusCode.UNIMPLEMENTED,
        ),
        (
            "Load",
            pb.RepositoryModelLoadRequest(model_name="addsub", parameters={"config": TEXT}),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            "Load",
            pb.RepositoryModelLoadRequest(model_name="addsub", parameters={"file:1/model.onnx": TEXT}),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            "Load",
            pb.RepositoryModelLoadRequest(model_name="addsub", parameters={"other": BOOL}),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            "Unload",
            pb.RepositoryModelUnloadRequest(model_name="addsub", parameters={"unload_dependents": TEXT}),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
    ],
    ids=["unknown", "empty", "path", "repository", "config", "file", "parameter", "dependents"],
)
async def test_load_that_cannot_be(served: Any, rpc: str, asked: Message, status: grpc.StatusCode) -> None:
    """C70, B97: each refusal has its status, and what serves goes on serving."""
    error = await served.refusal(f"RepositoryModel{rpc}", asked, AUTHORIZED)

    assert error.code() is status
    assert served.catalog.model("addsub").ready_versions == [1, 3]


async def test_unload_of_an_unknown_model_succeeds(served: Any) -> None:
    """What is not there is already unloaded."""
    await served.ask("RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name="nope"), AUTHORIZED)


async def test_load_goes_on_when_its_caller_leaves(gated: Any, gate: Any) -> None:
    """A version is never left half loaded by a client that hung up."""
    load = pb.RepositoryModelLoadRequest(model_name="scores")
    await gated.ask("RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name="scores"), AUTHORIZED)
    gate.opened.clear()
    runs = gate.runs

    call = gated.rpc("RepositoryModelLoad")(load, metadata=AUTHORIZED)
    await gated.until(lambda: gate.runs > runs)
    call.cancel()
    await asyncio.sleep(0.05)
    gate.opened.set()

    await gated.until(lambda: gated.catalog.model("scores").ready_versions == [1])
