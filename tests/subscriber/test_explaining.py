"""What people are told of an alert's plan: each route that was asked, each channel with what holds there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bus.alerts import Alert, Severity
from subscriber.policy.rules import Rules
from subscriber.policy.silences import ActiveSilence
from tests.subscriber.test_rules import (
    ALL,
    CRITICAL,
    DEFAULTS,
    MIDNIGHT,
    NIGHT,
    NOON,
    TRADE,
    WARNING,
    risk,
    rules,
    silence,
)

TREE = f"""
[[routes]]
name = "trades"
match = {{ action = ["BUY", "SELL"] }}
channels = ["telegram"]
[[routes]]
name = "desk"
match = {{ severity = ">=WARNING" }}
channels = {{ telegram = "silent", desk = "off", whatsapp = "on" }}
quiet_hours = ["night"]
escalate = {{ to = ["desk"] }}
continue = true
  [[routes.routes]]
  name = "upro"
  match = {{ symbol = "UPRO" }}
[[routes]]
name = "rest"
channels = []
{NIGHT}
"""


def explained(alert: Alert, now_us: int = NOON, *silences: ActiveSilence, toml: str = TREE) -> dict[str, Any]:
    found = rules(toml).explain(alert, now_us, enabled=("telegram", "desk"), dry_run=False, silences=silences)
    fields: dict[str, Any] = json.loads(json.dumps(found.fields()))
    return fields


def test_explain_tells_of_each_route_that_was_asked_what_did_not_fit() -> None:
    told = explained(WARNING)["routes"]
    assert [(each["route"], each["depth"], each["taken"], each["holds"]) for each in told] == [
        ("trades", 0, False, False),
        ("desk", 0, True, True),
        ("upro", 1, False, False),
        ("rest", 0, True, True),
    ]
    assert told[0]["why"] == "action is not given; it asks for BUY, SELL"
    assert (told[2]["field"], told[2]["why"]) == ("symbol", "symbol is TNA; it asks for UPRO")
    assert [each["holds"] for each in explained(risk(symbol="UPRO"))["routes"]] == [False, False, True, True]


def test_explain_stops_where_the_plan_stops() -> None:
    assert [each["route"] for each in explained(TRADE)["routes"]] == ["trades"]


def test_explain_tells_of_each_channel_what_holds_there() -> None:
    told = {each["channel"]: each for each in explained(CRITICAL)["channels"]}
    assert {name: each["why"] for name, each in told.items()} == {
        "telegram": "it is sent now",
        "desk": "the route switches the channel off",
        "whatsapp": "the channel is disabled",
    }
    telegram = told["telegram"]
    assert (telegram["level"], telegram["silent"], telegram["route"], telegram["due_us"]) == (
        "silent",
        True,
        "desk",
        NOON,
    )
    assert telegram["quiet_hours"] == ["night"]
    assert telegram["dedup"]["window_seconds"] == 10
    assert telegram["escalate"] == {"ack_within_seconds": 300, "channels": ["desk"]}
    assert telegram["max_age_seconds"] is None
    assert (told["desk"]["suppressed_by"], told["whatsapp"]["suppressed_by"]) == ("off", "disabled")


@pytest.mark.parametrize(
    ("now_us", "silences", "held_by", "why"),
    [
        (MIDNIGHT, (), "quiet:night", 'it is held by the quiet hours "night", and told at the end'),
        (NOON, (silence(4),), "silence:4", "it is held by silence 4, and told at the end"),
        (NOON, (silence(4, drops=True),), "silence:4", "it is dropped by silence 4"),
        (NOON, (), None, "it is sent now"),
    ],
)
def test_explain_says_what_holds_an_alert(
    now_us: int, silences: tuple[ActiveSilence, ...], held_by: str | None, why: str
) -> None:
    (telegram,) = (each for each in explained(WARNING, now_us, *silences)["channels"] if each["channel"] == "telegram")
    assert (telegram["held_by"], telegram["why"]) == (held_by, why)


def test_explain_of_a_group_and_of_the_safety_net() -> None:
    grouped = explained(WARNING, toml='[[routes]]\nname = "r"\nchannels = ["telegram"]\ngroup = { wait = "1min" }\n')
    (telegram,) = grouped["channels"]
    assert telegram["why"] == "it is told with others of its group after 1min at most"
    assert telegram["group"] == {"batch": "group:r:", "wait_seconds": 60, "interval_seconds": 60}
    netted = explained(CRITICAL, toml='[[routes]]\nmatch = { symbol = "UPRO" }\nchannels = ["telegram"]\n')
    assert netted["safety_net"]
    assert netted["channels"][0]["why"].startswith("it is sent now, to every channel: it is CRITICAL")


def test_explain_of_what_stays_in_the_history() -> None:
    told = explained(risk(Severity.INFO))
    assert (told["not_routed"], told["channels"]) == (True, [])
    assert told["alert"]["event"] == "DRAWDOWN_BREACH"


@pytest.mark.parametrize("alert", [WARNING, CRITICAL, TRADE, risk(Severity.INFO)])
@pytest.mark.parametrize("now_us", [NOON, MIDNIGHT])
def test_explain_tells_what_plan_does(alert: Alert, now_us: int) -> None:
    found = rules(TREE)
    planned = found.plan(alert, now_us, enabled=ALL, dry_run=False, silences=[silence()])
    told = found.explain(alert, now_us, enabled=ALL, dry_run=False, silences=[silence()])
    assert tuple(story.planned for story in told.channels) == planned


def test_fields_of_rules_are_plain_data() -> None:
    fields = json.loads(json.dumps(rules(TREE + '[templates.short]\ntext = "x"\nkinds = ["risk_event"]\n').fields()))
    assert [route["name"] for route in fields["routes"]] == ["trades", "desk", "rest"]
    assert fields["routes"][1]["routes"][0]["channels"] == {"telegram": "silent", "desk": "off", "whatsapp": "on"}
    assert fields["quiet_hours"][0]["name"] == "night"
    assert fields["templates"] == [{"name": "short", "text": "x", "kinds": ["risk_event"], "channels": []}]
    assert json.loads(json.dumps(Rules.of_defaults(ALL, DEFAULTS).fields()))["built_in"]
