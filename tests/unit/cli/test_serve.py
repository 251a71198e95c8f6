"""`penstock serve`, and the options that it shares with `penstock check`."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import Result

from penstock.config.settings import Settings, WantedModel

Penstock = Callable[..., Result]

# One value out of range for each of the keys that have a flag of their own, and some that have none.
OUT_OF_RANGE = [
    (("--http-port", "70000"), "server.http_port"),
    (("--http-port", "http"), "server.http_port"),
    (("--grpc-port", "-1"), "server.grpc_port"),
    (("--admin-port", "1.5"), "server.admin_port"),
    (("--host", ""), "server.host"),
    (("--registry", " "), "registry.uri"),
    (("--set", "defaults.max_batch_rows=0"), "defaults.max_batch_rows"),
    (("--set", "defaults.devices=['gpu']"), "defaults.devices"),
    (("--set", "models.m.versions=latest:0"), "models.m.versions"),
    (("--set", "server.drain_s=-1"), "server.drain_s"),
]


def test_flags_become_settings(penstock: Penstock, server: SimpleNamespace) -> None:
    """Every flag reaches the server as the setting that it stands for."""
    result = penstock(
        "serve",
        *("--registry", "models", "--host", "0.0.0.0", "--http-port", "0", "--grpc-port", "1", "--admin-port", "2"),
        *("--set", "defaults.slo_ms=50", "--set", 'models."a.b".lanes=2'),
        *("--allow-unauthenticated", "--ready-file", "ready.json"),
    )

    ((settings, wanted, ready_file),) = server.asked
    assert result.exit_code == 0
    assert settings.registry.uri == "models"
    assert settings.server.host == "0.0.0.0"
    assert (settings.server.http_port, settings.server.grpc_port, settings.server.admin_port) == (0, 1, 2)
    assert settings.server.allow_unauthenticated
    assert settings.defaults.slo_ms == 50
    assert settings.models == {"a.b": {"lanes": 2}}
    assert wanted == ()
    assert ready_file == Path("ready.json")


@pytest.mark.parametrize(("value", "meant"), [("12345", "12345"), ("'12345'", "12345"), ("true", "true"), ("2024-01-01", "2024-01-01")])
def test_value_that_does_not_fit_as_toml_is_text(penstock: Penstock, server: SimpleNamespace, value: str, meant: str) -> None:
    """As in the environment: a secret may be of digits."""
    result = penstock("serve", "--set", f"registry.webhook_secret={value}")

    assert result.exit_code == 0, result.stderr
    assert server.asked[0][0].registry.webhook_secret == meant


def test_nothing_given_serves_the_defaults(penstock: Penstock, server: SimpleNamespace) -> None:
    """Without flags and files the server gets the defaults."""
    penstock("serve")

    assert server.asked == [(Settings(), (), None)]


def test_wanted_models_are_parsed(penstock: Penstock, server: SimpleNamespace) -> None:
    """A model may be named alone, with a version or with an alias, and more than once."""
    penstock("serve", "--model", "a", "--model", "b@3", "--model", "b@champion")

    assert server.asked[0][1] == (WantedModel("a", None), WantedModel("b", "3"), WantedModel("b", "champion"))


def test_model_is_asked_for_as_a_whole_or_by_version(penstock: Penstock, server: SimpleNamespace) -> None:
    """Neither is dropped without a word."""
    result = penstock("serve", "--model", "a", "--model", "b", "--model", "a@3")

    assert result.exit_code == 2
    assert "a is asked for both with @ and without" in result.stderr
    assert server.asked == []


@pytest.mark.parametrize("model", ["", "@3", "a@", "a@b@c", "../a", "a@01", "a@latest"])
def test_malformed_model_is_a_usage_error(penstock: Penstock, server: SimpleNamespace, model: str) -> None:
    """What names no model or no version is refused before anything starts."""
    result = penstock("serve", "--model", model)

    assert result.exit_code == 2
    assert "--model" in result.stderr
    assert server.asked == []


@pytest.mark.parametrize(("arguments", "key"), OUT_OF_RANGE, ids=[" ".join(arguments) for arguments, _ in OUT_OF_RANGE])
@pytest.mark.parametrize("command", ["serve", "check"])
def test_value_out_of_range_exits_2_and_names_the_key(
    penstock: Penstock, server: SimpleNamespace, command: str, arguments: tuple[str, str], key: str
) -> None:
    """A value that cannot be used ends the command at once with the key on stderr."""
    result = penstock(command, *arguments)

    assert result.exit_code == 2
    assert f"{key} must be" in result.stderr
    assert result.stdout == ""
    assert server.asked == []


@pytest.mark.parametrize("text", ["server.http_port", "=1", "a..b=1"])
def test_malformed_assignment_is_a_usage_error(penstock: Penstock, server: SimpleNamespace, text: str) -> None:
    """What is no assignment of a key is refused."""
    result = penstock("serve", "--set", text)

    assert result.exit_code == 2
    assert "--set" in result.stderr
    assert server.asked == []


def test_problems_of_all_sources_are_told_one_per_line(penstock: Penstock, server: SimpleNamespace, tmp_path: Path) -> None:
    """File, environment and flags are judged together."""
    (tmp_path / "p.toml").write_text("[server]\nhttp_prt = 1\n", "utf-8")

    result = penstock("serve", "--config", "p.toml", "--http-port", "x", env={"PENSTOCK_GRPC__MAX_STREAM": "1"})

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "p.toml: unknown key server.http_prt; the nearest valid key is server.http_port",
        ("PENSTOCK_GRPC__MAX_STREAM: unknown key grpc.max_stream; the nearest valid key is grpc.max_streams (PENSTOCK_GRPC__MAX_STREAMS)"),
        '--http-port: server.http_port must be a port from 0 to 65535, not "x"',
    ]
    assert server.asked == []


def test_file_in_the_working_directory_is_used(penstock: Penstock, server: SimpleNamespace, tmp_path: Path) -> None:
    """A penstock.toml where the command runs needs no flag."""
    (tmp_path / "penstock.toml").write_text("[server]\nhttp_port = 1\n", "utf-8")

    penstock("serve")

    assert server.asked[0][0].server.http_port == 1


def test_named_file_replaces_the_usual_one(penstock: Penstock, server: SimpleNamespace, tmp_path: Path) -> None:
    """With --config the penstock.toml of the working directory is not read."""
    (tmp_path / "penstock.toml").write_text("[server]\nhttp_port = 1\n", "utf-8")
    (tmp_path / "other.toml").write_text("[server]\ngrpc_port = 2\n", "utf-8")

    penstock("serve", "--config", "other.toml")

    assert (server.asked[0][0].server.http_port, server.asked[0][0].server.grpc_port) == (8080, 2)


@pytest.mark.parametrize("name", ["none.toml", "."], ids=["missing", "directory"])
def test_file_that_cannot_be_read_exits_2(penstock: Penstock, server: SimpleNamespace, name: str) -> None:
    """A file that was asked for and cannot be read is no reason to go on without it."""
    result = penstock("serve", "--config", name)

    assert result.exit_code == 2
    assert f"{name}: cannot be read" in result.stderr
    assert server.asked == []


def test_flag_with_a_name_wins_over_set(penstock: Penstock, server: SimpleNamespace) -> None:
    """Of two flags for one key, the one that is named after it counts."""
    penstock("serve", "--http-port", "1", "--set", "server.http_port=2")

    assert server.asked[0][0].server.http_port == 1


def test_flag_that_is_not_given_leaves_the_environment_alone(penstock: Penstock, server: SimpleNamespace) -> None:
    """No --allow-unauthenticated is not the same as a refusal of it."""
    penstock("serve", env={"PENSTOCK_SERVER__ALLOW_UNAUTHENTICATED": "true"})

    assert server.asked[0][0].server.allow_unauthenticated


@pytest.mark.parametrize("code", [0, 1])
def test_exit_code_of_the_server_is_the_commands(penstock: Penstock, server: SimpleNamespace, code: int) -> None:
    """What the server returns is the exit code."""
    server.answer = code

    assert penstock("serve").exit_code == code


def test_server_that_cannot_start_exits_2_with_the_reason(penstock: Penstock, server: SimpleNamespace) -> None:
    """A port in use and the like are told in one line, without a traceback."""
    server.error = server.StartError("port 8080 on 127.0.0.1 is in use; stop what uses it or set --http-port")

    result = penstock("serve")

    assert result.exit_code == 2
    assert result.stderr == f"{server.error}\n"
