"""Every kind of alert with hostile text, through each real plugin, to a provider that refuses what the real one would.

One request each, accepted at once: nothing is refused for markup or length, sent twice, or split. What had to be cut
is cut at a word, with an ellipsis, and its short id stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bus.alerts import AgentAction, Alert, OpaqueAlert, RiskEvent, SystemEvent
from subscriber.channels.building import build_channel
from subscriber.channels.channel import Channel
from subscriber.deliveries import DigestKind, LengthUnit, Message
from subscriber.policy.digest_text import render_digest
from subscriber.policy.rendering import render
from subscriber.policy.templates import Template
from tests.subscriber.test_digest_text import NOON_US, numbered
from tests.support.provider_desk import AcceptedMessage, ProviderDesk
from tests.support.provider_rules import utf16_length
from tests.support.provider_server import (
    META_OUTSIDE_WINDOW,
    META_TEMPLATE,
    META_TEMPLATE_OF_THREE,
    TWILIO_CONTENT_SID,
    TWILIO_OUTSIDE_WINDOW,
    ProviderServer,
)
from tests.support.verdict_cases import Configure, meta, telegram, twilio, webhook

_Test = TypeVar("_Test", bound=Callable[..., None])

#: What breaks senders: markup of every dialect, half of it, what looks like it; letters of several units, marks that
#: combine, reorder or hide; breaks of every kind, none at all.
FRAGMENTS: Final = (
    *("<", ">", "&", "&amp;", "&#x3c;", "<b>", "</b>", "<a href='x'>", "<!--", "]]>", "<tg-emoji>", "\"'"),
    *("*", "_", "~", "`", "```", "**", "[x](y)", "||", "> ", "- ", "1. ", "\\", "#", "{{1}}", "%s", "{0}", ":smile:"),
    *(
        "😀",
        "👩‍👩‍👧‍👦",
        "🇩🇪",
        "👍🏽",
        "1️⃣",
        "\U000e0067",
        "é",
        "e\u0301\u0323\u0327" * 3,
        "ﷺ",
        "\U0001d54f",
        "汉字",
        "\U0010ffff",
    ),
    *(
        "\u05e9\u05dc\u05d5\u05dd",
        "مرحبا",
        "\u202e",
        "\u2066",
        "\u2069",
        "\u200f",
        "\u200b",
        "\u2060",
        "\u200d",
        "\ufeff",
    ),
    *(
        "\n",
        "\r\n",
        "\n\n\n\n",
        "\t",
        "     ",
        "\x00",
        "\x1b[31m",
        "\x7f",
        "\u2028",
        "\u2029",
        "\u0085",
        "\ufffe",
        "\ud800",
    ),
    *("PnL < -5%", "BTC_USDT", "-3.2%", "https://example.org/?a=1&b=<2>", "x" * 5000, "word " * 900, "عَ" * 2000),
)
PIECES: Final = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)
#: Up to far more than any limit, 64 KiB and above.
TEXT: Final = st.builds(lambda pieces, times: pieces * times, PIECES, st.sampled_from([1, 1, 2, 40, 3000])).map(
    lambda text: text[:70_000]
)
NUMBERS: Final = {
    name: st.none() | st.floats(allow_nan=False, allow_infinity=False)
    for name in ("value", "threshold", "pnl", "position", "quantity", "price", "reward", "confidence")
}
#: Written by the publisher, which puts no half of a pair there.
ALTERED: Final = PIECES.map(lambda text: text.replace("\ud800", "")[:90])
SHARED: Final[dict[str, Any]] = {
    "source": TEXT,
    "agent_name": TEXT,
    "symbol": TEXT,
    "extra": st.dictionaries(PIECES, PIECES, max_size=8),
    "altered": st.dictionaries(st.sampled_from(["price", "<b>", "😀" * 20]), ALTERED, max_size=3),
}
EVENT: Final[dict[str, Any]] = {
    **SHARED,
    "event_type": TEXT.map(lambda text: text or "E"),
    "severity": st.sampled_from(["INFO", "WARNING", "CRITICAL"]),
    "description": TEXT,
}


#: Decoded from the bus, where nothing of these is too long or half a pair.
OPAQUE: Final[dict[str, Any]] = {
    "original_kind": st.just("x"),
    "event_type": ALTERED.map(lambda text: text or "E"),
    "symbol": ALTERED.map(lambda text: text[:60]),
    "agent_name": ALTERED,
    "source": ALTERED,
    "fields": SHARED["extra"],
}


def of_kind(model: type[Alert], fields: dict[str, Any]) -> st.SearchStrategy[Alert]:
    """Build alerts of a kind as the publisher does, which cuts what is too long and tells so."""
    return st.builds(model, **{name: values for name, values in fields.items() if name in model.model_fields})


ALERTS: Final[st.SearchStrategy[Alert]] = st.one_of(
    of_kind(RiskEvent, {**EVENT, **NUMBERS, "action_taken": TEXT}),
    of_kind(AgentAction, {**SHARED, **NUMBERS, "action": st.sampled_from(["BUY", "SELL", "HOLD"]), "rationale": TEXT}),
    of_kind(SystemEvent, {**EVENT, "resolves": st.none() | st.uuids()}),
    of_kind(OpaqueAlert, {**EVENT, **OPAQUE}),
)
#: What is cut at a word when there are words: none is longer than a cut looks back.
WORDS: Final = st.lists(
    st.sampled_from(["drawdown", "limit", "<halted>", "über", "😀😀", "a"]), min_size=700, max_size=790
)


def few(examples: int) -> Callable[[_Test], _Test]:
    """Try so many, and make none smaller: each is seven sends, and the text is large on purpose."""
    checks = (HealthCheck.too_slow, HealthCheck.data_too_large)
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    return settings(max_examples=examples, deadline=None, suppress_health_check=checks, phases=phases)


@pytest.fixture(scope="module")
def server() -> Iterator[ProviderServer]:
    """All providers on loopback, as strict as they are."""
    with ProviderServer() as running:
        yield running


@pytest.fixture(scope="module")
def channels(server: ProviderServer) -> Iterator[dict[str, Channel]]:
    """One channel of each kind of limit."""
    with ExitStack() as opened:
        configs: dict[str, Configure] = {
            "telegram": telegram(),
            "twilio": twilio(),
            "twilio template": twilio(TWILIO_OUTSIDE_WINDOW, content_sid=TWILIO_CONTENT_SID),
            "meta": meta(),
            "meta template of one": meta(META_OUTSIDE_WINDOW, template=META_TEMPLATE, template_parameters=1),
            "meta template of three": meta(META_OUTSIDE_WINDOW, template=META_TEMPLATE_OF_THREE),
            "webhook": webhook,
        }
        built = {name: build_channel(configure(server, "desk"), environ={}) for name, configure in configs.items()}
        for channel in built.values():
            opened.callback(channel.close)
        yield built


def accepted(server: ProviderServer, channel: Channel, message: Message) -> AcceptedMessage:
    """Send, and return what the provider took of it: all, by one request."""
    desk: ProviderDesk[Any] = getattr(server, "hook" if channel.provider == "json" else channel.provider)
    requests, taken = len(desk.requests), len(desk.accepted)
    outcome = channel.send(message)
    assert outcome.accepted, outcome
    assert (len(desk.requests), len(desk.accepted)) == (requests + 1, taken + 1)
    return desk.accepted[-1]


def length_of(text: str, channel: Channel) -> int:
    """Count as the provider does."""
    return utf16_length(text) if channel.message_limits.unit is LengthUnit.UTF16 else len(text)


@few(60)
@given(alert=ALERTS, repeat=st.booleans())
def test_any_alert_is_accepted_whole_by_every_provider(
    server: ProviderServer, channels: dict[str, Channel], alert: Alert, repeat: bool
) -> None:
    """Within the limit in the provider's own unit, its short id in it, and no markup that the provider refuses."""
    identity = alert.id.hex[-8:]
    for name, channel in channels.items():
        limits = channel.message_limits
        message = render(alert, limits, UTC, possible_repeat=repeat)
        taken = accepted(server, channel, message)
        assert taken.parse_mode in (None, "HTML"), name
        if taken.template is None:
            assert 0 < length_of(taken.text, channel) <= limits.length, name
        else:
            assert limits.template is not None
            assert sum(map(utf16_length, taken.parameters)) <= limits.template.length, name
            assert len(taken.parameters) == limits.template.parameters, name
        assert f"id {identity}" in taken.text, name
        assert ("Possible repeat" in taken.text) is repeat, name
        assert ("…" in taken.text) or "shortened" not in taken.text.rpartition(identity)[2], name


@few(25)
@given(alerts=st.lists(ALERTS, min_size=1, max_size=25), repeat=st.booleans())
def test_any_digest_is_accepted_whole_by_every_provider(
    server: ProviderServer, channels: dict[str, Channel], alerts: list[Alert], repeat: bool
) -> None:
    """As any alert: one message, within the limit, with the id by which all of them are found."""
    members = numbered(alerts)
    for name, channel in channels.items():
        limits = channel.message_limits
        message = render_digest(members, DigestKind.STORM, limits, UTC, now_us=NOON_US, possible_repeat=repeat)
        taken = accepted(server, channel, message)
        if taken.template is None:
            assert 0 < length_of(taken.text, channel) <= limits.length, name
        else:
            assert limits.template is not None
            assert sum(map(utf16_length, taken.parameters)) <= limits.template.length, name
        assert f" {len(alerts)} alert" in taken.text, name
        assert f"digest {members[0].alert.id.hex[-8:]}" in taken.text, name
        assert ("Possible repeat" in taken.text) is repeat, name


@few(25)
@given(alert=ALERTS, text=PIECES)
def test_any_template_of_any_alert_is_accepted_by_every_provider(
    server: ProviderServer, channels: dict[str, Channel], alert: Alert, text: str
) -> None:
    """What its author wrote is text, too; where it is no template at all, the message says so."""
    template = Template("t", text + "{{ event }} {{ symbol }} {{ source }}\n{{ description }}\n{{ agent }}" + text)
    for name, channel in channels.items():
        taken = accepted(server, channel, render(alert, channel.message_limits, UTC, template=template))
        assert f"id {alert.id.hex[-8:]}" in taken.text, name


@few(10)
@given(words=WORDS)
def test_long_text_is_cut_at_a_word(server: ProviderServer, channels: dict[str, Channel], words: list[str]) -> None:
    """A word stays whole, an ellipsis says that there was more, and the last line how to find it."""
    alert = RiskEvent(event_type="DRAWDOWN_BREACHED", severity="CRITICAL", description=" ".join(words)[:3999].rstrip())
    for name, channel in channels.items():
        taken = accepted(server, channel, render(alert, channel.message_limits, UTC))
        if "…" not in taken.text:
            assert alert.description in taken.text, name
            continue
        kept = taken.text.partition("…")[0].split()
        assert kept[-1] in words, name
        assert f"id {alert.id.hex[-8:]}" in taken.text.partition("…")[2], name
        assert "shortened" in taken.text.partition("…")[2], name
