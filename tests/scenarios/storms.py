"""Storms: more than a chat takes in time is told together, and CRITICAL always has a line of its own."""

from __future__ import annotations

from typing import Final

from tests.support.scenario import Publish, Restart, Scenario, Told

_ALL: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
"""
_FOLDS: Final = {"ALERTBUS_MAX_DELAY": "30"}


def _lines(first: int, last: int) -> tuple[str, ...]:
    """Return how the lines of some of the hundred begin."""
    return tuple(f"MARGIN_CALL SYM{number} ·" for number in range(first, last + 1))


SCENARIOS: Final = (
    Scenario(
        name="storm-critical",
        says="CRITICAL goes through a storm at once, each by itself; the storm is told every half a minute.",
        toml=_ALL,
        environ=_FOLDS,
        inputs=(
            Publish(at="09:00", text="storm {n}", event="EVENT_{n}", count=240, every=0.25),
            Publish(at="09:00:20", severity="CRITICAL", event="MARGIN_CALL", text="margin call"),
            Publish(at="09:00:40", severity="CRITICAL", event="MARGIN_CALL", text="another call", symbol="UPRO"),
        ),
        told=(
            Told(channel="telegram", at="09:00", within=12.0, has=("storm",), count=12),
            Told(channel="telegram", at="09:00:12", has=("37 alerts",), lacks=("CRITICAL",)),
            Told(channel="telegram", at="09:00:20", has=("CRITICAL", "margin call")),
            Told(channel="telegram", at="09:00:40", has=("CRITICAL", "another call")),
            Told(channel="telegram", at="09:00:42", has=("120 alerts",)),
            Told(channel="telegram", at="09:01:12", has=("71 alerts",)),
        ),
        states={"telegram": {"accepted": 14, "folded": 228}},
    ),
    Scenario(
        name="storm-steady",
        says="Ten alerts a second for a minute: after the first digest one each half a minute, and nothing between.",
        toml=_ALL,
        environ=_FOLDS,
        inputs=(Publish(at="09:00", text="storm {n}", event="EVENT_{n}", count=600, every=0.1),),
        told=(
            Told(channel="telegram", at="09:00", within=5.0, has=("storm",), count=6),
            Told(channel="telegram", at="09:00:06", has=("55 alerts",)),
            Told(channel="telegram", at="09:00:36", has=("300 alerts",)),
            Told(channel="telegram", at="09:01:06", has=("239 alerts",)),
        ),
        states={"telegram": {"accepted": 6, "folded": 594}},
    ),
    Scenario(
        name="storm-of-criticals",
        says="A hundred CRITICALs at once: lists with a line for each, none of them merged into a count.",
        toml=_ALL,
        environ=_FOLDS,
        inputs=(
            Publish(at="09:00", severity="CRITICAL", event="MARGIN_CALL", symbol="SYM{n}", text="call {n}.", count=100),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("54 CRITICAL alerts", *_lines(1, 54))),
            Told(channel="telegram", at="09:00", has=("46 CRITICAL alerts", *_lines(55, 100))),
        ),
        states={"telegram": {"folded": 100}},
    ),
    Scenario(
        name="storm-is-over",
        says="After a storm a lone alert waits for nothing.",
        toml=_ALL,
        environ=_FOLDS,
        inputs=(
            Publish(at="09:00", text="storm {n}", event="EVENT_{n}", count=200),
            Publish(at="09:02", text="alone"),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("200 alerts",)),
            Told(channel="telegram", at="09:02", has=("alone",)),
        ),
        states={"telegram": {"accepted": 1, "folded": 200}},
    ),
    Scenario(
        name="storm-few",
        says="What a chat takes within half a minute is no storm: each alert has its own message, at the chat's pace.",
        toml=_ALL,
        environ=_FOLDS,
        inputs=(Publish(at="09:00", text="few, number {n}.", event="EVENT_{n}", count=20),),
        told=(Told(channel="telegram", at="09:00", within=20.0, has=("few, number",), count=20),),
        states={"telegram": {"accepted": 20}},
    ),
    Scenario(
        name="storm-whatsapp",
        says="WhatsApp takes a message in six seconds, Telegram one a second: each channel folds by its own pace.",
        channels=("telegram", "whatsapp"),
        toml=_ALL.replace('["telegram"]', '["telegram", "whatsapp"]'),
        environ=_FOLDS,
        inputs=(Publish(at="09:00", text="number {n}.", event="EVENT_{n}", count=25),),
        told=(
            Told(channel="telegram", at="09:00", within=25.0, has=("number",), count=25),
            Told(channel="whatsapp", at="09:00", has=("25 alerts",)),
        ),
        states={"telegram": {"accepted": 25}, "whatsapp": {"folded": 25}},
    ),
    Scenario(
        name="storm-two-daemons",
        says="Two daemons on one PostgreSQL get the same storm: every alert is told once.",
        daemons=2,
        databases=("postgresql",),
        toml=_ALL,
        environ=_FOLDS,
        inputs=(
            Publish(at="09:00", text="storm {n}", event="EVENT_{n}", count=200),
            Publish(at="09:01", text="alone"),
            Restart(at="09:02"),
            Publish(at="09:03", severity="CRITICAL", event="MARGIN_CALL", text="margin call"),
        ),
        told=(
            Told(channel="telegram", at="09:00", has=("200 alerts",)),
            Told(channel="telegram", at="09:01", has=("alone",)),
            Told(channel="telegram", at="09:03", has=("margin call",)),
        ),
        states={"telegram": {"accepted": 2, "folded": 200}},
    ),
)
