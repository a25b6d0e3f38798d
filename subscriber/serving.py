"""Sets up what the daemon serves by HTTP: the API, the webhooks and the page, with what each of them may do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI

from bus.clock import Clock
from subscriber.assembly import Assembly
from subscriber.channels.building import build_webhooks
from subscriber.channels.channel import ChannelConfig
from subscriber.channels.custom import resolved
from subscriber.monitoring.access import Access
from subscriber.monitoring.api import ApiParts, build_app
from subscriber.monitoring.channels_api import ChannelParts
from subscriber.monitoring.trial_api import TrialParts
from subscriber.monitoring.webhooks import add_webhooks
from subscriber.policy_desk import PolicyDesk
from subscriber.setting_groups import HttpSettings
from subscriber.status import Status


def build_site(
    parts: Assembly,
    policy: PolicyDesk,
    configs: Sequence[ChannelConfig],
    http: HttpSettings,
    *,
    clock: Clock,
    status: Callable[[], Status],
    send_test: Callable[[tuple[str, ...], str | None], dict[str, Any]],
    not_ready: Callable[[], list[str]],
) -> FastAPI:
    """Return the application of a daemon.

    Args:
        parts: Of the daemon.
        policy: What people do.
        configs: Of its channels, for the webhooks of their providers.
        http: Who may ask.
        clock: The daemon's.
        status: Says how everything stands.
        send_test: Sends a test alert to channels.
        not_ready: Says why alerts are not taken, stored or delivered.

    Raises:
        ConfigurationError: A webhook can't be set up.
    """
    names = tuple(parts.desks)
    token = http.api_token
    app = build_app(
        ApiParts(
            store=parts.store,
            metrics=parts.metrics,
            access=Access(None if token is None else token.get_secret_value()),
            not_ready=not_ready,
            channels=ChannelParts(names=names, status=status, resume=policy.resume),
            trial=TrialParts(channels=names, send_test=send_test),
            policy=policy.parts(),
        )
    )
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
