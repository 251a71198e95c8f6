"""Jobs without tickets, for tests of what only decides."""

from collections.abc import Callable

import pytest

from penstock.batching.job import Job, Key

MakeJob = Callable[..., Job]


@pytest.fixture
def make_job() -> MakeJob:
    """Return a function that makes a job of so many rows."""

    def make(rows: int = 1, key: str = "Y", **fields: int) -> Job:
        return Job({}, rows, Key((key,)), **fields)

    return make
