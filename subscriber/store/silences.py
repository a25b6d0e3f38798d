"""Silences as frozen values: what is not told for a while, who wanted that, and what became of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from subscriber.store.changes import Fields, json_fields

_PREFIX: Final = "silence:"


@dataclass(frozen=True, slots=True)
class NewSilence:
    """A silence that somebody asks for. Times are microseconds of UTC."""

    matchers: Mapping[str, Any]  #: as the match of a route; empty for everything
    author: str
    reason: str
    starts_us: int
    ends_us: int
    drops: bool = False  #: what falls in it is not told at its end
    lets_critical: bool = True  #: CRITICAL is told all the same


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence as it is stored. Times are microseconds of UTC."""

    id: int
    matchers: dict[str, Any]
    author: str
    via: str  #: by which way it was set: api, cli, page or telegram
    reason: str
    created_us: int
    starts_us: int
    ends_us: int  #: when it was to end
    drops: bool
    lets_critical: bool
    ended_us: int | None = None  #: None while it is open: before its start, and while it goes on
    ended_by: str | None = None  #: who ended it before its time

    @property
    def batch(self) -> str:
        """The word for what it held, or dropped."""
        return batch_of_silence(self.id)

    def fields(self) -> Fields:
        """Return it as plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Finished:
    """A silence whose end was noted, and what is told because of that."""

    silence: Silence
    told_again: Mapping[str, int] = field(default_factory=dict)  #: conditions that still hold, by channel


def batch_of_silence(number: int) -> str:
    """Return the word for what a silence holds, or drops."""
    return f"{_PREFIX}{number}"


def silence_of_batch(batch: str | None) -> int | None:
    """Return the silence that a delivery's batch names; None where it names none."""
    number = (batch or "").removeprefix(_PREFIX)
    return int(number) if number != batch and number.isascii() and number.isdigit() else None


def silence_from(row: Any) -> Silence:
    """Read a row of the table."""
    return Silence(
        id=row.id,
        matchers=json_fields(row.matchers),
        author=row.author,
        via=row.via,
        reason=row.reason,
        created_us=row.created_us,
        starts_us=row.starts_us,
        ends_us=row.ends_us,
        drops=row.drops,
        lets_critical=row.lets_critical,
        ended_us=row.ended_us,
        ended_by=row.ended_by,
    )
