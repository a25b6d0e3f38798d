"""What comes again and again, or together: counted within a window, and told by groups."""

from __future__ import annotations

from typing import Final

from tests.support.scenario import Behave, Publish, Restart, Scenario, SetClock, Told

_FIVE_MINUTES: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
dedup = { window = "5min", critical = "10s" }
[[routes]]
name = "trades"
match = { action = ["BUY", "SELL"] }
channels = ["telegram"]
"""
_TWO_MINUTES: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
max_age = "2min"
dedup = { window = "10min" }
"""
_GROUPS: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
group = { by = ["symbol"], wait = "30s", interval = "5min" }
"""

SCENARIOS: Final = (
    Scenario(
        name="dedup-forty-two",
        says="One alert and 42 like it within five minutes are two messages; the second has the newest values.",
        toml=_FIVE_MINUTES,
        inputs=(Publish(at="09:00", text="volatility, time {n}", count=43, every=5.0),),
        told=(
            Told(channel="telegram", at="09:00", has=("volatility, time 1",), lacks=("more in",)),
            Told(channel="telegram", at="09:05", has=("volatility, time 43", "41 more in")),
        ),
        states={"telegram": {"accepted": 2, "suppressed": 41}},
    ),
    Scenario(
        name="dedup-critical",
        says="A CRITICAL that comes again is counted for ten seconds only, and another one is never counted with it.",
        toml=_FIVE_MINUTES,
        inputs=(
            Publish(at="09:00", severity="CRITICAL", event="MARGIN_CALL", text="call {n}", count=4, every=3.0),
            Publish(at="09:00:05", severity="CRITICAL", event="MARGIN_CALL", text="UPRO, too", symbol="UPRO"),
            Publish(at="09:00:30", severity="CRITICAL", event="MARGIN_CALL", text="later"),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("call 1",)),
            Told(channel="telegram", at="09:00:05", has=("UPRO, too",)),
            Told(channel="telegram", at="09:00:10", has=("call 4", "2 more in")),
            Told(channel="telegram", at="09:00:30", has=("later",)),
        ),
        states={"telegram": {"accepted": 4, "suppressed": 2}},
    ),
    Scenario(
        name="dedup-trades",
        says="Trades are facts of their own: five that look the same are five messages.",
        toml=_FIVE_MINUTES,
        inputs=(Publish(at="09:00", action="BUY", count=5, every=10.0),),
        told=(
            Told(channel="telegram", at="09:00", has=("BUY",)),
            Told(channel="telegram", at="09:00:10", has=("BUY",)),
            Told(channel="telegram", at="09:00:20", has=("BUY",)),
            Told(channel="telegram", at="09:00:30", has=("BUY",)),
            Told(channel="telegram", at="09:00:40", has=("BUY",)),
        ),
        states={"telegram": {"accepted": 5}},
    ),
    Scenario(
        name="dedup-restart",
        says="A restart in the middle of a window begins no new one: the count goes on.",
        toml=_FIVE_MINUTES,
        inputs=(
            Publish(at="09:00", text="volatility, time {n}", count=10, every=10.0),
            Restart(at="09:02", killed=True),
            Publish(at="09:03", text="volatility again, time {n}", count=10, every=10.0),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("volatility, time 1",)),
            Told(channel="telegram", at="09:05", has=("volatility again, time 10", "18 more in")),
        ),
        states={"telegram": {"accepted": 2, "suppressed": 18}},
    ),
    Scenario(
        name="group-wait",
        says="Alerts of one symbol come together after 30 s, what follows five minutes later; CRITICAL comes alone.",
        toml=_GROUPS,
        inputs=(
            Publish(at="09:00", text="TNA, time {n}", event="EVENT_{n}", count=5, every=5.0),
            Publish(at="09:00:10", text="UPRO alone", symbol="UPRO"),
            Publish(at="09:00:12", severity="CRITICAL", event="MARGIN_CALL", text="not grouped"),
            Publish(at="09:01", text="TNA, next {n}", event="EVENT_{n}", count=3, every=5.0),
        ),
        told=(
            Told(channel="telegram", at="09:00:12", has=("not grouped",)),
            Told(channel="telegram", at="09:00:30", has=("5 alerts", "TNA"), lacks=("UPRO",)),
            Told(channel="telegram", at="09:00:40", has=("UPRO alone",)),
            Told(channel="telegram", at="09:05:30", has=("3 alerts", "TNA")),
        ),
        states={"telegram": {"accepted": 2, "folded": 8}},
    ),
    Scenario(
        name="group-counted",
        says="What is counted within a group is told by the group's next message, never between two of them.",
        until="09:11",
        toml=_GROUPS,
        environ={"ALERTBUS_DEDUP_WINDOW": "60"},
        inputs=tuple(
            Publish(at=f"09:00:{2 * kind:02}", event=f"KIND_{kind}", text="again {n}", count=30, every=20.0)
            for kind in range(10)
        ),
        told=(
            Told(channel="telegram", at="09:00:30", has=("10 alerts", "KIND_0", "KIND_9")),
            Told(channel="telegram", at="09:05:30", has=("10 alerts", "KIND_0", "KIND_9")),
            Told(channel="telegram", at="09:10:30", has=("10 alerts", "KIND_0", "KIND_9")),
        ),
        states={"telegram": {"folded": 30, "suppressed": 270}},
    ),
    Scenario(
        name="dedup-over-age",
        says="What is counted for ten minutes grows no older meanwhile, although its route gives alerts up after two.",
        toml=_TWO_MINUTES,
        inputs=(Publish(at="09:00", text="volatility, time {n}", count=43, every=1.0),),
        told=(
            Told(channel="telegram", at="09:00", has=("volatility, time 1",)),
            Told(channel="telegram", at="09:10", has=("volatility, time 43", "41 more in")),
        ),
        states={"telegram": {"accepted": 2, "suppressed": 41}},
    ),
    Scenario(
        name="group-restart",
        says="A restart while a group waits: it is told when it would have been, whole.",
        toml=_GROUPS,
        inputs=(
            Publish(at="09:00", text="TNA, time {n}", event="EVENT_{n}", count=3, every=5.0),
            Restart(at="09:00:12", killed=True),
            Publish(at="09:00:20", text="TNA, after it", event="LATER"),
        ),
        told=(Told(channel="telegram", at="09:00:30", has=("4 alerts", "TNA")),),
        states={"telegram": {"folded": 4}},
    ),
    Scenario(
        name="dedup-clock-set",
        says="A clock that is set forward by an hour ends no window: five minutes stay five minutes.",
        until="+2h",
        databases=("sqlite",),  # on PostgreSQL the daemons of several machines share the times, and none moves them
        toml=_FIVE_MINUTES,
        inputs=(
            Publish(at="09:00", text="volatility, time {n}", count=3, every=20.0),
            SetClock(at="09:02", seconds=3600.0),
            Publish(at="10:03", text="after it"),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("volatility, time 1",)),
            Told(channel="telegram", at="10:05", has=("after it", "2 more in")),
        ),
        states={"telegram": {"accepted": 2, "suppressed": 2}},
    ),
    Scenario(
        name="dedup-outage",
        says="The chat is away while the same comes every minute: it is told a few times, and all of it is counted.",
        toml=_FIVE_MINUTES,
        inputs=(
            Publish(at="09:00", text="volatility, time {n}.", count=30, every=60.0),
            Behave(at="09:01:30", provider="telegram", how="down"),
            Behave(at="09:40", provider="telegram", how="well"),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("time 1.",)),
            Told(channel="telegram", at="09:40", within=60.0, has=("time 6.", "4 more in", "ossible repeat")),
            Told(channel="telegram", at="09:40", within=60.0, has=("time 30.", "23 more in")),
        ),
        states={"telegram": {"accepted": 3, "suppressed": 27}},
    ),
    Scenario(
        name="defaults",
        says="Without a file: repeats of a minute are counted, trades go to Telegram only, INFO to nobody.",
        channels=("telegram", "whatsapp"),
        environ={"ALERTBUS_MAX_DELAY": "30", "ALERTBUS_DEDUP_WINDOW": "60", "ALERTBUS_DEDUP_WINDOW_CRITICAL": "10"},
        inputs=(
            Publish(at="09:00", text="volatility, time {n}", count=30, every=1.5),
            Publish(at="09:00:10", action="BUY", count=2, every=1.0),
            Publish(at="09:00:20", severity="INFO", event="HEARTBEAT", text="nobody reads this"),
            Publish(at="09:00:30", severity="CRITICAL", event="MARGIN_CALL", text="margin call"),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("volatility, time 1",)),
            Told(channel="telegram", at="09:00:10", has=("BUY",), count=2, within=2.0),
            Told(channel="telegram", at="09:00:30", has=("margin call",)),
            Told(channel="telegram", at="09:01", has=("volatility, time 30", "28 more in")),
            Told(channel="whatsapp", at="09:00", has=("volatility, time 1",)),
            Told(channel="whatsapp", at="09:00:30", has=("margin call",)),
            Told(channel="whatsapp", at="09:01", has=("volatility, time 30", "28 more in")),
        ),
        states={"telegram": {"accepted": 5, "suppressed": 28}, "whatsapp": {"accepted": 3, "suppressed": 28}},
    ),
)
