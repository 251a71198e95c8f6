"""What tests ask of sinks whose rows wait for somewhere else."""

import time
from pathlib import Path

PATIENCE_S = 30


class Idle:
    """A courier that carries nothing."""

    def __init__(self, *_):
        pass

    def hurry(self):
        pass

    def stop(self, _within_s):
        return True


class ByHand(Idle):
    """A courier that goes when it is told to."""

    def __init__(self, _name, carry, _heard):
        self.carry = carry


def descriptors():
    """Return how many are open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def until(condition):
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def balanced(backlog):
    """Tell whether each row is accounted for."""
    return backlog.recovered + backlog.taken == backlog.written + backlog.dropped.total() + backlog.waiting
