"""What came of a storm on one channel of one system, in figures, and the table that shows them."""

from __future__ import annotations

import sqlite3
import statistics
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bus.clock import MICROSECONDS
from tests.support.alertmanager import Notification
from tests.support.provider_desk import AcceptedMessage
from tests.support.storm import Feed, StormAlert

#: What a chat shows of one message: more is cut off, or refused.
MESSAGE_LENGTH: Final = 4096
_HEAD: Final = (
    f"{'':<34}{'channel':<10}{'messages':>9}{'429s':>6}{'largest':>9}{'cut off':>9}{'CRITICAL':>10}"
    f"{'p50 s':>8}{'max s':>8}{'told':>8}  all told after the storm's end"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """One line of the table; seconds are since publication, or since the storm's end."""

    system: str
    channel: str
    messages: int
    refused: int  #: answers of 429
    largest: int  #: the most alerts of one message
    cut: int  #: alerts that stand only in what a chat does not show of a long message
    critical_seconds: Mapping[int, float]  #: until a message that shows its line arrived, by the alert's number
    told_seconds: Mapping[int, float]  #: until each alert was told in some message, since the storm's end
    rest: str = ""  #: what is still to come, where not all was told

    @property
    def worst_critical(self) -> float:
        """The longest that a CRITICAL took."""
        return max(self.critical_seconds.values(), default=0.0)

    @property
    def all_told(self) -> float:
        """When the last one was told, since the storm's end; never before it."""
        return max(0.0, *self.told_seconds.values()) if self.told_seconds else 0.0

    def row(self, alerts: int) -> str:
        """Return the line."""
        seconds = sorted(self.critical_seconds.values())
        median = f"{statistics.median(seconds):.1f}" if seconds else "-"
        worst = f"{self.worst_critical:.1f}" if seconds else "-"
        whole = f"{self.all_told:.0f} s" if len(self.told_seconds) == alerts else f"never in this run{self.rest}"
        return (
            f"{self.system:<34}{self.channel:<10}{self.messages:>9}{self.refused:>6}{self.largest:>9}{self.cut:>9}"
            f"{len(seconds):>10}{median:>8}{worst:>8}{len(self.told_seconds):>8}  {whole}"
        )


def table(figures: Iterable[Figures], alerts: int) -> str:
    """Return the table."""
    return "\n".join((_HEAD, *(each.row(alerts) for each in figures)))


def critical_seconds(
    storm: Sequence[StormAlert], feed: Feed, messages: Sequence[AcceptedMessage], ids: Mapping[int, str]
) -> dict[int, float]:
    """Return how long it took each CRITICAL until a message with its line had arrived; none where no message has.

    Args:
        storm: What was published.
        feed: When.
        messages: What the provider took, in order.
        ids: By the alert's number, its id as a line shows it.
    """
    found: dict[int, float] = {}
    for alert in storm:
        if alert.critical:
            at = next((message.at for message in messages if ids[alert.number] in message.text), None)
            if at is not None:
                found[alert.number] = at - feed.published_at[alert.number]
    return found


@dataclass(frozen=True, slots=True)
class Ledger:
    """When a daemon's database says that each alert was told on one channel."""

    told_us: Mapping[bytes, int]
    members: int  #: the most deliveries that one message told


def told_in(database: Path, channel: str) -> Ledger:
    """Read when each alert was told: by a message of its own, in a digest, or counted by one that was told."""
    statement = """
        SELECT queue.alert_id, queue.told_by, MIN(attempt.closed_us), MIN(attempt.id)
        FROM notification_queue AS queue
        LEFT JOIN attempt_delivery ON attempt_delivery.delivery_id = queue.id
        LEFT JOIN attempt ON attempt.id = attempt_delivery.attempt_id AND attempt.reason = 'accepted'
        WHERE queue.channel = ? GROUP BY queue.id
    """
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(statement, (channel,)).fetchall()
    carriers = {alert: told_by for alert, told_by, _, _ in rows}
    own = {alert: closed_us for alert, _, closed_us, _ in rows if closed_us is not None}
    members: dict[int, int] = {}
    for _, _, _, attempt in rows:
        if attempt is not None:
            members[attempt] = members.get(attempt, 0) + 1
    told: dict[bytes, int] = {}
    for alert in carriers:
        last = alert
        while last not in own and carriers.get(last) is not None:
            last = carriers[last]
        if last in own:
            told[alert] = own[last]
    return Ledger(told, max(members.values(), default=0))


def since(moment: float, told_us: Mapping[bytes, int], numbers: Mapping[bytes, int]) -> dict[int, float]:
    """Return the seconds from a wall time to when alerts were told, by their numbers; the daemon's own are left out."""
    return {numbers[alert]: at_us / MICROSECONDS - moment for alert, at_us in told_us.items() if alert in numbers}


def notified(
    system: str, channel: str, storm: Sequence[StormAlert], feed: Feed, taken: Sequence[Notification], refused: int
) -> Figures:
    """Return what a receiver of Alertmanager got: told counts wherever it stands, a line only where a chat shows it."""
    told: dict[int, float] = {}
    shown: set[int] = set()
    seconds: dict[int, float] = {}
    critical = {alert.number for alert in storm if alert.critical}
    for message in taken:
        length = 0
        for number, line in zip(message.numbers, message.lines, strict=True):
            length += len(line) + 1
            told.setdefault(number, message.at - feed.ended_at)
            if length <= MESSAGE_LENGTH:
                shown.add(number)
                if number in critical:
                    seconds.setdefault(number, message.at - feed.published_at[number])
    return Figures(
        system,
        channel,
        len(taken),
        refused,
        max((len(message.numbers) for message in taken), default=0),
        len(told.keys() - shown),
        seconds,
        told,
    )
