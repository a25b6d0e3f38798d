"""The webhooks on real HTTP over a real store, and signatures as the providers' pages describe them.

The signing is written apart from the daemon's own, so that one mistake in both can't hide.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import httpx2

from bus.alerts import Alert
from bus.clock import SystemClock
from subscriber.channels.building import build_webhooks
from subscriber.channels.channel import MetaConfig, TwilioConfig
from subscriber.channels.webhooks import WebhookReader
from subscriber.deliveries import Delivery, Done, Outcome, Reason
from subscriber.monitoring.access import Access
from subscriber.monitoring.api import ApiParts, build_app
from subscriber.monitoring.channels_api import ChannelParts
from subscriber.monitoring.trial_api import TrialParts
from subscriber.monitoring.webhooks import add_webhooks
from subscriber.receipts import ReceiptMode
from subscriber.store import Store
from subscriber.store.receipts import Closed
from tests.support.clock import FakeClock
from tests.support.provider_server import (
    META_PHONE_ID,
    META_RECIPIENT,
    META_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
)
from tests.support.serving import serving
from tests.support.worker_bench import Bench

PUBLIC_URL: Final = "https://alerts.example.org"
APP_SECRET: Final = "0123456789abcdef0123456789abcdef"
VERIFY_TOKEN: Final = "a-word-of-our-own"
TWILIO: Final = TwilioConfig(
    TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_SENDER, TWILIO_RECIPIENT, public_url=PUBLIC_URL
)
META: Final = MetaConfig(
    META_TOKEN, META_PHONE_ID, META_RECIPIENT, name="business", app_secret=APP_SECRET, verify_token=VERIFY_TOKEN
)


@dataclass(frozen=True)
class Sending:
    """A message whose request is under way."""

    alert: Alert
    delivery: Delivery
    attempt: int


class WebhookSite:
    """What a provider sees, and what the daemon keeps of it."""

    def __init__(self, bench: Bench, clock: FakeClock, http: httpx2.Client) -> None:
        self.bench = bench
        self.store = bench.store
        self.clock = clock
        self.http = http
        self.inbound: list[tuple[tuple[str, ...], int]] = []
        self.woken: list[str] = []

    def begin(self, channel: str = "whatsapp") -> Sending:
        """Store an alert and begin to send it."""
        alert = self.bench.add(None, channel)
        (delivery,) = self.store.claim(channel, "worker", 60.0, 1)
        return Sending(alert, delivery, self.store.open_attempt([delivery]))

    def end(self, sending: Sending, message_id: str, receipts: ReceiptMode = ReceiptMode.WEBHOOK) -> Closed:
        """Record that the provider took it."""
        outcome = Outcome(Reason.ACCEPTED, status=201, provider_message_id=message_id)
        return self.store.close_attempt(
            sending.attempt, [sending.delivery], outcome, Done(), 0.2, receipts=receipts, fallbacks=()
        )

    def accepted(self, message_id: str = "SM1", channel: str = "whatsapp") -> Alert:
        """Have an alert accepted under an id of the provider's."""
        sending = self.begin(channel)
        self.end(sending, message_id)
        return sending.alert

    def state(self, alert: Alert, channel: str = "whatsapp") -> str:
        """Return the state of a delivery."""
        status: str = self.bench.delivery(alert, channel)["status"]
        return status

    def results(self, provider: str = "twilio") -> dict[str, float]:
        """Return how many calls ended how; only those that are not 0."""
        words = ("ok", "refused", "unreadable", "failed")
        counted = {
            word: self.bench.metric("webhook_requests_total", provider=provider, result=word) or 0 for word in words
        }
        return {word: count for word, count in counted.items() if count}

    def twilio(self, form: Mapping[str, str], query: str = "", **changes: Any) -> httpx2.Response:
        """Post a signed form; `changes` are `url` and `token` of the signature, and `headers`."""
        target = f"/webhooks/twilio{query}"
        signature = twilio_signature(changes.get("url", PUBLIC_URL + target), form, changes.get("token"))
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "X-Twilio-Signature": signature,
            **changes.get("headers", {}),
        }
        return self.http.post(target, content=changes.get("body", urlencode(form)), headers=headers)

    def meta(self, call: object, **changes: Any) -> httpx2.Response:
        """Post a signed JSON body; `changes` are `secret`, `body` (what is sent instead) and `headers`."""
        body = json.dumps(call).encode()
        headers = {"X-Hub-Signature-256": meta_signature(body, changes.get("secret")), **changes.get("headers", {})}
        return self.http.post("/webhooks/meta", content=changes.get("body", body), headers=headers)


def twilio_signature(url: str, form: Mapping[str, str], token: str | None = None) -> str:
    """Sign as twilio.com/docs/usage/webhooks/webhooks-security says."""
    text = url
    for name in sorted(form):
        text += name + form[name]
    digest = hmac.new((token or TWILIO_AUTH_TOKEN).encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode("ascii")


def meta_signature(body: bytes, secret: str | None = None) -> str:
    """Sign as developers.facebook.com/docs/graph-api/webhooks/getting-started says."""
    return "sha256=" + hmac.new((secret or APP_SECRET).encode(), body, hashlib.sha256).hexdigest()


def status_form(message_id: str, status: str, **fields: str) -> dict[str, str]:
    """Return what Twilio posts of a message's status."""
    return {"AccountSid": TWILIO_ACCOUNT_SID, "MessageSid": message_id, "MessageStatus": status, **fields}


def inbound_form(**fields: str) -> dict[str, str]:
    """Return what Twilio posts when the recipient writes."""
    return {
        "AccountSid": TWILIO_ACCOUNT_SID,
        "MessageSid": "SM900",
        "From": f"whatsapp:{TWILIO_RECIPIENT}",
        "To": f"whatsapp:{TWILIO_SENDER}",
        "Body": "Thanks & noted: ёлка 🔴",
        **fields,
    }


def meta_call(
    statuses: Iterable[Mapping[str, Any]] = (),
    messages: Iterable[Mapping[str, Any]] = (),
    phone_id: str = META_PHONE_ID,
) -> dict[str, Any]:
    """Return what Meta posts."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": phone_id},
        "statuses": list(statuses),
        "messages": list(messages),
    }
    changes = [{"field": "messages", "value": value}]
    return {"object": "whatsapp_business_account", "entry": [{"id": "0", "changes": changes}]}


@contextmanager
def webhook_site(
    store: Store, clock: FakeClock, readers: Mapping[str, WebhookReader] | None = None
) -> Iterator[WebhookSite]:
    """Serve the webhooks of Twilio and Meta, or those that are given."""
    with Bench(store, clock) as bench:
        for name in ("whatsapp", "business"):
            bench.metrics.add_channel(name, enabled=True, receipts=True)
        app = build_app(
            ApiParts(
                store=store,
                metrics=bench.metrics,
                access=Access("the-token-of-the-api"),
                not_ready=list,
                channels=ChannelParts(
                    names=("whatsapp", "business"),
                    status=lambda: {"store_id": store.store_id},
                    resume=lambda _name, _author, _via: False,
                    switch=lambda *_given: {},
                    was_known=lambda _name: False,
                ),
                trial=TrialParts(
                    channels=("whatsapp", "business"),
                    send_test=lambda _names, _text: {},
                    send_routed=lambda _alert, _text, _names: {},
                    clock=SystemClock(),
                ),
            )
        )
        with serving(app) as http:
            site = WebhookSite(bench, clock, http)
            add_webhooks(
                app,
                build_webhooks([TWILIO, META]) if readers is None else readers,
                store=store,
                metrics=bench.metrics,
                clock=clock,
                on_inbound=lambda channels, at_us: site.inbound.append((channels, at_us)),
                wake_keepers=site.woken.extend,
            )
            yield site
