"""What a rollout hears of the comparisons of shadows."""

from penstock.inference.shadow_books import ShadowBooks
from penstock.traffic.share import Share


def disagreement(books: ShadowBooks, model: str, canary: str, stable: str) -> Share:
    """Return in how many requests a shadow of the canary's version disagreed with the stable one, of all that were compared."""
    found = Share()
    for queue in books.present(model):
        for comparison in queue.comparisons:
            if (comparison.primary.version, comparison.shadow.version) == (stable, canary):
                with comparison.beside.lock:
                    found = found.plus(Share(comparison.disagreements, comparison.beside.tally.requests))
    return found
