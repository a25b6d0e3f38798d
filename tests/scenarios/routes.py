"""Routes: who is told what, how loud, and what a reload changes: only what comes after it."""

from __future__ import annotations

from typing import Final

from tests.support.scenario import Behave, Publish, Reload, Scenario, Told

_TWO: Final = ("telegram", "desk")
_TO_TELEGRAM: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
"""
_TO_DESK: Final = _TO_TELEGRAM.replace('"telegram"', '"desk"')
_BROKEN: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNNG" }
channels = ["telegraph"]
"""

SCENARIOS: Final = (
    Scenario(
        name="routes-preferences",
        says="Per agent and per symbol: off for one agent, without sound for one symbol, and the rest as ever.",
        channels=_TWO,
        toml="""
[[routes]]
name = "backtests"
match = { severity = ">=WARNING", agent_name = "backtest-*" }
channels = { telegram = "off", desk = "on" }
[[routes]]
name = "hedges"
match = { severity = ">=WARNING", symbol = ["U*", "!UPRO"] }
channels = { telegram = "silent" }
[[routes]]
name = "rest"
match = { severity = ">=WARNING" }
channels = ["telegram"]
""",
        inputs=(
            Publish(at="09:00", text="of a backtest", agent="backtest-7"),
            Publish(at="09:01", text="of a hedge", symbol="UVXY"),
            Publish(at="09:02", text="of UPRO", symbol="UPRO"),
        ),
        told=(
            Told(channel="desk", at="09:00", has=("of a backtest",)),
            Told(channel="telegram", at="09:01", has=("of a hedge",), silent=True),
            Told(channel="telegram", at="09:02", has=("of UPRO",)),
        ),
        states={"telegram": {"accepted": 2, "suppressed": 1}, "desk": {"accepted": 1}},
    ),
    Scenario(
        name="routes-continue",
        says="Two routes take an alert: each of their channels tells it once.",
        channels=_TWO,
        toml="""
[[routes]]
name = "desk"
match = { severity = ">=WARNING", symbol = "TNA" }
channels = ["desk"]
continue = true
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram", "desk"]
[[routes.routes]]
match = { event_type = "SPREAD_WIDE" }
channels = ["telegram"]
""",
        inputs=(
            Publish(at="09:00", text="both"),
            Publish(at="09:01", text="by the child", event="SPREAD_WIDE"),
            Publish(at="09:02", text="by the parent", symbol="UPRO"),
        ),
        told=(
            Told(channel="desk", at="09:00", has=("both",)),
            Told(channel="desk", at="09:01", has=("by the child",)),
            Told(channel="desk", at="09:02", has=("by the parent",)),
            Told(channel="telegram", at="09:00", has=("both",)),
            Told(channel="telegram", at="09:01", has=("by the child",)),
            Told(channel="telegram", at="09:02", has=("by the parent",)),
        ),
        states={"telegram": {"accepted": 3}, "desk": {"accepted": 3}},
    ),
    Scenario(
        name="reload-in-a-storm",
        says="A reload while alerts wait: what was planned goes where it was to go, what comes later by the new file.",
        channels=_TWO,
        toml=_TO_TELEGRAM,
        environ={"ALERTBUS_MAX_DELAY": "30"},
        inputs=(
            Publish(at="09:00", text="storm {n}", event="EVENT_{n}", count=200),
            Reload(at="09:00:00", toml=_TO_DESK, says="all go to the desk"),
            Publish(at="09:00:10", text="after it", event="LATER"),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("200 alerts",), lacks=("after it",)),
            Told(channel="desk", at="09:00:10", has=("after it",)),
        ),
        states={"telegram": {"folded": 200}, "desk": {"accepted": 1}},
    ),
    Scenario(
        name="reload-refused",
        says="A broken file changes nothing: what was in force stays in force.",
        channels=_TWO,
        toml=_TO_TELEGRAM,
        inputs=(
            Publish(at="09:00", text="before"),
            Reload(at="09:01", toml=_BROKEN, says="a severity and a channel that do not exist", refused=True),
            Publish(at="09:02", text="as before", event="LATER"),
            Reload(at="09:03", toml=_TO_DESK, says="all go to the desk"),
            Publish(at="09:04", text="by the new file", event="LATEST"),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("before",)),
            Told(channel="telegram", at="09:02", has=("as before",)),
            Told(channel="desk", at="09:04", has=("by the new file",)),
        ),
        states={"telegram": {"accepted": 2}, "desk": {"accepted": 1}},
    ),
    Scenario(
        name="reload-of-an-empty-file",
        says="A file that is empty, as one is that is being saved, does not take the place of the rules in force.",
        channels=("telegram", "whatsapp"),
        toml=_TO_TELEGRAM,
        inputs=(
            Reload(at="09:01", toml="", says="an empty file, which nobody asked for", refused=True),
            Publish(at="09:02", text="by Telegram alone"),
        ),
        told=(Told(channel="telegram", at="09:02", has=("by Telegram alone",)),),
        states={"telegram": {"accepted": 1}},
    ),
    Scenario(
        name="reload-handling-stays",
        says="What waits keeps the handling that it was planned with: no sound, and the fallback of its own route.",
        channels=("telegram", "desk", "boss"),
        toml=_TO_TELEGRAM.replace('["telegram"]', '{ telegram = "silent" }\nfallback = ["boss"]'),
        inputs=(
            Behave(at="09:00", provider="telegram", how="down"),
            Publish(at="09:00:01", text="planned before"),
            Reload(
                at="09:00:30", toml=_TO_TELEGRAM + 'fallback = ["desk"]\n', says="with sound, and the desk as fallback"
            ),
            Behave(at="09:01", provider="telegram", how="refuses", most=1),
            Behave(at="09:01:30", provider="telegram", how="well"),
            Publish(at="09:10", text="planned after", event="LATER"),
        ),
        told=(
            Told(channel="telegram", at="09:01", within=60.0, has=("planned before",), silent=True),
            Told(channel="telegram", at="09:10", has=("planned after",)),
        ),
        states={"telegram": {"accepted": 2}},
    ),
)
