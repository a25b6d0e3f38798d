"""Telegram's latency with and without a WhatsApp that hangs: a real daemon, a real publisher, one run.

An alert is published each second and a half, which Telegram's pace allows; from `publish()` until Telegram has it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from publisher import Publisher, PublisherSettings
from tests.support.alerts import risk_event
from tests.support.provider_faults import for_posts, hang
from tests.support.provider_server import ProviderServer
from tests.support.running_service import DaemonProcess, daemon_process, provider_environ
from tests.support.waiting import wait_until

pytestmark = pytest.mark.benchmark

_ALERTS: Final = 12
_EVERY_SECONDS: Final = 1.5
#: A hang lasts longer than the alerts that are measured meanwhile.
_DEADLINE_SECONDS: Final = _ALERTS * _EVERY_SECONDS + 20.0
#: With the hang over without it; what is above is noise of milliseconds, or a delay.
_LARGEST_RATIO: Final = 1.5
_PATIENCE_SECONDS: Final = 60.0


@pytest.fixture
def providers() -> Iterator[ProviderServer]:
    """Telegram and Twilio on loopback."""
    with ProviderServer() as server:
        yield server


def latencies(providers: ProviderServer, publisher: Publisher, phase: str) -> list[float]:
    """Publish alerts one by one and return the milliseconds until Telegram had each."""
    published = []
    for number in range(_ALERTS):
        due_at = time.monotonic() + _EVERY_SECONDS
        text = f"Drawdown {number} {phase}."
        published.append((text, time.monotonic()))
        assert publisher.publish(risk_event(description=text))
        wait_until(lambda text=text: _accepted_at(providers, text), _PATIENCE_SECONDS)  # type: ignore[misc]  # mypy infers nothing of a lambda's defaults
        wait_until(lambda due_at=due_at: time.monotonic() >= due_at)  # type: ignore[misc]
    return [1000 * (_accepted_at(providers, text) - at) for text, at in published]


def _accepted_at(providers: ProviderServer, text: str) -> float:
    return next((message.at for message in providers.telegram.accepted if text in message.text), 0.0)


def connected(environ: dict[str, str], daemon: DaemonProcess) -> Publisher:
    """Return a publisher whose first alert the daemon has."""
    publisher = Publisher(PublisherSettings.from_environment(environ, env_file=None))
    publisher.start()
    assert publisher.publish(risk_event(description="Connected"), wait=_PATIENCE_SECONDS)
    wait_until(lambda: daemon.states().get("whatsapp") in (["accepted"], ["delivered"]), _PATIENCE_SECONDS)
    return publisher


def test_latency_of_telegram_while_whatsapp_hangs(
    providers: ProviderServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Medians of the same daemon before and during a hang, with their ratio."""
    environ = provider_environ(providers) | {
        "ALERTBUS_DELIVERY_DEADLINE": str(_DEADLINE_SECONDS),
        "ALERTBUS_DELIVERY_LEASE": str(2 * _DEADLINE_SECONDS),
    }
    with daemon_process(environ, tmp_path) as daemon, connected(daemon.environ, daemon) as publisher:
        figures = {"without a hang": latencies(providers, publisher, "without a hang")}
        sent = len(providers.twilio.accepted)
        providers.twilio.always(for_posts(hang()))
        figures["while it hangs"] = latencies(providers, publisher, "while it hangs")
        assert len(providers.twilio.accepted) == sent
    medians = [statistics.median(values) for values in figures.values()]
    with capsys.disabled():
        print(f"\nTelegram's latency, {_ALERTS} alerts each     median ms     max ms")
        for name, values in figures.items():
            print(f"  {name:<36}{statistics.median(values):>13.1f}{max(values):>11.1f}")
        print(f"  ratio{medians[1] / medians[0]:>44.2f}")
    assert medians[1] <= _LARGEST_RATIO * medians[0]
