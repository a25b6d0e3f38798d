"""How publishers stand, for the status: those that this daemon hears, and those that only the store knows of."""

from __future__ import annotations

from collections.abc import Iterable

from bus.clock import MICROSECONDS, from_us
from subscriber.intake.accounts import overdue_us
from subscriber.intake.streams import OfferedStream
from subscriber.store.streams import StreamState

PublisherView = dict[str, str | int | float | bool | None]


def heard_view(known: OfferedStream, *, now: float, now_us: int, timeout_seconds: float) -> PublisherView:
    """Return how a publisher stands that this daemon heard.

    Args:
        known: A stream that its own publisher offered.
        now: Monotonic seconds.
        now_us: The same moment by the daemon's clock.
        timeout_seconds: After how long without a heartbeat it counts as silent.

    Raises:
        ValueError: Only others offered the stream.
    """
    beat = known.offers.own
    if beat is None:
        raise ValueError("its own publisher never beat")
    silent_seconds = now - known.offers.own_at
    return {
        "source": beat.source,
        "up": known.goodbye is None and silent_seconds <= timeout_seconds,
        "last_heard_seconds_ago": round(silent_seconds, 1),
        "last_heard_at": _iso_text(now_us - round(silent_seconds * MICROSECONDS)),
        "goodbye": known.goodbye,
        "last_sequence": beat.last,
        "acknowledged": known.position.contiguous,
        "journal_alerts": 0 if known.settled_goodbye else beat.journal_alerts,
        "refused": beat.refused,
        "volatile": beat.volatile,
        "hung": overdue_us(beat) > 0,
    }


def unheard_views(states: Iterable[StreamState], *, now_us: int, timeout_us: int, shown_us: int) -> list[PublisherView]:
    """Return how publishers stand that only the store knows of: the newest stream of each that said no goodbye.

    What their journals hold, and what their queues refused, is not known.

    Args:
        states: Streams of publishers that this daemon never heard.
        now_us: The time by the daemon's clock.
        timeout_us: After how long without a note in the store a publisher counts as silent.
        shown_us: For how long a silent one is shown.
    """
    newest: dict[str, tuple[int, StreamState]] = {}
    for state in states:
        heard_us = state.last_heard_us
        if heard_us is None or state.goodbye is not None or now_us - heard_us > shown_us:
            continue
        if state.source not in newest or newest[state.source][0] < heard_us:
            newest[state.source] = (heard_us, state)
    return [_unheard_view(state, heard_us, now_us, timeout_us) for heard_us, state in newest.values()]


def told_apart(views: Iterable[PublisherView]) -> list[PublisherView]:
    """Return one view for each source, those first that somebody has to look at, then those that live.

    Several may live under one source, and all of them are shown; of a source without any, the one that was heard last:
    a new one takes the place of its dead predecessors, as in what people are told.
    """
    sources: dict[object, list[PublisherView]] = {}
    for view in views:
        sources.setdefault(view["source"], []).append(view)
    shown: list[PublisherView] = []
    for several in sources.values():
        shown += [view for view in several if view["up"]] or [min(several, key=_silent_seconds)]
    return sorted(shown, key=lambda view: (_urgency(view), str(view["source"]), _silent_seconds(view)))


def _silent_seconds(view: PublisherView) -> float:
    return float(view["last_heard_seconds_ago"] or 0)


def _urgency(view: PublisherView) -> int:
    if view["hung"] or not (view["up"] or view["goodbye"]):
        return 0
    return 1 if view["up"] else 2


def _unheard_view(state: StreamState, heard_us: int, now_us: int, timeout_us: int) -> PublisherView:
    silent_us = max(now_us - heard_us, 0)
    return {
        "source": state.source,
        "up": silent_us <= timeout_us,
        "last_heard_seconds_ago": round(silent_us / MICROSECONDS, 1),
        "last_heard_at": _iso_text(heard_us),
        "goodbye": None,
        "last_sequence": state.last_seen if state.announced is None else state.announced,
        "acknowledged": state.up_to,
        "journal_alerts": None,
        "refused": None,
        "volatile": bool(state.volatile),
        "hung": state.hang is not None,
    }


def _iso_text(moment_us: int) -> str:
    return from_us(moment_us).isoformat(timespec="milliseconds")
