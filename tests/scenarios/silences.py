"""Silences: what they hold is told at their end, what they drop is told again only while it is still true."""

from __future__ import annotations

from typing import Final

from tests.support.scenario import AddSilence, EndSilence, Press, Publish, Restart, Scenario, Told, Write

_ALL: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
"""
_QUIET: Final = f"""{_ALL}quiet_hours = ["night"]
[quiet_hours.night]
windows = ["Mon-Sun 22:00-07:00"]
"""
_TNA: Final = {"symbol": "TNA"}

SCENARIOS: Final = (
    Scenario(
        name="silence-held",
        says="What a silence holds is told in one message at its end; what it does not match comes at once.",
        until="+2h",
        toml=_ALL,
        inputs=(
            AddSilence(at="09:10", name="lunch", match=_TNA, seconds=3600),
            Publish(at="09:20", text="TNA once"),
            Publish(at="09:25", text="UPRO is another one", symbol="UPRO"),
            Publish(at="09:30", text="TNA twice", event="SPREAD_WIDE"),
        ),
        told=(
            Told(channel="telegram", at="09:25", has=("UPRO is another one",)),
            Told(channel="telegram", at="10:10", has=("2 alerts", "TNA"), lacks=("UPRO",)),
        ),
        states={"telegram": {"accepted": 1, "folded": 2}},
    ),
    Scenario(
        name="silence-ended-early",
        says="Ended before its time, a silence gives what it held away at once, and holds nothing more.",
        until="+2h",
        toml=_ALL,
        inputs=(
            AddSilence(at="09:10", name="lunch", match=_TNA, seconds=3600),
            Publish(at="09:20", text="TNA once"),
            Publish(at="09:30", text="TNA twice", event="SPREAD_WIDE"),
            EndSilence(at="09:40", name="lunch"),
            Publish(at="09:41", text="TNA after it"),
        ),
        told=(
            Told(channel="telegram", at="09:40", has=("2 alerts", "TNA")),
            Told(channel="telegram", at="09:41", has=("TNA after it",)),
        ),
        states={"telegram": {"accepted": 1, "folded": 2}},
    ),
    Scenario(
        name="silence-still-true",
        says="A silence that drops ends while the condition holds: its newest alert is told again, older ones never.",
        until="+2h",
        toml=_ALL,
        inputs=(
            AddSilence(at="09:10", name="work", match=_TNA, seconds=3600, drops=True),
            Publish(at="09:20", text="volatility, time {n}", count=10, every=300.0),
        ),
        told=(Told(channel="telegram", at="10:10", has=("volatility, time 10",), lacks=("time 9",)),),
        states={"telegram": {"accepted": 1, "suppressed": 9}},
    ),
    Scenario(
        name="silence-no-longer-true",
        says="What was dropped and is no longer true at the end of a silence is told by nobody.",
        until="+2h",
        toml=_ALL,
        inputs=(
            AddSilence(at="09:10", name="work", match=_TNA, seconds=3600, drops=True),
            Publish(at="09:20", text="over by then"),
            Publish(at="10:05", text="still so", event="SPREAD_WIDE"),
        ),
        told=(Told(channel="telegram", at="10:10", has=("still so",), lacks=("over by then",)),),
        states={"telegram": {"accepted": 1, "suppressed": 1}},
    ),
    Scenario(
        name="silence-critical",
        says="CRITICAL comes through a silence, unless it says that it holds CRITICAL too.",
        until="+2h",
        toml=_ALL,
        inputs=(
            AddSilence(at="09:10", name="deaf", match={"symbol": "UPRO"}, seconds=3600, lets_critical=False),
            AddSilence(at="09:10", name="lunch", match=_TNA, seconds=3600),
            Publish(at="09:20", severity="CRITICAL", event="MARGIN_CALL", text="through"),
            Publish(at="09:20", severity="CRITICAL", event="MARGIN_CALL", text="held", symbol="UPRO"),
        ),
        told=(
            Told(channel="telegram", at="09:20", has=("through",)),
            Told(channel="telegram", at="10:10", has=("held",)),
        ),
        states={"telegram": {"accepted": 2}},
    ),
    Scenario(
        name="silence-restart",
        says="A daemon that begins during a silence keeps to it, and tells what the one before held.",
        until="+2h",
        toml=_ALL,
        inputs=(
            AddSilence(at="09:10", name="lunch", match=_TNA, seconds=3600),
            Publish(at="09:20", text="TNA once"),
            Restart(at="09:25", killed=True),
            Publish(at="09:30", text="TNA twice", event="SPREAD_WIDE"),
            Restart(at="10:09:59"),
        ),
        told=(Told(channel="telegram", at="10:10", has=("2 alerts", "TNA")),),
        states={"telegram": {"folded": 2}},
    ),
    Scenario(
        name="silence-into-the-night",
        says="A silence that ends in quiet hours: what it held comes at the end of these.",
        start="2026-01-14 21:00",
        until="+1 08:00",
        toml=_QUIET,
        inputs=(
            AddSilence(at="21:10", name="dinner", match=_TNA, seconds=2 * 3600),
            Publish(at="21:20", text="TNA at dinner"),
        ),
        told=(Told(channel="telegram", at="+1 07:00", has=("TNA at dinner",)),),
        states={"telegram": {"accepted": 1}},
    ),
    Scenario(
        name="silence-ended-in-the-night",
        says="A silence that is ended in quiet hours wakes nobody: what it held comes at the end of these.",
        start="2026-01-14 23:00",
        until="+1 09:00",
        toml=_QUIET,
        inputs=(
            AddSilence(at="23:05", name="long", match=_TNA, seconds=10 * 3600.0),
            Publish(at="23:10", text="TNA at night"),
            EndSilence(at="+1 03:00", name="long"),
        ),
        told=(Told(channel="telegram", at="+1 07:00", has=("TNA at night",)),),
        states={"telegram": {"accepted": 1}},
    ),
    Scenario(
        name="silence-that-drops-over-in-the-night",
        says="A silence that drops is over in quiet hours: what still holds is told again at their end.",
        start="2026-01-14 23:00",
        until="+1 09:00",
        toml=_QUIET,
        inputs=(
            AddSilence(at="23:05", name="work", match=_TNA, seconds=4 * 3600 - 300.0, drops=True),
            Publish(at="+1 02:55", text="TNA at night"),
        ),
        told=(Told(channel="telegram", at="+1 07:00", has=("TNA at night",)),),
        states={"telegram": {"accepted": 1}},
    ),
    Scenario(
        name="silence-within-another",
        says="The longer of two silences is ended early: what the other one holds as well waits for that one's end.",
        until="+4h",
        toml=_ALL,
        inputs=(
            AddSilence(at="09:05", name="desk", match={}, seconds=7200.0),
            AddSilence(at="09:06", name="long", match=_TNA, seconds=3 * 3600.0),
            Publish(at="09:10", text="TNA once"),
            Publish(at="09:10", text="UPRO once", symbol="UPRO"),
            EndSilence(at="09:30", name="long"),
        ),
        told=(Told(channel="telegram", at="11:05", has=("2 alerts", "TNA", "UPRO")),),
        states={"telegram": {"folded": 2}},
    ),
    Scenario(
        name="silence-by-button",
        says="*Mute 1 h* below a message in Telegram holds what is like it for an hour, and nothing else.",
        until="+2h",
        toml=_ALL,
        environ={"ALERTBUS_TELEGRAM_COMMANDS": "true"},
        inputs=(
            Publish(at="09:00", text="too often"),
            Press(at="09:10", text="too often", label="Mute 1 h"),
            Publish(at="09:20", text="too often again"),
            Publish(at="09:21", text="of another symbol", symbol="UPRO"),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("too often",)),
            Told(channel="telegram", at="09:21", has=("of another symbol",)),
            Told(channel="telegram", at="10:10", has=("too often again",)),
        ),
        states={"telegram": {"accepted": 3}},
    ),
    Scenario(
        name="silence-by-button-without-symbol",
        says="*Mute 1 h* below a CRITICAL without a symbol holds those without one; that of a symbol is told at once.",
        until="+2h",
        toml=_ALL,
        environ={"ALERTBUS_TELEGRAM_COMMANDS": "true"},
        inputs=(
            Publish(at="09:00", text="the whole account", severity="CRITICAL", event="MARGIN_CALL", symbol=None),
            Press(at="09:10", text="the whole account", label="Mute 1 h"),
            Publish(at="09:20", text="the account again", severity="CRITICAL", event="MARGIN_CALL", symbol=None),
            Publish(at="09:21", text="one position", severity="CRITICAL", event="MARGIN_CALL"),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("the whole account",)),
            Told(channel="telegram", at="09:21", has=("one position",)),
            Told(channel="telegram", at="10:10", has=("the account again",)),
        ),
        states={"telegram": {"accepted": 3}},
    ),
    Scenario(
        name="silence-of-trades",
        says="`/mute 1h BUY` holds what was bought for an hour; what is sold is told at once.",
        until="+2h",
        toml='[[routes]]\nname = "all"\nchannels = ["telegram"]\n',
        environ={"ALERTBUS_TELEGRAM_COMMANDS": "true"},
        inputs=(
            Write(at="09:05", text="/mute 1h BUY"),
            Publish(at="09:10", action="BUY"),
            Publish(at="09:11", action="SELL"),
        ),
        told=(
            Told(channel="telegram", at="09:05", has=("Muted: action BUY",), silent=True),
            Told(channel="telegram", at="09:11", has=("SELL",)),
            Told(channel="telegram", at="10:05", has=("BUY",)),
        ),
        states={"telegram": {"accepted": 2}},
    ),
)
