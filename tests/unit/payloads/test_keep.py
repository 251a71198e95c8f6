"""Answers that are always recorded, and what it says of the others."""

import math

import numpy as np
import pytest
from predictions import ended, spec, tensor

from penstock.payloads.intake import Intake
from penstock.payloads.keep import Keep
from penstock.payloads.keep_rules import KeepRule, keep_problems
from penstock.payloads.options import RecordingOptions
from penstock.payloads.recording import Recording, Surroundings
from penstock.payloads.undecided import Undecided
from penstock.traffic.marks import mark_of, threshold_of

SCORES = {"p": spec("p", "no", "yes"), "score": spec("score", shape=(-1,))}


def holds(given, **rule):
    """Tell whether a rule keeps an answer."""
    return Keep([KeepRule(**rule)]).holds([given], SCORES)


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        ({"above": 0.9}, [0.1, 0.95], True),
        ({"above": 0.95}, [0.1, 0.95], False),
        ({"below": 0.2}, [0.1, 0.95], True),
        ({"above": 0.4, "below": 0.6}, [0.1, 0.95], False),
        ({"above": 0.4, "below": 0.6}, [0.1, 0.5], True),
        ({"above": 0.9}, [], False),
        ({"above": 0.9}, [math.nan], False),
        ({"confidence_below": 0.5}, [0.9, 0.4], True),
    ],
)
def test_a_range_keeps_an_answer_of_which_any_number_lies_in_it(rule, values, expected):
    """Bounds are no part of it."""
    assert holds(tensor("score", values), output="score", **rule) is expected


@pytest.mark.parametrize("name", ["p.yes", "p.1", "yes"])
def test_a_rule_may_speak_of_a_column(name):
    """By its name, with or without the tensor's, or by its number."""
    assert holds(tensor("p", [[0.1, 0.9]]), output=name, above=0.8)
    assert not holds(tensor("p", [[0.9, 0.1]]), output=name, above=0.8)


def test_a_model_is_unsure_where_the_largest_score_of_a_row_is_low():
    """Of any row."""
    assert holds(tensor("p", [[0.1, 0.9], [0.45, 0.55]]), output="p", confidence_below=0.6)
    assert not holds(tensor("p", [[0.1, 0.9], [0.8, 0.2]]), output="p", confidence_below=0.6)


def test_whole_numbers_truths_and_raw_bits_are_numbers_and_texts_are_none():
    """BF16 arrives as its bits: 0x4000 is 2."""
    assert holds(tensor("score", [2**63 - 1], "INT64"), output="score", above=2**62)
    assert holds(tensor("score", [False, True], "BOOL"), output="score", above=0.5)
    assert holds(tensor("score", [0x4000], "BF16"), output="score", above=1.5, below=2.5)
    assert not holds(tensor("score", ["0.95"], "BYTES"), output="score", above=0.9)


@pytest.mark.parametrize("rule", [{}, {"above": math.inf}, {"above": 2.0, "below": 1.0}, {"above": 1.0, "confidence_below": 1.0}])
def test_a_rule_that_keeps_nothing_is_told(rule):
    """Rather than to leave somebody waiting for rows."""
    assert list(keep_problems([KeepRule(output="score", **rule)]))


class House:
    """A recording, what it has put into its queue, and shadows that a test makes answer."""

    def __init__(self, followers=0, max_bytes=1 << 30, **options):
        self.now_ns = 0
        self.undecided = Undecided(max_bytes, lambda: self.now_ns)
        self.intake = Intake(1 << 40)
        self.followers = followers
        surroundings = Surroundings(followers_of=lambda _: self.followers, status_codes={"OK": 200})
        self.recording = Recording(
            RecordingOptions(**options), b"", self.intake, lambda: None, surroundings=surroundings, undecided=self.undecided
        )

    def hear(self, request_id, **known):
        """Have a prediction end; returns its request."""
        ticket = ended(request_id, **known)
        self.recording(ticket, "OK")
        return ticket.request

    def kept(self):
        """Return the request ids of what waits to be written, with their probabilities."""
        return {offer.request.request_id: offer.fraction for offer in self.intake.take(10**6)}


def test_a_disagreement_is_recorded_with_the_probability_of_one_whether_it_was_drawn_or_not():
    """And an agreement as the draw says."""
    house = House(1, sample=0.5, keep_disagreements=True)
    requests = {f"{number}": house.hear(f"{number}") for number in range(40)}
    assert (house.kept(), len(house.undecided)) == ({}, 40)
    for number, request in requests.items():
        house.undecided.compared(request, disagrees=int(number) < 20)
    kept = house.kept()
    assert {number for number, fraction in kept.items() if fraction == 1} == set(map(str, range(20)))
    assert {fraction for number, fraction in kept.items() if int(number) >= 20} == {0.5}
    assert 0 < len(kept) - 20 < 20
    assert house.undecided.size_bytes == 0


def test_any_of_several_shadows_decides_and_the_last_that_agrees_ends_the_wait():
    """A row is written once."""
    house = House(2, sample=0.0, keep_disagreements=True)
    one, other = house.hear("one"), house.hear("other")
    for disagrees in (False, True, True):
        house.undecided.compared(one, disagrees=disagrees)
        house.undecided.compared(other, disagrees=False)
    assert house.kept() == {"one": 1.0}
    assert len(house.undecided) == 0


def test_what_waits_for_shadows_is_bounded_and_what_has_no_room_is_decided_by_the_draw():
    """So that nothing waits for ever either."""
    house = House(1, max_bytes=20_000, sample=0.5, keep_disagreements=True)
    for number in range(100):
        house.hear(str(number))
        assert house.undecided.size_bytes <= 20_000
    assert 20 < len(house.kept()) < 80
    waiting = len(house.undecided)
    house.now_ns = 120 * 10**9
    house.hear("later")
    assert len(house.undecided) == 1
    house.undecided.flush()
    assert len(house.kept()) <= waiting + 1
    assert house.undecided.size_bytes == 0


def test_nobody_waits_for_shadows_unless_it_could_change_anything():
    """Where all is recorded, where the answer is kept anyway, where there was none, and where nobody asks for disagreements."""
    everything, kept, unasked = (
        House(1, sample=1.0, keep_disagreements=True),
        House(1, keep_disagreements=True, keep_errors=True, keep=[KeepRule(output="Y", above=0.0)]),
        House(1, sample=0.999999),
    )
    for house in (everything, kept, unasked):
        house.hear("a")
        house.hear("b", failed=True)
        assert len(house.undecided) == 0
    assert kept.kept() == {"a": 1.0, "b": 1.0}


WEIGHED = {
    "all": lambda rows: np.ones(len(rows["score"])),
    "score": lambda rows: rows["score"],
    "latency": lambda rows: rows["took"],
    "high": lambda rows: rows["score"] > 0.6,
    "failed": lambda rows: rows["failed"],
    "disputable": lambda rows: rows["disputable"],
    "score of the disputable": lambda rows: rows["score"] * rows["disputable"],
}


def weighed(rounds, predictions, seed):
    """Return, round by round, each weighted sum of the record as a part of the sum over all predictions.

    Shadows follow by the marks that the server's do, come to compare some of what they follow, and disagree where the latency is high.
    """
    random, found = np.random.default_rng(seed), []
    rules = {"keep_errors": True, "slower_ms": 9, "keep": [KeepRule(output="Y", above=0.6)], "keep_disagreements": True}
    for turn in range(rounds):
        house = House(sample=0.15, **rules)
        rows = {
            "score": random.beta(1, 4, predictions),
            "took": random.exponential(2.0, predictions),
            "failed": random.random(predictions) < 0.03,
        }
        rows["disputable"] = (random.random(predictions) < np.minimum(rows["took"] / 6, 1)) & ~rows["failed"]
        asked = {}
        for place in range(predictions):
            request_id = f"{turn}-{place}"
            house.followers = int(mark_of(request_id) < threshold_of(0.4))
            known = {"failed": bool(rows["failed"][place]), "took_ns": int(rows["took"][place] * 1e6)}
            asked[place] = house.hear(request_id, **known, answer=[[rows["score"][place]]])
        for place, request in asked.items():
            house.undecided.compared(request, disagrees=bool(rows["disputable"][place] and random.random() < 0.7))
        house.undecided.flush()
        kept = house.kept()
        places = np.array([int(request_id.split("-")[1]) for request_id in kept])
        weights = 1 / np.array(list(kept.values()))
        assert len(kept) < 0.7 * predictions
        found.append({name: (weights * of(rows)[places]).sum() / of(rows).sum() for name, of in WEIGHED.items()})
    return {name: np.array([figures[name] for figures in found]) for name in WEIGHED}


def check_weights(rounds, predictions):
    """Check that each weighted sum is on average that of all predictions, to within four standard errors."""
    for name, parts in weighed(rounds, predictions, seed=11).items():
        error = parts.std(ddof=1) / math.sqrt(rounds)
        assert abs(parts.mean() - 1) < max(4 * error, 1e-9), (name, parts.mean(), error)
        assert error < 0.05, name


def test_weighted_sums_of_what_is_kept_are_on_average_those_of_all_predictions():
    """Whatever rules keep, and whichever requests shadows get to (Horvitz and Thompson, 1952)."""
    check_weights(40, 250)


@pytest.mark.slow
def test_weighted_sums_of_what_is_kept_are_those_of_all_predictions_to_a_hair():
    """To within half a percent."""
    check_weights(400, 1000)
