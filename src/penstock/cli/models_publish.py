"""`penstock models publish`."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from penstock.cli.models_reference import SAMPLE
from penstock.cli.models_registry import Opened, alias_of, as_json, leave, name_of, say, with_registry
from penstock.cli.models_sign import private_key
from penstock.cli.options import DAY_S, USAGE, Number
from penstock.domain.errors import BadArtifact

if TYPE_CHECKING:
    from penstock.lifecycle.options import ModelOptions
    from penstock.lifecycle.trial import Trial
    from penstock.registry.candidate import Candidate
    from penstock.registry.publisher import Labels
    from penstock.registry.source import ModelListing

_NS_PER_MS = 1e6


class _Published(NamedTuple):
    """What became of the files."""

    version: int
    new: bool
    """False: a version with the very same files was there already."""


def _pairs(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    return dict(map(_pair, texts))


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals or not text.isprintable():
        raise click.BadParameter(f"{text!r} is no pair; write KEY=VALUE")
    return key, value


@click.command()
@click.argument("path", metavar="FILE|DIR", type=click.Path(exists=True, path_type=Path))
@click.option("--name", required=True, callback=name_of, metavar="MODEL", help="The model that gets a new version.")
@click.option("--alias", callback=alias_of, help="Let this alias stand for the version, once it is there.")
@click.option("--tag", "tags", callback=_pairs, multiple=True, metavar="KEY=VALUE", help="What to say of the version. May be repeated.")
@click.option(
    "--lineage", callback=_pairs, multiple=True, metavar="KEY=VALUE", help="Where it comes from: a run, a commit. May be repeated."
)
@click.option("--key", type=private_key, metavar="PEM", help="Sign the version with this private key.")
@click.option("--reference", "sample", type=SAMPLE, metavar="FILE", help="A sample to compare with, see penstock models reference.")
@click.option("--again", is_flag=True, help="Make a new version even of files that one holds already.")
@click.option("--timeout", type=Number(1, DAY_S), default=300, show_default=True, help="Seconds in which the model must load and run.")
@as_json
@with_registry
def publish(
    opened: Opened,
    path: Path,
    *,
    name: str,
    alias: str | None,
    tags: dict[str, str],
    lineage: dict[str, str],
    key: Path | None,
    sample: Path | None,
    again: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Check a model and publish it as the next version of MODEL.

    FILE is an ONNX model; its external data lie beside it. DIR holds model.onnx, its external data, and maybe a model.toml
    with settings of the version, its reference.json, or the config.pbtxt of the model. The model is loaded, probed and run
    once in a process of its own, on the CPU and under the settings that it would have; what fails is not published. Then the
    files are copied, and the version appears whole, with a manifest of digests, schema, tags and lineage. Nobody changes it
    afterwards.

    With --reference the version brings along what its inputs and outputs should look like, and servers watch it for drift.

    Where a version holds the very same files already, none is made: that one is named, signed with --key, and the alias
    moved to it. Its tags and lineage stay as they are; --again makes a version all the same.

    \b
    Exit codes: 0 done; 1 the model is refused, or the registry takes no versions; 2 a mistake in usage or settings, or no
    registry.

    \b
    Examples:
      penstock models publish model.onnx --name fraud --alias challenger --registry ./registry
      penstock models publish build/ --name fraud --tag stage=test --lineage commit=4f2a91c --registry s3://models/prod
    """
    from penstock.registry.model_folder import with_config  # noqa: PLC0415 - the registry takes a while to import; --help needs none
    from penstock.registry.publisher import Labels, refuse_other_config  # noqa: PLC0415 - as above
    from penstock.registry.publishers import publisher_of  # noqa: PLC0415 - as above
    from penstock.registry.source import ModelListing  # noqa: PLC0415 - as above

    publisher = publisher_of(opened.source)  # a registry that takes no versions is told before a model is tried
    model = opened.source.snapshot().models.get(name, ModelListing(name))
    if config := _config(path):
        refuse_other_config(name, config, publisher.config(name))
        model = with_config(model, config)
    candidate = _candidate(path, model)
    trial = _tried(opened, model, candidate, timeout)
    labels = Labels(trial.inputs, trial.outputs, tags, lineage, key)
    with _referenced(opened, model, candidate, trial, lineage, sample=sample, timeout=timeout) as (candidate, notes):
        published = _published(opened, model, candidate, labels, again)
    if alias:
        _move(opened, name, alias, published)
    answer = {"model": name, **published._asdict(), "alias": alias, "size_bytes": candidate.size_bytes, "notes": [*trial.notes, *notes]}
    if as_json:
        say({**answer, "batched": trial.batched, "run_ms": trial.run_ns / _NS_PER_MS if trial.run_ns else None})
        return
    for line in [*_lines(name, published, alias, trial, signed=key is not None), *(f"note: {note}" for note in notes)]:
        click.echo(line)


def _config(path: Path) -> str:
    from penstock.registry.candidate import config_in  # noqa: PLC0415 - as above

    try:
        return config_in(path)
    except OSError as error:
        leave(f"{error.filename}: {error.strerror}", USAGE)


def _candidate(path: Path, model: "ModelListing") -> "Candidate":
    from penstock.registry.candidate import candidate_of  # noqa: PLC0415 - as above

    graph_name = model.triton.model_filename if model.triton else "model.onnx"
    try:
        return candidate_of(path, graph_name, _bar("reading"))
    except OSError as error:
        leave(f"{error.filename or path}: {error.strerror}", USAGE)


def _tried(opened: Opened, model: "ModelListing", candidate: "Candidate", timeout: float) -> "Trial":
    """Return what the model does under the settings that it would have; raises `BadArtifact` or `LoadRefused`."""
    from penstock.lifecycle.trial import try_out  # noqa: PLC0415 - as above

    if model.problem:
        raise BadArtifact(f"the model {model.name!r} cannot be served as it is: {model.problem}")
    return try_out(candidate.graph, model, _options(opened, model, candidate), timeout)


def _options(opened: Opened, model: "ModelListing", candidate: "Candidate") -> "ModelOptions":
    from penstock.lifecycle.trial import options_of  # noqa: PLC0415 - as above
    from penstock.registry.model_folder import settings_in  # noqa: PLC0415 - as above

    settings = opened.settings
    return options_of(settings.defaults, model.settings, settings_in(candidate.settings), settings.models.get(model.name, {}))


@contextmanager
def _referenced(
    opened: Opened,
    model: "ModelListing",
    candidate: "Candidate",
    trial: "Trial",
    lineage: Mapping[str, str],
    *,
    sample: Path | None,
    timeout: float,
) -> Iterator[tuple["Candidate", tuple[str, ...]]]:
    """Yield the candidate with a reference by the sample, if there is one, and what is to be told of it; raises `BadArtifact`."""
    from penstock.cli.reference_sample import checked, reference_from  # noqa: PLC0415 - as above
    from penstock.domain.model import ModelArtifact, ModelVersion  # noqa: PLC0415 - as above
    from penstock.domain.schema import ModelSchema  # noqa: PLC0415 - as above
    from penstock.lifecycle.columns import apply_columns  # noqa: PLC0415 - as above
    from penstock.lifecycle.trial import answers  # noqa: PLC0415 - as above
    from penstock.registry.manifest import REFERENCE  # noqa: PLC0415 - as above

    if sample is None:
        checked(candidate.files.get(REFERENCE))
        yield candidate, ()
        return
    options = _options(opened, model, candidate)
    run = partial(answers, candidate.graph, model, options, limit_s=timeout)
    artifact = ModelArtifact(ModelVersion(model.name, ""), candidate.graph, lineage=lineage)
    schema = apply_columns(ModelSchema(trial.inputs, trial.outputs, trial.batched), options.columns, artifact)
    found = reference_from(sample, schema, options, run)
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        path = Path(folder) / REFERENCE
        path.write_bytes(found.content)
        yield candidate.with_file(REFERENCE, path), found.notes


def _published(opened: Opened, model: "ModelListing", candidate: "Candidate", labels: "Labels", again: bool) -> _Published:
    from penstock.registry.publisher import publish as write  # noqa: PLC0415 - as above
    from penstock.registry.publisher import same_version, sign_version  # noqa: PLC0415 - as above
    from penstock.registry.publishers import publisher_of  # noqa: PLC0415 - as above

    publisher = publisher_of(opened.source)
    same = None if again else same_version(opened.source, model, candidate)
    if same is not None:
        if labels.key:
            sign_version(publisher, opened.source, model, model.versions[same], labels.key)
        return _Published(same, new=False)
    with _bar("publishing")(candidate.size_bytes) as progress:
        return _Published(write(publisher, model.name, candidate, labels, progress), new=True)


def _move(opened: Opened, name: str, alias: str, published: _Published) -> None:
    """Move the alias; if that fails, what was published is told before the reason is."""
    try:
        opened.source.set_alias(name, alias, published.version)
    except Exception:
        click.echo(f"{name}/{published.version} is in the registry, but the alias {alias} was not moved:", err=True)
        raise


def _bar(label: str) -> Callable[[int], AbstractContextManager[Callable[[int], None]]]:
    """Return what shows a bar over so many bytes on stderr, or nothing where that is no terminal."""

    @contextmanager
    def shown(total: int) -> Iterator[Callable[[int], None]]:
        with click.progressbar(length=total, label=label, file=sys.stderr) as bar:
            yield bar.update

    return shown if sys.stderr.isatty() else lambda _total: nullcontext(lambda _bytes: None)


def _lines(name: str, published: _Published, alias: str | None, trial: "Trial", *, signed: bool) -> Iterator[str]:
    which = f"{name}/{published.version}"
    yield f"{which} is published" if published.new else f"{which} holds these very files already; no new version was made"
    if signed:
        yield f"{which} is signed"
    if alias:
        yield f"{alias} -> {published.version}"
    if trial.run_ns:
        together = "may" if trial.batched else "do not"
        yield f"one row ran in {trial.run_ns / _NS_PER_MS:.3f} ms; rows of different requests {together} run together"
    for note in trial.notes:
        yield f"note: {note}"
