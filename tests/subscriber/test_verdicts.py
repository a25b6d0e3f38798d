"""docs/verdicts.md: every answer of a provider, run for real, and the page that tells of it."""

import re

import pytest

from tests.support.verdict_table import PAGE, page


@pytest.fixture(scope="module")
def told() -> str:
    """The page as it is."""
    return PAGE.read_text(encoding="utf-8")


def test_page_is_what_running_every_answer_says(told: str) -> None:
    """`python -m tests.support.verdict_table` rewrites it."""
    assert page() == told


@pytest.mark.parametrize(
    "code",
    [
        *("20003", "21211", "21610", "21617", "63015", "63016", "63018", "20429", "20500"),
        *("190", "130429", "131026", "131047", "131048", "131056", "132000", "132001", "132015"),
    ],
)
def test_page_tells_what_became_of_each_code(told: str, code: str) -> None:
    """In a row of what was run, not only in a table of meanings."""
    ran = told.partition("## The tables behind it")[0]
    assert re.search(rf"^\| [^|]+ \| \d+ \| {code} \| \w", ran, re.MULTILINE)


def test_page_has_no_secret(told: str) -> None:
    """Not even that of a test: what is masked here is masked everywhere."""
    assert not re.search(r"AAFake|EAAFake|fedcba98|0123456789abcdef|127\.0\.0\.1:\d", told)
