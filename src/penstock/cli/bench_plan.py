"""What the options of `penstock bench` amount to; imported once they are to be carried out."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from penstock.bench.arrivals import Closed, Constant, Load, Poisson, Ramp, recorded
from penstock.bench.compare import GATES
from penstock.bench.gate import Gate
from penstock.bench.plan import Payload, Plan, Protocol, Target
from penstock.bench.thresholds import Threshold, threshold

_PORTS: Final = {"http": 8080, "grpc": 8081}
_PROTOCOLS: Final = {"http": Protocol.HTTP_JSON, "grpc": Protocol.GRPC}
_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
_IN_TURN: Final = (40, 0.25)
"""Rounds beside another server, and their seconds: the shorter, the less the machine changes from one to the next."""
_ALONE: Final = (1, 10.0)
_RATE: Final = 100.0


def gate_of(url: str, options: Mapping[str, Any]) -> Gate:
    """Return what is to be carried out. Raises `click.UsageError` for what makes no sense, and names it."""
    baseline = _baseline(options)
    rounds, usual_s = _IN_TURN if isinstance(baseline, Target) else _ALONE
    duration_s = _seconds("--duration", options["duration"], usual_s)
    plan = Plan(
        target=_target(url, options),
        load=_load(options),
        payload=Payload(options["rows"], dict(map(_shape, options["shapes"])), options["seed"], _name(options["payload"])),
        duration_s=duration_s,
        warmup_s=_seconds("--warmup", options["warmup"], min(1.0, duration_s / 5), least=0.0),
        processes=options["processes"],
        max_outstanding=options["max_outstanding"],
        rounds=options["rounds"] or rounds,
    )
    gate = Gate(plan, tuple(map(_threshold, options["thresholds"])), options["sweep"], baseline, _tolerances(options["tolerances"]))
    _check(gate, options)
    return gate


def _check(gate: Gate, options: Mapping[str, Any]) -> None:
    if gate.sweeps and (not gate.thresholds or gate.baseline is not None or not isinstance(gate.plan.load, (Constant, Poisson))):
        raise click.UsageError("--sweep needs a --threshold and one --rate to begin with, and takes no --baseline")
    if gate.sweeps and gate.plan.rounds > 1:
        raise click.UsageError("--sweep measures each rate once; leave out --rounds")
    if options["baseline_pids"] and not isinstance(gate.baseline, Target):
        raise click.UsageError("--baseline-pid needs the URL of a server as --baseline")
    if isinstance(gate.baseline, Target) and gate.baseline.protocol.is_grpc != gate.plan.target.protocol.is_grpc:
        raise click.UsageError("URL and --baseline must both be http:// or both grpc://")


def _target(url: str, options: Mapping[str, Any]) -> Target:
    scheme, address = _address(url)
    protocol = Protocol(options["protocol"]) if options["protocol"] else _PROTOCOLS[scheme]
    if protocol.is_grpc != (scheme == "grpc"):
        raise click.UsageError(f"--protocol {protocol} does not go with {url!r}")
    model, _, version = options["model"].partition("@")
    headers = tuple(map(_header, options["headers"]))
    return Target(address, model, version, protocol, headers, options["deadline_ms"], options["pids"])


def _address(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        usual = _PORTS[parts.scheme]
        port = parts.port or usual
    except (ValueError, KeyError) as error:
        raise click.BadParameter(f"{url!r} is no URL of a server; write http://HOST:PORT or grpc://HOST:PORT", param_hint="URL") from error
    if not parts.hostname or parts.path.strip("/") or parts.query:
        raise click.BadParameter(f"{url!r} must end with the host and the port", param_hint="URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts.scheme, f"{host}:{port}"


def _baseline(options: Mapping[str, Any]) -> Path | Target | None:
    """Return the earlier result's file, or the other server: asked as ours is."""
    text: str | None = options["baseline"]
    if text is None or "://" not in text:
        return None if text is None else Path(text)
    return _target(text, {**options, "pids": options["baseline_pids"]})


def _load(options: Mapping[str, Any]) -> Load:
    given = [f"--{name}" for name in ("rate", "replay", "concurrency") if options[name] is not None]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} say different things about the load; use one of them")
    if options["concurrency"] is not None:
        return Closed(options["concurrency"])
    if options["replay"] is not None:
        return _replay(options["replay"])
    start, ramps, end = (options["rate"] or str(_RATE)).partition("..")
    if ramps:
        return _ramp(start, end, options["arrivals"])
    return Poisson(_rate(start), options["seed"]) if options["arrivals"] == "poisson" else Constant(_rate(start))


def _ramp(start: str, end: str, arrivals: str) -> Ramp:
    if arrivals != "constant":
        raise click.UsageError(f"--arrivals {arrivals} does not go with a ramp")
    return Ramp(_rate(start), _rate(end))


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1e6:  # noqa: PLR2004 - more than any machine sends; leaves out infinity and NaN too
        raise click.BadParameter(f"{text!r} is no rate; use a number above 0, or two with .. between them", param_hint="--rate")
    return rate


def _replay(path: Path) -> Load:
    try:
        return recorded(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{path} cannot be used: {error}", param_hint="--replay") from error


def _seconds(option: str, text: str | None, usual_s: float, least: float = 0.001) -> float:
    if text is None:
        return usual_s
    found = _TIME.fullmatch(text.strip())
    if found is None or (seconds := float(found[1]) * _SECONDS[found[2]]) < least:
        raise click.BadParameter(f"{text!r} is no time; write 30s, 2m or 500ms", param_hint=option)
    return seconds


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, dims = text.partition("=")
    if not name or not all(dim.isdecimal() for dim in dims.split(",")):
        raise click.BadParameter(f"{text!r} is no shape; write NAME=D1,D2", param_hint="--shape")
    return name, tuple(map(int, dims.split(",")))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not text.isprintable() or not text.isascii():
        raise click.BadParameter(f"{text!r} is no header; write NAME:VALUE in ASCII", param_hint="--header")
    return name.strip(), value.strip()


def _threshold(text: str) -> Threshold:
    try:
        return threshold(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--threshold") from error


def _tolerances(texts: Sequence[str]) -> dict[str, float]:
    """Return by how much each figure may be worse; a text without a figure is about all of them."""
    figures = [gate.figure for gate in GATES]
    tolerances: dict[str, float] = {}
    for text in texts:
        name, _, percent = text.rpartition("=")
        if name and name not in figures:
            raise click.BadParameter(f"{text!r} is about {name!r}; compared are {', '.join(figures)}", param_hint="--tolerance")
        tolerances |= dict.fromkeys([name] if name else figures, _share(text, percent))
    return tolerances


def _share(text: str, percent: str) -> float:
    try:
        share = float(percent.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share < 10:  # noqa: PLR2004 - ten times as bad is no tolerance
        raise click.BadParameter(f"{text!r} is no tolerance; write 5% or cpu_us=5%", param_hint="--tolerance")
    return share


def _name(path: Path | None) -> str | None:
    return None if path is None else str(path)
