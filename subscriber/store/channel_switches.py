"""Keeps which channels are switched on: one row for each channel that a person ever switched.

A channel without a row is on. Every daemon of a database follows the rows; `switching.py` draws what follows from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, bindparam, exists, false, select, true, update

from subscriber.store import schema
from subscriber.store.changes import ChangeKind, note_change
from subscriber.store.database import repeated
from subscriber.store.fallbacks import look_again
from subscriber.store.part import StorePart, storable

_queue: Final = schema.notification_queue
_switch: Final = schema.channel_switch


@dataclass(frozen=True, slots=True)
class Switch:
    """How a person set a channel's switch."""

    enabled: bool
    at_us: int  #: when it was set to this, in microseconds of UTC
    author: str  #: who set it, as far as that is known
    via: str  #: by which way: api, cli or page


class ChannelSwitches(StorePart):
    """The switches of channels."""

    def channel_switches(self) -> dict[str, Switch]:
        """Return every switch that somebody ever set, by channel; a channel without one is on.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self.database.reading() as connection:
            return {row.channel: _switch_from(row) for row in connection.execute(_all)}

    @repeated
    def switch_channel(self, channel: str, *, enabled: bool, author: str, via: str) -> bool:
        """Switch a channel on or off, and record who did it; what follows is `settle_switched_off`'s.

        Once it is on, it may tell what another channel owes: what is overdue there is looked at again.

        Args:
            channel: Which one.
            enabled: Whether it is to send.
            author: Who wants it, as far as that is known.
            via: By which way: api, cli or page.

        Returns:
            Whether it was switched; one that is set so already stays as it is.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        now_us = self._now_us()
        set_to = {"enabled": enabled, "at_us": now_us, "author": storable(author), "via": storable(via)}
        if enabled:  # one without a row is on
            statement: Any = update(_switch).where(_switch.c.channel == channel, _switch.c.enabled == false())
            statement = statement.values(set_to)
        else:
            statement = self.database.insert(_switch).values(channel=channel, **set_to)
            was_on = _switch.c.enabled == true()
            statement = statement.on_conflict_do_update(index_elements=["channel"], set_=set_to, where=was_on)
        with self.database.writing() as connection:
            changed = connection.execute(statement.returning(_switch.c.channel)).first() is not None
            if changed:
                if enabled:
                    look_again(connection)
                note_change(
                    connection,
                    ChangeKind.CHANNEL_SWITCHED,
                    author,
                    via,
                    {"channel": channel, "enabled": enabled},
                    now_us,
                )
        return changed

    def knows_channel(self, channel: str) -> bool:
        """Say whether anything was ever planned for a channel, or its switch set.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        planned = select(exists().where(_queue.c.channel == channel))
        with self.database.reading() as connection:
            return bool(connection.scalar(planned) or connection.execute(_one, {"which": channel}).first())


def switched_off(connection: Connection, *, lock: bool = False) -> list[str]:
    """Return the channels that are switched off.

    Args:
        connection: A transaction.
        lock: Let nobody switch one of them on until the transaction ends. Lock order: switches, then all else.
    """
    return list(connection.scalars(_off.with_for_update(read=True) if lock else _off))


def is_switched_off(connection: Connection, channel: str) -> bool:
    """Whether one channel is switched off."""
    return connection.execute(_one_off, {"which": channel}).first() is not None


def off_now(channel: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a channel is switched off, for a statement about deliveries."""
    return exists().where(_switch.c.channel == channel, _switch.c.enabled == false())


def _switch_from(row: Any) -> Switch:
    return Switch(enabled=row.enabled, at_us=row.at_us, author=row.author, via=row.via)


_all: Final = select(_switch).order_by(_switch.c.channel)
_off: Final[Select[str]] = select(_switch.c.channel).where(_switch.c.enabled == false()).order_by(_switch.c.channel)
_one: Final = select(_switch.c.channel).where(_switch.c.channel == bindparam("which"))
_one_off: Final = _one.where(_switch.c.enabled == false())
