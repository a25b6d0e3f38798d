"""What a person reads: the words, the markup of each provider, and its limits for any input."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.alerts import Action, AgentAction, Alert, OpaqueAlert, RiskEvent, Severity, SystemEvent
from subscriber.deliveries import Button, Dialect, LengthUnit, MessageLimits
from subscriber.policy.cleaning import clean_line
from subscriber.policy.dialects import WORD_JOINER
from subscriber.policy.figures import compared_text, gain_text, money_text, number_text, span_text
from subscriber.policy.rendering import render
from tests.support.telegram_html import parse_html

ZONE = ZoneInfo("America/New_York")
TELEGRAM = MessageLimits(Dialect.TELEGRAM_HTML, 4096, LengthUnit.UTF16)
WHATSAPP = MessageLimits(Dialect.WHATSAPP, 1600)
PLAIN = MessageLimits(Dialect.PLAIN, 10_000)
ID = UUID("0192f0c1-2b3c-7d4e-8f5a-6b7c8d9e0f1a")
COMMON: dict[str, Any] = {"id": ID, "occurred_at": datetime(2026, 2, 3, 15, 15, 42, tzinfo=UTC)}
HEBREW = "\u05e9\u05dc\u05d5\u05dd"
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
FOOT = "id 8d9e0f1a · 2026-02-03 10:15:42 EST"


def risk(**fields: Any) -> RiskEvent:
    return RiskEvent(**{"event_type": "DRAWDOWN_BREACH", "severity": "CRITICAL", **COMMON, **fields})


def trade(**fields: Any) -> AgentAction:
    return AgentAction(**{"action": "BUY", "symbol": "TNA", **COMMON, **fields})


def plain(alert: Alert, zone: ZoneInfo = ZONE, **options: Any) -> list[str]:
    return render(alert, PLAIN, zone, **options).body.split("\n")


def whatsapp_lines(text: str) -> list[str]:
    """Return the lines of a risk event's description as WhatsApp gets them."""
    return render(risk(description=text), WHATSAPP, ZONE).body.split("\n")[1:-1]


def test_render_risk_event_tells_what_a_trader_wants_in_order() -> None:
    """Severity and event first, the short id last, and never an exponent or float dust between."""
    told = {"description": "Drawdown over the limit", "action_taken": "Trading halted", "value": -(0.1 + 0.2)}
    numbers = {"threshold": -0.1, "pnl": -1234567.891, "position": 120}
    extra = {"order_id": 1234567, "tags": ["a", {"b": 1.5}, True, None], "state": [1]}
    alert = risk(symbol="TNA", agent_name="PPO_TNA", source="trader-1", extra=extra, **numbers, **told)
    assert plain(alert) == [
        "🔴 CRITICAL DRAWDOWN_BREACH TNA",
        "Drawdown over the limit",
        "value -0.3 < threshold -0.1 · P&L -1,234,567.89 · position 120",
        "action taken: Trading halted",
        "agent PPO_TNA · source trader-1",
        "order_id: 1234567",
        "tags: a, b 1.5, yes, none",
        FOOT,
    ]


def test_render_trade_tells_side_quantity_and_price_first() -> None:
    """The state that the agent saw is never told; a repeat says so."""
    alert = trade(quantity=10, price=41.2, pnl=12.5, confidence=0.87, reward=0.1, rationale="momentum", state=[1, 2])
    assert plain(alert, possible_repeat=True) == [
        "🟢 BUY TNA 10 @ 41.20",
        "Possible repeat: this may have reached you before.",
        "momentum",
        "P&L +12.50 · confidence 0.87 · reward 0.1",
        FOOT,
    ]


@pytest.mark.parametrize(
    ("alert", "head"),
    [
        (risk(severity="WARNING", symbol="BRK.B"), "🟠 WARNING DRAWDOWN_BREACH BRK.B"),
        (risk(event_type="\u200b"), "🔴 CRITICAL UNNAMED"),
        (trade(action="SELL", quantity=-3.5, price=1.08451), "🔵 SELL TNA -3.5 @ 1.08451"),
        (trade(action="SELL", symbol=None, price=0.000012), "🔵 SELL @ 0.000012"),
        (trade(quantity=float("nan"), price=float("inf")), "🟢 BUY TNA nan @ inf"),
        (trade(quantity=0, price=41.2), "⚪ BUY TNA, nothing traded"),
        (trade(action="HOLD"), "⚪ HOLD TNA"),
        (SystemEvent(event_type="TRADER_BACK", severity="CRITICAL", resolves=ID, **COMMON), "✅ CRITICAL TRADER_BACK"),
    ],
)
def test_render_first_line_says_how_bad_and_what(alert: Alert, head: str) -> None:
    """What a lock screen shows before anything is opened."""
    assert plain(alert)[0] == head


@pytest.mark.parametrize(
    ("alert", "lines"),
    [
        (risk(value=float("nan"), threshold=0.1), ["value nan · threshold 0.1"]),
        (risk(value=5), ["value 5"]),
        (risk(pnl=float("-inf")), ["P&L -inf"]),
        (risk(description="x" * 4001), ["x" * 3999 + "…", "changed on the way: description cut from 4001 characters"]),
        (trade(state=list(range(9000))), []),
        (risk(extra={f"n{number}": number for number in range(8)}), [f"n{n}: {n}" for n in range(6)] + ["and 2 more"]),
        (risk(extra={"": "", "a": {"b": {"c": [[1]]}}}), ["unnamed: empty", "a: b c …"]),
        (SystemEvent(event_type="E", severity="INFO", resolves=ID, **COMMON), ["resolves 8d9e0f1a"]),
        (OpaqueAlert(original_kind="x", event_type="X", fields={"description": 1}, **COMMON), ["unknown kind x"]),
        (risk(description=f"\n\n a\r\n{HEBREW} \n\n"), ["a", f"\u2068{HEBREW}\u2069"]),
    ],
)
def test_render_tells_each_odd_value_as_what_it_was(alert: Alert, lines: list[str]) -> None:
    """What could not be carried is told, in its place where it has one."""
    assert plain(alert)[1:-1] == lines


def test_render_opaque_alert_is_generic_text() -> None:
    """A kind from a newer publisher is told with whatever can be read of it."""
    fields = {"description": "add 12,000 USD", "deadline": "16:00", "severity": "LOUD", "state": [1]}
    alert = OpaqueAlert(original_kind="margin_call", event_type="MARGIN", symbol="UPRO", fields=fields, **COMMON)
    kind = "unknown kind margin_call"
    assert plain(alert) == ["🟠 WARNING MARGIN UPRO", "add 12,000 USD", kind, "deadline: 16:00", FOOT]


SUMMER = (datetime(2026, 7, 1, 12, tzinfo=UTC), "America/New_York", "2026-07-01 08:00:00 EDT")
BEGINNING = (datetime(1, 1, 1, tzinfo=UTC), "America/New_York", "0001-01-01 00:00:00 UTC")
END = (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "Asia/Tokyo", "9999-12-31 23:59:59 UTC")


@pytest.mark.parametrize(("moment", "zone", "expected"), [SUMMER, BEGINNING, END])
def test_render_tells_the_time_of_the_readers_clock(moment: datetime, zone: str, expected: str) -> None:
    """With the abbreviation, so that nobody has to guess; at the ends of time in UTC."""
    assert plain(risk(occurred_at=moment), ZoneInfo(zone))[-1] == f"id 8d9e0f1a · {expected}"


@pytest.mark.parametrize(
    ("more", "seconds", "said"),
    [(41, 300, "and 41 more in 5 min"), (1, 0, "and 1 more"), (1234, 59.6, "and 1,234 more in 1 min")],
)
def test_render_says_how_many_more_there_were(more: int, seconds: float, said: str) -> None:
    """What was counted instead of sent, in a line of its own, with and without a repeat."""
    message = render(risk(description="x"), PLAIN, ZONE, more=more, more_seconds=seconds, possible_repeat=True)
    repeat = "Possible repeat: this may have reached you before."
    assert message.body.split("\n") == ["🔴 CRITICAL DRAWDOWN_BREACH", said, repeat, "x", FOOT]


@pytest.mark.parametrize("limits", [TELEGRAM, WHATSAPP, MessageLimits(Dialect.PLAIN, 300)])
def test_render_too_long_keeps_how_many_more_there_were(limits: MessageLimits) -> None:
    """The count is not what gives room."""
    alert = risk(event_type="E" * 128, symbol="S" * 64, description="word " * 799, action_taken="halted " * 140)
    body = render(alert, limits, ZONE, more=41, more_seconds=300, possible_repeat=True).body
    assert "\nand 41 more in 5 min\n" in body
    assert units(body, limits) <= limits.length


def test_render_passes_buttons_on() -> None:
    """What a person may press is no part of the text."""
    buttons = [Button("Acknowledge", "ack:1")]
    assert render(risk(), PLAIN, ZONE, buttons=buttons).buttons == tuple(buttons)


def test_render_telegram_marks_up_and_escapes() -> None:
    """Bold first line, the id to tap, and every character of a value as it is."""
    alert = risk(description="PnL < -5% & R&D > <b>")
    message = render(alert, TELEGRAM, ZONE, possible_repeat=True, silent=True)
    assert message.body.split("\n") == [
        "<b>🔴 CRITICAL DRAWDOWN_BREACH</b>",
        "<i>Possible repeat: this may have reached you before.</i>",
        "PnL &lt; -5% &amp; R&amp;D &gt; &lt;b&gt;",
        FOOT.replace("8d9e0f1a", "<code>8d9e0f1a</code>"),
    ]
    assert (parse_html(message.body), message.silent) == (message.text, True)


LEFT_ALONE = "BTC_USDT|-3.2%|BTC_USDT and ETH_USDT|2 * 3 * 4|a*b*c|PnL < -5%|_private|`|~5 and ~6|5>4"
WOULD_FORMAT = "*a*|x _a b_ y|(~gone~)|`x`|```a```|__init__|*a _b* c_|> quoted|- 3.2%|* a|1. a|10) a"


@pytest.mark.parametrize("text", LEFT_ALONE.split("|"))
def test_whatsapp_text_that_formats_nothing_is_left_alone(text: str) -> None:
    """Everyday text can be copied as it is."""
    assert whatsapp_lines(text) == [text]


@pytest.mark.parametrize("text", WOULD_FORMAT.split("|"))
def test_whatsapp_text_that_would_format_is_parted_by_joiners(text: str) -> None:
    """Nothing is lost or replaced: without the joiners the text is the same."""
    (line,) = whatsapp_lines(text)
    assert line != text
    assert line.replace(WORD_JOINER, "") == text
    assert not whatsapp_formats(line)


@pytest.mark.parametrize("event", ["*A* b*", "A*", "_b_", "`x` `"])
def test_whatsapp_first_line_with_marks_of_its_own_is_not_bold(event: str) -> None:
    """A mark inside would end the bold too early and be lost to the reader."""
    head = render(risk(event_type=event), WHATSAPP, ZONE).body.split("\n")[0]
    assert head.replace(WORD_JOINER, "") == f"🔴 CRITICAL {event}"
    assert not whatsapp_formats(head)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31ma\x00\x07b\x1b[0m", "a\ufffdb"),
        ("a\tb\u00a0 c\nd\u2028e", "a b c d e"),
        ("T\u200bN\u00adA\ufeff T\u200dNA T\ufe0fNA ab\u202ecd\u2066", "TNA TNA TNA abcd"),
        ("👩\u200d💻 ❤\ufe0f 1\ufe0f\u20e3", "👩\u200d💻 ❤\ufe0f 1\ufe0f\u20e3"),
        (PERSIAN, f"\u2068{PERSIAN}\u2069"),
        (f"{HEBREW} \u202eabc", f"\u2068{HEBREW} abc\u2069"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * 4),
        ("\ud83d\ude00 \ud800", "😀 \ufffd"),
        (" \u200b ", ""),
    ],
)
def test_clean_line_keeps_what_can_be_read(text: str, expected: str) -> None:
    """Controls, colours, overrides and invisible characters go; scripts and emoji stay."""
    assert clean_line(text) == expected


def test_number_text_is_readable() -> None:
    """Digits as a person writes them, and an exponent only where digits would fill the line."""
    numbers = [1234567.891, 0.000012, 0.1 + 0.2, -3.2, -0.0, 10.0, 3.14159265, 999.9999999, 1e15, 1e-12, float("inf")]
    expected = "1,234,567.89 0.000012 0.3 -3.2 0 10 3.141593 1,000 1e+15 1e-12 inf"
    assert [number_text(number) for number in numbers] == expected.split()


def test_figures_of_money_and_comparison() -> None:
    """Prices have cents, gains a sign, and a difference is never told as equality."""
    assert [money_text(price) for price in (41.2, 100, 1.08451)] == ["41.20", "100.00", "1.08451"]
    assert [gain_text(gain) for gain in (5, -5, 0)] == ["+5.00", "-5.00", "0.00"]
    assert [compared_text(2, 1), compared_text(1, 1)] == ["value 2 > threshold 1", "value 1 = threshold 1"]
    assert compared_text(1000.001, 1000.002) == "value 1000.001 < threshold 1000.002"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *[(0, "1 s"), (0.4, "1 s"), (42, "42 s"), (60, "1 min"), (90, "90 s"), (119.6, "2 min"), (300, "5 min")],
        *[(3599, "1 h"), (3600, "1 h"), (5400, "1 h 30 min"), (86_399, "1 d"), (90_000, "1 d 1 h"), (172_800, "2 d")],
    ],
)
def test_span_text_is_told_in_whole_numbers(seconds: float, said: str) -> None:
    """As a person would say it."""
    assert span_text(seconds) == said


NASTY = st.sampled_from(["<b>", "&lt;", "*", "_", "~", "`", "\n", " ", "😀", "\u202e", HEBREW, "\x00", "- ", "A_B"])
TEXT = st.one_of(
    st.text(max_size=200),
    st.lists(NASTY | st.text(max_size=3), max_size=300).map("".join),
    st.tuples(NASTY, st.integers(1, 4000)).map(lambda pair: (pair[0] * pair[1])[:4000]),
)
NUMBER = st.none() | st.floats()
SHARED: dict[str, Any] = {
    **dict.fromkeys(("symbol", "agent_name", "source"), TEXT.map(lambda text: text[:64])),
    "occurred_at": st.datetimes(timezones=st.just(UTC)),
    "extra": st.dictionaries(TEXT, NUMBER | st.booleans() | TEXT | st.lists(TEXT, max_size=3), max_size=10),
}
NUMBERS: dict[str, Any] = dict.fromkeys(("pnl", "position", "quantity", "price", "value", "threshold"), NUMBER)
NAMES = TEXT.map(lambda text: f"E{text}"[:128])
EVENT: dict[str, Any] = {"severity": st.sampled_from(Severity), "description": TEXT, "event_type": NAMES, **SHARED}


def of_kind(model: type[Alert], fields: dict[str, Any]) -> st.SearchStrategy[Alert]:
    return st.builds(model, **{name: values for name, values in fields.items() if name in model.model_fields})


ALERTS = st.one_of(
    of_kind(RiskEvent, {**EVENT, **NUMBERS, "action_taken": TEXT}),
    of_kind(AgentAction, {**SHARED, **NUMBERS, "action": st.sampled_from(Action), "rationale": TEXT}),
    of_kind(SystemEvent, {**EVENT, "resolves": st.none() | st.uuids()}),
    of_kind(OpaqueAlert, {**EVENT, "original_kind": st.just("x"), "fields": SHARED["extra"]}),
)


def whatsapp_formats(line: str) -> list[str]:
    """Return what WhatsApp would format in a line: pairs of marks at the edges of words, and its blocks."""
    blocks = re.findall(r"^(?:>|[-*•] |\d+[.)] ).*", line)
    code = re.findall(r"`[^`\u2060][^`]*`", line)
    edge = r"(?<![^\W_])(?<!\u2060)"
    around = rf"{edge}%s(?![\s\u2060]).*?(?<![\s\u2060])%s(?![^\W_])(?!\u2060)"
    marks = [found.group() for mark in (r"\*", "_", "~") for found in re.finditer(around.replace("%s", mark), line)]
    return blocks + code + marks


def units(body: str, limits: MessageLimits) -> int:
    """Count as the provider does."""
    seen = parse_html(body) if limits.dialect is Dialect.TELEGRAM_HTML else body
    return len(seen.encode("utf-16-le")) // 2 if limits.unit is LengthUnit.UTF16 else len(seen)


@settings(deadline=None)
@given(alert=ALERTS, length=st.integers(300, 4096), repeat=st.booleans(), dialect=st.sampled_from(Dialect))
def test_render_any_alert_keeps_the_limit_and_the_first_line(
    alert: Alert, length: int, repeat: bool, dialect: Dialect
) -> None:
    """Length in the provider's unit, markup closed, severity and event in front, the short id kept."""
    limits = MessageLimits(dialect, length, TELEGRAM.unit if dialect is TELEGRAM.dialect else PLAIN.unit)
    message = render(alert, limits, ZONE, possible_repeat=repeat)
    assert 0 < units(message.body, limits) <= length
    head, *rest = message.text.split("\n")
    assert (alert.action if isinstance(alert, AgentAction) else f" {alert.severity} E") in head.replace("\u2068", "")
    assert f"id {alert.id.hex[-8:]}" in rest[-1]
    assert ("Possible repeat" in message.text) is repeat
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066\u2067\ud800-\udfff]", message.body)
    assert all(line.count("\u2068") == line.count("\u2069") for line in message.body.split("\n"))
    if dialect is Dialect.TELEGRAM_HTML:
        assert parse_html(message.body) == message.text
    if dialect is Dialect.WHATSAPP:
        lines = message.body.split("\n")
        assert whatsapp_formats(lines[0]) in ([], [f"*{head}*"])
        assert not [line for line in lines[1 + repeat :] if whatsapp_formats(line)]
        assert message.body.replace(WORD_JOINER, "").endswith(rest[-1])


@settings(deadline=None)
@given(alert=ALERTS, length=st.integers(-1, 300), dialect=st.sampled_from(Dialect), unit=st.sampled_from(LengthUnit))
def test_render_into_hardly_any_room_still_says_something(
    alert: Alert, length: int, dialect: Dialect, unit: LengthUnit
) -> None:
    """No limit makes a message empty, too long or broken."""
    limits = MessageLimits(dialect, length, unit)
    assert 0 < units(render(alert, limits, ZONE).body, limits) <= max(length, 1)


@pytest.mark.parametrize("limits", [TELEGRAM, WHATSAPP, MessageLimits(Dialect.WHATSAPP, 300)])
def test_render_too_long_cuts_at_a_word_and_keeps_whole_figures(limits: MessageLimits) -> None:
    """The description gives room; half a number would be a wrong number."""
    alert = risk(description="word " * 799, action_taken="halted " * 140, value=2, threshold=1, pnl=-12345.67)
    lines = render(alert, limits, ZONE).text.split("\n")
    assert lines[1].endswith("word…")
    assert lines[2] == "value 2 > threshold 1 · P&L -12,345.67"
    assert lines[3].startswith("action taken: halted halted")
    assert lines[-1] == f"{FOOT} · shortened"
    assert "value 2 > threshold 1" in render(alert, MessageLimits(Dialect.PLAIN, 110), ZONE).text.split("\n")
