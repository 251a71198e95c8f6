"""The compose files fit the repository and one another: nothing here starts them, so what can drift is compared."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.config.load import load
from penstock.config.settings import ServerOptions
from penstock.config.sources import parse_assignment

DOCKER = Path(__file__).parents[2] / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yml").read_text("utf-8"))
GPU = yaml.safe_load((DOCKER / "compose.gpu.yml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
DEFAULTS = ServerOptions()


def mounts(service: str) -> dict[str, str]:
    """Return what is mounted from this directory, by its path inside; a variable stands for its default."""
    plain = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", mount) for mount in SERVICES[service]["volumes"]]
    return {parts[1]: parts[0] for mount in plain if (parts := mount.split(":"))[0].startswith(".")}


@pytest.mark.parametrize("path", sorted(DOCKER.rglob("*.yml")), ids=lambda path: path.name)
def test_each_file_is_yaml(path: Path) -> None:
    """And holds a table."""
    assert isinstance(yaml.safe_load(path.read_text("utf-8")), dict)


@pytest.mark.parametrize("service", SERVICES)
def test_mounted_files_exist_and_are_read_only(service: str) -> None:
    """Docker would make a directory of a file that is not there."""
    assert mounts(service)
    for inside, outside in mounts(service).items():
        path = DOCKER / outside
        assert path.is_dir() if inside == "/models" else path.is_file(), outside
    assert all(mount.endswith(":ro") for mount in SERVICES[service]["volumes"] if mount.startswith((".", "$")))


def test_named_volumes_are_declared_and_used() -> None:
    """Each by one service."""
    used = [mount.split(":")[0] for service in SERVICES.values() for mount in service["volumes"] if not mount.startswith((".", "$"))]

    assert sorted(used) == sorted(COMPOSE["volumes"])


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_is_hardened_and_published_on_loopback_alone(service: str) -> None:
    """A read-only root, no rights, none to gain; an image with a version, or our own."""
    told = SERVICES[service]

    assert told["read_only"] is True
    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in told["ports"])
    assert "build" in told or re.search(r":v?\d+\.\d+\.\d+$", told["image"])


@pytest.mark.parametrize("compose", [COMPOSE, GPU], ids=["cpu", "gpu"])
def test_server_is_built_here_and_started_with_settings_that_exist(compose: dict[str, Any]) -> None:
    """On the ports that are published; the admin listener, which manages the server, is published to nobody."""
    server = compose["services"]["penstock"]
    flags = dict(word.removeprefix("--").split("=", 1) for word in server["command"] if not word.startswith("--set") and "=" in word)
    given = dict(parse_assignment(word.removeprefix("--set=")) for word in server["command"] if word.startswith("--set="))

    settings = load(None, {}, given).settings
    assert (DOCKER.parent / server["build"]["dockerfile"]).is_file()
    assert flags == {"registry": "/models", "host": "0.0.0.0"}
    assert f"state:{settings.server.state_dir}" in SERVICES["penstock"]["volumes"]
    published = [int(port.split(":")[-1]) for port in SERVICES["penstock"]["ports"]]
    assert published == [DEFAULTS.http_port, DEFAULTS.grpc_port]
    assert SERVICES["penstock"]["stop_grace_period"] == "40s"
    assert settings.server.drain_s + 5 < 40  # 5 s to be seen as not ready


def test_gpu_differs_in_the_image_the_device_and_what_it_reserves() -> None:
    """Compose puts a list of one file in the place of the other's."""
    assert set(GPU["services"]) == {"penstock"}
    assert GPU["services"]["penstock"]["command"] == [*SERVICES["penstock"]["command"], '--set=defaults.devices=["cuda:0"]']
    assert GPU["services"]["penstock"].keys() == {"build", "image", "command", "deploy"}


def test_prometheus_scrapes_the_admin_listener_and_loads_the_rules() -> None:
    """By the paths inside its container."""
    inside = mounts("prometheus")
    config = yaml.safe_load((DOCKER / inside["/etc/prometheus/prometheus.yml"]).read_text("utf-8"))

    assert f"--config.file={'/etc/prometheus/prometheus.yml'}" in SERVICES["prometheus"]["command"]
    assert config["rule_files"] == [path for path, outside in inside.items() if outside.endswith(".rules.yml")]
    (job,) = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"penstock:{DEFAULTS.admin_port}"]}]


def test_rules_are_as_prometheus_reads_them() -> None:
    """Each alert with an expression, how long, how bad, and what to say."""
    (group,) = yaml.safe_load((DOCKER / "prometheus" / "penstock.rules.yml").read_text("utf-8"))["groups"]

    for rule in group["rules"]:
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"].keys() == {"summary", "description"}


def test_grafana_asks_that_prometheus_and_finds_the_dashboard() -> None:
    """In the directory that it is told of."""
    inside = mounts("grafana")
    (source,) = yaml.safe_load((DOCKER / inside["/etc/grafana/provisioning/datasources/penstock.yml"]).read_text("utf-8"))["datasources"]
    (provider,) = yaml.safe_load((DOCKER / inside["/etc/grafana/provisioning/dashboards/penstock.yml"]).read_text("utf-8"))["providers"]
    shown = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert source["url"] == f"http://prometheus:{SERVICES['prometheus']['ports'][0].split(':')[-1]}"
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert Path(shown).parent == Path(provider["options"]["path"])
    assert json.loads((DOCKER / inside[shown]).read_text("utf-8"))["uid"] == "penstock"
