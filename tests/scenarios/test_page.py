"""docs/scenarios.md: the table of the scenarios, as people read it."""

from __future__ import annotations

import re

from tests.scenarios.table import all_scenarios
from tests.support.scenario_page import PAGE, page


def test_page_is_what_the_table_says() -> None:
    """`python -m tests.support.scenario_page` rewrites it."""
    assert page() == PAGE.read_text(encoding="utf-8")


def test_page_tells_of_every_scenario_once() -> None:
    """By its name, which is its own."""
    names = [scenario.name for scenario in all_scenarios()]
    assert re.findall(r"^### (\S+)$", page(), re.MULTILINE) == names
    assert len(names) == len(set(names))
