"""What is going on, as plain data: for the API, the page and the command line; with a daemon or from its database."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bus.clock import MICROSECONDS, from_us
from subscriber.channel_problems import problem_of
from subscriber.deliveries import OPEN_STATES, DeliveryState, Remembered, Window, event_of, severity_of
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.views import DeskView
from subscriber.monitoring.metrics import alertbus_version
from subscriber.policy.cleaning import clean_line
from subscriber.policy.rules import Rules
from subscriber.policy.wording import description_of, head_of
from subscriber.receipts import ReceiptMode
from subscriber.store.channel_switches import Switch
from subscriber.store.latencies import Acceptance
from subscriber.store.store import Store

Status = dict[str, Any]

#: The messages of a channel whose latency is shown.
RECENT: Final = 40
#: For so long a CRITICAL that nobody acknowledged is counted.
_UNACKNOWLEDGED_US: Final = 86_400 * MICROSECONDS
_TEXT_LIMIT: Final = 200


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
    interval_seconds: float | None = None  #: between two messages in the long run; None when no daemon runs


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
        interval_seconds=desk.interval_seconds,
    )


def routes_to(rules: Rules) -> dict[str, tuple[str, ...]]:
    """Return the names of the routes that lead to a channel, by channel, in their order."""
    found: dict[str, list[str]] = {name: [] for name in rules.channels}
    for route in (below for top in rules.routes for below in top.all()):
        for channel in route.treatment.channels:
            found.setdefault(channel, []).append(route.name)
    return {channel: tuple(dict.fromkeys(names)) for channel, names in found.items()}


def status_of(
    store: Store,
    channels: Iterable[ChannelView],
    *,
    dry_run: bool,
    publishers: Sequence[Status] = (),
    started_us: int | None = None,
    database: str = "",
    refused: bool = False,
    routes: Mapping[str, Sequence[str]] | None = None,
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
        routes: The names of the routes that lead to each channel.

    Raises:
        StoreError: The database can't be used at the moment.
    """
    counts, receipts = store.channel_counts(), store.receipts_waiting()
    views, switches, now_us = list(channels), store.channel_switches(), store.database.clock.now_us()
    known = {view.name for view in views}
    views += [
        ChannelView(name, "", enabled=False, up=None, configured=False)
        for name in sorted(counts.keys() - known)
        if any(counts[name].get(state.value) for state in OPEN_STATES)
    ]
    return {
        "version": alertbus_version(),
        "running": started_us is not None,
        "started_at": _time(started_us),
        "now_at": _time(now_us),
        "dry_run": dry_run,
        "database": database,
        "store_id": store.store_id,
        "channels": [
            {
                **_channel(store, view, counts.get(view.name, {}), dry_run=dry_run),
                **_standing(view, receipts.get(view.name, 0)),
                **_latest(store, view.name),
                "routes": list((routes or {}).get(view.name, ())),
                "switched": _switched(switches.get(view.name)),
            }
            for view in views
        ],
        "silences": store.silences_now(),
        "held": store.held_count(),
        "refused": refused,
        "uncovered_critical": store.uncovered_critical(),
        "unacknowledged_critical": store.unacknowledged_critical(now_us - _UNACKNOWLEDGED_US),
        "publishers": list(publishers),
    }


def _channel(store: Store, view: ChannelView, counts: dict[str, int], *, dry_run: bool) -> Status:
    error = store.last_error(view.name)
    problem = problem_of(view.name, view.provider, view.desk, error) if view.enabled else None
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
        "problem": None
        if problem is None
        else {
            "kind": problem["kind"],
            "text": problem["text"],
            "since_at": _time(problem["since_us"]),
            "until_at": _time(problem["until_us"]),
        },
    }


def _latest(store: Store, channel: str) -> Status:
    """Say how quick a channel was, and what it told last."""
    recent = store.acceptances(channel, RECENT)
    seconds = sorted(each.seconds for each in recent)
    return {
        "latency": {
            "recent": [
                {"at": _time(each.at_us), "seconds": round(each.seconds, 3), "alert_id": str(each.alert_id)}
                for each in recent
            ],
            "p50_seconds": _quantile(seconds, 0.5),
            "p95_seconds": _quantile(seconds, 0.95),
        },
        "last_alert": _last_alert(store, recent[-1]) if recent else None,
    }


def _last_alert(store: Store, accepted: Acceptance) -> Status | None:
    alert = store.alert(accepted.alert_id)
    if alert is None:  # retention removed it just now
        return None
    return {
        "alert_id": str(accepted.alert_id),
        "at": _time(accepted.at_us),
        "severity": severity_of(alert).value,
        "event_type": event_of(alert),
        "symbol": alert.symbol,
        "text": clean_line(description_of(alert), _TEXT_LIMIT) or head_of(alert),
        "seconds": round(accepted.seconds, 3),
    }


def _quantile(rising: Sequence[float], share: float) -> float | None:
    """Return the smallest of the numbers that so large a share of them does not exceed."""
    return round(rising[math.ceil(share * len(rising)) - 1], 3) if rising else None


def _switched(switch: Switch | None) -> Status | None:
    if switch is None:
        return None
    return {"enabled": switch.enabled, "at": _time(switch.at_us), "author": switch.author, "via": switch.via}


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
        "pace": None
        if desk is None or view.interval_seconds is None
        else {"interval_seconds": round(view.interval_seconds, 3), "wait_seconds": round(desk.wait_seconds, 3)},
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
