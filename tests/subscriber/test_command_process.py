"""The command as a real process: what it prints, how signals end it, and what is left when it is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from bus.clock import SystemClock
from subscriber.deliveries import PlannedDelivery
from subscriber.store import Store
from tests.support.alerts import incoming, risk_event
from tests.support.provider_faults import error, for_posts, hang, ok, reset_after_reading
from tests.support.provider_server import ProviderServer
from tests.support.running_service import PREFIX, daemon_environ, daemon_process, provider_environ, start_command
from tests.support.waiting import wait_until

needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without a word")


@pytest.fixture
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def waiting(providers: ProviderServer, tmp_path: Path) -> dict[str, str]:
    """A configuration in whose database one alert waits for Telegram."""
    environ = daemon_environ(provider_environ(providers), tmp_path)
    now = SystemClock().now_us()
    with Store(environ["ALERTBUS_DATABASE_URL"]) as store:
        store.accept([incoming(risk_event(), published_us=now, planned=(PlannedDelivery("telegram", now),))])
    return environ


def states(environ: dict[str, str]) -> dict[str, dict[str, int]]:
    with Store(environ["ALERTBUS_DATABASE_URL"]) as store:
        return store.channel_counts()


@needs_signals
def test_run_dry_shows_both_messages_and_ends_with_0_on_ctrl_c(tmp_path: Path) -> None:
    """The first minute of a newcomer: what it says, what would be sent, and an end without a traceback."""
    with daemon_process({}, tmp_path, "--dry-run") as daemon:
        daemon.post("/test", {"text": "Drawdown breached 🔴"})
        wait_until(lambda: sum("Drawdown breached 🔴" in line for line in daemon.out) == 2)
        daemon.interrupt()
        assert daemon.wait() == 0
    out, err = "\n".join(daemon.out), "\n".join(daemon.err)
    assert out.startswith("DRY RUN: no credentials are set")
    assert "DRY RUN telegram would send (POST https://api.telegram.org/bot***/sendMessage" in out
    assert "DRY RUN whatsapp would send (POST https://api.twilio.com/" in out
    assert [line.split()[2].rstrip(":") for line in daemon.err] == [
        "subscriber.service",
        "subscriber.signals",
        "subscriber.service",
    ]
    assert " ready " in daemon.err[0]
    assert " stopping signal=SIGINT" in daemon.err[1]
    assert daemon.err[2].endswith(" stopped")
    assert "Traceback" not in out + err


@needs_signals
def test_run_stopped_by_sigterm_finishes_the_send_in_flight(
    providers: ProviderServer, waiting: dict[str, str], tmp_path: Path
) -> None:
    slow = hang()
    providers.telegram.script(slow)
    with daemon_process(waiting, tmp_path) as daemon:
        providers.wait_for_requests(1, provider="telegram", timeout=60)
        daemon.terminate()
        wait_until(lambda: any(" stopping signal=SIGTERM" in line for line in daemon.err))
        assert not daemon.is_ready()
        assert daemon.process.poll() is None
        slow.release()
        assert daemon.wait() == 0
    assert states(waiting) == {"telegram": {"accepted": 1}}
    assert len(providers.telegram.accepted) == 1


@needs_signals
def test_run_stopped_twice_ends_at_once_and_leaves_evidence(
    providers: ProviderServer, waiting: dict[str, str], tmp_path: Path
) -> None:
    """Whoever presses Ctrl-C again does not wait for a provider; the open attempt tells the next start."""
    stuck = hang()
    providers.telegram.script(stuck)
    with daemon_process(waiting, tmp_path) as daemon:
        providers.wait_for_requests(1, provider="telegram", timeout=60)
        daemon.interrupt()
        wait_until(lambda: any(" stopping signal=SIGINT" in line for line in daemon.err))
        daemon.interrupt()
        assert daemon.wait() == 1
    assert len(providers.telegram.accepted) == 0  # it still hangs: nobody has waited for it
    assert "Traceback" not in "\n".join(daemon.err)
    with Store(waiting["ALERTBUS_DATABASE_URL"]) as store:
        (entry,) = store.history(1)
        story = store.story(UUID(entry["alert"]["id"]))
    assert story is not None
    (attempt,) = story["deliveries"][0]["attempts"]
    assert attempt["closed_us"] is None


@needs_signals
def test_run_killed_is_found_dead_by_the_next_which_delivers(
    providers: ProviderServer, waiting: dict[str, str], tmp_path: Path
) -> None:
    """SIGKILL in the middle of a send: the alert arrives, marked, and nobody waits for a lease."""
    stuck = hang()
    providers.telegram.script(stuck)
    with daemon_process(waiting, tmp_path) as daemon:
        providers.wait_for_requests(1, provider="telegram", timeout=60)
        daemon.kill()
        assert daemon.process.returncode == -signal.SIGKILL
    stuck.release()
    with daemon_process(waiting, tmp_path) as again:
        wait_until(lambda: again.states() == {"telegram": ["accepted"]})
        assert again.history()[0]["deliveries"][0]["possible_repeat"] is True


@needs_signals
def test_run_at_debug_lets_no_secret_out(providers: ProviderServer, tmp_path: Path) -> None:
    """Neither when all goes well nor when a provider refuses: not on the console, in an answer, or in the database."""
    environ = provider_environ(providers) | {"ALERTBUS_LOG_LEVEL": "DEBUG", "ALERTBUS_API_TOKEN": "canary-of-the-api"}
    providers.twilio.script(*map(for_posts, (reset_after_reading(), ok(), error(401, code=20003))))
    with daemon_process(environ, tmp_path) as daemon:
        daemon.post("/test", {})
        daemon.post("/test", {"channel": "whatsapp"})
        paths = ("/metrics", "/readyz", *(f"{PREFIX}{path}" for path in ("/status", "/history", "/nowhere")))
        answers = [daemon.http.get(path).text for path in paths]
        daemon.terminate()
        assert daemon.wait() == 0
    written = "\n".join([*daemon.out, *daemon.err, *answers])
    written += "".join(path.read_bytes().decode("latin-1") for path in tmp_path.glob("alertbus.db*"))
    secrets = {value for name, value in environ.items() if not name.endswith(("_URL", "_LEVEL"))}
    secrets |= {secret.partition(":")[2] or secret for secret in secrets}
    assert [secret for secret in secrets if secret in written] == []


def test_run_twice_is_refused_with_the_settings_name_and_1(tmp_path: Path) -> None:
    environ = daemon_environ({}, tmp_path)
    with daemon_process(environ, tmp_path):
        with start_command(environ, tmp_path, "run") as second:
            out, err = second.communicate(timeout=60)
        assert (second.returncode, out) == (1, "")
        assert err.startswith("alertbus-subscriber: ALERTBUS_HTTP_HOST, ALERTBUS_HTTP_PORT: 127.0.0.1:")


def test_check_piped_into_a_reader_that_leaves_ends_quietly(tmp_path: Path) -> None:
    """`alertbus-subscriber check | head -1`: no traceback."""
    with start_command({}, tmp_path, "check") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        process.wait(30)
