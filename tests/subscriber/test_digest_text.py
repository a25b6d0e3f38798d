"""One message for many alerts: its counts add up, no CRITICAL is merged, and every provider takes it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.alerts import AgentAction, Alert, RiskEvent, Severity
from subscriber.deliveries import (
    Delivery,
    DeliveryState,
    Dialect,
    DigestKind,
    Handling,
    LengthUnit,
    Message,
    MessageLimits,
    TemplateLimits,
    severity_of,
)
from subscriber.policy.digest_text import fits_lines, render_digest, with_repeat
from subscriber.policy.wording import REPEAT_TEXT
from tests.subscriber.test_rendering import ALERTS, PLAIN, TELEGRAM, WHATSAPP, ZONE, risk, trade, units
from tests.support.telegram_html import parse_html

#: 2026-02-03 10:15:42 in New York.
NOON_US: Final = 1_770_131_742_000_000
SECOND: Final = 1_000_000
TWILIO: Final = MessageLimits(Dialect.WHATSAPP, 1600, LengthUnit.CODE_POINTS, TemplateLimits(1, 1024))
META: Final = MessageLimits(Dialect.WHATSAPP, 4096, LengthUnit.CODE_POINTS, TemplateLimits(3, 1024))
ALL_LIMITS: Final = [TELEGRAM, WHATSAPP, TWILIO, META, PLAIN]


def delivery(alert: Alert, number: int = 0, **fields: Any) -> Delivery:
    """Return a delivery of an alert published so many seconds after noon."""
    published_us = NOON_US + number * SECOND
    given = {"due_at_us": published_us, "published_us": published_us, **fields}
    return Delivery(
        id=number, alert=alert, channel="desk", state=DeliveryState.PENDING, retries=0, lease="lease", **given
    )


def numbered(alerts: Sequence[Alert], **fields: Any) -> list[Delivery]:
    """Return deliveries of alerts of their own ids, a second apart."""
    return [
        delivery(alert.model_copy(update={"id": UUID(int=(number + 1) << 96 | 0xABC0_0000 + number)}), number, **fields)
        for number, alert in enumerate(alerts)
    ]


def digest(deliveries: Sequence[Delivery], kind: DigestKind = DigestKind.STORM, **options: Any) -> Message:
    limits = options.pop("limits", PLAIN)
    return render_digest(deliveries, kind, limits, ZONE, now_us=NOON_US, **options)


def lines(deliveries: Sequence[Delivery], kind: DigestKind = DigestKind.STORM, **options: Any) -> list[str]:
    return readable(digest(deliveries, kind, **options).text).split("\n")


def readable(text: str) -> str:
    """Write the signs of a text that no keyboard has as those that it has."""
    return text.replace("\u00d7", "x").replace("\u2013", "-")


def added_up(text: str) -> tuple[int, int]:
    """Read a digest's text: how many alerts its lines tell of, and how many were counted beside."""
    number = r"(\d[\d,]*)"
    told = counted = 0
    for line in readable(text).split("\n"):
        if line == REPEAT_TEXT or re.search(r"^\S+ [\d,]+ (CRITICAL )?alerts?[ ,]", line):
            continue
        if "instead of sent" in line or line.startswith("all: ") or re.fullmatch(r"[\d,]+ [A-Z]+( · .*)?", line):
            continue
        more = re.search(rf"· \+{number} counted", line)
        counted += int(more[1].replace(",", "")) if more else 0
        many = re.match(rf"\S+ {number} x |and {number} more of ", line)
        told += int((many[1] or many[2]).replace(",", "")) if many else 1
    return told, counted


def storm(count: int, seed: int = 1, critical: float = 0.01) -> list[Delivery]:
    """Return what a bad minute brings: three events, 50 symbols, trades, some counted beside."""
    rng = Random(seed)
    alerts: list[Alert] = []
    for _ in range(count):
        symbol = f"S{rng.randrange(50)}"
        if rng.random() < critical:
            event: dict[str, Any] = {"event_type": "MARGIN_CALL", "severity": "CRITICAL", "description": "Call " * 20}
            alerts.append(RiskEvent(symbol=symbol, value=-rng.random(), threshold=-0.1, **event))
        elif rng.random() < 0.7:
            event = {"event_type": rng.choice(["VOLATILITY", "DRAWDOWN", "SLIPPAGE"])}
            event["severity"] = rng.choice(["WARNING", "INFO"])
            alerts.append(RiskEvent(symbol=symbol, value=rng.random(), threshold=0.1, pnl=rng.uniform(-9, 9), **event))
        else:
            action = rng.choice(["BUY", "SELL", "HOLD"])
            alerts.append(AgentAction(action=action, symbol=symbol, quantity=rng.randrange(20), price=41.2))
    return [replace(each, more=rng.choice([0, 0, 41])) for each in numbered(alerts)]


def test_digest_of_a_few_has_a_line_for_each_the_worst_first() -> None:
    """What happened, when, its numbers and words, and the id of each."""
    few = numbered(
        [
            trade(quantity=10, price=41.2),
            risk(severity="WARNING", event_type="SLIPPAGE", symbol="UPRO", description="slow\nfill"),
            risk(symbol="TNA", value=-0.3, threshold=-0.1, pnl=-1234.5),
        ]
    )
    few[1] = replace(few[1], more=41)
    assert lines(few) == [
        "🔴 3 alerts in 2 s, too many to tell one by one",
        "1 CRITICAL · 1 WARNING · 1 INFO · +41 counted instead of sent",
        "🔴 DRAWDOWN_BREACH TNA · 10:15:44 · value -0.3 < threshold -0.1 · P&L -1,234.50 · id abc00002",
        "🟠 SLIPPAGE UPRO · 10:15:43 · slow fill · +41 counted · id abc00001",
        "🟢 BUY TNA 10 @ 41.20 · 10:15:42 · id abc00000",
        "all: alertbus-subscriber digest abc00000 · 10:15:42-10:15:44 EST",
    ]


def test_digest_of_many_counts_by_event_and_symbol() -> None:
    """The most frequent of the worst severity first; CRITICALs before all, each by itself."""
    many = [risk(severity="WARNING", symbol="TNA", value=value, threshold=0.3) for value in (0.4, 0.45, 0.31)] * 3
    many += [risk(severity="WARNING", symbol="UPRO", pnl=pnl) for pnl in (-5, -120, 7)]
    many += [risk(symbol="TNA")]
    text = lines(numbered(many))
    assert text[2].startswith("🔴 DRAWDOWN_BREACH TNA · 10:15:54 · ")
    assert text[3:-1] == [
        "🟠 9 x DRAWDOWN_BREACH TNA · worst value 0.45 > threshold 0.3 · 10:15:42-10:15:50",
        "🟠 3 x DRAWDOWN_BREACH UPRO · worst P&L -120.00 · 10:15:51-10:15:53",
    ]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(-0.3, -0.1), (-0.5, -0.1), (-0.2, -0.1)], "worst value -0.5 < threshold -0.1"),
        ([(1.4, 1), (1.1, 1), (1.2, 1)], "worst value 1.4 > threshold 1"),
        ([(1.4, 1), (90, 80), (1.2, 1)], "worst value 1.4 > threshold 1"),
        ([(0.5, 0), (0.7, 0.1)], "worst value 0.7 > threshold 0.1"),
        ([(0.5, 1), (1.2, 1), (0.9, 1)], "worst value 0.5 < threshold 1 · worst value 1.2 > threshold 1"),
        ([(1, None), (4.5, None), (-2, None)], "value -2 to 4.5"),
        ([(3, None), (3, None)], "value 3"),
        ([(None, 3), (None, None)], ""),
    ],
)
def test_digest_tells_the_value_farthest_beyond_its_threshold(
    pairs: list[tuple[float | None, float | None]], expected: str
) -> None:
    """In the direction in which it was crossed; both where it was crossed in both."""
    events = [risk(severity="WARNING", symbol="TNA", value=value, threshold=limit) for value, limit in pairs]
    filler = [risk(severity="INFO", event_type="OTHER")] * 11
    line = lines(numbered([*events, *filler]))[2]
    _, *figures, _ = line.split(" · ")
    assert " · ".join(figures) == expected


def test_digest_adds_up_trades_by_symbol_and_side() -> None:
    """How many, how much of each side whatever its sign, the net of both, and the profit of all."""
    trades = [trade(quantity=10, pnl=1), trade(quantity=30, pnl=-3.5), trade(action="SELL", quantity=-15)] * 2
    trades += [trade(action="BUY", symbol="UPRO", quantity=5), trade(action="BUY", symbol="UPRO")]
    trades += [trade(quantity=0)] * 2 + [trade(action="HOLD")]
    assert lines(numbered(trades))[1:-1] == [
        "🟢 6 x trades TNA · BUY 80 in 4 · SELL 30 in 2 · net +50 · P&L -5.00 in all · 10:15:42-10:15:47",
        "⚪ 2 x BUY, nothing traded TNA · 10:15:50-10:15:51",
        "🟢 2 x trades UPRO · BUY 5 in 2 (1 of unknown quantity) · 10:15:48-10:15:49",
        "⚪ 1 x HOLD TNA · 10:15:52",
    ]


def test_digest_that_is_too_long_by_symbol_counts_by_event() -> None:
    """The symbols with the most are named, the others are counted, and the worst says whose it is."""
    symbols = ["S1"] * 9 + ["S2"] * 5 + [f"X{number}" for number in range(60)]
    events = [risk(severity="WARNING", symbol=symbol, value=1 + at, threshold=1) for at, symbol in enumerate(symbols)]
    (line,) = lines(numbered(events), limits=MessageLimits(Dialect.PLAIN, 400))[1:-1]
    assert line == (
        "🟠 74 x DRAWDOWN_BREACH: S1 9, S2 5, X0 1, X1 1, X10 1, X11 1, X12 1, X13 1, X14 1, X15 1, X16 1, X17 1, "
        "X18 1, X19 1, X2 1, 47 in 47 more · worst X59 value 74 > threshold 1 · 10:15:42-10:16:55"
    )


@pytest.mark.parametrize(
    ("kind", "fields", "head"),
    [
        (DigestKind.STORM, {}, "🟠 3 alerts in 2 s, too many to tell one by one"),
        (DigestKind.CRITICALS, {}, "🟠 3 CRITICAL alerts in 2 s, a line for each"),
        (
            DigestKind.GROUP,
            {"batch": "group:desk:TNA", "handling": Handling(route="desk")},
            "🟠 3 alerts in 2 s, grouped by the route desk (TNA)",
        ),
        (
            DigestKind.GROUP,
            {"batch": "group:desk:", "handling": Handling(route="desk")},
            "🟠 3 alerts in 2 s, grouped by the route desk",
        ),
        (
            DigestKind.QUIET,
            {"batch": "quiet:night", "due_at_us": NOON_US + 3600 * SECOND},
            "🟠 3 alerts, held in the quiet hours night until 11:15",
        ),
        (
            DigestKind.SILENCE,
            {"batch": "silence:7", "due_at_us": NOON_US + 60 * SECOND},
            "🟠 3 alerts of the silence 7, which ended at 10:16",
        ),
    ],
)
def test_digest_says_why_it_is_one_message(kind: DigestKind, fields: dict[str, Any], head: str) -> None:
    """And which route, quiet hours or silence it was."""
    assert lines(numbered([risk(severity="WARNING")] * 3, **fields), kind)[0] == head


def test_digest_of_another_day_tells_the_day() -> None:
    """An hour alone would be read as today's."""
    yesterday = [replace(each, published_us=each.published_us - 86_400 * SECOND) for each in numbered([risk()] * 2)]
    assert lines(yesterday)[-1].endswith(" · 02-02 10:15:42-02-02 10:15:43 EST")


def test_digest_of_impossible_times_is_written() -> None:
    """A publisher's clock may say anything."""
    odd = [replace(each, published_us=us) for each, us in zip(numbered([risk()] * 2), (-(2**62), 2**62), strict=True)]
    assert "9999" not in lines(odd)[0]
    assert added_up("\n".join(lines(odd))) == (2, 0)


@pytest.mark.parametrize("limits", ALL_LIMITS)
@pytest.mark.parametrize("count", [11, 300, 2000])
def test_digest_counts_add_up_exactly(limits: MessageLimits, count: int) -> None:
    """Each alert is in one line, what had no room in the last count; so are those counted beside."""
    members = storm(count)
    members = members[: fits_lines(members, limits, ZONE)]
    message = digest(members, limits=limits)
    assert added_up(message.text) == (len(members), sum(each.more for each in members))
    assert units(message.body, limits) <= limits.length
    severities = Counter(severity_of(each.alert).value for each in members)
    for line in message.text.split("\n")[1:2]:
        assert {word: int(number.replace(",", "")) for number, word in re.findall(r"([\d,]+) ([A-Z]+)", line)} == (
            severities
        )
    if limits.template is not None:
        assert len(message.parameters) == limits.template.parameters
        assert sum(map(len, message.parameters)) <= limits.template.length
    for member in members:
        if severity_of(member.alert) is Severity.CRITICAL:
            assert f"id {member.alert.id.hex[-8:]}" in message.text
            assert not message.parameters or f"id {member.alert.id.hex[-8:]}" in " · ".join(message.parameters)


@pytest.mark.parametrize(("limits", "at_least"), [(TELEGRAM, 45), (WHATSAPP, 14), (TWILIO, 14), (META, 14)])
def test_criticals_have_a_line_each_with_their_numbers(limits: MessageLimits, at_least: int) -> None:
    """As many as fit, and not one fewer line than alerts; where texts are sent, none without its value."""
    criticals = storm(200, critical=1)
    fitting = fits_lines(criticals, limits, ZONE)
    assert at_least <= fitting < len(criticals)
    message = digest(criticals[:fitting], DigestKind.CRITICALS, limits=limits, possible_repeat=True)
    assert units(message.body, limits) <= limits.length
    told = [line for line in message.text.split("\n") if line.startswith("🔴 MARGIN_CALL")]
    assert [line[-8:] for line in told] == [each.alert.id.hex[-8:] for each in criticals[:fitting]]
    assert all(" threshold -0.1" in line for line in told)


def test_fits_lines_counts_others_in_and_is_at_least_one() -> None:
    """What is no CRITICAL needs no line; a single one is told whatever its size."""
    assert fits_lines([], TELEGRAM, ZONE) == 0
    assert fits_lines(storm(2000, critical=0), WHATSAPP, ZONE) == 2000
    assert fits_lines(storm(9, critical=1), MessageLimits(Dialect.PLAIN, 1), ZONE) == 1


def test_criticals_beyond_what_fits_are_counted_and_not_forgotten() -> None:
    """A caller that folds more than fits still tells how many there are."""
    message = digest(storm(300, critical=1), DigestKind.CRITICALS, limits=WHATSAPP)
    assert added_up(message.text)[0] == 300


@pytest.mark.parametrize("limits", ALL_LIMITS)
@pytest.mark.parametrize("count", [2, 40, 2000])
def test_with_repeat_adds_its_line_to_a_fixed_text(limits: MessageLimits, count: int) -> None:
    """Nothing else changes, and it still fits: the retry of a digest is the same digest."""
    members = storm(count)[: fits_lines(storm(count), limits, ZONE)]
    message = digest(members, limits=limits)
    repeated = with_repeat(message, limits)
    assert repeated.text == f"{REPEAT_TEXT}\n{message.text}"
    assert repeated.body.endswith(f"\n{message.body}")
    assert units(repeated.body, limits) <= limits.length
    assert digest(members, limits=limits, possible_repeat=True) == repeated
    if limits.dialect is Dialect.TELEGRAM_HTML:
        assert parse_html(repeated.body) == repeated.text
    if limits.template is not None:
        assert REPEAT_TEXT in " · ".join(repeated.parameters)
        assert sum(map(len, repeated.parameters)) <= limits.template.length
        assert len(repeated.parameters) == len(message.parameters)


def test_with_repeat_leaves_a_message_without_room_as_it_is() -> None:
    """A limit that became smaller breaks nothing."""
    message = Message("x" * 90, "x" * 90, Dialect.PLAIN, parameters=("x" * 90, "-"))
    tight = MessageLimits(Dialect.PLAIN, 100, template=TemplateLimits(2, 100))
    assert with_repeat(message, tight) == message
    roomy = MessageLimits(Dialect.PLAIN, 200, template=TemplateLimits(2, 200))
    assert with_repeat(message, roomy).parameters == ("x" * 90, REPEAT_TEXT)


def test_digest_is_silent_where_asked() -> None:
    """Nothing of the text changes."""
    assert digest(storm(3), silent=True) == replace(digest(storm(3)), silent=True)


@settings(deadline=None, max_examples=80)
@given(
    alerts=st.lists(ALERTS, min_size=1, max_size=30),
    length=st.integers(300, 4096),
    dialect=st.sampled_from(Dialect),
    kind=st.sampled_from(DigestKind),
    batch=st.sampled_from([None, "group:<b>:*x*", "quiet:_a_", "silence:7", "group:\u202e`a`:" + "é" * 99]),
)
def test_digest_of_any_alerts_keeps_the_limit_and_the_markup(
    alerts: list[Alert], length: int, dialect: Dialect, kind: DigestKind, batch: str | None
) -> None:
    """Hostile text is text, the first line says how many, the last one where all are."""
    unit = LengthUnit.UTF16 if dialect is Dialect.TELEGRAM_HTML else LengthUnit.CODE_POINTS
    limits = MessageLimits(dialect, length, unit, TemplateLimits(3, 1024))
    members = numbered(alerts, batch=batch)
    message = render_digest(members, kind, limits, ZONE, now_us=NOON_US)
    assert 0 < units(message.body, limits) <= length
    assert f" {len(alerts)} " in message.text.split("\n")[0]
    assert members[0].alert.id.hex[-8:] in message.text.split("\n")[-1]
    assert sum(len(text.encode("utf-16-le")) // 2 for text in message.parameters) <= 1024
    assert len(message.parameters) == 3
    assert not [text for text in message.parameters if re.search(r"[\n\r\t]| {5}", text)]
    if dialect is Dialect.TELEGRAM_HTML:
        assert parse_html(message.body) == message.text
    fitting = fits_lines(members, limits, ZONE)
    told = render_digest(members[:fitting], kind, limits, ZONE, now_us=NOON_US, possible_repeat=True)
    assert units(told.body, limits) <= length
    for member in members[: fitting if fitting > 1 else 0]:
        if severity_of(member.alert) is Severity.CRITICAL:
            assert f"id {member.alert.id.hex[-8:]}" in told.text


@settings(deadline=None, max_examples=40)
@given(alerts=st.lists(ALERTS, min_size=1, max_size=12), length=st.integers(-1, 300), unit=st.sampled_from(LengthUnit))
def test_digest_into_hardly_any_room_still_says_something(alerts: list[Alert], length: int, unit: LengthUnit) -> None:
    """No limit makes it empty, too long or an error."""
    limits = MessageLimits(Dialect.TELEGRAM_HTML, length, unit, TemplateLimits(1, max(1, length)))
    message = render_digest(numbered(alerts), DigestKind.STORM, limits, ZONE, now_us=NOON_US, possible_repeat=True)
    assert 0 < units(message.body, limits) <= max(length, 1)
    assert fits_lines(numbered(alerts), limits, ZONE) >= 1
