"""Providers in trouble: too old, too fast, refused, away; nothing is lost, and nothing is told a hundred times."""

from __future__ import annotations

from typing import Final

from tests.support.scenario import Behave, Publish, Restart, Scenario, Told

_HALF_HOUR: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
max_age = "30min"
"""
_ALL: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
"""
_FOLDS: Final = {"ALERTBUS_MAX_DELAY": "30"}

SCENARIOS: Final = (
    Scenario(
        name="outage-stale",
        says="After an outage of an hour nobody gets 25 stale messages: one names what expired, and the fresh is told.",
        until="+2h",
        toml=_HALF_HOUR,
        environ=_FOLDS,
        inputs=(
            Behave(at="09:00", provider="telegram", how="down"),
            Publish(at="09:01", text="stale {n}", event="EVENT_{n}", count=25, every=60.0),
            Publish(at="09:50", text="still fresh", event="FRESH"),
            Behave(at="10:00", provider="telegram", how="well"),
        ),
        told=(
            Told(channel="telegram", at="10:00", within=60.0, has=("still fresh",)),
            Told(channel="telegram", at="10:00", within=60.0, has=("25 alerts", "EVENT_1 TNA", "and 5 more")),
        ),
        states={"telegram": {"accepted": 2, "expired": 25}},
    ),
    Scenario(
        name="expired-restart",
        says="What expired and was told to nobody yet is told by the next daemon, once.",
        until="+2h",
        toml=_HALF_HOUR,
        environ=_FOLDS,
        inputs=(
            Behave(at="09:00", provider="telegram", how="down"),
            Publish(at="09:01", text="stale {n}", event="EVENT_{n}", count=5, every=1.0),
            Restart(at="09:35", killed=True),
            Behave(at="09:45", provider="telegram", how="well"),
            Restart(at="09:46"),
        ),
        told=(Told(channel="telegram", at="09:45", within=60.0, has=("5 alerts", "EVENT_5 TNA")),),
        states={"telegram": {"accepted": 1, "expired": 5}},
    ),
    Scenario(
        name="expired-in-storm",
        says="What expired while a channel was down is named in a message of its own, also in the storm after it.",
        until="+2h",
        toml=_HALF_HOUR,
        environ=_FOLDS,
        inputs=(
            Behave(at="09:00", provider="telegram", how="down"),
            Publish(at="09:01", text="stale {n}", event="STALE_{n}", count=5, every=1.0),
            Publish(at="09:35", text="fresh {n}", event="FRESH_{n}", count=60, every=1.0),
            Behave(at="09:40", provider="telegram", how="well"),
        ),
        told=(
            Told(channel="telegram", at="09:40", within=60.0, has=("60 alerts", "FRESH_1 TNA"), lacks=("EXPIRED",)),
            Told(channel="telegram", at="09:40", within=60.0, has=("5 alerts", "STALE_1 TNA", "STALE_5 TNA")),
        ),
        states={"telegram": {"accepted": 1, "expired": 5, "folded": 60}},
    ),
    Scenario(
        name="rate-limit",
        says="Telegram asks for ten minutes in a storm: nothing before they are over, then all of it in one.",
        toml=_ALL,
        environ=_FOLDS,
        inputs=(
            Behave(at="09:00", provider="telegram", how="limits 600", most=1),
            Publish(at="09:00", text="before {n}", event="EVENT_{n}", count=1),
            Publish(at="09:01", text="storm {n}", event="STORM_{n}", count=100, every=4.0),
            Publish(at="09:03", severity="CRITICAL", event="MARGIN_CALL", text="margin call"),
        ),
        told=(
            Told(channel="telegram", at="09:10", has=("margin call",)),
            Told(channel="telegram", at="09:10", within=5.0, has=("before 1",)),
            Told(channel="telegram", at="09:10", within=5.0, has=("100 alerts",)),
        ),
        states={"telegram": {"accepted": 2, "folded": 100}},
    ),
    Scenario(
        name="digest-halved",
        says="A digest that is refused for good is halved until the one alert that can't be told is alone, and dead.",
        toml=_ALL,
        environ=_FOLDS,
        inputs=(
            Behave(at="09:00", provider="telegram", how="refuses POISON"),
            Publish(at="09:00", text="good {n}", event="EVENT_{n}", symbol="TNA", count=40),
            Publish(at="09:00", text="the bad one", event="POISON"),
            Publish(at="09:00", text="good again {n}", event="OTHER_{n}", symbol="UPRO", count=23),
        ),
        told=(
            Told(channel="telegram", at="09:00", within=20.0, has=("32 alerts",)),
            Told(channel="telegram", at="09:00", within=20.0, has=("8 alerts",)),
            Told(channel="telegram", at="09:00", within=20.0, has=("good again 1",)),
            Told(channel="telegram", at="09:00", within=20.0, has=("2 alerts",)),
            Told(channel="telegram", at="09:00", within=20.0, has=("4 alerts",)),
            Told(channel="telegram", at="09:00", within=20.0, has=("16 alerts",)),
        ),
        states={"telegram": {"accepted": 1, "folded": 62, "dead": 1}},
    ),
    Scenario(
        name="digest-open-restart",
        says="The provider is away while a digest is open, and the daemon is killed: the same digest is told, once.",
        toml=_ALL,
        environ=_FOLDS,
        inputs=(
            Behave(at="09:00", provider="telegram", how="down"),
            Publish(at="09:00", text="storm {n}", event="EVENT_{n}", count=100),
            Restart(at="09:05", killed=True),
            Publish(at="09:06", text="after it", event="LATER"),
            Behave(at="09:10", provider="telegram", how="well"),
        ),
        told=(
            Told(channel="telegram", at="09:10", within=60.0, has=("100 alerts",), lacks=("after it",)),
            Told(channel="telegram", at="09:10", within=65.0, has=("after it",)),
        ),
        states={"telegram": {"accepted": 1, "folded": 100}},
    ),
    Scenario(
        name="digest-in-doubt",
        says="A connection breaks after Telegram took a digest: the same one comes again as a possible repeat.",
        toml=_ALL,
        environ=_FOLDS,
        inputs=(
            Behave(at="09:00", provider="telegram", how="drops", most=1),
            Publish(at="09:00", text="storm {n}", event="EVENT_{n}", count=100),
            Restart(at="09:00", killed=True),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("100 alerts",), lacks=("ossible repeat",)),
            Told(channel="telegram", at="09:00", within=60.0, has=("100 alerts", "ossible repeat")),
        ),
        states={"telegram": {"folded": 100}},
    ),
    Scenario(
        name="outage-critical",
        says="A CRITICAL has no age: it comes after the outage, however long that was.",
        until="+2h",
        toml=_ALL,
        environ={**_FOLDS, "ALERTBUS_DELIVERY_MAX_AGE": "1800"},
        inputs=(
            Behave(at="09:00", provider="telegram", how="down"),
            Publish(at="09:01", severity="CRITICAL", event="MARGIN_CALL", text="margin call"),
            Publish(at="09:01", text="too old by then"),
            Behave(at="09:50", provider="telegram", how="well"),
        ),
        told=(
            Told(channel="telegram", at="09:50", within=60.0, has=("margin call",)),
            Told(channel="telegram", at="09:50", within=60.0, has=("1 alert", "VOLATILITY_HIGH TNA")),
        ),
        states={"telegram": {"accepted": 2, "expired": 1}},
    ),
    Scenario(
        name="fallback-after",
        says="Away for five minutes: its fallback tells its alerts, and it does so itself when it is back.",
        channels=("telegram", "desk"),
        toml=f'{_ALL}fallback = ["desk"]\n',
        environ={"ALERTBUS_FALLBACK_AFTER": "300"},
        inputs=(
            Behave(at="09:00", provider="telegram", how="down"),
            Publish(at="09:00", severity="CRITICAL", event="MARGIN_CALL", text="margin call"),
            Behave(at="09:20", provider="telegram", how="well"),
        ),
        told=(
            Told(channel="desk", at="09:05", within=30.0, has=("margin call",)),
            Told(channel="telegram", at="09:20", within=60.0, has=("margin call",)),
        ),
        states={"telegram": {"accepted": 1}, "desk": {"accepted": 1}},
    ),
    Scenario(
        name="fallback-dead",
        says="What is refused for good is told by its route's fallback at once, and by nobody where there is none.",
        channels=("telegram", "desk", "boss"),
        toml="""
[[routes]]
name = "quiet"
match = { severity = ">=WARNING", symbol = "UPRO" }
channels = ["telegram"]
fallback = []
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
fallback = ["boss"]
""",
        inputs=(
            Behave(at="09:00", provider="telegram", how="refuses"),
            Publish(at="09:00", text="for the boss"),
            Publish(at="09:01", text="for nobody", symbol="UPRO"),
        ),
        told=(Told(channel="boss", at="09:00", has=("for the boss",)),),
        states={"telegram": {"dead": 2}, "boss": {"accepted": 1}},
    ),
)
