"""What may be a plan, and what is said of everything else."""

import pytest

from penstock.domain.errors import InvalidInput
from penstock.traffic.plan import DEFAULT_STEPS, Gates, LatencyGate, NumberGate, RolloutPlan, Step
from penstock.traffic.plan_checks import plan_of

METRIC = "penstock_queue_duration_seconds"


def checked(document):
    """Return the plan, on a server with one metric."""
    return plan_of(document, {METRIC}.__contains__)


def problems(document):
    """Return what is said of a plan that is refused."""
    with pytest.raises(InvalidInput) as refusal:
        checked(document)
    return refusal.value.message


def test_only_the_canary_is_needed():
    """Everything else has a default."""
    assert checked({"canary": "challenger"}) == RolloutPlan(canary="challenger", steps=DEFAULT_STEPS, gates=Gates())


def test_everything_can_be_said():
    """Null turns a gate off."""
    plan = checked(
        {
            "canary": "7",
            "steps": [{"weight": 0.5, "hold_s": 1}, {"weight": 10}],
            "gates": {
                "refusals": None,
                "latency": {"ratio": 1.5},
                "drift": {"max": 0.2},
                "disagreement": {"max": 0.01},
                "metrics": [{"name": METRIC, "ratio": 2, "looks": 5}],
            },
            "give_up_s": 3600,
        }
    )

    assert plan.steps == (Step(weight=0.5, hold_s=1.0), Step(weight=10.0))
    assert plan.gates.refusals is None
    assert plan.gates.latency == LatencyGate(ratio=1.5)
    assert plan.gates.metrics == (NumberGate(name=METRIC, ratio=2.0, looks=5),)


def test_every_problem_is_told_at_once():
    """With its place, the value seen and what would do."""
    told = problems(
        {
            "canari": "2",
            "steps": [{"weight": 0}, {"weigth": 5}, {"weight": "many", "hold_s": -1}, 5],
            "gates": {"latency": {"ratio": 0.5}, "errors": 3, "false_alarms": 2, "metrics": [{"looks": 0}]},
            "give_up_s": 0,
        }
    )

    for part in (
        "unknown key 'canari'; did you mean 'canary'?",
        "canary is missing",
        "steps[0].weight is '0', it must be a percentage above 0 and below 100",
        "unknown key 'steps[1].weigth'; did you mean 'weight'?",
        "steps[1].weight is missing",
        "steps[2].weight is \"'many'\": a percentage above 0 and below 100, with at most two decimals is needed",
        "steps[2].hold_s is '-1', it must be a number of seconds",
        "steps[3] is '5', it must be an object",
        "gates.latency.ratio is '0.5', it must be a number from 1 to 1000",
        "gates.errors is '3'",
        "gates.false_alarms is '2', it must be a chance",
        "gates.metrics[0].looks is '0', it must be a whole number",
        "give_up_s is '0', it must be a number of seconds",
    ):
        assert part in told


def test_endless_problems_are_cut_short():
    """A message is there to be read."""
    told = problems({"canary": "2", "steps": [{"weight": -1}] * 10_000})

    assert len(told) < 6000
    assert told.endswith("; and 9950 more")


@pytest.mark.parametrize(
    ("document", "part"),
    [
        ({"canary": "2", "steps": []}, "steps has 0 steps, it must have 1 to 100"),
        ({"canary": "2", "steps": [{"weight": 5}, {"weight": 5}]}, "each step must be higher than the one before"),
        ({"canary": "2", "steps": [{"weight": 100}]}, "above 0 and below 100"),
        ({"canary": "2", "steps": [{"weight": 0.125}]}, "with at most two decimals"),
        ({"canary": "2", "steps": [{"weight": float("nan")}]}, "above 0 and below 100"),
        ({"canary": "2", "gates": {"metrics": [{"name": "up", "max": 1}]}}, "must be a metric of this server with the label version"),
        ({"canary": "2", "gates": {"metrics": [{"name": METRIC}]}}, "has no limit, it must have one of: max, ratio, difference"),
        ({"canary": "2", "gates": {"metrics": [{"name": METRIC, "max": 1, "ratio": 2}]}}, "has max and ratio"),
        ({"canary": "2", "gates": {"drift": {"ratio": 2}}}, "gates.drift takes 'max' and 'looks'"),
        ({"canary": "not an alias"}, "canary is"),
        ({"canary": "2", "gates": 5}, "gates is '5'"),
        ({"canary": "2", "steps": {"weight": 5}}, "steps is \"{'weight': 5}\": Expected `array`, got `object`"),
        ({"canary": "2", "gates": []}, "gates is '[]': Expected `object`, got `array`"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_with_its_place(document, part):
    """Values that fit alone and not together, and what JSON can hold besides."""
    assert part in problems(document)
