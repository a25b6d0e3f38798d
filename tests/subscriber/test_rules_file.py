"""Quiet hours and templates of the TOML file with their faults, and what in the whole looks like a mistake."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriber.errors import RoutingError
from subscriber.policy.hours_file import Zones
from subscriber.policy.reading import PolicyDocument
from subscriber.policy.routing import Defaults
from subscriber.policy.rules import TemplateText
from subscriber.policy.rules_file import rules_of
from subscriber.setting_groups import zone_of
from tests.subscriber.test_routes_file import CANARY, CHANNELS, REST, problems_of, read

ESCALATES = '[[routes]]\nchannels = []\ncontinue = true\nescalate = { to = ["desk"] }\n'


@pytest.mark.parametrize(
    ("lines", "line", "place", "words"),
    [
        ("", 1, "windows", 'must be a list of windows, such as ["Mon-Sun 22:00-07:00"]'),
        (f'windows = ["{CANARY}"]', 2, "windows[0]", "must be a window such as"),
        ('windows = [\n"22:00-07:00",\n1]', 4, "windows[1]", "must be a window such as"),
        ('windows = ["00:00-24:00"]', 2, "windows", "must leave some time in the week that is not quiet"),
        ('windows = ["07:00-22:00", "22:00-07:00"]', 2, "windows", "must leave some time in the week"),
        ('windows = ["1:00-2:00"]\ntimezone = "Mars"', 3, "timezone", "must be a time zone's name"),
        ('windows = ["1:00-2:00"]\nchannels = ["x"]', 3, "channels[0]", "is not the name of any channel"),
        ('windows = ["1:00-2:00"]\ncritical = "dropped"', 3, "critical", "must be through or held"),
        ('windows = ["1:00-2:00"]\nothers = "through"', 3, "others", "must be held or dropped"),
        ('windows = ["1:00-2:00"]\nwindow = 1', 3, "window", "is not known; did you mean windows?"),
    ],
)
def test_fault_of_quiet_hours_names_its_line_and_place(lines: str, line: int, place: str, words: str) -> None:
    (problem,) = problems_of(f"[quiet_hours.night]\n{lines}\n")
    assert problem.startswith(f"FILE line {line}: [quiet_hours.night] {place} ")
    assert words in problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("quiet_hours = 1", "FILE line 1: [quiet_hours] must be tables like [quiet_hours.name]."),
        ("[quiet_hours]\nnight = 1", "FILE line 2: [quiet_hours.night] must be a table."),
        ("templates = []", "FILE line 1: [templates] must be tables like [templates.name]."),
        ("[templates]\na = 1", "FILE line 2: [templates.a] must be a table."),
        (
            '[templates."a b"]\ntext = "x"',
            "FILE line 1: [templates.a b] must have a name of 1 to 32 letters, digits, - and _.",
        ),
    ],
)
def test_tables_in_a_wrong_form_are_refused(text: str, problem: str) -> None:
    assert problems_of(text) == [problem]


def test_quiet_hours_that_take_turns_are_refused() -> None:
    """What they hold would never be told."""
    text = '[quiet_hours.night]\nwindows = ["22:00-07:00"]\n[quiet_hours.day]\nwindows = ["07:00-22:00"]\n'
    (problem,) = problems_of(f'{text}[[routes]]\nchannels = ["desk"]\nquiet_hours = ["night", "day"]\n')
    assert problem.startswith("FILE line 7: routes[0].quiet_hours must leave some time in the week that is not quiet")
    (first,) = problems_of(text.replace('"]\n', '"]\nchannels = ["desk"]\n'))[:1]
    assert first.startswith("FILE line 3: [quiet_hours.night] channels must leave some time")
    read(f'{text}[[routes]]\nchannels = ["desk"]\nquiet_hours = ["night"]\n')


def test_quiet_hours_are_in_their_own_zone_or_the_daemons() -> None:
    found = read(
        '[quiet_hours.a]\nwindows = ["22:00-07:00"]\n[quiet_hours.b]\nwindows = ["Sat 1:00-2:00"]\n'
        'timezone = "Europe/Berlin"\nchannels = ["desk"]\ncritical = "held"\nothers = "dropped"\n'
    ).quiet_hours
    assert (str(found["a"].hours.zone), str(found["b"].hours.zone)) == ("UTC", "Europe/Berlin")
    assert (found["b"].channels, found["b"].holds_critical, found["b"].drops_others) == (("desk",), True, True)
    assert (found["a"].channels, found["a"].holds_critical, found["a"].drops_others) == ((), False, False)


@pytest.mark.parametrize(
    ("lines", "line", "place", "words"),
    [
        ("kinds = ['opaque']", 1, "text", "must be a text that is not empty"),
        ('text = "a\\n{{ event"', 2, "text", "must be a template that can be used: line 2"),
        (f'text = "{"x" * 10_001}"', 2, "text", "must be a text of 10000 characters at most"),
        (
            'text = "x"\nkinds = ["risk"]',
            3,
            "kinds[0]",
            'is not the name of any kind ("risk"); there are: agent_action',
        ),
        ('text = "x"\nchannels = ["x"]', 3, "channels[0]", "is not the name of any channel"),
        ('text = "x"\ntxt = ""', 3, "txt", "is not known; did you mean text?"),
    ],
)
def test_fault_of_a_template_names_its_line_and_place(lines: str, line: int, place: str, words: str) -> None:
    (problem,) = problems_of(f"[templates.short]\n{lines}\n")
    assert problem.startswith(f"FILE line {line}: [templates.short] {place} ")
    assert words in problem


def test_templates_are_kept_as_written() -> None:
    found = read(
        '[templates.a]\ntext = "{{ event }}"\nkinds = ["opaque"]\nchannels = ["desk"]\n[templates.b]\ntext = "b"'
    )
    assert list(found.templates.values()) == [
        TemplateText("a", "{{ event }}", ("opaque",), ("desk",)),
        TemplateText("b", "b"),
    ]


# --- hints -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "hints"),
    [
        (REST, []),
        (
            REST + '[[routes]]\nmatch = { symbol = "A" }\nchannels = []\n',
            ['FILE line 4: routes[1] is never reached: the route "rest" takes all that it would take.'],
        ),
        (REST + "continue = true\n[[routes]]\nchannels = []\n", []),
        (
            REST + '[[routes.routes]]\nmatch = { symbol = "T*" }\n[[routes.routes]]\nmatch = { symbol = "TNA" }\n',
            ['FILE line 6: routes[0].routes[1] is never reached: the route "routes[0].routes[0]" takes all'],
        ),
        (
            f'{REST}match = {{ severity = ">=WARNING" }}\n[[routes.routes]]\nmatch = {{ severity = "INFO" }}\n',
            ["FILE line 5: routes[0].routes[0] is never reached: nothing that the route above it takes"],
        ),
        (
            f'{REST}max_age = "1h"\n[[routes.routes]]\nname = "b"\n',
            ["FILE line 4: routes[0].max_age holds for CRITICAL"],
        ),
        (f'[[routes]]\nmatch = {{ severity = "WARNING" }}\nchannels = []\nmax_age = "1h"\n{REST}', []),
        (
            f'[[routes]]\nmatch = {{ severity = "INFO" }}\nchannels = []\nescalate = {{ to = ["desk"] }}\n{REST}',
            ["FILE line 4: routes[0].escalate does nothing: only a CRITICAL is escalated"],
        ),
        (
            f'{ESCALATES}{REST}escalate = {{ to = ["telegram"] }}\n',
            ['FILE line 8: routes[1].escalate does nothing for what the route "routes[0]" takes, too'],
        ),
        (
            f'{ESCALATES}{REST}escalate = {{ to = ["desk"] }}\n',
            [],
        ),
        (
            '[[routes]]\nmatch = { symbol = "TNA" }\nchannels = []\nescalate = { to = ["desk"] }\ncontinue = true\n'
            '[[routes]]\nmatch = { symbol = "UPRO" }\nchannels = []\nescalate = { to = ["telegram"] }\n' + REST,
            [],
        ),
    ],
)
def test_hints_tell_what_looks_like_a_mistake(text: str, hints: list[str]) -> None:
    found = read(text).hints
    assert len(found) == len(hints)
    assert all(hint.startswith(beginning) for hint, beginning in zip(found, hints, strict=True)), found


# --- whatever stands there ---------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 100)
    | st.floats(allow_nan=True)
    | st.sampled_from(
        ["", "!", "telegram", "night", "short", "5min", "never", "INFO", ">=INFO", "[", "{{", "on", "x\n"]
    )
    | st.dates(),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["telegram", "by", "window", "wait", "to", "rounds", "severity", "symbol", "text", "windows", "a\n"]
            ),
            below,
            max_size=3,
        )
    ),
    max_leaves=6,
)
ROUTE_KEYS = (
    *("name", "match", "channels", "continue", "max_age", "group", "dedup", "quiet_hours", "template", "fallback"),
    *("escalate", "routes", "other"),
)
ROUTES = st.dictionaries(st.sampled_from(ROUTE_KEYS), VALUES, max_size=4)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "routes": st.lists(ROUTES, max_size=3) | VALUES,
            "quiet_hours": st.dictionaries(st.sampled_from(["night", ""]), VALUES, max_size=2) | VALUES,
            "templates": st.dictionaries(st.sampled_from(["short", "\n"]), VALUES, max_size=2) | VALUES,
        },
    )
)
def test_whatever_a_file_says_is_read_or_refused_in_whole_sentences(tables: dict[str, Any]) -> None:
    problems: tuple[str, ...] = ()
    try:
        found = rules_of(PolicyDocument(tables), CHANNELS, defaults=Defaults(), zones=Zones(UTC, zone_of))
        json.dumps(found.fields())
    except RoutingError as error:
        problems = tuple(error.problems) or ("",)
    assert all(problem.isprintable() and problem.endswith((".", "?")) for problem in problems)
