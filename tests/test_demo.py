"""The demo is what it says: the same by its seed, real processes, and a daemon that has seen all of it."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any, Final

import httpx2

from tests.demo.play import ROUND_SECONDS, TICK_SECONDS, Fault, Person, Risk, Trade, Trader, play
from tests.demo.stage import Stage
from tests.support.daemon import PATIENCE_SECONDS, PREFIX
from tests.support.groups import interrupt, own_group
from tests.support.running_service import ROOT, environment_of_a_process
from tests.support.waiting import wait_until

_TICKS: Final = int(ROUND_SECONDS / TICK_SECONDS)


def test_play_the_same_seed_is_the_same_play() -> None:
    assert list(islice(play(7), 2 * _TICKS)) == list(islice(play(7), 2 * _TICKS))
    assert list(islice(play(7), _TICKS)) != list(islice(play(8), _TICKS))


def test_play_a_round_shows_every_trouble_and_ends_well() -> None:
    steps = [step for tick in islice(play(1), _TICKS) for step in tick]
    severities = {step.fields["severity"] for step in steps if isinstance(step, Risk)}
    assert severities == {"INFO", "WARNING", "CRITICAL"}
    assert {step.fields["action"] for step in steps if isinstance(step, Trade)} == {"BUY", "SELL", "HOLD"}
    assert {step.does for step in steps if isinstance(step, Person)} == {"resume", "silence", "acknowledge"}
    assert [step.does for step in steps if isinstance(step, Trader)] == ["starts", "dies", "starts"]
    standing = {step.provider: step.kind for step in steps if isinstance(step, Fault) if not step.kind.endswith("r")}
    assert standing["telegram"] == "well"
    assert [step.kind for step in steps if isinstance(step, Fault)] == [
        "failing",
        "well",
        "blocked",
        "well",
        "refuses_next",
        "fails_next_later",
    ]


def test_stage_all_troubles_are_seen_by_the_daemon(tmp_path: Path) -> None:
    troubles = [step for tick in islice(play(1), _TICKS) for step in tick]
    with Stage(tmp_path) as stage:
        stage.start_trader()
        for step in troubles:
            if isinstance(step, Trade) or (isinstance(step, Risk) and step.fields["severity"] == "CRITICAL"):
                stage.perform(step)
        wait_until(lambda: any("DRAWDOWN_BREACH" in text for text in _told(stage, "telegram")), PATIENCE_SECONDS)

        stage.perform(Fault("twilio", "refuses_next"))
        stage.perform(_warning("NEWS_RISK"))
        wait_until(lambda: "dead" in stage.daemon.states().get("whatsapp", []), PATIENCE_SECONDS)

        stage.perform(Fault("telegram", "blocked"))
        stage.perform(_warning("MARGIN_LOW"))
        wait_until(lambda: _paused(stage), PATIENCE_SECONDS)
        stage.perform(Fault("telegram", "well"))
        stage.perform(Person("resume", {"channel": "telegram"}))
        wait_until(lambda: any("MARGIN_LOW" in text for text in _told(stage, "telegram")), PATIENCE_SECONDS)

        (silence,) = [step for step in troubles if isinstance(step, Person) and step.does == "silence"]
        stage.perform(silence)
        assert [found["matchers"] for found in stage.daemon.get("/silences")] == [silence.fields["match"]]

        (acknowledge,) = [step for step in troubles if isinstance(step, Person) and step.does == "acknowledge"]
        stage.perform(acknowledge)
        (breach,) = _alerts(stage, "DRAWDOWN_BREACH")
        assert stage.daemon.get(f"/alerts/{breach['id']}")["acknowledgement"]["author"] == "Ada"

        stage.perform(Trader("dies"))
        wait_until(lambda: _alerts(stage, "PUBLISHER_SILENT"), PATIENCE_SECONDS)


def test_demo_interrupted_ends_in_order_and_leaves_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.demo", "--no-browser", "--seconds", "600"],
        cwd=ROOT,
        env=environment_of_a_process({"TMPDIR": str(tmp_path), "TEMP": str(tmp_path), "TMP": str(tmp_path)}),
        stdout=subprocess.PIPE,
        text=True,
        **own_group(),
    ) as demo:
        try:
            assert demo.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+/", demo.stdout.readline())
            assert found is not None
            with httpx2.Client(base_url=found[0], trust_env=False) as http:
                status = "/api/monitoring/notifications/status"
                wait_until(
                    lambda: (
                        [each["source"] for each in http.get(status).json()["data"]["publishers"]] == ["live_trader"]
                    ),
                    PATIENCE_SECONDS,
                )
            interrupt(demo)
            assert demo.wait(PATIENCE_SECONDS) == 0
            assert demo.stdout.read().splitlines() == ["the demo ended"]
        finally:
            demo.kill()
    assert list(tmp_path.iterdir()) == []


def _warning(event: str) -> Risk:
    return Risk({"severity": "WARNING", "event_type": event, "description": event.lower(), "symbol": "TNA"})


def _sources(http: httpx2.Client) -> list[str]:
    return [each["source"] for each in http.get(f"{PREFIX}/status").json()["data"]["publishers"]]


def _alerts(stage: Stage, event: str) -> list[dict[str, Any]]:
    return [each["alert"] for each in stage.daemon.history() if each["alert"].get("event_type") == event]


def _told(stage: Stage, provider: str) -> list[str]:
    return [message.text for message in stage.providers.accepted if message.provider == provider]


def _paused(stage: Stage) -> bool:
    return any(
        channel["name"] == "telegram" and channel["problem"] and channel["problem"]["kind"] == "paused"
        for channel in stage.daemon.get("/status")["channels"]
    )
