"""The scenarios' own check: what differs from the table is said, whatever it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from subscriber.duties import Duties
from tests.support.scenario import Publish, Scenario, Told
from tests.support.scenario_run import Played, differences, play

_STORY = Scenario(
    name="story",
    says="Two alerts.",
    toml='[[routes]]\nmatch = { severity = ">=WARNING" }\nchannels = ["telegram"]\n',
    inputs=(Publish(at="09:00", text="one"), Publish(at="09:10", text="two", symbol="UPRO")),
    told=(Told(channel="telegram", at="09:00", has=("one",)), Told(channel="telegram", at="09:10", has=("two",))),
    states={"telegram": {"accepted": 2}},
)

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.fixture
def played(store_url: str, tmp_path: Path) -> Played:
    """What came of the story."""
    return play(_STORY, tmp_path, store_url)


def test_play_of_a_story_as_it_is_told_has_no_difference(played: Played) -> None:
    """The story is a true one."""
    assert differences(_STORY, played) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"told": _STORY.told[:1]}, "telegram: too many"),
        ({"told": (*_STORY.told, Told(channel="telegram", at="09:20"))}, "telegram: missing: 09:20"),
        ({"told": (_STORY.told[0], replace(_STORY.told[1], at="09:09"))}, "telegram 2: not at 09:09 (+60.000 s)"),
        ({"told": (_STORY.told[0], replace(_STORY.told[1], at="09:11"))}, "telegram 2: not at 09:11 (-60.000 s)"),
        ({"told": (_STORY.told[0], replace(_STORY.told[1], has=("three",)))}, "telegram 2: lacks ['three']"),
        ({"told": (_STORY.told[0], replace(_STORY.told[1], lacks=("two",)))}, "telegram 2: lacks [], has ['two']"),
        ({"told": (_STORY.told[0], replace(_STORY.told[1], silent=True))}, "telegram 2: silent is False"),
        ({"states": {"telegram": {"accepted": 1, "folded": 1}}}, "states: "),
    ],
)
def test_differences_from_another_table_are_said(played: Played, changes: dict[str, Any], said: str) -> None:
    """Each of them, and nothing else."""
    (found,) = differences(replace(_STORY, **changes), played)
    assert found.startswith(said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"faults": ("a fault",)}, "audit: a fault"),
        ({"failures": ("a bug",)}, "logged: a bug"),
        ({"refused": 2}, "2 messages came too fast for their provider"),
    ],
)
def test_differences_tell_of_what_is_wrong_inside(played: Played, changes: dict[str, Any], said: str) -> None:
    """An audit that does not balance, a bug that a daemon outlives, and a limit that was met."""
    assert differences(_STORY, replace(played, **changes)) == [said]


def test_play_with_a_bug_in_a_duty_says_so(store_url: str, tmp_path: Path) -> None:
    """A daemon outlives it and only logs it; a scenario does not."""
    with patch.object(Duties, "_escalate", side_effect=RuntimeError("a bug")):
        found = differences(_STORY, play(_STORY, tmp_path, store_url))
    assert found
    assert all("a bug" in each for each in found)
