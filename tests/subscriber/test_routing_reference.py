"""`docs/routing.md` tells of every key that the file may have, and of no other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from subscriber.policy.fingerprints import FIELDS
from subscriber.policy.rules_file import POLICY_TABLES
from tests.subscriber.test_routes_file import problems_of

PAGE: Final = (Path(__file__).parents[2] / "docs" / "routing.md").read_text(encoding="utf-8")


def keys_told(heading: str) -> set[str]:
    """Return the keys in the table below a heading."""
    section = re.split(r"^#+ ", PAGE.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize(
    ("heading", "text"),
    [
        ("Keys of a route", "[[routes]]\nchannels = ['desk']\nxyz = 1"),
        ("match", "[[routes]]\nchannels = ['desk']\nmatch.xyz = 1"),
        ("group", "[[routes]]\nchannels = ['desk']\ngroup.xyz = 1"),
        ("dedup", "[[routes]]\nchannels = ['desk']\ndedup.xyz = 1"),
        ("escalate", "[[routes]]\nchannels = ['desk']\nescalate = { to = ['desk'], xyz = 1 }"),
        ("Quiet hours", "[quiet_hours.night]\nwindows = ['1:00-2:00']\nxyz = 1"),
    ],
)
def test_page_tells_of_every_key_and_of_no_other(heading: str, text: str) -> None:
    (problem,) = problems_of(text)
    known = set(problem.partition("known here: ")[2].rstrip(".").split(", "))
    assert keys_told(heading) == known - {"routes"}


def test_page_shows_every_table_and_field() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert tomllib.loads(example).keys() == {"channels", *POLICY_TABLES}
    assert all(f"`{name}`" in PAGE for name in FIELDS)
