"""The order of start, drain and stop."""

import asyncio
import gc
import json
import logging
import os
import sys
import threading
from pathlib import Path
from time import monotonic
from typing import Final

import uvloop

import penstock
from penstock.config.settings import Settings, WantedModel, is_loopback
from penstock.domain.errors import Unavailable
from penstock.domain.start import StartError
from penstock.execution.descriptors import raise_limit
from penstock.execution.memory import settle_heap
from penstock.house import House, registry_named
from penstock.http.example import first_request
from penstock.inference import predictor
from penstock.lifecycle.check_report import CheckReport
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.tuner import Tuner
from penstock.listeners import Listeners
from penstock.registry.source import RegistryUnreachable
from penstock.registry.sources import is_remote
from penstock.security.exposure import refuse_exposure
from penstock.security.token import AdminToken, KeyedManagement
from penstock.stop_signals import StopSignals
from penstock.telemetry.logs import set_up_logs

_log = logging.getLogger(__name__)
_POLL_S: Final = 0.01
_YOUNG: Final = 10_000
"""At how many new objects the garbage collector looks at them: predictions leave it nothing, but wait by the thousand to be recorded."""


def serve(settings: Settings, wanted: tuple[WantedModel, ...], ready_file: Path | None) -> int:
    """Serve until SIGTERM or SIGINT, then drain; returns the exit code. Raises `StartError`."""
    set_up_logs(settings.telemetry)
    _refuse_exposure(settings)
    _check_place(ready_file)
    settle_heap()
    raise_limit()
    return _ended(uvloop.run(_serve(settings, wanted, ready_file)))


def check(settings: Settings, wanted: tuple[WantedModel, ...]) -> CheckReport:
    """Load and warm everything without listening. Raises `StartError`."""
    set_up_logs(settings.telemetry)
    return uvloop.run(_check(settings, wanted))


def tuner(settings: Settings) -> Tuner:
    """Return what measures the models of the registry, without serving them. Raises `StartError`."""
    set_up_logs(settings.telemetry)
    registry = registry_named(settings)
    return Tuner(registry, Loader(registry, settings.defaults, settings.models), Path(settings.server.state_dir))


async def _serve(settings: Settings, wanted: tuple[WantedModel, ...], ready_file: Path | None) -> int:
    signals = StopSignals()
    house = House(settings, wanted)
    listeners = Listeners(house, _token(settings))
    house.begin()
    addresses = await listeners.open()
    start = asyncio.create_task(_start(house, patient=is_remote(settings.registry.uri)))
    stop = asyncio.create_task(signals.wait())
    await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if start.done():
            start.result()  # raises what kept the server from starting
            await house.rollouts.start()
            house.governor.start()
            _announce(house, addresses, ready_file)
            await stop
        clean = await _drain(house, listeners, signals)
    finally:
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        await listeners.close()
        await house.aclose()
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)  # noqa: ASYNC240 - nothing else runs any more
    return 0 if clean else 1


async def _start(house: House, *, patient: bool = False) -> None:
    try:
        await house.manager.start(patient=patient)
    except RegistryUnreachable as error:
        raise StartError(f"{error}; name another one with --registry") from error
    # What is loaded stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)


async def _drain(house: House, listeners: Listeners, signals: StopSignals) -> bool:
    """Turn readiness off, keep serving while balancers notice, then refuse new work and finish what was accepted.

    Returns whether all of it ended within the drain time.
    """
    house.admission.leaving = True
    listeners.announce_shutdown()
    server = house.settings.server
    if signals.announce:
        await signals.again_within(server.announcement_s())
    house.admission.draining = True
    house.shadows.close()
    _log.info("draining: %d predictions under way", house.ledger.in_flight)
    until = monotonic() + server.drain_s
    while house.ledger.in_flight and monotonic() < until and not signals.repeated:  # noqa: ASYNC110 - no event on the hot path
        await asyncio.sleep(_POLL_S)
    left = house.ledger.in_flight
    if left:
        _log.error("%d predictions were not finished in time; they are answered with UNAVAILABLE", left)
        house.ledger.fail_all(Unavailable("the server shut down before the prediction was finished"))
    return not left


async def _check(settings: Settings, wanted: tuple[WantedModel, ...]) -> CheckReport:
    house = House(settings, wanted, keeps=False)  # routes in the state directory are those of a running server
    await _start(house)
    report = CheckReport.of(house.catalog, house.manager.warnings)
    await house.manager.aclose()
    return report


def _announce(house: House, addresses: dict[str, str], ready_file: Path | None) -> None:
    for model in house.catalog:
        ready = ", ".join(map(str, model.ready_versions)) or "none ready"
        aliases = "".join(f", {alias} -> {number}" for alias, number in sorted(model.aliases.items()))
        _log.info("model %s: version %s%s%s", model.name, ready, aliases, model.problem and f"; {model.problem}")
    _log.info("Penstock %s (%s) serves HTTP on %s (try it at /docs)", penstock.__version__, made_of(), house.url("http", addresses))
    _log.info("gRPC on %s, admin and /metrics on %s", addresses["grpc"], house.url("admin", addresses))
    if example := first_request(house.url("http", addresses), house.catalog, keyed=house.access is not None):
        sys.stdout.write(f"\nTry it:\n  {example}\n\n")
        sys.stdout.flush()
    if ready_file is not None:
        draft = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
        draft.write_text(json.dumps({"pid": os.getpid(), "addresses": addresses}))
        draft.replace(ready_file)


def _ended(code: int) -> int:
    """Return the exit code; if a thread is still in a run or a disk that nothing can call back, end the process with it here and now.

    The interpreter takes itself apart around such a thread, and aborts when that comes back from the engine.
    """
    left = [thread.name for thread in threading.enumerate() if thread.daemon and thread.name.startswith("penstock-")]
    if left:
        _log.warning("the process ends although work goes on in %s", ", ".join(sorted(left)))
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    return code


def made_of() -> str:
    """Return what runs a prediction: the sources, or what was compiled of them."""
    return "interpreted" if (predictor.__file__ or "").endswith(".py") else "compiled"


def _refuse_exposure(settings: Settings) -> None:
    server = settings.server
    hosts = {"http": server.host, "grpc": server.host, "admin": server.admin_host}
    reachable = {name: host for name, host in hosts.items() if not is_loopback(host)}
    refuse_exposure(reachable, settings.security, allowed=server.allow_unauthenticated)


def _check_place(ready_file: Path | None) -> None:
    """Raise `StartError` for a file that could not be written once everything is loaded."""
    if ready_file is not None and not os.access(ready_file.parent, os.W_OK | os.X_OK):
        raise StartError(f"the ready file {ready_file} cannot be written there; make its directory, or name another with --ready-file")


def _token(settings: Settings) -> AdminToken:
    if settings.security.keyed:
        return KeyedManagement()
    try:
        return AdminToken.of(Path(settings.server.state_dir))
    except OSError as error:
        raise StartError(
            f"the state directory {settings.server.state_dir} cannot be used: {error.strerror}; set server.state_dir"
        ) from error
