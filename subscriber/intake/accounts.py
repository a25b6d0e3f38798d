"""What people are told of a publisher: its silence, its hung loop, its failed end, and the end of each. Pure."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final
from uuid import UUID

from bus.alerts import Severity, SystemEvent
from bus.clock import MICROSECONDS, from_us
from bus.wire import Goodbye, Heartbeat
from subscriber.deliveries import system_event_id
from subscriber.store.streams import StreamState

#: The name under which a daemon has something to say.
DAEMON_SOURCE: Final = "alertbus"
#: What a goodbye's reason begins with when the publisher did not end as it was meant to.
_FAILURES: Final = ("exception", "signal")


def is_failure(reason: str) -> bool:
    """Whether a goodbye with this reason is told to people."""
    return reason.startswith(_FAILURES)


def overdue_us(beat: Heartbeat) -> int:
    """Return for how many microseconds a trading loop is past its limit; 0 while it moves, or never said that it does.

    Both times are the publisher's own, so its clock may be as wrong as it likes.
    """
    if beat.progressed_us is None or beat.progress_limit_us is None:
        return 0
    return max(beat.clock_us - beat.progressed_us - beat.progress_limit_us, 0)


def silent(
    state: StreamState, timeout_seconds: float, left: Heartbeat | None, store_id: str, zone: tzinfo
) -> SystemEvent:
    """Tell of a publisher that ended, or hangs as a whole, without a goodbye.

    Args:
        state: Its stream.
        timeout_seconds: For how long it was not heard.
        left: What the adopter of its journal said, where there is one.
        store_id: Whose people are told.
        zone: The time zone of the time that they read.
    """
    number = max(state.announced or 0, state.last_seen, left.last if left else 0)
    if state.last_heard_us is None:
        text = (
            f"{_name(state)} ended without a goodbye while no daemon heard it; what it left was found in its journal. "
            f"Its last alert has the number {number}. See whether it should trade."
        )
    else:
        heard = from_us(state.last_heard_us).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")
        text = (
            f"{_name(state)} is silent: no heartbeat for {timeout_seconds:g} s (the last one at about {heard}), and no "
            f"goodbye. Its process died, or stands still. Its last alert has the number {number}. See whether it still "
            "trades."
        )
    return _told("PUBLISHER_SILENT", text, store_id, state.stream.hex(), str(state.last_heard_us))


def failed(goodbye: Goodbye, store_id: str) -> SystemEvent:
    """Tell of a publisher that said goodbye because of an exception or a signal."""
    text = (
        f"{goodbye.source or 'A publisher'} ended by {goodbye.reason}. Its last alert has the number {goodbye.last}. "
        "See its log, and whether it was started again."
    )
    return _told("PUBLISHER_FAILED", text, store_id, goodbye.stream.hex())


def hung(state: StreamState, beat: Heartbeat, store_id: str) -> SystemEvent:
    """Tell of a publisher whose process beats while its trading loop stands still."""
    limit_us = beat.progress_limit_us or 0
    stood_still = (overdue_us(beat) + limit_us) / MICROSECONDS
    text = (
        f"{_name(state)} hangs: its process lives, but its trading loop has not called progress() for "
        f"{stood_still:.0f} s; its limit is {limit_us / MICROSECONDS:g} s. See whether it still trades."
    )
    return _told("PUBLISHER_HUNG", text, store_id, state.stream.hex(), str(beat.clock_us))


def heard_again(state: StreamState) -> str:
    """Say that a silent publisher beats again."""
    return f"{_name(state)} is heard again."


def runs_again(state: StreamState) -> str:
    """Say that a publisher of that name was started again."""
    return f"{_name(state)} runs again."


def had_said_goodbye(state: StreamState) -> str:
    """Say that a silent publisher had ended on purpose, as its late goodbye proves."""
    return f"{_name(state)} had ended as it was meant to: its goodbye ({state.goodbye}) has come."


def failed_after_all(goodbye: Goodbye) -> str:
    """Say that a silent publisher had said goodbye because of a failure, of which another alert tells."""
    return f"{goodbye.source or 'The publisher'} had ended by {goodbye.reason}: its goodbye has come."


def lasted(state: StreamState, now_us: int) -> str:
    """Say how long ago people were told of the silence."""
    if state.silent_us is None or is_failure(state.goodbye or ""):
        return ""
    minutes, seconds = divmod(max(now_us - state.silent_us, 0) // MICROSECONDS, 60)
    hours, minutes = divmod(minutes, 60)
    ago = f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return f" Its silence was told {ago} ago."


def moves_again(state: StreamState) -> str:
    """Say that a hung loop moves."""
    return f"The trading loop of {_name(state)} moves again."


def hung_no_more(state: StreamState) -> str:
    """Say that a publisher whose loop hung has ended."""
    return f"{_name(state)}, whose trading loop hung, has ended ({state.goodbye})."


def ended(resolves: bytes, event_type: str, text: str, store_id: str) -> SystemEvent:
    """Tell of the end of what an alert told."""
    return SystemEvent(
        id=system_event_id(event_type, store_id, resolves.hex()),
        source=DAEMON_SOURCE,
        event_type=event_type,
        severity=Severity.INFO,
        description=text,
        resolves=UUID(bytes=resolves),
    )


def _told(event_type: str, text: str, *about: str) -> SystemEvent:
    return SystemEvent(
        id=system_event_id(event_type, *about),
        source=DAEMON_SOURCE,
        event_type=event_type,
        severity=Severity.CRITICAL,
        description=text,
    )


def _name(state: StreamState) -> str:
    return state.source or "A publisher"
