"""The words in which a scenario is told: what comes in when, and what has to arrive where, and when. Pure.

Times are texts: `22:30` or `22:30:05` is that local time on the day of the start, `+1 07:00` the same on the next day,
and `+90s` or `+1h30min` is so long after the start, which also names an hour that comes twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from bus.alerts import AgentAction, Alert, RiskEvent
from bus.clock import MICROSECONDS, from_us

_LATER: Final = re.compile(r"\+(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)min)?(?:(\d+(?:\.\d+)?)s)?")
_LOCAL: Final = re.compile(r"(?:\+(\d+) )?(\d\d):(\d\d)(?::(\d\d))?")
#: Channels by credentials; the others are webhooks.
_CHATS: Final = ("telegram", "whatsapp")
#: Of what a message has to hold, the page shows so many parts.
_MOST_SHOWN: Final = 4
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds_of(moment: datetime) -> int:
    """Return an aware time as microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Input:
    """Something that happens."""

    at: str

    @property
    def words(self) -> str:
        """What happens, for the page."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Publish(Input):
    """A trader publishes alerts, one or many; `{n}` in a text field is the place of each, from 1."""

    text: str = ""
    severity: str = "WARNING"
    event: str = "VOLATILITY_HIGH"
    symbol: str | None = "TNA"
    agent: str = "ppo-1"
    value: float = 12.0
    action: str | None = None  #: a trade instead of a risk event
    count: int = 1
    every: float = 0.0  #: seconds between two of them

    def alert(self, place: int, now_us: int) -> Alert:
        """Build one of them, the first of which is 1, as happening now."""
        occurred_at = from_us(now_us)
        symbol = None if self.symbol is None else self.symbol.format(n=place)
        agent = self.agent.format(n=place)
        if self.action is not None:
            return AgentAction(
                action=self.action,
                agent_name=agent,
                symbol=symbol,
                quantity=place,
                price=41.2,
                source="trader-1",
                occurred_at=occurred_at,
            )
        return RiskEvent(
            event_type=self.event.format(n=place),
            severity=self.severity,
            description=self.text.format(n=place),
            agent_name=agent,
            symbol=symbol,
            value=self.value,
            threshold=10.0,
            source="trader-1",
            occurred_at=occurred_at,
        )

    @property
    def words(self) -> str:
        what = " ".join(filter(None, (self.action or f"{self.severity} {self.event}", self.symbol)))
        told = f" “{self.text}”" if self.text else ""
        if self.count == 1:
            return f"{what}{told}"
        pace = f", one each {self.every:g} s" if self.every else " at once"
        return f"{self.count} x {what}{told}{pace}"


@dataclass(frozen=True, kw_only=True)
class AddSilence(Input):
    """A person silences alerts from now on."""

    name: str  #: for `EndSilence`
    match: Mapping[str, object]
    seconds: float
    drops: bool = False
    lets_critical: bool = True

    @property
    def words(self) -> str:
        ways = ("drops" if self.drops else "holds", "" if self.lets_critical else ", CRITICAL too")
        pairs = ", ".join(f"{key} {value}" for key, value in self.match.items()) or "everything"
        return f"silence {self.name} of {pairs} for {_length(self.seconds)}, which {''.join(ways)}"


@dataclass(frozen=True, kw_only=True)
class EndSilence(Input):
    """A person ends a silence before its time."""

    name: str

    @property
    def words(self) -> str:
        return f"silence {self.name} is ended"


@dataclass(frozen=True, kw_only=True)
class Switch(Input):
    """A person switches channels off or on, one after the other, by API."""

    channels: tuple[str, ...]
    enabled: bool

    @property
    def words(self) -> str:
        one = len(self.channels) == 1
        return f"{' and '.join(self.channels)} {'is' if one else 'are'} switched {'on' if self.enabled else 'off'}"


@dataclass(frozen=True, kw_only=True)
class Retry(Input):
    """A person has all dead letters sent again, by API."""

    @property
    def words(self) -> str:
        return "all dead letters are sent again"


@dataclass(frozen=True, kw_only=True)
class Acknowledge(Input):
    """A person acknowledges the alert with this description, by API."""

    text: str

    @property
    def words(self) -> str:
        return f"“{self.text}” is acknowledged by API"


@dataclass(frozen=True, kw_only=True)
class Press(Input):
    """A person presses a button below a message in Telegram."""

    text: str  #: in the message
    label: str  #: of the button

    @property
    def words(self) -> str:
        return f"*{self.label}* is pressed below “{self.text}” in Telegram"


@dataclass(frozen=True, kw_only=True)
class Write(Input):
    """A person writes to the bot in Telegram."""

    text: str

    @property
    def words(self) -> str:
        return f"`{self.text}` is written in Telegram"


@dataclass(frozen=True, kw_only=True)
class Reload(Input):
    """The file is another one, and is loaded; or is refused."""

    toml: str
    says: str  #: what is different, for the page
    refused: bool = False

    @property
    def words(self) -> str:
        return f"reload: {self.says}{' (refused)' if self.refused else ''}"


@dataclass(frozen=True, kw_only=True)
class Restart(Input):
    """The daemon ends, and another one begins on the same database."""

    killed: bool = False  #: it gives back nothing that it holds

    @property
    def words(self) -> str:
        return "the daemon is killed, and another begins" if self.killed else "restart"


@dataclass(frozen=True, kw_only=True)
class SetClock(Input):
    """Somebody sets the machine's clock forward; what follows is told by the new time."""

    seconds: float

    @property
    def words(self) -> str:
        return f"the machine's clock is set forward by {_length(self.seconds)}"


@dataclass(frozen=True, kw_only=True)
class Behave(Input):
    """A provider begins to answer otherwise: `down`, `refuses`, `limits 600`, or `well` again."""

    provider: str
    how: str
    most: int | None = None  #: for so many requests only

    @property
    def words(self) -> str:
        often = "" if self.most is None else f" for {self.most} requests"
        return f"{self.provider}: {self.how}{often}"


@dataclass(frozen=True, kw_only=True)
class Told:
    """A message that arrives; every one has to be expected."""

    channel: str
    at: str
    has: tuple[str, ...] = ()  #: what its text holds
    lacks: tuple[str, ...] = ()
    within: float = 1.0  #: seconds after `at` that it may take
    count: int = 1  #: so many such messages in a row, all of them in time
    silent: bool = False

    @property
    def words(self) -> str:
        """What arrives, for the page."""
        often = "" if self.count == 1 else f"{self.count} x "
        shown, more = self.has[:_MOST_SHOWN], len(self.has) - _MOST_SHOWN
        parts = [f"“{text}”" for text in shown] + ([f"and {more} more lines"] if more > 0 else [])
        parts += [f"not “{text}”" for text in self.lacks]
        return f"{often}{', '.join(parts) or 'a message'}{', without sound' if self.silent else ''}"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One story: a file, settings, what comes in, and what has to arrive."""

    name: str
    says: str  #: what it shows, in a sentence
    start: str = "2026-01-14 09:00"  #: local
    zone: str = "Europe/Berlin"
    until: str = "+1h"
    toml: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[str, ...] = ("telegram",)  #: those besides are webhooks
    daemons: int = 1  #: on one database
    databases: tuple[str, ...] = ("sqlite", "postgresql")  #: on which it is played
    inputs: tuple[Input, ...] = ()
    told: tuple[Told, ...] = ()
    states: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  #: of all deliveries, by channel

    def file(self, toml: str, port: int) -> str:
        """Return a whole file: this, and in front of it the webhooks on a port of loopback."""
        hooks = [
            f'[channels.{name}]\nurl = "json://127.0.0.1:{port}/hook/{name}"\n'
            for name in self.channels
            if name not in _CHATS
        ]
        return "".join((*hooks, toml.lstrip()))

    def moment(self, text: str) -> datetime:
        """Return the time that a text of this scenario names, aware, in its zone.

        Raises:
            ValueError: The text has another form.
        """
        zone = ZoneInfo(self.zone)
        start = datetime.fromisoformat(self.start).replace(tzinfo=zone)
        local = _LOCAL.fullmatch(text)
        if local is not None:
            day = start.date() + timedelta(days=int(local[1] or 0))
            return datetime(day.year, day.month, day.day, int(local[2]), int(local[3]), int(local[4] or 0), tzinfo=zone)
        later = _LATER.fullmatch(text)
        if later is None:
            raise ValueError(f"{text!r} is no time of a scenario")
        days, hours, minutes, seconds = (float(part or 0) for part in later.groups())
        passed = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        return (start.astimezone(UTC) + passed).astimezone(zone)  # wall times would skip and repeat hours

    def moment_us(self, text: str) -> int:
        """Return the same in microseconds since 1970."""
        return microseconds_of(self.moment(text))

    def local(self, now_us: int) -> datetime:
        """Return a time of the scenario's clock as people there read it."""
        return datetime.fromtimestamp(now_us / MICROSECONDS, ZoneInfo(self.zone))


def _length(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
