"""Settings from all sources together."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.config.errors import ConfigError
from penstock.config.load import Loaded, effective, load
from penstock.config.origins import Origin
from penstock.config.settings import Settings

Load = Callable[..., Loaded]
Problems = Callable[..., tuple[str, ...]]


def test_nothing_given_leaves_every_default() -> None:
    """Without a file, variables or flags the settings are the defaults."""
    loaded = load(None, {}, {})

    assert loaded.settings == Settings()
    assert loaded.origins == {}


def test_empty_file_leaves_every_default(loaded: Load) -> None:
    """An empty file sets nothing."""
    assert loaded("").settings == Settings()
    assert loaded("").origins == {}


@pytest.mark.parametrize(
    ("environ", "flags", "port", "source"),
    [
        pytest.param({}, {}, 1, "file", id="file-over-default"),
        pytest.param({"PENSTOCK_SERVER__HTTP_PORT": "2"}, {}, 2, "environment", id="environment-over-file"),
        pytest.param({"PENSTOCK_SERVER__HTTP_PORT": "2"}, {"server.http_port": 3}, 3, "flag", id="flag-over-environment"),
    ],
)
def test_later_source_wins(loaded: Load, environ: dict[str, str], flags: dict[str, object], port: int, source: str) -> None:
    """Defaults give way to the file, the file to the environment, the environment to flags."""
    result = loaded("[server]\nhttp_port = 1", environ, **flags)

    assert result.settings.server.http_port == port
    assert result.origins["server.http_port"].source == source


def test_sources_mix_key_by_key(loaded: Load) -> None:
    """A source that sets one key of a section or table leaves the other keys alone."""
    environ = {"PENSTOCK_DEFAULTS__SESSION_OPTIONS__B": "2", "PENSTOCK_SERVER__GRPC_PORT": "2"}

    settings = loaded("[server]\nhttp_port = 1\n[defaults]\nsession_options = {a = 1, b = 1}", environ).settings

    assert (settings.server.http_port, settings.server.grpc_port) == (1, 2)
    assert settings.defaults.session_options == {"a": 1, "b": 2}


def test_empty_table_takes_nothing_away(loaded: Load) -> None:
    """An empty table in a later source leaves what an earlier one set."""
    environ = {"PENSTOCK_DEFAULTS__REQUIRE_PLACEMENT": "{}"}

    settings = loaded("[defaults.require_placement]\ncuda = 0.9", environ).settings

    assert settings.defaults.require_placement == {"cuda": 0.9}


def test_models_stay_raw(loaded: Load) -> None:
    """A model's table holds what was said about it and no defaults, for it goes on top of the model's own file."""
    settings = loaded("[models.m]\nslo_ms = 5\n[models.n]\n[models.o]\nrequire_placement = {}").settings

    assert settings.models == {"m": {"slo_ms": 5.0}, "n": {}, "o": {"require_placement": {}}}
    assert isinstance(settings.models["m"]["slo_ms"], float)


@pytest.mark.parametrize("name", ["a.b", "a-b", "a_b", "A.b-c_1"])
def test_model_names_of_any_shape_work_in_file_and_flag(loaded: Load, name: str) -> None:
    """Dots, dashes and capitals in a model's name are fine where the name is quoted."""
    settings = loaded(f'[models."{name}"]\nlanes = 1', {}, **{f'models."{name}".threads': 2}).settings

    assert settings.models == {name: {"lanes": 1, "threads": 2}}


def test_variable_finds_model_whatever_its_capitals(loaded: Load) -> None:
    """A variable in capitals sets the model that the file spells otherwise; a model of no file is lower case."""
    environ = {"PENSTOCK_MODELS__RESNET__LANES": "2", "PENSTOCK_MODELS__OTHER__LANES": "3"}

    settings = loaded("[models.ResNet]\nthreads = 1", environ).settings

    assert settings.models == {"ResNet": {"threads": 1, "lanes": 2}, "other": {"lanes": 3}}


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("server.http_port", "9000", 9000),
        ("server.host", "0.0.0.0", "0.0.0.0"),
        ("server.state_dir", "2024", "2024"),
        ("server.state_dir", "2024-01-01", "2024-01-01"),
        ("server.announce_s", "auto", "auto"),
        ("server.announce_s", "3", 3.0),
        ("server.allow_unauthenticated", "true", True),
        ("defaults.devices", '["cuda:0", "cpu"]', ["cuda:0", "cpu"]),
        ("defaults.versions", "latest:3", "latest:3"),
        ("defaults.versions", '[1, "champion"]', [1, "champion"]),
        ("defaults.require_placement", "{cuda = 0.5}", {"cuda": 0.5}),
    ],
)
def test_text_is_read_as_toml_else_as_text(loaded: Load, key: str, text: str, value: object) -> None:
    """Text from the environment or a flag means what it means in TOML, and where that does not fit, itself."""
    section, name = key.split(".")

    from_variable = loaded("", {f"PENSTOCK_{section}__{name}".upper(): text}).settings
    from_flag = loaded("", {}, **{key: text}).settings

    assert getattr(getattr(from_variable, section), name) == value
    assert getattr(getattr(from_flag, section), name) == value


def test_every_problem_is_told_at_once(problems: Problems) -> None:
    """One load tells all mistakes of all sources."""
    told = problems(
        "[server]\nhttp_prt = 1\nhost = 5\n[sever]\na = 1\nb = 2",
        {"PENSTOCK_GRPC__MAX_STREAMS": "many"},
        **{"defaults.lanes": 0, "a b": 1},
    )

    assert len(told) == 6
    assert [problem.split(": ")[0].rsplit("/")[-1] for problem in told] == [
        "penstock.toml",
        "penstock.toml",
        "penstock.toml",
        "PENSTOCK_GRPC__MAX_STREAMS",
        "--set defaults.lanes",
        "--set a b",
    ]


def test_unreadable_file_does_not_hide_other_problems(tmp_path: Path) -> None:
    """A missing file is one problem among the others."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.toml", {"PENSTOCK_SERVER__HTTP_PORT": "x"}, {})

    assert "none.toml: cannot be read" in caught.value.problems[0]
    assert "server.http_port" in caught.value.problems[1]


@pytest.mark.parametrize("content", [b"[server\n", b"\xff\xfe", b"a = 1\na = 2"], ids=["syntax", "encoding", "twice"])
def test_invalid_toml_is_told_with_the_file(tmp_path: Path, content: bytes) -> None:
    """A file that is not TOML is told with its path."""
    (tmp_path / "bad.toml").write_bytes(content)

    with pytest.raises(ConfigError, match=r"bad\.toml: is not valid TOML: "):
        load(tmp_path / "bad.toml", {}, {})


def test_file_with_byte_order_mark_is_read(tmp_path: Path) -> None:
    """A mark that an editor left in front of the file is no part of it."""
    (tmp_path / "p.toml").write_bytes(b"\xef\xbb\xbf[server]\nhttp_port = 1\n")

    assert load(tmp_path / "p.toml", {}, {}).settings.server.http_port == 1


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("[server]\nhttp_port = '80'", 'server.http_port must be a port from 0 to 65535, not "80"'),
        ("[server]\nhttp_port = true", "server.http_port must be a port from 0 to 65535, not true"),
        ("[server.host]\nname = 'a'", 'server.host must be non-empty text, not {"name": "a"}'),
        ("server = 5", "server must be a table, not 5"),
        ("[defaults]\nbatching = 'no'", 'defaults.batching must be "adaptive", "fixed" or "off", not "no"'),
        ("[grpc]\nreflection = 1", "grpc.reflection must be true or false, not 1"),
        ("[models]\nm = 3", "models.m must be a table, not 3"),
        (
            "[defaults.session_options]\na = 1.5",
            "defaults.session_options.a must be text, a whole number or true or false",
        ),
        ("[http]\nallowed_hosts = 'a'", 'http.allowed_hosts must be a list of host names, not "a"'),
    ],
)
def test_wrong_type_names_key_value_and_what_is_expected(problems: Problems, toml: str, expected: str) -> None:
    """A value of the wrong type is told with its key, itself and what would do."""
    (problem,) = problems(toml)

    assert expected in problem


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("http_port", "server.http_port"),
        ("server.port", "server.http_port"),
        ("registry.url", "registry.uri"),
        ("defaults.slo", "defaults.slo_ms"),
        ("models.m.slo", "models.m.slo_ms"),
        ("defaults.require_placement.cud", "defaults.require_placement.cuda"),
        ("sever", "server"),
        ("server.uri", "registry.uri"),
        ("grpc.host", "server.host"),
        ("telemetry.level", "telemetry.log_level"),
    ],
)
def test_unknown_key_names_the_nearest_valid_key(problems: Problems, key: str, near: str) -> None:
    """A key that does not exist is told with the one that was probably meant."""
    (problem,) = problems(f"{key} = 1")

    assert problem.endswith(f"penstock.toml: unknown key {key}; the nearest valid key is {near}")


def test_variable_with_single_underscore_is_not_ignored(problems: Problems) -> None:
    """A variable that only lacks the second underscore is a mistake, told with the name that works."""
    (problem,) = problems("", {"PENSTOCK_SERVER_HTTP_PORT": "9000"})

    assert problem.startswith("PENSTOCK_SERVER_HTTP_PORT: unknown key")
    assert "PENSTOCK_SERVER__HTTP_PORT" in problem


def test_variables_that_kubernetes_makes_are_ignored(loaded: Load) -> None:
    """A Kubernetes service named penstock does not keep the server from starting."""
    environ = {
        "PENSTOCK_SERVICE_HOST": "10.0.0.1",
        "PENSTOCK_PORT": "tcp://10.0.0.1:80",
        "PENSTOCK_PORT_80_TCP_PORT": "80",
    }

    assert loaded("", environ).settings == Settings()


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        (
            "[server]\nmax_request_timeout_s = 10",
            "server.request_timeout_s (30.0) is above server.max_request_timeout_s (10.0)",
        ),
        ('[registry]\nsignatures = "warn"', 'registry.signatures is "warn", but registry.trusted_keys is empty'),
        ("[server]\ngrpc_port = 8080", "server.grpc_port and server.http_port are both 8080"),
        ("[server]\nadmin_port = 8081", "server.admin_port and server.grpc_port are both 8081"),
        ('[models."../m"]', "no model's name"),
    ],
)
def test_values_that_contradict_each_other_are_refused(problems: Problems, toml: str, expected: str) -> None:
    """Values that are fine alone but not together are told."""
    (problem,) = problems(toml)

    assert expected in problem


@pytest.mark.parametrize(
    "toml",
    [
        "[server]\nhttp_port = 0\ngrpc_port = 0\nadmin_port = 0",
        "[server]\nhost = '10.0.0.1'\nadmin_port = 8080",
    ],
    ids=["all-free", "different-hosts"],
)
def test_ports_that_do_not_collide_are_taken(loaded: Load, toml: str) -> None:
    """Port 0 may be given to all listeners, and one port to listeners on different addresses."""
    loaded(toml)


def test_effective_lists_every_key_with_its_origin(loaded: Load) -> None:
    """The listing has every setting once, with the place that set it."""
    result = loaded(
        '[models."a.b"]\nlanes = 2\n[defaults.require_placement]\ncuda = 1',
        {"PENSTOCK_SERVER__GRPC_PORT": "1"},
        **{"--http-port": "2", "server.admin_port": 3},
    )

    rows = {key: (value, origin) for key, value, origin in effective(result)}

    assert len(rows) == len(effective(result))
    assert rows["server.host"] == ("127.0.0.1", "default")
    assert rows["server.http_port"] == (2, "flag --http-port")
    assert rows["server.grpc_port"] == (1, "environment PENSTOCK_SERVER__GRPC_PORT")
    assert rows["server.admin_port"] == (3, "flag --set server.admin_port")
    assert rows["defaults.require_placement.cuda"][0] == 1.0
    assert rows['models."a.b".lanes'][1].startswith("file ")


def test_origins_name_the_last_source(loaded: Load) -> None:
    """Only keys that were set have an origin, the one whose value is in force."""
    result = loaded("[server]\nhost = 'a'", {"PENSTOCK_SERVER__HOST": "b"})

    assert result.origins == {"server.host": Origin("environment", "PENSTOCK_SERVER__HOST")}


def test_passwords_are_never_shown(loaded: Load, problems: Problems) -> None:
    """A password inside an address shows up neither in the listing nor in a problem."""
    uri = "mlflow+https://user:hunter2@host:5000"

    rows = effective(loaded(f"[registry]\nuri = '{uri}'"))
    told = problems(f"[http]\nallowed_hosts = '{uri}'\n[registry]\npoll_s = ['{uri}']\nuri = {{u = '{uri}'}}")

    assert ("registry.uri", "mlflow+https://user:***@host:5000") in [row[:2] for row in rows]
    assert "hunter2" not in str(rows) + str(told)
    assert "host:5000" in str(told)


def test_secrets_are_never_shown(loaded: Load, problems: Problems) -> None:
    """Neither one that is set, nor one that is no text; that none is set may be known."""
    rows = effective(loaded("[registry]\nwebhook_secret = 'hunter2'"))

    assert ("registry.webhook_secret", "***") in [row[:2] for row in rows]
    assert ("registry.webhook_secret", "") in [row[:2] for row in effective(loaded(""))]
    kafka = effective(loaded("[payloads.kafka.options]\n'sasl.password' = 'hunter2'\n'client.id' = 'me'"))
    assert "***" in str(kafka)
    assert "me" in str(kafka)
    assert "hunter2" not in str(kafka) + str(problems("[payloads.kafka.options]\n'sasl.password' = ['hunter2']"))
    assert "hunter2" not in str(rows) + str(problems("[registry]\nwebhook_secret = ['hunter2']"))


def test_route_is_taken_whole_and_each_of_its_values_shows_where_it_came_from(loaded: Load) -> None:
    """A table that is one value keeps what is in it, and a later source replaces all of it."""
    toml = '[models.fraud.route]\nstable = "1"\ncanaries = [{name = "b", version = "2", weight = 5}]\nsticky = {header = "x-user-id"}'
    result = loaded(toml)
    rows = {key: (value, origin) for key, value, origin in effective(result)}

    route: Any = result.settings.models["fraud"]["route"]
    assert (route["stable"], route["sticky"], list(route["canaries"])) == (
        "1", {"header": "x-user-id"}, [{"name": "b", "version": "2", "weight": 5.0}],
    )  # fmt: skip
    assert rows["models.fraud.route.stable"][0] == "1"
    assert rows["models.fraud.route.stable"][1].startswith("file ")
    replaced: Any = loaded(toml, **{"models.fraud.route": {"stable": "2"}}).settings.models["fraud"]["route"]
    assert (replaced["stable"], list(replaced["canaries"])) == ("2", [])
