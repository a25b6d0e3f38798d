"""Who offers a stream, and which of its numbers each of them can send. Pure.

Usually one publisher offers a stream: its own, or the one that adopted it. While a journal that was copied, or restored
from a backup, is on offer beside the original, there are several, and what one has dropped another may still hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from bus.wire import Heartbeat
from subscriber.intake.sequences import Position, Range, common, without

#: How long an offer holds without a heartbeat: three of the longest interval that a publisher may be set to.
_OFFER_SECONDS: Final = 30.0
#: Offers of one stream; the one that was not heard for longest goes.
_MOST_OFFERS: Final = 8


@dataclass(slots=True)
class Offer:
    """One publisher's word on a stream."""

    heartbeat: Heartbeat
    heard_at: float  #: monotonic seconds
    #: What it said that it can't send.
    unavailable: Position = field(default_factory=Position)

    def held(self, last: int) -> list[Range]:
        """Return the ranges up to `last` that it can send; a stream's own publisher has more than it told of by now."""
        highest = last if self.heartbeat.own else min(last, self.heartbeat.last)
        return Position(self.heartbeat.first_held - 1, self.unavailable.ahead).missing(highest, highest)


class Offers:
    """All publishers that offer one stream, by the ROUTER's name for their connection."""

    def __init__(self) -> None:
        """Begin with none."""
        self._offers: dict[bytes, Offer] = {}
        #: The last heartbeat of the stream's own publisher, and of anybody, however old, and whoever is gone.
        self.own: Heartbeat | None = None
        self.newest: Heartbeat | None = None
        self.own_at: float = float("-inf")  #: monotonic seconds of `own`

    def heard(self, identity: bytes, heartbeat: Heartbeat, now: float) -> None:
        """Take a heartbeat."""
        offer = self._offers.pop(identity, None) or Offer(heartbeat, now)
        offer.heartbeat, offer.heard_at = heartbeat, now
        self.newest = heartbeat
        if heartbeat.own:
            self.own, self.own_at = heartbeat, now
        if len(self._offers) >= _MOST_OFFERS:
            del self._offers[next(iter(self._offers))]
        self._offers[identity] = offer  # at the end: the newest

    def gone(self, identity: bytes) -> None:
        """Forget a publisher whose connection ended, or that offers the stream no more."""
        self._offers.pop(identity, None)

    def unavailable(self, identity: bytes, first: int, last: int) -> bool:
        """Take a publisher's word for what it can't send; False when it never offered the stream."""
        offer = self._offers.get(identity)
        if offer is None:
            return False
        if first <= last:
            offer.unavailable.settle(first, last)
        return True

    def identities(self) -> tuple[bytes, ...]:
        """Return the connections of everybody who offers the stream."""
        return tuple(self._offers)

    def is_offered(self, now: float) -> bool:
        """Whether anybody offers the stream at the moment."""
        return any(self._live(now))

    def adopted_only(self) -> bool:
        """Whether only adopters offer the stream: nothing comes on a data connection any more."""
        return bool(self._offers) and not any(offer.heartbeat.own for offer in self._offers.values())

    def share(self, ranges: Sequence[Range], now: float) -> list[tuple[bytes, Range]]:
        """Say who is to be asked for which part of these ranges, each number once; what nobody holds is left out."""
        shared: list[tuple[bytes, Range]] = []
        for identity, offer in self._live(now):
            taken = common(ranges, offer.held(ranges[-1][1])) if ranges else []
            ranges = without(ranges, taken)
            shared += [(identity, part) for part in taken]
        return shared

    def held_by_nobody(self, ranges: Iterable[Range], now: float) -> list[Range]:
        """Return the parts of these ranges that no publisher can send; none where nobody offers the stream."""
        live = list(self._live(now))
        rest = list(ranges) if live else []
        for _, offer in live:
            rest = without(rest, offer.held(rest[-1][1])) if rest else []
        return rest

    def _live(self, now: float) -> Iterator[tuple[bytes, Offer]]:
        """The offers that hold, the stream's own publisher first, then the newest."""
        newest_first = sorted(
            self._offers.items(), key=lambda item: (item[1].heartbeat.own, item[1].heard_at), reverse=True
        )
        return ((identity, offer) for identity, offer in newest_first if now - offer.heard_at <= _OFFER_SECONDS)
