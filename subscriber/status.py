"""What is going on, as plain data: for the API, the page and the command line; with a daemon or from its database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bus.clock import from_us
from subscriber.deliveries import OPEN_STATES, DeliveryState, Remembered, Window
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.views import DeskView
from subscriber.monitoring.metrics import alertbus_version
from subscriber.receipts import ReceiptMode
from subscriber.store.store import Store

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChannelView:
    """What is known of a channel without its database."""

    name: str
    provider: str
    enabled: bool
    up: bool | None  #: None when no daemon runs that could say so
    configured: bool = True  #: False for a channel without credentials for which something still waits
    desk: DeskView | None = None  #: None when no daemon runs
    receipts: ReceiptMode | None = None
    window: Window | None = None
    remembered: Remembered | None = None


def view_of(desk: ChannelDesk) -> ChannelView:
    """Return how a daemon's channel stands."""
    channel, view = desk.channel, desk.view
    return ChannelView(
        desk.name,
        channel.provider,
        desk.enabled,
        view.up,
        desk=view,
        receipts=channel.receipts,
        window=channel.window,
        remembered=channel.memory.values,
    )


def status_of(
    store: Store,
    channels: Iterable[ChannelView],
    *,
    dry_run: bool,
    publishers: Sequence[Status] = (),
    started_us: int | None = None,
    database: str = "",
    refused: bool = False,
) -> Status:
    """Return the whole status.

    Args:
        store: Where deliveries are counted.
        channels: The configured channels.
        dry_run: Whether nothing is really sent.
        publishers: Those that a running daemon hears.
        started_us: When the daemon started; None when none runs.
        database: Its URL without secrets.
        refused: Whether a change of the configuration was refused, and not put right since.

    Raises:
        StoreError: The database can't be used at the moment.
    """
    counts, receipts = store.channel_counts(), store.receipts_waiting()
    views = list(channels)
    known = {view.name for view in views}
    views += [
        ChannelView(name, "", enabled=False, up=None, configured=False)
        for name in sorted(store.open_counts().keys() - known)
    ]
    return {
        "version": alertbus_version(),
        "running": started_us is not None,
        "started_at": _time(started_us),
        "dry_run": dry_run,
        "database": database,
        "store_id": store.store_id,
        "channels": [
            {
                **_channel(store, view, counts.get(view.name, {}), dry_run=dry_run),
                **_standing(view, receipts.get(view.name, 0)),
            }
            for view in views
        ],
        "silences": store.silences_now(),
        "held": store.held_count(),
        "refused": refused,
        "publishers": list(publishers),
    }


def _channel(store: Store, view: ChannelView, counts: dict[str, int], *, dry_run: bool) -> Status:
    error = store.last_error(view.name)
    return {
        "name": view.name,
        "provider": view.provider,
        "enabled": view.enabled,
        "state": _state(view, dry_run=dry_run),
        "backlog": sum(counts.get(state.value, 0) for state in OPEN_STATES),
        "oldest_published_at": _time(store.queue_oldest_us(view.name)),
        "dead": counts.get(DeliveryState.DEAD.value, 0),
        "deliveries": {state.value: counts.get(state.value, 0) for state in DeliveryState},
        "last_success_at": _time(store.last_success_us(view.name)),
        "last_error": None if error is None else {**error, "at": _time(_integer(error.get("at_us")))},
    }


def _standing(view: ChannelView, receipts_waiting: int) -> Status:
    """Say what a running daemon knows of a channel beside its database."""
    desk, known = view.desk, view.remembered or Remembered()
    receipts = None if view.receipts is None else {"mode": view.receipts.value, "waiting": receipts_waiting}
    window = (
        None
        if view.window in {None, Window.NONE}
        else {
            "state": view.window,
            "last_message_of_person_at": _time(known.inbound_us),
            "last_refusal_at": _time(known.outside_us),
        }
    )
    return {
        "paused": desk is not None and desk.paused,
        "paused_since": None if desk is None else _time(desk.paused_since_us),
        "breaker": None
        if desk is None
        else {"state": desk.breaker.state.value, "next_probe_at": _time(desk.breaker.next_probe_us)},
        "held_until": None if desk is None else _time(desk.held_until_us),
        "wait_seconds": None if desk is None else round(desk.wait_seconds, 3),
        "receipts": receipts,
        "window": window,
    }


def _state(view: ChannelView, *, dry_run: bool) -> str:
    if not view.configured:
        return "not_configured"
    if not view.enabled:
        return "disabled"
    if view.up is None:
        return "not_running"
    if dry_run:
        return "dry_run"
    return "ok" if view.up else "error"


def _integer(value: str | int | None) -> int | None:
    return value if isinstance(value, int) else None


def _time(moment_us: int | None) -> str | None:
    return None if moment_us is None else from_us(moment_us).isoformat(timespec="milliseconds")
