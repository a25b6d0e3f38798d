"""Channels that people switch off and on: what waits is suppressed for good, and no CRITICAL is lost."""

from __future__ import annotations

from typing import Final

from tests.support.scenario import AddSilence, Behave, Publish, Restart, Scenario, Switch, Told, Write

_ALL: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
"""
_BOTH: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram", "desk"]
"""
_QUIET: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
quiet_hours = ["tea"]
[quiet_hours.tea]
windows = ["Mon-Sun 09:00-09:30"]
"""
_CHAIN: Final = """
[[routes]]
name = "criticals"
match = { severity = "CRITICAL" }
channels = ["telegram"]
escalate = { ack_within = "5min", to = ["desk", "boss"], rounds = 2 }
"""
_FOLDS: Final = {"ALERTBUS_MAX_DELAY": "30"}
_TWO: Final = ("telegram", "desk")
_THREE: Final = ("telegram", "desk", "boss")

SCENARIOS: Final = (
    Scenario(
        name="switch-in-a-storm",
        says="Switched off in the middle of a storm: what waits is told to nobody, also when it is switched on again.",
        toml=_ALL,
        inputs=(
            Publish(at="09:00", event="E{n}", text="storm {n}.", symbol="S{n}", count=40),
            Switch(at="09:00:10", channels=("telegram",), enabled=False),
            Publish(at="09:05", event="E{n}", text="while it is off {n}.", symbol="S{n}", count=3),
            Switch(at="09:10", channels=("telegram",), enabled=True),
            Publish(at="09:15", text="fresh"),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("storm ",), within=10.5, count=12),
            Told(channel="telegram", at="09:15", has=("fresh",)),
        ),
        states={"telegram": {"accepted": 13, "suppressed": 31}},
    ),
    Scenario(
        name="switch-last-channel",
        says="A CRITICAL that waits while every channel is off goes out by the first that is switched on, and once.",
        channels=_TWO,
        toml=_ALL,
        inputs=(
            Switch(at="09:00", channels=_TWO, enabled=False),
            Publish(at="09:01", severity="CRITICAL", event="MARGIN_CALL", text="margin call"),
            Publish(at="09:02", text="volatile"),
            Restart(at="09:05", killed=True),
            Switch(at="09:10", channels=("desk",), enabled=True),
            Switch(at="09:20", channels=("telegram",), enabled=True),
        ),
        told=(Told(channel="desk", at="09:10", has=("margin call", "another channel could not")),),
        states={"telegram": {"suppressed": 2}, "desk": {"accepted": 1}},
    ),
    Scenario(
        name="switch-back",
        says="A CRITICAL that a channel dropped, for another was to tell it, goes out there once only that one is on.",
        channels=_TWO,
        toml=_BOTH,
        inputs=(
            Behave(at="09:00", provider="telegram", how="down"),
            Behave(at="09:00", provider="hook", how="down"),
            Publish(at="09:00", severity="CRITICAL", event="MARGIN_CALL", text="margin call"),
            Switch(at="09:01", channels=("desk",), enabled=False),
            Switch(at="09:02", channels=("telegram",), enabled=False),
            Behave(at="09:03", provider="telegram", how="well"),
            Behave(at="09:03", provider="hook", how="well"),
            Switch(at="09:10", channels=("desk",), enabled=True),
        ),
        told=(Told(channel="desk", at="09:10", has=("margin call", "another channel could not")),),
        states={"telegram": {"suppressed": 1}, "desk": {"suppressed": 1, "accepted": 1}},
    ),
    Scenario(
        name="switch-own-channel",
        says="The same where its own channel is the first: it goes out there, with its escalation.",
        channels=_THREE,
        toml=_CHAIN,
        inputs=(
            Switch(at="09:00", channels=_THREE, enabled=False),
            Publish(at="09:01", severity="CRITICAL", event="MARGIN_CALL", text="margin call"),
            Switch(at="09:30", channels=("telegram", "desk"), enabled=True),
        ),
        told=(
            Told(channel="telegram", at="09:30", has=("margin call",)),
            Told(channel="desk", at="09:30", has=("margin call", "escalation 1")),
            Told(channel="desk", at="09:35", has=("margin call", "escalation 3")),
        ),
        states={"telegram": {"accepted": 1}, "desk": {"accepted": 2}},
    ),
    Scenario(
        name="switch-covered-critical",
        says="A CRITICAL that another channel tells as well is not handed over; a WARNING never is.",
        channels=_TWO,
        toml=_BOTH,
        inputs=(
            Behave(at="09:00", provider="telegram", how="down"),
            Publish(at="09:00", severity="CRITICAL", event="MARGIN_CALL", text="margin call"),
            Publish(at="09:00", text="volatile"),
            Switch(at="09:00:30", channels=("telegram",), enabled=False),
            Behave(at="09:01", provider="telegram", how="well"),
            Switch(at="09:10", channels=("telegram",), enabled=True),
        ),
        told=(
            Told(channel="desk", at="09:00", has=("margin call",)),
            Told(channel="desk", at="09:00", has=("volatile",)),
        ),
        states={"telegram": {"suppressed": 2}, "desk": {"accepted": 2}},
    ),
    Scenario(
        name="switch-in-doubt",
        says="In doubt when its channel is switched off: a WARNING ends so, a CRITICAL is told by another as a repeat.",
        channels=_TWO,
        toml=_ALL,
        inputs=(
            Behave(at="09:00", provider="telegram", how="drops", most=2),
            Publish(at="09:00", severity="CRITICAL", event="MARGIN_CALL", text="margin call"),
            Publish(at="09:00", text="volatile"),
            Switch(at="09:00:01", channels=("telegram",), enabled=False),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("margin call",)),
            Told(channel="telegram", at="09:00", has=("volatile",)),
            Told(channel="desk", at="09:00:01", has=("margin call", "Possible repeat")),
        ),
        states={"telegram": {"suppressed": 2}, "desk": {"accepted": 1}},
    ),
    Scenario(
        name="switch-open-digest",
        says="A digest that waits to be tried again is dropped with its channel; its CRITICAL is told by another.",
        channels=_TWO,
        toml=_ALL,
        environ=_FOLDS,
        inputs=(
            Behave(at="09:00", provider="telegram", how="down"),
            Publish(at="09:00", event="E{n}", text="storm {n}.", symbol="S{n}", count=40),
            Publish(at="09:00", severity="CRITICAL", event="C{n}", text="call {n}.", symbol="S{n}", count=40),
            Switch(at="09:02", channels=("telegram",), enabled=False),
            Behave(at="09:03", provider="telegram", how="well"),
            Switch(at="09:10", channels=("telegram",), enabled=True),
        ),
        told=(Told(channel="desk", at="09:02", has=("call ", "Possible repeat"), count=40),),
        states={"telegram": {"suppressed": 80}, "desk": {"accepted": 40}},
    ),
    Scenario(
        name="switch-quiet-hours",
        says="What quiet hours hold is dropped with its channel: at their end nothing is told.",
        channels=_TWO,
        toml=_QUIET,
        inputs=(
            Publish(at="09:05", text="volatile"),
            Switch(at="09:10", channels=("telegram",), enabled=False),
            Switch(at="09:20", channels=("telegram",), enabled=True),
            Publish(at="09:25", text="held to the end"),
        ),
        told=(Told(channel="telegram", at="09:30", has=("held to the end",), lacks=("volatile",)),),
        states={"telegram": {"accepted": 1, "suppressed": 1}},
    ),
    Scenario(
        name="switch-silence",
        says="A CRITICAL that a silence holds is handed over, and told when the silence ends.",
        channels=_TWO,
        toml=_ALL,
        inputs=(
            AddSilence(at="09:00", name="tea", match={"symbol": "TNA"}, seconds=1200.0, lets_critical=False),
            Publish(at="09:05", severity="CRITICAL", event="MARGIN_CALL", text="margin call"),
            Switch(at="09:10", channels=("telegram",), enabled=False),
        ),
        told=(Told(channel="desk", at="09:20", has=("margin call",)),),
        states={"telegram": {"suppressed": 1}, "desk": {"accepted": 1}},
    ),
    Scenario(
        name="switch-escalation",
        says="A turn of an escalation passes over a channel that is off; while all are off, the turns wait.",
        channels=_THREE,
        toml=_CHAIN,
        inputs=(
            Publish(at="09:00", severity="CRITICAL", event="MARGIN_CALL", text="margin call"),
            Switch(at="09:01", channels=("desk",), enabled=False),
            Switch(at="09:06", channels=("telegram", "boss"), enabled=False),
            Switch(at="09:30", channels=("boss",), enabled=True),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("margin call",)),
            Told(channel="boss", at="09:05", has=("margin call", "escalation 2")),
            Told(channel="boss", at="09:30", has=("margin call", "escalation 4")),
        ),
        states={"telegram": {"accepted": 1}, "boss": {"accepted": 2}},
    ),
    Scenario(
        name="switch-commands",
        says="Commands in the chat of a channel that is off still work, and are answered there.",
        channels=_THREE,
        toml=_CHAIN,
        environ={"ALERTBUS_TELEGRAM_COMMANDS": "true"},
        inputs=(
            Publish(at="09:00", severity="CRITICAL", event="MARGIN_CALL", text="margin call"),
            Switch(at="09:01", channels=("telegram",), enabled=False),
            Write(at="09:02", text="/ack"),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("margin call",)),
            Told(channel="telegram", at="09:02", has=("Acknowledged: MARGIN_CALL TNA",), silent=True),
        ),
        states={"telegram": {"accepted": 1}},
    ),
    Scenario(
        name="switch-two-daemons",
        says="Two daemons on one database: both follow the switch, and each alert ends once.",
        channels=_TWO,
        toml=_ALL,
        daemons=2,
        databases=("postgresql",),
        inputs=(
            Behave(at="09:00", provider="telegram", how="down"),
            Publish(at="09:00", event="E{n}", text="storm {n}.", symbol="S{n}", count=6),
            Publish(at="09:00:05", severity="CRITICAL", event="MARGIN_CALL", text="margin call"),
            Switch(at="09:00:05", channels=("telegram",), enabled=False),
            Behave(at="09:04", provider="telegram", how="well"),
            Publish(at="09:05", severity="CRITICAL", event="KILL_SWITCH", text="kill switch"),
            Restart(at="09:06", killed=True),
            Publish(at="09:07", text="volatile"),
            Switch(at="09:10", channels=("telegram",), enabled=True),
            Publish(at="09:15", text="fresh"),
        ),
        told=(
            Told(channel="desk", at="09:00:05", has=("margin call",)),
            Told(channel="desk", at="09:05", has=("kill switch",)),
            Told(channel="telegram", at="09:15", has=("fresh",)),
        ),
        states={"telegram": {"accepted": 1, "suppressed": 9}, "desk": {"accepted": 2}},
    ),
)
