"""Dead letters that people have sent again: each is told once more, at once, and nobody else is woken for it."""

from __future__ import annotations

from typing import Final

from tests.support.scenario import AddSilence, Behave, Publish, Restart, Retry, Scenario, Switch, Told

_ALL: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
fallback = []
"""
_FALLBACK: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
fallback = ["desk", "boss"]
"""
_SHORT: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
max_age = "10min"
fallback = []
"""

SCENARIOS: Final = (
    Scenario(
        name="letter-again",
        says="What was refused for good is told when a person has it sent again, whatever silence holds its like.",
        toml=_ALL,
        inputs=(
            Behave(at="09:00", provider="telegram", how="refuses"),
            Publish(at="09:01", text="once more"),
            Behave(at="09:05", provider="telegram", how="well"),
            AddSilence(at="09:06", name="all", match={}, seconds=600),
            Retry(at="09:07"),
            Retry(at="09:08"),
        ),
        told=(Told(channel="telegram", at="09:07", has=("once more",), lacks=("Possible repeat",)),),
        states={"telegram": {"accepted": 1}},
    ),
    Scenario(
        name="letter-in-doubt",
        says="One that may have arrived before it was refused says so when it is sent again.",
        toml=_ALL,
        inputs=(
            Behave(at="09:00", provider="telegram", how="refuses"),
            Behave(at="09:00", provider="telegram", how="drops", most=1),
            Publish(at="09:01", text="perhaps twice"),
            Behave(at="09:05", provider="telegram", how="well"),
            Retry(at="09:07"),
        ),
        told=(
            Told(channel="telegram", at="09:01", has=("perhaps twice",)),
            Told(channel="telegram", at="09:07", has=("perhaps twice", "Possible repeat")),
        ),
        states={"telegram": {"accepted": 1}},
    ),
    Scenario(
        name="letter-refused-again",
        says="Refused again it is dead again, and no third channel is woken for what a fallback told.",
        channels=("telegram", "desk", "boss"),
        toml=_FALLBACK,
        inputs=(
            Behave(at="09:00", provider="telegram", how="refuses"),
            Publish(at="09:01", text="for the desk"),
            Retry(at="09:05"),
        ),
        told=(Told(channel="desk", at="09:01", has=("for the desk",)),),
        states={"telegram": {"dead": 1}, "desk": {"accepted": 1}},
    ),
    Scenario(
        name="letter-old",
        says="An old letter is not too old for a person, and never is again, however long its channel is down.",
        until="+2h",
        toml=_SHORT,
        inputs=(
            Behave(at="09:00", provider="telegram", how="refuses"),
            Publish(at="09:01", text="an hour old", event="FIRST"),
            Behave(at="09:05", provider="telegram", how="well"),
            Retry(at="10:00"),
            Behave(at="10:05", provider="telegram", how="refuses"),
            Publish(at="10:06", text="told late", event="SECOND"),
            Behave(at="10:10", provider="telegram", how="down"),
            Retry(at="10:11"),
            Behave(at="10:30", provider="telegram", how="well"),
        ),
        told=(
            Told(channel="telegram", at="10:00", has=("an hour old",)),
            Told(channel="telegram", at="10:30", within=60.0, has=("SECOND TNA", "told late"), lacks=("FIRST",)),
        ),
        states={"telegram": {"accepted": 2}},
    ),
    Scenario(
        name="letter-switched-off",
        says="A letter of a channel that is switched off stays, and is told when it is on and somebody asks again.",
        channels=("telegram", "desk"),
        toml=_ALL,
        inputs=(
            Behave(at="09:00", provider="telegram", how="refuses"),
            Publish(at="09:01", text="stays dead"),
            Behave(at="09:02", provider="telegram", how="well"),
            Switch(at="09:03", channels=("telegram",), enabled=False),
            Retry(at="09:04"),
            Switch(at="09:05", channels=("telegram",), enabled=True),
            Restart(at="09:06", killed=True),
            Retry(at="09:10"),
        ),
        told=(Told(channel="telegram", at="09:10", has=("stays dead",)),),
        states={"telegram": {"accepted": 1}},
    ),
)
