"""Sets up what the daemon serves by HTTP: the API, the webhooks and the page, with what each of them may do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fastapi import FastAPI

from bus.clock import Clock
from subscriber.assembly import Assembly
from subscriber.channels.building import build_webhooks
from subscriber.channels.channel import ChannelConfig
from subscriber.channels.custom import resolved
from subscriber.dead_letters import DeadLetterDesk, retried_fields
from subscriber.deliveries import DeliveryState
from subscriber.http_settings import HttpSettings
from subscriber.latest_status import LatestStatus
from subscriber.monitoring.access import Access
from subscriber.monitoring.api import ApiParts, build_app
from subscriber.monitoring.channels_api import ChannelParts
from subscriber.monitoring.dead_letters_api import DeadLetterParts, add_dead_letters
from subscriber.monitoring.events import add_events
from subscriber.monitoring.feed import Feed
from subscriber.monitoring.trial_api import TrialParts
from subscriber.monitoring.webhooks import add_webhooks
from subscriber.policy_desk import PolicyDesk
from subscriber.status import Status
from subscriber.trying_out import TryingOut


def build_site(
    parts: Assembly,
    policy: PolicyDesk,
    configs: Sequence[ChannelConfig],
    http: HttpSettings,
    *,
    clock: Clock,
    status: Callable[[], Status],
    trying_out: TryingOut,
    not_ready: Callable[[], list[str]],
    page_folder: Path,
) -> FastAPI:
    """Return the application of a daemon.

    Args:
        parts: Of the daemon.
        policy: What people do.
        configs: Of its channels, for the webhooks of their providers.
        http: Who may ask.
        clock: The daemon's.
        status: Says how everything stands.
        trying_out: Sends test alerts.
        not_ready: Says why alerts are not taken, stored or delivered.
        page_folder: Of the page's files.

    Raises:
        ConfigurationError: A webhook can't be set up.
    """
    names = tuple(parts.desks)
    access = _access(http)
    latest = LatestStatus(status, parts.store.newest_change)
    feed = Feed(parts.store, latest, parts.metrics)
    app = build_app(
        ApiParts(
            store=parts.store,
            metrics=parts.metrics,
            access=access,
            not_ready=not_ready,
            page_folder=page_folder,
            channels=ChannelParts(
                names=names,
                status=lambda: {**latest(), "events": feed.counts()},
                resume=policy.resume,
                switch=parts.switchboard.switch,
                was_known=parts.store.knows_channel,
            ),
            trial=TrialParts(channels=names, send_test=trying_out.channels, send_routed=trying_out.routed, clock=clock),
            policy=policy.parts(),
        )
    )
    add_dead_letters(app, _dead_letters(parts), access)
    add_events(app, feed, access)
    add_webhooks(
        app,
        {} if parts.dry_run else build_webhooks([resolved(config) for config in configs]),
        store=parts.store,
        metrics=parts.metrics,
        clock=clock,
        on_inbound=parts.person_wrote,
        wake_keepers=parts.look_for_receipts,
        polled=parts.polled_channels(),
    )
    return app


def _access(http: HttpSettings) -> Access:
    tokens = (http.api_token, http.api_read_token, http.metrics_token)
    token, read_token, metrics_token = (None if each is None else each.get_secret_value() for each in tokens)
    return Access(token, read_token=read_token, metrics_token=metrics_token, origins=http.cors_origins)


def dead_letter_desk(parts: Assembly) -> DeadLetterDesk:
    """Return what shows the dead letters of a daemon, and has them sent again: counted, and by workers that know."""

    def on_retried(channels: Mapping[str, int]) -> None:
        for channel, count in channels.items():
            parts.metrics.entered(channel, DeliveryState.PENDING, count)
        parts.wake(channels)

    return DeadLetterDesk(
        parts.store,
        channels=parts.desks,
        limits=lambda channel: parts.desks[channel].channel.message_limits,
        templates=lambda: parts.book.templates,
        zone=parts.settings.general.zone,
        dry_run=parts.dry_run,
        on_retried=on_retried,
    )


def _dead_letters(parts: Assembly) -> DeadLetterParts:
    desk = dead_letter_desk(parts)
    return DeadLetterParts(
        listed=desk.listed,
        one=desk.one,
        retry=desk.retry,
        retry_all=lambda channel, author, via: desk.retry_all(channel, author, via).fields(),
        fields_of=retried_fields,
        knows_channel=lambda name: name in parts.desks or parts.store.knows_channel(name),
    )
