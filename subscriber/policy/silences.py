"""Silences that a person set: what is not to be told for a while. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from bus.alerts import Alert
from subscriber.policy.match_file import match_of
from subscriber.policy.matching import Match


@dataclass(frozen=True, slots=True)
class ActiveSilence:
    """A silence that nobody ended. Times are the daemon's, microseconds."""

    id: int
    match: Match
    starts_us: int
    ends_us: int
    drops: bool = False  #: what falls in it is not told at its end
    lets_critical: bool = True  #: CRITICAL is told all the same

    @classmethod
    def of(
        cls,
        number: int,
        matchers: Mapping[str, object],
        *,
        starts_us: int,
        ends_us: int,
        drops: bool = False,
        lets_critical: bool = True,
    ) -> Self:
        """Return a silence with its matchers read as a route's match is.

        Raises:
            ConfigurationError: The matchers have faults; it tells all of them, and shows no value.
        """
        return cls(number, match_of(matchers), starts_us, ends_us, drops, lets_critical)

    @property
    def batch(self) -> str:
        """The word that what it holds is told under."""
        return f"silence:{self.id}"

    def holds(self, alert: Alert, now_us: int, *, critical: bool) -> bool:
        """Say whether an alert falls in it."""
        if critical and self.lets_critical:
            return False
        return self.starts_us <= now_us < self.ends_us and self.match.takes(alert)


def silence_of(alert: Alert, now_us: int, silences: Iterable[ActiveSilence], *, critical: bool) -> ActiveSilence | None:
    """Return the silence that an alert falls in: of several the one that ends last."""
    found = [each for each in silences if each.holds(alert, now_us, critical=critical)]
    return max(found, key=lambda each: (each.ends_us, each.id)) if found else None
