"""Texts that a person writes: what they may use, what they can't do, and that every failure ends in a message."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from bus.alerts import Alert, OpaqueAlert
from subscriber.deliveries import Dialect, LengthUnit, Message, MessageLimits, TemplateLimits
from subscriber.policy.matching import KINDS
from subscriber.policy.rendering import render
from subscriber.policy.sandbox import OUTPUT_LIMIT, RANGE_LIMIT, ROUND_LIMIT, TEMPLATE_LIMIT, TURNS_LIMIT
from subscriber.policy.templates import VARIABLES, Template, Templates, check_template, sample_alert
from subscriber.policy.wording import REPEAT_TEXT
from tests.subscriber.test_rendering import ALERTS, FOOT, PLAIN, TELEGRAM, WHATSAPP, ZONE, risk, trade, units
from tests.support.telegram_html import parse_html

#: Every field of an alert stands in it, in the first line and below.
ALL_FIELDS = " ".join(f"{{{{ {name} }}}}" for name in VARIABLES) + "\n" + "{{ description }}\n{{ extra }}\n{{ symbol }}"


def told(text: str, alert: Alert, limits: MessageLimits = PLAIN, **options: Any) -> tuple[Message, list[str]]:
    """Return the message by a template, and why it failed."""
    faults: list[str] = []
    return render(alert, limits, ZONE, template=Template("short", text), on_fault=faults.append, **options), faults


def lines(text: str, alert: Alert, **options: Any) -> list[str]:
    """Return what a template makes of an alert, without the last line."""
    message, faults = told(text, alert, **options)
    assert faults == []
    *kept, foot = message.body.split("\n")
    assert foot == FOOT
    return kept


def test_template_takes_the_place_of_the_first_line_and_what_happened() -> None:
    """The last line with the id stays, and the values are written as people read them."""
    text = "{{ event }} {{ symbol }}\n{{ description }}\n{{ value }} at {{ threshold }}, P&L {{ pnl|money }}"
    alert = risk(symbol="TNA", description="over\nthe limit", value=-(0.1 + 0.2), threshold=-0.1, pnl=-1234.5)
    expected = ["DRAWDOWN_BREACH TNA", "over", "the limit", "-0.3 at -0.1, P&L -1,234.50"]
    assert lines(text, alert) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ severity }} {{ agent }} {{ source }} {{ kind }}", "CRITICAL ppo t-1 risk_event"),
        ("{{ price }}|{{ pnl }}|{{ pnl|number }}|{{ action }}|x", "||||x"),
        ("{{ value }}", "nan"),
        ("{{ extra.order_id }} {{ extra.nested.a }} {{ extra.gone }}{{ extra['tags'][0] }}", "1234567 yes one"),
        ("{{ extra.items }}{% for k, v in extra.nested|items %}{{ k }}={{ v }};{% endfor %}", "a=yes;"),
        ("{{ extra.gone|default('none') }} {{ symbol|d('-') }}", "none -"),
        ("{{ short_id }} {{ id }}", "8d9e0f1a 0192f0c1-2b3c-7d4e-8f5a-6b7c8d9e0f1a"),
        ("{{ time }}", "2026-02-03 10:15:42 EST"),
        ("{{ time|local('%H:%M %Z') }} {{ time.hour }}", "10:15 EST 10"),
        ("{{ 1234567.891|number }} {{ 0.5|money }} {{ 2.345|round(1) }}", "1,234,567.89 0.50 2.3"),
        ("{{ 'a' ~ 0.30000000000000004 ~ none }}", "a0.3"),
        ("{{ ['x', 2, 0.1]|join('+') }} {{ 'aXa'|replace('a', '<b>') }}", "x+2+0.1 <b>X<b>"),
        ("{% if severity == 'CRITICAL' and event.startswith('DRAW') %}down{% else %}no{% endif %}", "down"),
        ("{% set a = 2 %}{% for i in range(3) if i %}{{ loop.index }}:{{ i * a }} {% endfor %}", "1:2 2:4"),
        ("\n\n  {{ event }}  \n\n", "DRAWDOWN_BREACH"),
    ],
)
def test_template_expression_is_written(text: str, expected: str) -> None:
    """What an alert does not have is nothing; what could not be carried is told as what it was."""
    extra = {"order_id": 1234567, "nested": {"a": True}, "tags": ["one"]}
    alert = risk(agent_name="ppo", source="t-1", value=float("nan"), extra=extra)
    assert lines(text, alert) == [expected]


def test_template_of_a_trade_has_its_rationale_as_description() -> None:
    """One text serves events and trades."""
    alert = trade(quantity=10, price=41.2, rationale="momentum", confidence=0.87, reward=0.1)
    text = (
        "{{ action }} {{ event }} {{ quantity }} @ {{ price|money }}: {{ description }} {{ confidence }} {{ reward }}"
    )
    assert lines(text, alert) == ["BUY BUY 10 @ 41.20: momentum 0.87 0.1"]


def test_template_never_shows_an_agents_state() -> None:
    """Neither a known kind's nor an unknown one's."""
    unknown = OpaqueAlert(original_kind="x", event_type="X", fields={"state": "hidden", "a": 1})
    for alert in (trade(state="hidden", extra={"state": "hidden"}), unknown):
        assert "hidden" not in told(ALL_FIELDS, alert)[0].text
    assert "state" in (check_template("{{ state }}") or "")


def test_template_says_repeats_whatever_its_text() -> None:
    """What a message stands for is no matter of taste; the template may say it, too."""
    message, _ = told("X {{ more }} {{ repeat }}", risk(), more=41, more_seconds=300, possible_repeat=True)
    assert message.text.split("\n") == ["X 41 yes", "and 41 more in 5 min", REPEAT_TEXT, FOOT]


WRONG = [
    ("{{ nope }}", "line 1: there is no nope"),
    ("a\n{% if %}", "line 2: "),
    ("\n\n{{ event|shout }}", "line 3: No filter named 'shout'"),
    ("{% macro m() %}{% endmacro %}", "macro is not for"),
    ("{% include 'x' %}", "include is not for"),
    ("{% for i in [1] recursive %}{{ loop([2]) }}{% endfor %}", "for is not for"),
    ("{{ 9 ** 9 ** 9 }}", "pow is not for"),
    ("{{ _turns }}", "_turns is not for"),
    ("{% set _turns = [0] %}", "_turns is not for"),
    ("{{ self }}", "self is not for"),
    ("{% set ns = namespace(a=1) %}", "there is no namespace"),
    ("{{" + "(" * 3000 + "1" + ")" * 3000 + "}}", "nested too deeply"),
    ("x" * (TEMPLATE_LIMIT + 1), f"at most {TEMPLATE_LIMIT}"),
    ("{{ " + "9" * 5000 + " }}", "a number of too many digits"),
]
FAILING = [
    ("\n{{ 1 / 0 }}", "line 2: division by zero"),
    ("{{ price * 2 }}", "line 1: unsupported operand"),
    ("{{ symbol[9] }}", "line 1: "),
    ("{{ extra.a.b }}", "line 1: 'None' has no attribute 'b'"),
    ("{{ '%s' % description }}", "% is for numbers"),
    ("{{ ''.__class__.__mro__ }}", "'__class__' of 'str' object is unsafe"),
    ("{{ '{:999999999}'.format(1) }}", "'format' of 'str' object is unsafe"),
    ("{{ event['format'](1) }}", "there is no such item"),
    ("{{ time.strftime('%H') }}", "'strftime' of 'datetime' object is unsafe"),
    ("{{ time|local('%c') }}", "a time's format may have"),
    ("{{ range.__globals__ }}", "is unsafe"),
    ("{{ 'x'|replace('', 'y') }}", "replace needs"),
    ("{{ 7|round(-9000000) }}", f"round takes -{ROUND_LIMIT} to {ROUND_LIMIT} digits"),
    ("{{ 7|round(21) }}", f"round takes -{ROUND_LIMIT} to {ROUND_LIMIT} digits"),
    ("{% set a = 9999999999 %}" + "{% set a = a * a %}" * 24 + "x", "a number of more than 1024 bits"),
    ("{{ 0x" + "f" * 300 + " - 1 }}", "a number of more than 1024 bits"),
    ("{{ event.encode('idna') }}", "'encode' of 'str' object is unsafe"),
    ("{# nothing #}", "it makes an empty text"),
    ("{{ '\u200b' }}", "it makes an empty text"),
]
BOMBS = [
    "{{ 'x' * 999999999 }}",
    "{{ [0] * 99999 }}",
    "{% set a = 'x' * 20000 %}{{ a ~ a }}",
    "{% set a = 'x' * 20000 %}{{ a + a }}",
    "{% set a = 'x' * 20000 %}{{ [a, a]|join }}",
    "{% set a = 'x' * 20000 %}{{ a|replace('x', 'yy') }}",
    "{{ range(99999) }}",
    f"{{% for i in range({RANGE_LIMIT}) %}}{{% for j in range({RANGE_LIMIT}) %}}{{% endfor %}}{{% endfor %}}",
    "{% for i in range(1000) %}" + "x" * 21 + "{% endfor %}",
    "{% for a in range(1000) %}" * 5 + "{% endfor %}" * 5,
    "{{ ('a ' * 10000)|list|length }}",
    "{{ ('a ' * 10000).split()|length }}",
    "{% set l = range(999)|list %}" + "{% set x = l|sort %}" * 10 + "y",
    "{% set l = range(999)|list %}" + "{% set x = l|unique|list %}" * 6 + "y",
    "{% set l = range(999)|list %}" + "{{ l|max }}" * 10,
    "{% set l = range(999)|list %}" + "{% set x = l[1:] %}" * 10 + "y",
    "{% set l = range(999)|list %}" + "{% if -1 in l or -1 is in l %}{% endif %}" * 5 + "y",
    "{% set l = range(999)|list %}" + "{% if l == l + [1] %}{% endif %}" * 3 + "y",
    "{% set t = 'x' * 9999 %}{% for i in range(500) %}{% set x = t|upper %}{% endfor %}y",
    "{% set t = 'x' * 9999 %}{% for i in range(500) %}{% set x = t.strip() %}{% endfor %}y",
    "{% set a = [1] %}" + "{% set a = [a, a] %}" * 30 + "{% if a == a %}y{% endif %}",
    "{% set a = (1, 2) %}" + "{% set a = (a, a) %}" * 30 + "{{ {a: 1} }}",
    "{% set l = ['x' * 999] * 20 %}{% set l = l + l %}y",
]


@pytest.mark.parametrize(("text", "words"), WRONG)
def test_wrong_template_is_refused_with_its_line(text: str, words: str) -> None:
    """Before it is in force; one that came in all the same fails like any other."""
    assert words in (check_template(text) or "")
    message, faults = told(text, risk())
    assert [words in fault for fault in faults] == [True]
    assert message.text.split("\n")[0] == "🔴 CRITICAL DRAWDOWN_BREACH"


@pytest.mark.parametrize(("text", "words"), FAILING)
def test_failing_template_is_told_in_the_built_in_text(text: str, words: str) -> None:
    """The person hears of the alert and of the template, and the caller why."""
    assert check_template(text) is None
    alert = risk(description="Drawdown")
    message, faults = told(text, alert)
    assert [words in fault for fault in faults] == [True]
    *built_in, said, foot = message.text.split("\n")
    assert [*built_in, foot] == render(alert, PLAIN, ZONE).text.split("\n")
    assert said.startswith("template short failed: ")
    assert faults[0][:40] in said


@pytest.mark.parametrize("text", BOMBS)
def test_template_that_would_grow_is_stopped(text: str) -> None:
    """Neither its text, nor a value in it, nor the turns of its loops and filters are without an end."""
    (fault,) = told(text, risk())[1]
    assert str(OUTPUT_LIMIT) in fault or str(TURNS_LIMIT) in fault or str(RANGE_LIMIT) in fault


@pytest.mark.parametrize("text", BOMBS)
def test_check_of_a_template_calculates_nothing(text: str) -> None:
    """It is read by a thread that others wait for; what it makes shows when it is filled in."""
    assert check_template(text) is None


def test_template_of_a_long_description_is_within_its_budget() -> None:
    """Ordinary texts are far from every limit."""
    text = "{{ description|replace('a', 'b')|upper|truncate(80) }} {{ description.split()|unique|sort|join(' ') }}"
    assert told(text, risk(description="word " * 700))[1] == []


def test_fault_names_no_value_of_the_alert() -> None:
    """It is logged, where an alert's text never stands."""
    for text in ("{{ description|int + [] }}", "{{ extra.k[description] }}", "{{ time|local(description) }}"):
        faults = told(text, risk(description="%c secret", extra={"k": ["a"]}))[1]
        assert faults
        assert not [fault for fault in faults if "secret" in fault]


def test_failing_template_keeps_its_words_when_there_is_little_room() -> None:
    """A long fault and a long description leave the first line, the fault's beginning and the id."""
    limits = MessageLimits(Dialect.PLAIN, 300)
    message, _ = told("{{ nope }}", risk(description="word " * 700), limits)
    assert len(message.body) <= 300
    assert "template short failed: line 1: there is no nope" in message.body
    assert message.body.endswith(f"{FOOT} · shortened")


@settings(deadline=None, max_examples=60)
@given(alert=ALERTS)
def test_template_of_every_field_breaks_no_markup(alert: Alert) -> None:
    """Whatever stands in an alert, it is text to every provider, within the limit, with its id."""
    for limits in (TELEGRAM, WHATSAPP, MessageLimits(Dialect.TELEGRAM_HTML, 300, LengthUnit.UTF16)):
        message, faults = told(ALL_FIELDS, alert, limits)
        assert not [fault for fault in faults if str(OUTPUT_LIMIT) not in fault]
        assert 0 < units(message.body, limits) <= limits.length
        assert f"id {alert.id.hex[-8:]}" in message.text.split("\n")[-1]
        if limits.dialect is Dialect.TELEGRAM_HTML:
            assert parse_html(message.body) == message.text


def test_template_puts_no_markup_into_a_message() -> None:
    """Its own tags are text like those of an alert."""
    message, _ = told("<b>{{ symbol }}</b> <a href='x'>\n</code>{{ description }}", risk(symbol="<i>"), TELEGRAM)
    assert parse_html(message.body) == message.text
    assert message.text.startswith("<b><i></b> <a href='x'>\n</code>\n")


def test_template_text_is_the_parameters_of_an_approved_template() -> None:
    """What the provider's template is filled with says the same as the message."""
    limits = MessageLimits(Dialect.WHATSAPP, 1600, LengthUnit.UTF16, TemplateLimits(3, 824))
    head, middle, foot = told("A {{ symbol }}\nb\nc", risk(symbol="TNA"), limits)[0].parameters
    assert (head, middle) == ("A TNA", "b · c")
    assert foot == FOOT


@pytest.mark.parametrize(
    ("name", "channel", "kind", "expected"),
    [
        (None, "telegram", "risk_event", "for telegram"),
        ("short", "telegram", "risk_event", "short"),
        ("short", "telegram", "agent_action", "for telegram"),
        ("gone", "desk", "risk_event", None),
        (None, "desk", "risk_event", None),
        (None, "desk", "agent_action", "trades"),
        ("long", "desk", "opaque", "long"),
    ],
)
def test_templates_pick_the_routes_own_then_the_channels(
    name: str | None, channel: str, kind: str, expected: str | None
) -> None:
    """One that is not for the kind counts as none; the first of a channel holds."""
    templates = Templates(
        [
            Template("short", "a", kinds=frozenset({"risk_event"})),
            Template("long", "b"),
            Template("trades", "c", kinds=frozenset({"agent_action"}), channels=frozenset({"desk"})),
            Template("for telegram", "d", channels=frozenset({"telegram"})),
            Template("second", "e", channels=frozenset({"telegram", "desk"}), kinds=frozenset({"agent_action"})),
        ]
    )
    picked = templates.pick(name, channel, kind)
    assert (picked.name if picked is not None else None) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_sample_alert_fills_every_variable_that_its_kind_has(kind: str) -> None:
    """A preview shows what a real one would."""
    alert = sample_alert(kind)
    assert alert.kind == kind
    assert told(ALL_FIELDS, alert)[1] == []
    assert render(alert, PLAIN, ZONE).text
