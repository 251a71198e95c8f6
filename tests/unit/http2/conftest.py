"""A peer that says whatever a test wants it to say."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the module beside this one, whatever pytest's import mode

from peer import Peer


@pytest.fixture
def peer() -> Peer:
    """Return a client that has begun as it should."""
    return Peer().greet()
