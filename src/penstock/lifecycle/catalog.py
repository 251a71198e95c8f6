"""The models as requests see them: a name and a reference lead to a version, or to a clear refusal."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final

from penstock.domain.actor import Actor
from penstock.domain.errors import InvalidInput, NotFound, Unavailable
from penstock.domain.names import check_model_name, check_reference, is_version_number, shown
from penstock.domain.request import InferenceRequest
from penstock.domain.route import PINNED, STABLE
from penstock.domain.ticket import Ticket
from penstock.lifecycle.events import Event, Events
from penstock.lifecycle.kept_warm import KeptWarm
from penstock.lifecycle.states import VersionState
from penstock.lifecycle.version import ServedVersion
from penstock.telemetry.provenance import Provenance
from penstock.traffic.split import Arm, Split, plan

CHAMPION: Final = "champion"
# A generator of our own: `random.seed`, which test suites call, must not steer traffic.
random: Final = Random().random  # noqa: S311 - draws are even, not secret
_KEPT_UNLOADED: Final = 20
"""Versions of a model that are remembered, with their figures, after they were unloaded."""
_COMING: Final = frozenset({VersionState.LOADING, VersionState.WARMING})


@dataclass(slots=True)
class ServedModel:
    """One model: its versions by number, and its aliases as far as their versions are ready."""

    name: str
    versions: dict[int, ServedVersion] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    pending: dict[str, int] = field(default_factory=dict)
    """Aliases that the registry has moved to a version which is not ready; in force is what they named before."""
    kept_warm: KeptWarm = field(default_factory=KeptWarm)
    events: Events = field(default_factory=Events)
    unloaded: bool = False
    """Whether an operator has unloaded the model."""
    problem: str = ""
    """What is wrong with the model as a whole, such as an unreadable settings file."""
    split: Split | None = None
    """The route in force."""
    left: dict[str, int] = field(default_factory=dict)
    """For each alias that has moved the version that it named before."""
    changed: Callable[[], None] = lambda: None
    """Called when a version has become ready or is gone, or an alias has moved."""
    found: dict[str, ServedVersion] = field(default_factory=dict)
    """What was found for a reference; only what is ready ever is."""

    @property
    def ready_versions(self) -> list[int]:
        """Numbers of the versions that take requests, ascending."""
        return sorted(number for number, version in self.versions.items() if version.ready)

    def is_ready(self, number: int) -> bool:
        """Tell whether the version of that number takes requests."""
        version = self.versions.get(number)
        return version is not None and version.ready

    def ready(self, reference: str) -> ServedVersion | None:
        """Return the version that a number or an alias names if it takes requests."""
        version = self.found.get(reference)
        if version is None or not version.ready:
            number = self.number(reference)
            version = self.versions.get(number) if number is not None else None
            if version is None or not version.ready:
                return None
            self.found[reference] = version
        return version

    def has_drained(self) -> None:
        """Hear that a version is gone; all but the latest that are gone are forgotten, so that years of versions leave no series behind."""
        gone = sorted((version.since, number) for number, version in self.versions.items() if version.state is VersionState.UNLOADED)
        for _, number in gone[:-_KEPT_UNLOADED]:
            del self.versions[number]
        self.changed()

    def note_problem(self, problem: str) -> None:
        """Keep what is wrong with the model as a whole, "" if nothing is."""
        if problem != self.problem:
            self.events.add("registry", "problem", self.problem, problem, "what is loaded stays loaded" if problem else "")
        self.problem = problem

    def find(self, reference: str) -> ServedVersion:
        """Return the ready version that a number, an alias or "" (the model's choice) names.

        Raises `InvalidInput` or `NotFound` for a reference that names nothing, `Unavailable` for a version that is not ready.
        """
        found = self.found[reference] = self._searched(reference)
        return found

    def forget(self) -> None:
        """Look again at the next request: a version has become ready, an alias has moved, or something is gone."""
        self.found.clear()
        self.changed()

    def _searched(self, reference: str) -> ServedVersion:
        number = self._resolve(reference)
        if number is None:
            raise self._nothing_ready()
        version = self.versions.get(number)
        if version is None:
            raise NotFound(f"version {number} of model {self.name!r} is not found; ready: {self._ready_listing()}")
        if not version.ready:
            raise Unavailable(f"version {number} of model {self.name!r} is not ready: {version.reason or version.state.lower()}")
        return version

    def _resolve(self, reference: str) -> int | None:
        if not check_reference(reference):
            return self._choice()
        if is_version_number(reference):
            return int(reference)
        number = self.number(reference)
        if number is None:
            raise NotFound(f"model {self.name!r} has no alias {shown(reference)}; it has: {', '.join(sorted(self.aliases)) or 'none'}")
        return number

    def number(self, reference: str) -> int | None:
        """Return the version that a number or an alias names, whether or not it is there; None for an unknown alias."""
        return int(reference) if is_version_number(reference) else self.aliases.get(reference, self.pending.get(reference))

    def _choice(self) -> int | None:
        """Return the version that answers who names none: the route's stable one, else the champion, else the highest that is ready."""
        stable = None if self.split is None else self.number(self.split.stable.version)
        if stable is not None and self.is_ready(stable):
            return stable
        ready = self.ready_versions
        return self.aliases.get(CHAMPION, ready[-1] if ready else None)

    def answering(self, reference: str) -> ServedVersion:
        """Return what `find` does, at once if it has been found before."""
        found = self.found.get(reference)
        return found if found is not None and found.ready else self.find(reference)

    def routed(self, request: InferenceRequest) -> tuple[ServedVersion, str]:
        """Return the version that answers an unpinned request, and its arm; what an arm without a ready version gets is the stable one's.

        Raises `InvalidInput` if the caller asks for an arm that there is not or that it may not choose.
        """
        split = self.split
        if request.route or split is None:
            arm = self._named_arm(request.route)
        else:
            read_key = split.key
            key = None if read_key is None else read_key(request)
            arm = plan(split, key, random() if key is None else 0.0)
        if arm is not None and arm.name != STABLE:
            version = self.ready(arm.version)
            if version is not None:
                return version, arm.name
        return self.answering(""), STABLE

    def _named_arm(self, name: str) -> Arm | None:
        arms = {} if self.split is None else self.split.arms
        if self.split is not None and not self.split.route.override:
            raise InvalidInput(
                f"the route of {self.name!r} lets nobody choose an arm; leave penstock-route out, or set override in the route"
            )
        if name not in arms and name != STABLE:
            there = ", ".join(arms) or STABLE
            raise InvalidInput(f"penstock-route is {shown(name)}, which is no arm of {self.name!r}; it has: {there}")
        return arms.get(name)

    def _nothing_ready(self) -> NotFound | Unavailable:
        if any(version.state in _COMING for version in self.versions.values()):
            return Unavailable(f"model {self.name!r} is loading; try again soon")
        reasons = [f"version {number}: {v.reason}" for number, v in sorted(self.versions.items()) if v.reason]
        if self.unloaded or not (reasons or self.problem):
            return NotFound(f"model {self.name!r} has no available versions")
        return Unavailable(f"model {self.name!r} has no ready version; {self.problem or '; '.join(reasons)}")

    def _ready_listing(self) -> str:
        return ", ".join(map(str, self.ready_versions)) or "none"


class Catalog:
    """All models, by name. Only the lifecycle manager changes it."""

    def __init__(self, heard: Callable[[str, Actor, Event], None] = lambda _, __, ___: None) -> None:
        """`heard` is told of what happens to a model, by its name."""
        self.models: dict[str, ServedModel] = {}
        self._heard = heard

    def __contains__(self, name: object) -> bool:
        return name in self.models

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(sorted(self.models.values(), key=lambda model: model.name))

    def served(self, name: str) -> ServedModel:
        """Return the model, which begins to exist by being asked for."""
        model = self.models.get(name)
        if model is None:
            model = self.models[name] = ServedModel(name, events=Events(partial(self._heard, name)))
        return model

    def model(self, name: str) -> ServedModel:
        """Return the model, or raise `NotFound`, or `InvalidInput` for what cannot be a model's name."""
        model = self.models.get(name)
        if model is None:
            raise NotFound(f"unknown model {shown(check_model_name(name))}; the repository index lists the models")
        return model

    def find(self, name: str, reference: str = "") -> ServedVersion:
        """Return the ready version that answers for a model and a reference; see `ServedModel.find`."""
        return (self.models.get(name) or self.model(name)).answering(reference)

    def lease(self, request: InferenceRequest, ticket: Ticket) -> ServedVersion:
        """Return the version that answers the request, kept loaded until the ticket ends."""
        reference = request.version
        model = self.models.get(request.model) or self.model(request.model)
        if not reference and (model.split is not None or request.route):
            version, ticket.arm = model.routed(request)
        else:
            version, ticket.arm = model.answering(reference), PINNED if reference else STABLE
        ticket.lease = version.acquire()
        return version

    def alias_of(self, ticket: Ticket) -> str:
        """Return the alias that led to the version which answers a prediction, "" if a number or the highest version did."""
        model = self.models.get(ticket.request.model)
        if model is None:
            return ""
        arm = None if model.split is None else model.split.arms.get(ticket.arm)
        reference = ticket.request.version or (CHAMPION if arm is None else arm.version)
        return reference if reference in model.aliases else ""

    def provenance(self) -> Iterator[Provenance]:
        """Yield of each version that takes requests what it is made of, and the aliases that name it."""
        for version in self.versions():
            if version.ready:
                name, number = version.identity.name, version.identity.version
                names = sorted(alias for alias, target in self.models[name].aliases.items() if target == int(number))
                yield Provenance(name, number, version.identity.digest, names)

    def versions(self) -> Iterator[ServedVersion]:
        """Iterate over every version of every model, in order."""
        for model in self:
            yield from (model.versions[number] for number in sorted(model.versions))
