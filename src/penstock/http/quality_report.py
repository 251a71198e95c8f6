"""What is told of a model's quality: the section `quality` of its monitoring report."""

from functools import partial

from penstock.http.monitoring import Section
from penstock.lifecycle.catalog import ServedModel
from penstock.monitoring.feedback import Feedback
from penstock.monitoring.target import target_of


def quality_section(feedback: Feedback) -> Section:
    """Return what tells the section."""
    return partial(_section, feedback)


def _section(feedback: Feedback, model: ServedModel) -> object:
    found = feedback.get(model.name)
    if found is None:
        return {"enabled": False}
    found.recent.expire()
    return {
        "enabled": True,
        "feedback": feedback.outcomes_of(model.name),
        "remembered": {"predictions": len(found.recent), "bytes": found.recent.size_bytes, "max_bytes": found.recent.max_bytes},
        "window": {"rows": found.options.window_rows, "seconds": found.options.window_s},
        "versions": [_judged(model, feedback, number) for number in model.ready_versions],
        "figures": [{"version": version, "arm": arm, **figures} for (version, arm), figures in found.quality.figures().items()],
    }


def _judged(model: ServedModel, feedback: Feedback, number: int) -> dict[str, object]:
    """Return by which outputs a version is judged."""
    target = target_of(model.versions[number].schema, feedback.of(model.name).options)
    told: dict[str, object] = {"version": str(number), "kind": target.kind, "output": target.output, "scores": target.scores}
    return told | ({"note": target.note} if target.note else {})
