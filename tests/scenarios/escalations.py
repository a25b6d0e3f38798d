"""Escalation: a CRITICAL that nobody acknowledges goes to the next channel, until somebody does or turns run out."""

from __future__ import annotations

from typing import Final

from tests.support.scenario import Acknowledge, AddSilence, Behave, Press, Publish, Restart, Scenario, Told, Write

_CHAIN: Final = """
[[routes]]
name = "criticals"
match = { severity = "CRITICAL" }
channels = ["telegram"]
escalate = { ack_within = "5min", to = ["desk", "boss"], rounds = 2 }
"""
_CALL: Final = Publish(at="09:00", severity="CRITICAL", event="MARGIN_CALL", text="margin call")
_CHANNELS: Final = ("telegram", "desk", "boss")
_COMMANDS: Final = {"ALERTBUS_TELEGRAM_COMMANDS": "true"}


def _stopped(name: str, says: str, stop: Acknowledge | Press | Write, *answers: Told) -> Scenario:
    """Return the story of an escalation that somebody stops after its first turn."""
    return Scenario(
        name=name,
        says=says,
        channels=_CHANNELS,
        toml=_CHAIN,
        environ=_COMMANDS,
        inputs=(_CALL, stop),
        told=(
            Told(channel="telegram", at="09:00", has=("margin call",)),
            Told(channel="desk", at="09:05", has=("margin call",)),
            *answers,
        ),
        states={"telegram": {"accepted": 1}, "desk": {"accepted": 1}},
    )


SCENARIOS: Final = (
    Scenario(
        name="escalation-to-the-end",
        says="Nobody answers: the desk, the boss, and both once more, five minutes apart, and then no more.",
        channels=_CHANNELS,
        toml=_CHAIN,
        inputs=(_CALL,),
        told=(
            Told(channel="telegram", at="09:00", has=("margin call",)),
            Told(channel="desk", at="09:05", has=("margin call",)),
            Told(channel="boss", at="09:10", has=("margin call",)),
            Told(channel="desk", at="09:15", has=("margin call",)),
            Told(channel="boss", at="09:20", has=("margin call",)),
        ),
        states={"telegram": {"accepted": 1}, "desk": {"accepted": 2}, "boss": {"accepted": 2}},
    ),
    _stopped(
        "escalation-acknowledged-by-api",
        "Acknowledged by API after the first turn: nobody further is woken.",
        Acknowledge(at="09:07", text="margin call"),
    ),
    _stopped(
        "escalation-acknowledged-by-button",
        "The same by the button below the message in Telegram.",
        Press(at="09:07", text="margin call", label="Acknowledge"),
    ),
    _stopped(
        "escalation-acknowledged-by-command",
        "The same by the command /ack, which is answered in the chat.",
        Write(at="09:07", text="/ack"),
        Told(channel="telegram", at="09:07", has=("Acknowledged: MARGIN_CALL TNA",), silent=True),
    ),
    Scenario(
        name="escalation-acknowledged-at-once",
        says="Acknowledged before the first turn: the first message was the only one.",
        channels=_CHANNELS,
        toml=_CHAIN,
        inputs=(_CALL, Acknowledge(at="09:04:59", text="margin call")),
        told=(Told(channel="telegram", at="09:00", has=("margin call",)),),
        states={"telegram": {"accepted": 1}},
    ),
    Scenario(
        name="escalation-restart",
        says="A restart between two turns changes neither their times nor how many there are.",
        channels=_CHANNELS,
        toml=_CHAIN,
        inputs=(
            _CALL,
            Restart(at="09:02", killed=True),
            Restart(at="09:12"),
            Acknowledge(at="09:17", text="margin call"),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("margin call",)),
            Told(channel="desk", at="09:05", has=("margin call",)),
            Told(channel="boss", at="09:10", has=("margin call",)),
            Told(channel="desk", at="09:15", has=("margin call",)),
        ),
        states={"telegram": {"accepted": 1}, "desk": {"accepted": 2}, "boss": {"accepted": 1}},
    ),
    Scenario(
        name="escalation-of-what-is-counted",
        says="A CRITICAL that repeats: who acknowledges each message that came has acknowledged what it counts, too.",
        channels=_CHANNELS,
        toml=_CHAIN,
        environ={**_COMMANDS, "ALERTBUS_DEDUP_WINDOW_CRITICAL": "10"},
        inputs=(
            Publish(at="09:00", severity="CRITICAL", event="MARGIN_CALL", text="call {n}.", count=30, every=1.0),
            *(Press(at="09:01", text=f"call {number}.", label="Acknowledge") for number in (1, 11, 21, 30)),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("call 1.",)),
            Told(channel="telegram", at="09:00:10", has=("call 11.", "9 more")),
            Told(channel="telegram", at="09:00:20", has=("call 21.", "9 more")),
            Told(channel="telegram", at="09:00:30", has=("call 30.", "8 more")),
        ),
        states={"telegram": {"accepted": 4, "suppressed": 26}},
    ),
    Scenario(
        name="escalation-warning",
        says="A WARNING of the same route escalates nothing.",
        channels=_CHANNELS,
        toml=_CHAIN.replace('severity = "CRITICAL"', 'severity = ">=WARNING"'),
        inputs=(Publish(at="09:00", text="volatility"),),
        told=(Told(channel="telegram", at="09:00", has=("volatility",)),),
        states={"telegram": {"accepted": 1}},
    ),
    Scenario(
        name="escalation-two-daemons",
        says="Two daemons on one PostgreSQL look after the same escalations and silences: each turn is taken once.",
        channels=_CHANNELS,
        daemons=2,
        databases=("postgresql",),
        toml=f'{_CHAIN}[[routes]]\nname = "rest"\nmatch = {{ severity = "WARNING" }}\nchannels = ["telegram"]\n',
        inputs=(
            _CALL,
            AddSilence(at="09:01", name="work", match={"severity": "WARNING"}, seconds=600.0, drops=True),
            Publish(at="09:02", text="volatility, time {n}", count=10, every=50.0),
            Acknowledge(at="09:17", text="margin call"),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("margin call",)),
            Told(channel="telegram", at="09:11", has=("volatility, time 10",)),
            Told(channel="desk", at="09:05", has=("margin call",)),
            Told(channel="desk", at="09:15", has=("margin call",)),
            Told(channel="boss", at="09:10", has=("margin call",)),
        ),
        states={"telegram": {"accepted": 2, "suppressed": 9}, "desk": {"accepted": 2}, "boss": {"accepted": 1}},
    ),
    Scenario(
        name="escalation-channel-down",
        says="The chat is down when a CRITICAL comes: the turns go on all the same, and it tells it when it is back.",
        channels=_CHANNELS,
        toml=_CHAIN,
        environ={"ALERTBUS_FALLBACK_AFTER": "off"},
        inputs=(
            Behave(at="09:00", provider="telegram", how="down"),
            _CALL,
            Acknowledge(at="09:12", text="margin call"),
            Behave(at="09:30", provider="telegram", how="well"),
        ),
        told=(
            Told(channel="desk", at="09:05", has=("margin call",)),
            Told(channel="boss", at="09:10", has=("margin call",)),
            Told(channel="telegram", at="09:30", within=60.0, has=("margin call",)),
        ),
        states={"telegram": {"accepted": 1}, "desk": {"accepted": 1}, "boss": {"accepted": 1}},
    ),
)
