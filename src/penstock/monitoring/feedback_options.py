"""What a user may say about the feedback on one model's predictions."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

DAY_S: Final = 86_400.0
_LONGEST_S: Final = 365 * DAY_S
_MOST_ROWS: Final = 1_000_000


class FeedbackOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How right a model's answers are, as far as somebody tells: the table `feedback` of a model."""

    enabled: bool = False
    """Whether predictions are remembered until the truth about them comes in."""

    keep_s: float = DAY_S
    """Seconds after which feedback on a prediction is late: it is recorded, and counts for no figure."""

    max_bytes: int = 64 * 1024 * 1024
    """The memory that remembered predictions may take; the oldest are forgotten first. One with ten scores takes about 700 bytes."""

    window_rows: int = 10_000
    """How many of the latest rows that feedback has come for the figures of a version and arm are made of."""

    window_s: float = 7 * DAY_S
    """Seconds after which feedback no longer counts for the figures."""

    kind: Literal["auto", "classes", "numbers"] = "auto"
    """What the model predicts. "auto": classes if it has an output of whole numbers, truth values or texts with one value for each row, or
    one of scores alone; numbers if it has one output of floats with one value for each row."""

    output: str = ""
    """The output that holds the predicted class or number; "": the only one that can be it."""

    scores: str = ""
    """The output that holds a probability for each class; "": the only one of floats with several values for each row."""

    classes: list[str] = msgspec.field(default_factory=list)
    """The classes in the order of the scores. [] takes whole numbers for the places of their scores, and has no log loss for texts."""


def feedback_problems(options: FeedbackOptions) -> Iterator[str]:
    """Yield what makes no sense in the options."""
    for name in ("keep_s", "window_s"):
        seconds = getattr(options, name)
        if not (0 < seconds <= _LONGEST_S) or math.isnan(seconds):
            yield f"{name} is {seconds:g}; it is a number of seconds above 0, up to a year"
    if options.max_bytes < 0:
        yield f"max_bytes is {options.max_bytes}; it is a number of bytes from 0"
    if not 1 <= options.window_rows <= _MOST_ROWS:
        yield f"window_rows is {options.window_rows}; it is a whole number from 1 to {_MOST_ROWS}"
    for name, count in Counter(options.classes).items():
        if count > 1:
            yield f"classes names {name!r} {count} times; each score is of one class"
