"""The `[[routes]]` of the TOML file."""

from __future__ import annotations

import tomllib

import pytest

from bus.alerts import Action, Severity
from bus.errors import ConfigurationError
from subscriber.policy.matching import Match
from subscriber.policy.routes_file import parse_routes
from subscriber.policy.routing import Route

DESIGN_EXAMPLE = """
[channels.desk]
url  = "json://127.0.0.1:9000/"
[[routes]]
match    = { severity = ">=WARNING", symbol = ["TNA", "UPRO"] }
channels = ["whatsapp", "telegram", "desk"]
"""


def test_parse_routes_reads_the_example_of_the_design() -> None:
    """A route without a name is called by its place."""
    assert parse_routes(tomllib.loads(DESIGN_EXAMPLE)) == (
        Route(
            name="routes[0]",
            match=Match(
                severities=frozenset({Severity.WARNING, Severity.CRITICAL}), symbols=frozenset({"TNA", "UPRO"})
            ),
            channels=("whatsapp", "telegram", "desk"),
        ),
    )


@pytest.mark.parametrize(("document", "expected"), [("", None), ("[channels.desk]", None), ("routes = []", ())])
def test_parse_routes_without_any_tells_whether_the_defaults_hold(
    document: str, expected: tuple[Route, ...] | None
) -> None:
    """Only a file that says nothing of routes leaves the default routes in force."""
    assert parse_routes(tomllib.loads(document)) == expected


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("{}", Match()),
        ('{ severity = "critical" }', Match(severities=frozenset({Severity.CRITICAL}))),
        ('{ severity = ">= warning" }', Match(severities=frozenset({Severity.WARNING, Severity.CRITICAL}))),
        ('{ severity = ["INFO", "CRITICAL"] }', Match(severities=frozenset({Severity.INFO, Severity.CRITICAL}))),
        ('{ action = ["buy", "SELL"] }', Match(actions=frozenset({Action.BUY, Action.SELL}))),
        ('{ kind = "system_event" }', Match(kinds=frozenset({"system_event"}))),
        ('{ event_type = "DRAWDOWN_BREACH" }', Match(event_types=frozenset({"DRAWDOWN_BREACH"}))),
        ('{ agent_name = ["a", "b"] }', Match(agent_names=frozenset({"a", "b"}))),
        ('{ source = "trader-1" }', Match(sources=frozenset({"trader-1"}))),
    ],
)
def test_parse_routes_reads_each_field_of_a_match(match: str, expected: Match) -> None:
    """A text means one value, a list any of them; words of closed sets are read without regard to case."""
    routes = parse_routes(tomllib.loads(f'[[routes]]\nname = "one"\nchannels = []\ncontinue = true\nmatch = {match}'))
    assert routes == (Route("one", expected, (), continue_=True),)


@pytest.mark.parametrize(
    ("document", "places"),
    [
        ("routes = 1", ["routes"]),
        ("routes = [1]", ["routes[0]", "routes[0].channels"]),
        ("[routes]\nchannels = []", ["routes"]),
        ("[[routes]]", ["routes[0].channels"]),
        ('[[routes]]\nchannels = "telegram"', ["routes[0].channels"]),
        ('[[routes]]\nchannels = ["telegram", 1]', ["routes[0].channels"]),
        ('[[routes]]\nchannels = [""]', ["routes[0].channels"]),
        ("[[routes]]\nchannels = []\nchanels = []", ["routes[0].chanels"]),
        ("[[routes]]\nchannels = []\nname = 1", ["routes[0].name"]),
        ('[[routes]]\nchannels = []\nname = " "', ["routes[0].name"]),
        ('[[routes]]\nchannels = []\ncontinue = "yes"', ["routes[0].continue"]),
        ("[[routes]]\nchannels = []\nmatch = []", ["routes[0].match"]),
        ("[[routes]]\nchannels = []\nmatch = { colour = 'red' }", ["routes[0].match.colour"]),
        ("[[routes]]\nchannels = []\nmatch = { severity = '>=LOUD' }", ["routes[0].match.severity"]),
        ("[[routes]]\nchannels = []\nmatch = { severity = ['INFO', 'LOUD'] }", ["routes[0].match.severity"]),
        ("[[routes]]\nchannels = []\nmatch = { severity = ['>=INFO'] }", ["routes[0].match.severity"]),
        ("[[routes]]\nchannels = []\nmatch = { severity = 3 }", ["routes[0].match.severity"]),
        ("[[routes]]\nchannels = []\nmatch = { action = 'SHORT' }", ["routes[0].match.action"]),
        ("[[routes]]\nchannels = []\nmatch = { kind = 'risk' }", ["routes[0].match.kind"]),
        ("[[routes]]\nchannels = []\nmatch = { symbol = [] }", ["routes[0].match.symbol"]),
        ("[[routes]]\nchannels = []\nmatch = { source = '' }", ["routes[0].match.source"]),
        (
            "[[routes]]\nname = 'a'\nchannels = 1\nmatch = { kind = 1 }\n[[routes]]\nname = 'a'\nchannels = []",
            ["routes[0].match.kind", "routes[0].channels", "routes[1].name"],
        ),
    ],
)
def test_parse_routes_with_faults_names_the_place_of_each(document: str, places: list[str]) -> None:
    """All faults are told at once, each by its place in the file."""
    with pytest.raises(ConfigurationError) as raised:
        parse_routes(tomllib.loads(document))
    assert [problem.split()[0] for problem in raised.value.problems] == places


def test_parse_routes_with_a_fault_never_shows_a_value() -> None:
    """A secret that somebody put in the wrong line stays out of the log."""
    document = tomllib.loads("[[routes]]\nchannels = 'hunter2'\nmatch = { severity = 'hunter2' }")
    with pytest.raises(ConfigurationError) as raised:
        parse_routes(document)
    assert "hunter2" not in str(raised.value)
