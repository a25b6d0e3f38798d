"""What is going on, as plain data: for the API, the page and the command line; with a daemon or from its database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bus.clock import from_us
from subscriber.deliveries import OPEN_STATES, DeliveryState
from subscriber.delivery.desk import ChannelDesk
from subscriber.monitoring.metrics import alertbus_version
from subscriber.store.store import Store

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChannelView:
    """What is known of a channel without its database."""

    name: str
    provider: str
    enabled: bool
    up: bool | None  #: None when no daemon runs that could say so
    paused: bool = False
    configured: bool = True  #: False for a channel without credentials for which something still waits


def view_of(desk: ChannelDesk) -> ChannelView:
    """Return how a daemon's channel stands."""
    return ChannelView(desk.name, desk.channel.provider, desk.enabled, desk.up, desk.paused)


def status_of(
    store: Store,
    channels: Iterable[ChannelView],
    *,
    dry_run: bool,
    publishers: Sequence[Status] = (),
    started_us: int | None = None,
    database: str = "",
) -> Status:
    """Return the whole status.

    Args:
        store: Where deliveries are counted.
        channels: The configured channels.
        dry_run: Whether nothing is really sent.
        publishers: Those that a running daemon hears.
        started_us: When the daemon started; None when none runs.
        database: Its URL without secrets.

    Raises:
        StoreError: The database can't be used at the moment.
    """
    counts = store.channel_counts()
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
        "channels": [_channel(store, view, counts.get(view.name, {}), dry_run=dry_run) for view in views],
        "publishers": list(publishers),
    }


def _channel(store: Store, view: ChannelView, counts: dict[str, int], *, dry_run: bool) -> Status:
    error = store.last_error(view.name)
    return {
        "name": view.name,
        "provider": view.provider,
        "enabled": view.enabled,
        "state": _state(view, dry_run=dry_run),
        "paused": view.paused,
        "backlog": sum(counts.get(state.value, 0) for state in OPEN_STATES),
        "oldest_published_at": _time(store.queue_oldest_us(view.name)),
        "dead": counts.get(DeliveryState.DEAD.value, 0),
        "deliveries": {state.value: counts.get(state.value, 0) for state in DeliveryState},
        "last_success_at": _time(store.last_success_us(view.name)),
        "last_error": None if error is None else {**error, "at": _time(_integer(error.get("at_us")))},
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
