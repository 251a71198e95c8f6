"""From a model's name to the plan that suits it on this machine: finds the version, measures it, chooses, keeps."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from penstock.domain.clock import NS_PER_MS
from penstock.domain.errors import BadArtifact, InvalidInput, LoadRefused, NotFound
from penstock.domain.model import ModelArtifact, ModelVersion
from penstock.domain.schema import ModelSchema
from penstock.domain.session import Session
from penstock.domain.tensor import TensorSpec
from penstock.execution.cores import usable_cores
from penstock.execution.devices import Device, parse_device
from penstock.execution.sweep import Cell, Layout, SweepPlan, best_rounds, layouts, sweep
from penstock.execution.warmup import sizes
from penstock.lifecycle.bounds import largest_run, slo_ms_of
from penstock.lifecycle.conditions import Conditions, conditions
from penstock.lifecycle.layout import layout_of
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.plan import Choice, choose
from penstock.lifecycle.plan_store import PlanStore
from penstock.registry.source import ModelListing, Registry, VersionListing

Shapes = Mapping[str, tuple[int, ...]]
"""By input: the shape of a row, or of the whole input where there is no batch."""

_CHAMPION: Final = "champion"
_NO_SHAPES: Final[Shapes] = {}


@dataclass(frozen=True, slots=True)
class Subject:
    """One version that is to be measured."""

    model: ModelListing
    artifact: ModelArtifact
    options: ModelOptions
    schema: ModelSchema
    device: Device

    @property
    def version(self) -> ModelVersion:
        """Which version it is."""
        return self.artifact.version

    @property
    def simplest(self) -> Layout:
        """What a server does without a plan."""
        return layout_of(self.options, self.device)

    @property
    def layouts(self) -> list[Layout]:
        """What is tried: the simplest first, and nothing that contradicts a setting."""
        tried = layouts(usable_cores(), on_cpu=self.device.kind == "cpu")
        said = self.options
        fitting = [one for one in tried if said.lanes in ("auto", one.lanes) and said.threads in ("auto", one.threads)]
        return list(dict.fromkeys([self.simplest, *fitting]))

    @property
    def sizes(self) -> list[int]:
        """The rows of a run that are tried: 1, powers of two, and the largest."""
        return sorted(sizes(largest_run(self.schema, self.options)))

    @property
    def conditions(self) -> Conditions:
        """What a plan for it holds for."""
        return conditions(self.version, self.options, self.device)


class Tuner:
    """Measures versions in the registry, without serving them. Blocks."""

    def __init__(self, registry: Registry, loader: Loader, state_dir: Path) -> None:
        """`loader` must know no plans, so that options are those without one."""
        self._registry = registry
        self._loader = loader
        self._plans = PlanStore(state_dir)

    def find(self, name: str, reference: str | None = None, shapes: Shapes = _NO_SHAPES) -> Subject:
        """Return the version that a number or alias names, or else the one that would answer, once its probes have run.

        `shapes` fixes dimensions that the schema leaves free. Raises `NotFound`, `BadArtifact` or `LoadRefused` if the version cannot be
        served, `InvalidInput` for a shape that does not fit, `RegistryUnreachable` if nothing can be read.
        """
        model = self._registry.snapshot().models.get(name)
        if model is None:
            raise NotFound(f"the registry has no model {name!r}")
        listing = _version(model, reference)
        if problem := model.problem or listing.problem:
            raise BadArtifact(problem)
        artifact, options, schema = self._loader.examine(model, listing)
        if len(options.devices) != 1:
            raise LoadRefused(f"{name} runs on {', '.join(options.devices)}; only a version on one device can be tuned")
        return Subject(model, artifact, options, _shaped(schema, shapes), parse_device(options.devices[0]))

    def sweep(self, subject: Subject, seconds: float) -> Generator[Cell, None, None]:
        """Yield measurements for about so long; see `execution.sweep`."""

        def opened(layout: Layout) -> Session:
            options = msgspec.structs.replace(subject.options, lanes=layout.lanes, threads=layout.threads)
            return self._loader.session(subject.artifact, options, subject.device, subject.model)

        return sweep(SweepPlan(subject.layouts, subject.sizes, seconds), subject.schema, opened)

    def keep(self, subject: Subject, choice: Choice) -> Path:
        """Keep the plan for servers with the same state directory; returns its file. Raises `OSError`."""
        return self._plans.keep(subject.version, subject.conditions, choice.plan)


def choice_of(subject: Subject, cells: Iterable[Cell]) -> Choice:
    """Return the plan that follows from the measurements; raises `ValueError` if there are none."""
    best = best_rounds(cells)
    together = subject.options.batching != "off"
    return choose(_in_order(best, subject.layouts), subject.simplest, _slo_ns(subject, best), together=together)


def _in_order(cells: Sequence[Cell], order: Sequence[Layout]) -> list[Cell]:
    return sorted(cells, key=lambda cell: (order.index(cell.layout), cell.rows))


def _slo_ns(subject: Subject, cells: Sequence[Cell]) -> float:
    alone = [cell.p50_ns for cell in cells if cell.rows == 1 and cell.layout == subject.simplest]
    return slo_ms_of(subject.options, min(alone, default=0)) * NS_PER_MS


def _shaped(schema: ModelSchema, shapes: Shapes) -> ModelSchema:
    if unknown := set(shapes) - set(schema.input_named):
        raise InvalidInput(f"the model has no input {', '.join(sorted(unknown))}; it has {', '.join(schema.input_named)}")
    return replace(schema, inputs=tuple(_fixed(spec, shapes.get(spec.name), schema) for spec in schema.inputs))


def _fixed(spec: TensorSpec, row: tuple[int, ...] | None, schema: ModelSchema) -> TensorSpec:
    if row is None:
        return spec
    free = spec.shape[1:] if schema.batched else spec.shape
    if len(row) != len(free) or any(declared not in (-1, dim) for declared, dim in zip(free, row, strict=True)):
        raise InvalidInput(f"the shape {list(row)} does not fit a row of the input {spec.name!r}, which is declared as {list(free)}")
    return replace(spec, shape=(*spec.shape[: len(spec.shape) - len(free)], *row))


def _version(model: ModelListing, reference: str | None) -> VersionListing:
    number = model.aliases.get(reference or _CHAMPION)
    if reference is None:
        number = number or max(model.versions, default=None)
    elif reference.isdigit():
        number = int(reference)
    if number is None or number not in model.versions:
        raise NotFound(f"the registry has no version {reference or ''!r} of {model.name!r}")
    return model.versions[number]
