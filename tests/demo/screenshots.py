"""`python -m tests.demo.screenshots`: takes the pictures of docs/images, each of a state that the demo can be in.

Five states (all well, a channel in Error, one that is off, a storm, dead letters), each on a dark and a light desktop
and on a phone. Pictures of phones show the top of the page only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, expect

from tests.demo.play import TICK_SECONDS, Fault, Market, Risk, Step, Trade, play
from tests.demo.stage import Stage
from tests.support.browser import PHONE, ROOT, Browsing, chromium_browser
from tests.support.waiting import wait_until

IMAGES: Final = ROOT / "docs" / "images"
_PATIENCE_SECONDS: Final = 60.0
_DESKTOP: Final = {"width": 1280, "height": 860}
_LOOKS: Final[dict[str, dict[str, Any]]] = {
    "dark": {"viewport": _DESKTOP, "color_scheme": "dark"},
    "light": {"viewport": _DESKTOP, "color_scheme": "light"},
    "phone": {"viewport": PHONE, "color_scheme": "dark", "device_scale_factor": 2, "has_touch": True},
}


@dataclass(frozen=True)
class State:
    """A state of the demo: how it is reached, and which view shows it."""

    name: str
    reach: Callable[[Stage], None]
    view: str = "channels"


def main(arguments: list[str] | None = None) -> int:
    """Take the pictures, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo.screenshots", description=__doc__)
    parser.add_argument("--into", type=Path, default=IMAGES, help="the folder (docs/images)")
    parser.add_argument("--only", choices=[state.name for state in STATES], help="one state alone")
    options = parser.parse_args(arguments)
    options.into.mkdir(parents=True, exist_ok=True)
    with chromium_browser() as browser:
        for state in STATES:
            if options.only in {None, state.name}:
                _take(browser, state, options.into)
    return 0


def _take(browser: Browser, state: State, into: Path) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="alertbus-demo-", ignore_cleanup_errors=True) as folder,
        Stage(Path(folder)) as stage,
        Browsing(browser) as browsing,
    ):
        stage.start_trader()
        state.reach(stage)
        for look, options in _LOOKS.items():
            page = browsing.open_page(**options)
            page.goto(f"{stage.daemon.url}/#{state.view}")
            _settle(page)
            path = into / f"page-{state.name}-{look}.png"
            page.screenshot(path=path, animations="disabled")
            sys.stdout.write(f"{path} {path.stat().st_size // 1024} KiB\n")
            page.close()


def _settle(page: Page) -> None:
    expect(page.locator("alertbus-channels")).to_be_visible()
    page.wait_for_function("() => !document.querySelector('alertbus-channels').shadowRoot.querySelector('.skeleton')")
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(1500)  # the sparkline's and the toasts' first second


def _day(stage: Stage, seconds: float) -> None:
    """Play the first seconds of the demo, without its waiting, and see all of it told."""
    published = 0
    for steps in islice(play(1), int(seconds / TICK_SECONDS)):
        for step in steps:
            if isinstance(step, Trade | Risk):  # without its progress, by which a loop that rests would be missed
                stage.perform(step)
                published += 1
                _told(stage, published)


def _told(stage: Stage, published: int) -> None:
    wait_until(
        lambda: len(stage.daemon.history()) >= published and not any(each["backlog"] for each in _channels(stage)),
        _PATIENCE_SECONDS,
    )


def _channels(stage: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stage.daemon.get("/status")["channels"]
    return found


def _all_well(stage: Stage) -> None:
    _day(stage, 18.0)
    before = len(stage.daemon.history())
    _warn(stage, "EXPOSURE_HIGH", "Net exposure 82 % is above its limit of 80 %.", "SPXL")
    _told(stage, before + 1)
    _warn(stage, "SLIPPAGE", "Filled 0.4 % away from the price that was decided on.", "UPRO")
    _told(stage, before + 2)


def _in_error(stage: Stage) -> None:
    _all_well(stage)
    stage.perform(Fault("telegram", "blocked"))
    _warn(stage, "DRAWDOWN", "Drawdown 4.1 % of the day's high; new entries are halved.", "UPRO")
    _warn(stage, "DRAWDOWN_BREACH", "Drawdown 8.7 % passed its limit of 5 %: entries are blocked.", "TNA", "CRITICAL")
    wait_until(lambda: any(channel["problem"] for channel in _channels(stage)), _PATIENCE_SECONDS)


def _disabled(stage: Stage) -> None:
    _all_well(stage)
    switch = "/api/monitoring/notifications/channels/whatsapp"
    answer = stage.daemon.http.patch(switch, json={"enabled": False, "author": "Ada", "via": "page"})
    answer.raise_for_status()


def _storm(stage: Stage) -> None:
    _all_well(stage)
    steps: list[Step] = [step for tick in range(6) for step in Market(1).storm(tick)]
    for step in steps:
        stage.perform(step)
    wait_until(lambda: any(state == "folded" for state in stage.daemon.states()["telegram"]), _PATIENCE_SECONDS)


def _dead_letters(stage: Stage) -> None:
    _all_well(stage)
    for number in range(3):
        wait_until(lambda: "pending" not in stage.daemon.states()["whatsapp"], _PATIENCE_SECONDS)  # it would be refused
        stage.perform(Fault("twilio", "refuses_next"))
        symbol = ("SPXL", "TNA", "UPRO")[number]
        _warn(stage, f"NEWS_RISK_{number + 1}", "An earnings call begins in ten minutes.", symbol)
        _wait_dead(stage, number + 1)


def _wait_dead(stage: Stage, count: int) -> None:
    wait_until(lambda: stage.daemon.states().get("whatsapp", []).count("dead") >= count, _PATIENCE_SECONDS)


def _warn(stage: Stage, event: str, text: str, symbol: str, severity: str = "WARNING") -> None:
    stage.perform(
        Risk({"severity": severity, "event_type": event, "description": text, "symbol": symbol, "agent_name": "ppo-1"})
    )


STATES: Final = (
    State("well", _all_well),
    State("error", _in_error),
    State("disabled", _disabled),
    State("storm", _storm, "history"),
    State("dead-letters", _dead_letters, "dead-letters"),
)


if __name__ == "__main__":
    sys.exit(main())
