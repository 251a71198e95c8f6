"""Which word on a model is the latest."""

from penstock.lifecycle.listings import Listings
from penstock.registry.source import ModelListing


def at(number: int) -> ModelListing:
    """Return a listing whose champion is the version of that number."""
    return ModelListing("m", aliases={"champion": number})


def test_later_look_wins_whichever_ends_first() -> None:
    """Looks overlap."""
    listings = Listings()
    first, second = listings.begin_look(), listings.begin_look()
    listings.hear(at(2), second)
    listings.hear(at(1), first)

    assert listings["m"].aliases == {"champion": 2}


def test_move_outlives_a_look_that_began_before_it() -> None:
    """A look that begins afterwards sees it, or something newer."""
    listings = Listings()
    listings.hear(at(1), listings.begin_look())
    before = listings.begin_look()
    listings.alias_moved("m", "champion", 2)
    listings.hear(at(1), before)
    kept = listings["m"].aliases
    listings.hear(at(3), listings.begin_look())

    assert (kept, listings["m"].aliases) == ({"champion": 2}, {"champion": 3})


def test_alias_is_removed() -> None:
    """The others stay."""
    listings = Listings()
    listings.hear(ModelListing("m", aliases={"a": 1, "b": 2}), listings.begin_look())
    listings.alias_moved("m", "a", None)

    assert "m" in listings
    assert listings["m"].aliases == {"b": 2}


def test_look_that_ends_while_an_alias_is_being_moved_says_nothing_of_aliases() -> None:
    """It may have seen the move, whose event would then name the registry; of versions it tells."""
    listings = Listings()
    listings.hear(at(1), listings.begin_look())
    with listings.moving("m"):
        news = listings.hear_aliases(at(2), listings.begin_look())
        listings.hear(ModelListing("m", aliases={"champion": 2}, problem="torn"), listings.begin_look())
        kept = listings["m"]
    listings.hear(at(3), listings.begin_look())

    assert (news, kept.aliases, kept.problem) == (False, {"champion": 1}, "torn")
    assert listings["m"].aliases == {"champion": 3}
