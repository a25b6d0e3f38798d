"""Steering: faults that come from outside the provider server's process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.provider_clients import TELEGRAM_BODY, TELEGRAM_HEADERS, send_telegram, send_twilio
from tests.support.provider_desk import ProviderDesk
from tests.support.provider_faults import stall
from tests.support.provider_server import TELEGRAM_TOKEN, ProviderServer
from tests.support.provider_steering import fault_of, follow
from tests.support.waiting import wait_until

REPOSITORY = Path(__file__).parents[2]


def test_script_puts_faults_in_line_for_one_provider(server: ProviderServer) -> None:
    desks: dict[str, ProviderDesk[Any]] = {"telegram": server.telegram, "twilio": server.twilio}
    script = [{"fault": "error", "status": 502}, {"fault": "rate_limited", "retry_after": 3}]
    follow({"provider": "telegram", "script": script}, desks)
    answers = [send_telegram(server) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [502, 429, 200]
    assert answers[1].headers["Retry-After"] == "3"
    assert send_twilio(server).ok


def test_always_lasts_until_it_is_taken_back(server: ProviderServer) -> None:
    desks: dict[str, ProviderDesk[Any]] = {"twilio": server.twilio}
    follow({"provider": "twilio", "always": {"fault": "error", "status": 500}}, desks)
    assert [send_twilio(server).status_code for _ in range(3)] == [500, 500, 500]
    follow({"provider": "twilio", "always": None}, desks)
    assert send_twilio(server).ok


def test_script_alone_leaves_the_standing_fault(server: ProviderServer) -> None:
    desks: dict[str, ProviderDesk[Any]] = {"twilio": server.twilio}
    follow({"provider": "twilio", "always": {"fault": "error", "status": 500}}, desks)
    follow({"provider": "twilio", "script": [{"fault": "ok"}]}, desks)
    assert [send_twilio(server).status_code for _ in range(2)] == [201, 500]


def test_behave_drops_all_faults(server: ProviderServer) -> None:
    desks: dict[str, ProviderDesk[Any]] = {"twilio": server.twilio}
    broken = {"fault": "error", "status": 500}
    follow({"provider": "twilio", "always": broken, "script": [broken, broken]}, desks)
    follow({"provider": "twilio", "behave": True}, desks)
    assert send_twilio(server).ok


@pytest.mark.parametrize("order", [{"fault": "nonsense"}, {"fault": "error", "nonsense": 1}, {}])
def test_fault_that_does_not_exist_is_refused(order: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError)):
        fault_of(order)


def test_stall_answers_with_an_error_and_accepts_nothing(server: ProviderServer) -> None:
    held = stall(60.0)
    server.telegram.script(held)
    with pytest.raises(requests.ReadTimeout):
        send_telegram(server, timeout=0.2)
    held.release()
    wait_until(lambda: server.telegram.requests[0].status == 503)
    assert not server.accepted


def steered() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.provider_server", "--port", "0", "--steered"]
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def test_process_follows_orders_until_its_input_ends() -> None:
    with steered() as process:
        assert process.stdin is not None
        assert process.stderr is not None
        url = process.stderr.readline().removeprefix("listening on ").strip()
        process.stdin.write(json.dumps({"provider": "telegram", "always": {"fault": "error", "status": 500}}) + "\n")
        process.stdin.flush()

        def status() -> int:
            path = f"{url}/bot{TELEGRAM_TOKEN}/sendMessage"
            return requests.post(path, data=TELEGRAM_BODY, headers=TELEGRAM_HEADERS, timeout=60).status_code

        wait_until(lambda: status() == 500)
        process.stdin.close()
        assert process.wait(60) == 0


def test_process_with_an_order_that_it_does_not_understand_ends_and_says_so() -> None:
    with steered() as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write('{"provider": "nobody", "always": null}\n')
        process.stdin.flush()
        assert process.wait(60) == 2
        assert "nobody" in process.stderr.read()
