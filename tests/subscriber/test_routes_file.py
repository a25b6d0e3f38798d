"""The `[[routes]]` of the TOML file: what they say, and each fault with its line and its place."""

from __future__ import annotations

import tomllib
from datetime import UTC

import pytest

from bus.alerts import Severity
from subscriber.deliveries import Escalation
from subscriber.errors import RoutingError
from subscriber.policy.hours_file import Zones
from subscriber.policy.matching import Match
from subscriber.policy.reading import PolicyDocument
from subscriber.policy.routing import Defaults, Level
from subscriber.policy.rules import Rules
from subscriber.policy.rules_file import rules_of
from subscriber.setting_groups import zone_of
from subscriber.toml_lines import lines_of

CHANNELS = ("whatsapp", "telegram", "desk")
CANARY = "hunter2"

EXAMPLE = """
[channels.desk]
url  = "json://127.0.0.1:9000/"
[[routes]]
match    = { severity = ">=WARNING", symbol = ["TNA", "UPRO"] }
channels = ["whatsapp", "telegram", "desk"]
"""
#: A route that takes CRITICAL, so that its absence is no further fault.
REST = '[[routes]]\nname = "rest"\nchannels = ["telegram"]\n'


def read(text: str, channels: tuple[str, ...] = CHANNELS) -> Rules:
    document = PolicyDocument(tomllib.loads(text), lines_of(text), "FILE")
    return rules_of(document, channels, defaults=Defaults(), zones=Zones(UTC, zone_of))


def problems_of(text: str) -> list[str]:
    with pytest.raises(RoutingError) as raised:
        read(text)
    assert CANARY not in str(raised.value)
    return list(raised.value.problems)


def test_routes_of_the_example_in_the_design() -> None:
    """A route without a name is called by its place."""
    (route,) = read(EXAMPLE).routes
    assert route.name == "routes[0]"
    assert route.match == Match(
        severities=frozenset({Severity.WARNING, Severity.CRITICAL}), symbols=frozenset({"TNA", "UPRO"})
    )
    assert route.treatment.levels == tuple((name, Level.ON) for name in CHANNELS)
    assert not route.continue_


@pytest.mark.parametrize("text", ["", "[channels.desk]", '[quiet_hours.night]\nwindows = ["22:00-07:00"]'])
def test_file_that_says_nothing_of_routes_leaves_the_built_in_ones(text: str) -> None:
    found = read(text)
    assert found.built_in
    assert [route.name for route in found.routes] == ["warnings", "trades"]


def test_routes_below_a_route_are_called_by_their_place() -> None:
    (route,) = read('[[routes]]\nchannels = ["desk"]\n[[routes.routes]]\n[[routes.routes]]\nname = "b"\n').routes
    assert [each.name for each in route.all()] == ["routes[0]", "routes[0].routes[0]", "b"]


def test_escalation_is_expanded_into_turns() -> None:
    found = read('[[routes]]\nchannels = ["desk"]\nescalate = { to = ["desk", "telegram"], rounds = 25 }\n')
    escalation = found.routes[0].treatment.escalation
    assert escalation == Escalation(300_000_000, ("desk", "telegram") * 25)


@pytest.mark.parametrize(
    ("text", "line", "place", "words"),
    [
        ("routes = 1", 1, "routes", "must be tables, each begun by [[routes]]"),
        ("[routes]\nchannels = []", 1, "routes", "must be tables, each begun by [[routes]]"),
        ("[[routes]]", 1, "routes[0].channels", "must be a list of channel names, or a table"),
        ('[[routes]]\nchannels = "telegram"', 2, "routes[0].channels", "must be a list of channel names"),
        ('[[routes]]\nchannels = ["telegram", 1]', 2, "routes[0].channels", "must be a list of channel names"),
        (
            '[[routes]]\nchannels = [\n"telegram",\n"desc"]',
            4,
            "routes[0].channels[1]",
            'is not the name of any channel ("desc"); did you mean desk?',
        ),
        ('[[routes]]\nchannels = ["x"]', 2, "routes[0].channels[0]", "there are: desk, telegram, whatsapp."),
        ('[[routes]]\nchannels = { telegran = "on" }', 2, "routes[0].channels.telegran", "did you mean telegram?"),
        ("[[routes]]\nchannels = { desk = true }", 2, "routes[0].channels.desk", "must be on or silent or off"),
        ("[[routes]]\nchannels = []\n\nchanels = []", 4, "routes[0].chanels", "is not known; did you mean channels?"),
        ("[[routes]]\nchannels = []\nname = 1", 3, "routes[0].name", "must be a text that is not empty"),
        ('[[routes]]\nchannels = []\nname = " "', 3, "routes[0].name", "must be a text that is not empty"),
        (f'[[routes]]\nchannels = []\nname = "{"x" * 65}"', 3, "routes[0].name", "must be a text of 64 characters"),
        ('[[routes]]\nchannels = []\nname = "rest"', 3, "routes[0].name", ""),
        ('[[routes]]\nchannels = []\ncontinue = "yes"', 3, "routes[0].continue", "must be true or false"),
        ("[[routes]]\nchannels = []\nmatch = []", 3, "routes[0].match", "must be a table"),
        ("[[routes]]\nchannels = []\nmatch = { colour = 'x' }", 3, "routes[0].match.colour", "is not known"),
        ("[[routes]]\nchannels = []\n[routes.match]\nkind = 'x'", 4, "routes[0].match.kind", "allowed: risk_event"),
        ("[[routes]]\nchannels = []\nmax_age = 5", 3, "routes[0].max_age", "must be a duration"),
        (f"[[routes]]\nchannels = []\nmax_age = '{CANARY}'", 3, "routes[0].max_age", "must be a duration"),
        ("[[routes]]\nchannels = []\nmax_age = '400d'", 3, "routes[0].max_age", "must be from 1s to 365d"),
        (
            "[[routes]]\nchannels = []\ngroup = true",
            3,
            "routes[0].group",
            "must be a table with by, wait, interval, or",
        ),
        ("[[routes]]\nchannels = []\ngroup.wait = '0s'", 3, "routes[0].group.wait", "must be from 1s to 1d"),
        ("[[routes]]\nchannels = []\ngroup.wait = 'never'", 3, "routes[0].group.wait", "and is never"),
        (
            "[[routes]]\nchannels = []\ngroup.by = ['x']",
            3,
            "routes[0].group.by",
            "must be a list of fields; there are:",
        ),
        ("[[routes]]\nchannels = []\ndedup = 1", 3, "routes[0].dedup", "must be a table with by, window, critical, or"),
        ("[[routes]]\nchannels = []\ndedup.by = []", 3, "routes[0].dedup.by", "must name at least one field"),
        ("[[routes]]\nchannels = []\ndedup.window = true", 3, "routes[0].dedup.window", "must be a duration"),
        ("[[routes]]\nchannels = []\nquiet_hours = 'n'", 3, "routes[0].quiet_hours", "must be a list of quiet hours"),
        (
            "[[routes]]\nchannels = []\nquiet_hours = ['n']",
            3,
            "routes[0].quiet_hours[0]",
            'is not the name of any quiet hours ("n"); there are: none.',
        ),
        ("[[routes]]\nchannels = []\ntemplate = 'x'", 3, "routes[0].template", "is not the name of any template"),
        ("[[routes]]\nchannels = []\ntemplate = true", 3, "routes[0].template", "must be a text"),
        ("[[routes]]\nchannels = []\nfallback = ['x']", 3, "routes[0].fallback[0]", "is not the name of any channel"),
        ("[[routes]]\nchannels = []\nescalate = 'x'", 3, "routes[0].escalate", "must be a table with ack_within, to"),
        ("[[routes]]\nchannels = []\nescalate.to = []", 3, "routes[0].escalate.to", "must name at least one channel"),
        (
            "[[routes]]\nchannels = []\nescalate = { to = ['desk'], rounds = 51 }",
            3,
            "routes[0].escalate.rounds",
            "must be a whole number from 1 to 50",
        ),
        (
            "[[routes]]\nchannels = []\nescalate = { to = ['desk', 'telegram'], rounds = 26 }",
            3,
            "routes[0].escalate",
            "must come to 50 turns at most",
        ),
        ("[[routes]]\nchannels = []\nroutes = 1", 3, "routes[0].routes", "each begun by [[routes.routes]]"),
        (
            "[[routes]]\nchannels = []\n[[routes.routes]]\nchannels = ['x']",
            4,
            "routes[0].routes[0].channels[0]",
            "is not the name of any channel",
        ),
        (
            "[[routes]]\nchannels=[]\n[routes.match]\nsymbol=['a',\n'b']\nx=1",
            6,
            "routes[0].match.x",
            "is",
        ),
    ],
)
def test_fault_of_a_route_names_its_line_and_place(text: str, line: int, place: str, words: str) -> None:
    if not words:  # a name that is taken is the later one's fault
        problems = problems_of(f"{text}\n{REST}")
        assert problems == ["FILE line 5: routes[1].name is the name of an earlier route."]
        return
    (problem,) = problems_of(f"{text}\n{REST}" if text.startswith("[[routes]]") else text)[:1]
    assert problem.startswith(f"FILE line {line}: {place} ")
    assert words in problem


def test_routes_that_are_too_deep_are_refused() -> None:
    text = "[[routes]]\nchannels = ['desk']\n"
    for depth in range(2, 10):
        text += f"[[{'.'.join(['routes'] * depth)}]]\n"
    (problem,) = problems_of(text)
    assert "must not be more than 8 levels deep" in problem


def test_every_fault_of_every_table_is_told_at_once() -> None:
    text = "[[routes]]\nchannels = 1\nmatch = { kind = 1 }\nx = 1\n"
    text += "[quiet_hours.night]\nwindows = 1\n[templates.a]\ntext = 1\n"
    assert [problem.split(" must")[0].split(" is")[0] for problem in problems_of(text + REST)] == [
        "FILE line 4: routes[0].x",
        "FILE line 3: routes[0].match.kind",
        "FILE line 2: routes[0].channels",
        "FILE line 6: [quiet_hours.night] windows",
        "FILE line 8: [templates.a] text",
    ]


@pytest.mark.parametrize(
    "routes",
    [
        "routes = []",
        "[[routes]]\nchannels = []",
        "[[routes]]\nchannels = ['desk']\nmatch = { action = 'BUY' }",
        "[[routes]]\nchannels = ['desk']\nmatch = { severity = '!CRITICAL' }",
        "[[routes]]\nchannels = { desk = 'off' }",
        "[[routes]]\nchannels = []\nmatch = { kind = 'agent_action' }\n[[routes.routes]]\nchannels = ['desk']",
    ],
)
def test_routes_without_a_way_for_critical_are_refused(routes: str) -> None:
    """Whatever else is configured, a CRITICAL must be able to reach a person."""
    (problem,) = problems_of(routes)
    assert problem.startswith("No route takes CRITICAL alerts to a channel")


def test_route_below_another_is_a_way_for_critical() -> None:
    read("[[routes]]\nchannels = []\n[[routes.routes]]\nmatch = { severity = 'CRITICAL' }\nchannels = ['desk']")
