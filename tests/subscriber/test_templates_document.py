"""docs/templates.md: its examples work, and it names all that a template may use, and nothing else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from subscriber.policy import sandbox, templates
from subscriber.policy.matching import KINDS
from subscriber.policy.rendering import render
from subscriber.policy.template_budget import CHARACTERS_A_TURN, INTEGER_BITS
from subscriber.policy.templates import Template, sample_alert
from tests.subscriber.test_rendering import PLAIN, ZONE

DOCUMENT: Final = (Path(__file__).parents[2] / "docs/templates.md").read_text(encoding="utf-8")
EXAMPLES: Final = re.findall(r"^```jinja\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)
(TOML,) = re.findall(r"^```toml\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)


def code_in(text: str) -> set[str]:
    """Return the words that stand in it as code."""
    return set(re.findall(r"`([a-z_]+)`", text))


def first_column(header: str) -> set[str]:
    """Return the code in the first column of the table with this header."""
    table = DOCUMENT.partition(f"| {header} | what |\n|---|---|\n")[2].partition("\n\n")[0]
    return set().union(*(code_in(row.split("|")[1]) for row in table.split("\n")))


@pytest.mark.parametrize("text", [*EXAMPLES, tomllib.loads(TOML)["templates"]["short"]["text"]])
@pytest.mark.parametrize("kind", KINDS)
def test_example_can_be_filled_in(text: str, kind: str) -> None:
    """For a sample of each kind."""
    faults: list[str] = []
    message = render(sample_alert(kind), PLAIN, ZONE, template=Template("t", text), on_fault=faults.append)
    assert faults == []
    assert "order 1234567" in message.text or "order" not in text or kind == "opaque"


def test_table_of_names_is_complete() -> None:
    """A name that is not in the document would be found by nobody."""
    assert first_column("name") == set(templates.VARIABLES)


def test_filters_tests_and_methods_are_complete() -> None:
    """The lists are those of the code."""
    listed = DOCUMENT.partition("Of Jinja2's own there are the filters")[2].partition("There are no macros")[0]
    filters, _, rest = listed.partition("the tests")
    tests, _, rest = rest.partition("the function")
    methods = rest.partition("of a text")[2]
    own = {"count", "join", "replace", "round"}
    assert code_in(filters) == set(sandbox._FILTERS) | own
    assert code_in(tests) == set(sandbox._TESTS)
    assert code_in(methods) == sandbox._TEXT_METHODS
    assert first_column("filter") == {"number", "money", "local", "default", "d"}
    assert code_in(filters) | first_column("filter") == {
        name for name in templates._SANDBOX.filters if not name.startswith("_")
    }


def test_limits_are_those_of_the_code() -> None:
    """Numbers that a person plans with."""
    numbers = re.findall(r"^\| .* \| ([\d,]+)(?: characters)? \|$", DOCUMENT, re.MULTILINE)
    limits = (
        *(sandbox.TEMPLATE_LIMIT, sandbox.OUTPUT_LIMIT, sandbox.TURNS_LIMIT, sandbox.RANGE_LIMIT),
        *(sandbox.ROUND_LIMIT, INTEGER_BITS),
    )
    assert f"each {CHARACTERS_A_TURN} characters" in DOCUMENT
    assert [int(number.replace(",", "")) for number in numbers] == list(limits)
