"""Who offers a stream: one publisher as a rule, several while a journal that was copied is on offer."""

from __future__ import annotations

from bus.wire import Heartbeat
from subscriber.intake.offers import Offers
from tests.support.alerts import STREAM

NOW = 1000.0
TRADER, ADOPTER, COPY = b"trader", b"adopter", b"copy"


def beat(first_held: int, last: int, *, own: bool = False) -> Heartbeat:
    return Heartbeat(
        stream=STREAM, source="trader-1", own=own, first_held=first_held, first_unacknowledged=1, last=last, clock_us=1
    )


def offered(**beats: Heartbeat) -> Offers:
    offers = Offers()
    for name, heartbeat in beats.items():
        offers.heard(name.encode(), heartbeat, NOW)
    return offers


def test_held_by_nobody_is_what_is_below_everybody() -> None:
    """What one has dropped another may still hold."""
    offers = offered(trader=beat(50, 100, own=True), copy=beat(20, 60))
    assert offers.held_by_nobody([(1, 100)], NOW) == [(1, 19)]


def test_held_by_nobody_without_an_offer_is_nothing() -> None:
    """Whoever is silent may come back: nothing is given up for silence."""
    assert Offers().held_by_nobody([(1, 100)], NOW) == []
    offers = offered(adopter=beat(50, 100))
    assert offers.held_by_nobody([(1, 10)], NOW + 3600) == []
    assert offers.held_by_nobody([(1, 10)], NOW + 10) == [(1, 10)]


def test_held_own_stream_grows_between_two_heartbeats() -> None:
    """Its publisher has given out more by now than it last told of; an adopter's stream has ended."""
    assert offered(trader=beat(1, 10, own=True)).held_by_nobody([(11, 20)], NOW) == []
    assert offered(adopter=beat(1, 10)).held_by_nobody([(5, 20)], NOW) == [(11, 20)]


def test_share_asks_each_number_of_one_publisher() -> None:
    """The stream's own publisher first; who holds only a part is asked for that."""
    offers = offered(copy=beat(20, 60), trader=beat(50, 100, own=True))
    assert offers.share([(10, 70)], NOW) == [(TRADER, (50, 70)), (COPY, (20, 49))]


def test_share_passes_over_what_was_said_to_be_unavailable() -> None:
    """A damaged page of one file may be whole in another."""
    offers = offered(adopter=beat(1, 100))
    offers.heard(COPY, beat(1, 30), NOW - 1)
    assert offers.unavailable(ADOPTER, 20, 40)
    assert offers.share([(10, 50)], NOW) == [(ADOPTER, (10, 19)), (ADOPTER, (41, 50)), (COPY, (20, 30))]
    assert offers.held_by_nobody([(10, 50)], NOW) == [(31, 40)]


def test_unavailable_of_a_stranger_counts_for_nothing() -> None:
    """Only who offers the stream can say what it has not."""
    offers = offered(adopter=beat(1, 100))
    assert not offers.unavailable(b"stranger", 1, 100)
    assert offers.held_by_nobody([(1, 100)], NOW) == []


def test_gone_publisher_is_asked_no_more_and_remembered() -> None:
    """Its last word stays for the status."""
    offers = offered(trader=beat(1, 10, own=True), adopter=beat(1, 10))
    offers.gone(TRADER)
    assert offers.share([(1, 10)], NOW) == [(ADOPTER, (1, 10))]
    assert offers.adopted_only()
    assert offers.own is not None
    assert offers.own.last == 10


def test_heard_of_very_many_publishers_keeps_the_newest() -> None:
    """A bound, whoever connects."""
    offers = Offers()
    for number in range(100):
        offers.heard(str(number).encode(), beat(1, 10), NOW + number)
    assert len(offers.identities()) == 8
    assert b"99" in offers.identities()
