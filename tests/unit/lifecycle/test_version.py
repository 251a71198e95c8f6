"""A version's leases and its drain; the catalog's way from a reference to a version."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest

from penstock.batching.batcher import Batcher
from penstock.domain.errors import InvalidInput, LoadRefused, NotFound, PenstockError, Unavailable
from penstock.domain.halt import Halt
from penstock.domain.model import ModelArtifact, ModelVersion
from penstock.domain.request import InferenceRequest
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import Array
from penstock.domain.ticket import Ticket
from penstock.inference.predictor import FutureReply
from penstock.lifecycle.catalog import Catalog, ServedModel
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.settings import resolve_options
from penstock.lifecycle.states import VersionState
from penstock.lifecycle.version import Readiness, ServedVersion

LOADING, WARMING, READY = VersionState.LOADING, VersionState.WARMING, VersionState.READY
SCHEMA = ModelSchema((), (), batched=False)
MakeVersion = Callable[..., ServedVersion]


class FakeBatcher:
    """Has no queue."""

    def close(self) -> None:
        """Nothing waits."""

    def leave(self) -> None:
        """Nothing is claimed."""


class FakeSession:
    """Knows only whether it was closed."""

    schema = SCHEMA
    placement: Mapping[str, float] = {}

    def __init__(self) -> None:
        self.closed = 0

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str], limit_s: float | None = None, halt: Halt | None = None
    ) -> list[Array]:
        """Never called here."""
        raise NotImplementedError

    def close(self) -> None:
        """Count."""
        self.closed += 1


@pytest.fixture
def make_version() -> MakeVersion:
    """Return a function that makes a version in a state."""

    def make(number: int = 1, state: VersionState = READY, session: FakeSession | None = None) -> ServedVersion:
        version = ServedVersion(ModelVersion("m", str(number)))
        if state is LOADING:
            return version
        version.enter(WARMING)
        if state is VersionState.FAILED:
            version.enter(VersionState.FAILED, "it is broken")
        if state in (READY, VersionState.UNLOADED):
            artifact = ModelArtifact(ModelVersion("m", str(number), "d1"), Path("model.onnx"))
            sessions = (session or FakeSession(),)
            version.become_ready(Readiness(artifact, ModelOptions(), SCHEMA, sessions, cast("Batcher", FakeBatcher())))
        if state is VersionState.UNLOADED:
            version.enter(VersionState.DRAINING)
            version.enter(VersionState.UNLOADED, "unloaded")
        return version

    return make


@pytest.mark.asyncio
async def test_drain_waits_for_the_last_lease(make_version: MakeVersion) -> None:
    """New requests are refused at once, memory is freed only when nobody uses it."""
    session = FakeSession()
    version = make_version(session=session)
    first, second = version.acquire(), version.acquire()

    drain = asyncio.create_task(version.drain())
    await asyncio.sleep(0)
    assert (version.state, session.closed) == (VersionState.DRAINING, 0)
    first.release()
    await asyncio.sleep(0)
    assert (version.state, session.closed) == (VersionState.DRAINING, 0)
    second.release()
    await asyncio.wait_for(drain, 10)

    assert (version.state, session.closed) == (VersionState.UNLOADED, 1)


@pytest.mark.asyncio
async def test_drain_without_leases_ends_at_once(make_version: MakeVersion) -> None:
    """Nobody to wait for, and earlier leases do not count."""
    version = make_version()
    version.acquire().release()

    await asyncio.wait_for(version.drain(), 10)

    assert version.state is VersionState.UNLOADED
    with pytest.raises(Unavailable, match="unloaded"):
        _ = version.readiness


@pytest.mark.asyncio
async def test_version_takes_its_digest_when_it_becomes_ready(make_version: MakeVersion) -> None:
    """Logs and answers name the files that were really loaded."""
    assert make_version().identity == ModelVersion("m", "1", "d1")


@pytest.mark.asyncio
async def test_version_that_is_loading_has_no_parts(make_version: MakeVersion) -> None:
    """Asking for them tells the state."""
    with pytest.raises(Unavailable, match="m/1 is not loaded: loading"):
        _ = make_version(state=LOADING).readiness


@pytest.mark.parametrize(
    ("states", "aliases", "reference", "found"),
    [
        pytest.param({1: READY, 3: READY}, {}, "1", 1, id="number"),
        pytest.param({1: READY, 3: READY}, {}, "", 3, id="default-is-the-highest-ready"),
        pytest.param({1: READY, 3: WARMING}, {}, "", 1, id="default-skips-what-is-warming"),
        pytest.param({1: READY, 3: VersionState.FAILED}, {}, "", 1, id="default-skips-what-failed"),
        pytest.param({1: READY, 3: READY}, {"champion": 1}, "", 1, id="champion-before-the-highest"),
        pytest.param({1: READY, 3: READY}, {"stable": 1}, "", 3, id="another-alias-is-no-default"),
        pytest.param({1: READY, 3: READY}, {"stable": 1}, "stable", 1, id="alias"),
        pytest.param({1: READY, 3: READY}, {"champion": 1}, "3", 3, id="number-beside-champion"),
    ],
)
@pytest.mark.asyncio
async def test_reference_leads_to_a_version(
    make_version: MakeVersion, states: dict[int, VersionState], aliases: dict[str, int], reference: str, found: int
) -> None:
    """A number, an alias, or the model's choice."""
    model = ServedModel("m", {number: make_version(number, state) for number, state in states.items()}, aliases)

    assert model.find(reference) is model.versions[found]


@pytest.mark.parametrize(
    ("states", "aliases", "reference", "error", "words"),
    [
        pytest.param({1: READY}, {}, "2", NotFound, "version 2 of model 'm' is not found; ready: 1", id="no-such-number"),
        pytest.param({1: READY}, {"b": 1}, "a", NotFound, "no alias 'a'; it has: b", id="no-such-alias"),
        pytest.param({1: READY}, {}, "a.b", NotFound, "neither a number nor an alias", id="never-an-alias"),
        pytest.param({1: READY}, {}, "01", InvalidInput, "is not valid", id="malformed-number"),
        pytest.param({1: READY}, {}, "latest", InvalidInput, "is not valid", id="reserved"),
        pytest.param({1: LOADING}, {}, "1", Unavailable, "not ready: loading", id="loading"),
        pytest.param({1: WARMING}, {}, "", Unavailable, "is loading; try again soon", id="default-loading"),
        pytest.param({1: VersionState.FAILED}, {}, "1", Unavailable, "not ready: it is broken", id="failed"),
        pytest.param({1: VersionState.FAILED}, {}, "", Unavailable, "version 1: it is broken", id="default-failed"),
        pytest.param({1: VersionState.UNLOADED}, {}, "1", Unavailable, "not ready: unloaded", id="unloaded"),
        pytest.param({}, {}, "", NotFound, "no available versions", id="no-versions"),
        pytest.param({1: LOADING, 2: READY}, {"champion": 1}, "", Unavailable, "not ready", id="champion-not-ready"),
        pytest.param({1: READY}, {"gone": 5}, "gone", NotFound, "version 5", id="alias-of-nothing"),
    ],
)
@pytest.mark.asyncio
async def test_reference_that_leads_nowhere_says_why(  # noqa: PLR0917 - a table
    make_version: MakeVersion,
    states: dict[int, VersionState],
    aliases: dict[str, int],
    reference: str,
    error: type[PenstockError],
    words: str,
) -> None:
    """What can never be, what is not there, and what is not there yet are told apart."""
    model = ServedModel("m", {number: make_version(number, state) for number, state in states.items()}, aliases)

    with pytest.raises(error) as refused:
        model.find(reference)

    assert words in refused.value.message


@pytest.mark.asyncio
async def test_unloaded_model_has_no_versions(make_version: MakeVersion) -> None:
    """An operator's unload is not a failure to wait for."""
    model = ServedModel("m", {1: make_version(1, VersionState.UNLOADED)}, unloaded=True)

    with pytest.raises(NotFound, match="no available versions"):
        model.find("")


@pytest.mark.asyncio
async def test_problem_of_the_model_is_told() -> None:
    """A model whose settings cannot be read says so."""
    with pytest.raises(Unavailable, match=r"model\.toml is not valid TOML"):
        ServedModel("m", problem="model.toml is not valid TOML").find("")


@pytest.mark.asyncio
async def test_unknown_and_impossible_models_are_told_apart() -> None:
    """What cannot be a name is the caller's mistake."""
    catalog = Catalog()

    with pytest.raises(NotFound, match="unknown model 'm'"):
        catalog.find("m")
    with pytest.raises(InvalidInput, match="is not valid"):
        catalog.find("../m")


@pytest.mark.parametrize(("reference", "arm"), [("", "stable"), ("1", "pinned"), ("a", "pinned")])
@pytest.mark.asyncio
async def test_lease_lasts_as_long_as_the_ticket(make_version: MakeVersion, reference: str, arm: str) -> None:
    """The version is held from the lookup to the ticket's end, and the arm is noted."""
    catalog = Catalog()
    version = make_version()
    catalog.models["m"] = ServedModel("m", {1: version}, {"a": 1})
    ticket = Ticket(InferenceRequest("http", "m", reference, []), FutureReply(), lambda _: None, lambda: 0)

    leased = catalog.lease(ticket.request, ticket)
    held = version.leases
    ticket.cancel()

    assert leased is version
    assert (held, version.leases, ticket.arm) == (1, 0, arm)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"no_such_key": 1}, "no_such_key"),
        ({"max_batch_rows": "many"}, "max_batch_rows"),
        ({"max_batch_rows": 0}, "max_batch_rows is 0"),
        ({"lanes": -1}, "lanes is -1"),
        ({"queue_rows": 0}, "queue_rows is 0"),
        ({"versions": "newest"}, "versions is 'newest'"),
        ({"versions": "latest:x"}, "versions is 'latest:x'"),
        ({"versions": "latest:0"}, "versions is 'latest:0'"),
        ({"devices": []}, r"devices is \[\]"),
    ],
    ids=str,
)
def test_senseless_settings_of_a_model_are_refused(layer: dict[str, object], words: str) -> None:
    """A model.toml comes from outside: what would break the server names its key instead."""
    with pytest.raises(LoadRefused, match=words):
        resolve_options(ModelOptions(), layer)


def test_later_layer_wins_key_by_key() -> None:
    """What a layer does not say stays as the layers before it left it."""
    options = resolve_options(ModelOptions(slo_ms=1.0, lanes=1), {"lanes": 2, "threads": 3}, {"threads": "auto"})

    assert (options.slo_ms, options.lanes, options.threads) == (1.0, 2, "auto")
