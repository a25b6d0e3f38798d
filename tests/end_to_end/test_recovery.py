"""Whatever fails in between: processes killed, providers that hang or refuse, a database that is away."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.rig import CREDENTIALS, Rig
from tests.support.provider_faults import accept_then_drop, error, for_posts, hang
from tests.support.provider_server import ProviderServer
from tests.support.waiting import wait_until

REPEAT = "Possible repeat"


def heads(provider: ProviderServer) -> Counter[tuple[str, str]]:
    """Count what each provider took, by the line that tells the alerts apart."""
    return Counter((message.provider, message.text.split("\n")[-3]) for message in provider.accepted)


def publish(rig: Rig, *texts: str) -> None:
    """Publish a CRITICAL for each text, and see it stored."""
    for text in texts:
        done = rig.publish(text, "--severity", "CRITICAL", "--wait", "20")
        assert done.returncode == 0, done.stderr


def test_daemon_killed_with_stored_alerts_delivers_each_of_them_after_a_restart(
    rig: Rig, provider: ProviderServer
) -> None:
    """SIGKILL while both providers refuse; every stored alert arrives once the daemon runs again."""
    provider.telegram.always(error(503))
    provider.twilio.always(for_posts(error(503)))
    texts = [f"alert {number}" for number in range(5)]
    daemon = rig.start()
    publish(rig, *texts)
    daemon.kill()
    assert not provider.accepted
    provider.telegram.always(None)
    provider.twilio.always(None)
    with rig.daemon():
        provider.wait_for_accepted(10)
        wait_until(lambda: all(channel["backlog"] == 0 for channel in rig.api("/status")["channels"]), 20.0)
    assert heads(provider) == {(name, text): 1 for name in ("telegram", "twilio") for text in texts}


def test_daemon_killed_in_mid_send_sends_again_and_says_that_it_may_be_a_repeat(
    rig: Rig, provider: ProviderServer
) -> None:
    """The provider took it and never answered; the repeat is marked in its text and in its record."""
    held = hang(accept_first=True)
    provider.telegram.script(held)
    daemon = rig.start()
    publish(rig, "in doubt")
    provider.wait_for_accepted(2)
    daemon.kill()
    held.release()
    with rig.daemon():
        wait_until(lambda: sum(message.provider == "telegram" for message in provider.accepted) == 2, 60.0)
        (entry,) = rig.api("/history?limit=1")
        story = rig.api(f"/alerts/{entry['alert']['id']}")
    first, second = (message.text for message in provider.accepted if message.provider == "telegram")
    assert REPEAT not in first
    assert REPEAT in second
    (delivery,) = [delivery for delivery in story["deliveries"] if delivery["channel"] == "telegram"]
    assert delivery["possible_repeat"]
    assert [attempt["possible_repeat"] for attempt in delivery["attempts"]] == [False, True]
    assert sum(message.provider == "twilio" for message in provider.accepted) == 1


def test_answer_that_is_lost_is_tried_again_as_a_possible_repeat(rig: Rig, provider: ProviderServer) -> None:
    provider.twilio.script(for_posts(accept_then_drop()))
    with rig.daemon():
        publish(rig, "dropped")
        wait_until(lambda: sum(message.provider == "twilio" for message in provider.accepted) == 2, 20.0)
    assert [REPEAT in message.text for message in provider.accepted if message.provider == "twilio"] == [False, True]


def test_whatsapp_that_hangs_does_not_delay_telegram(rig: Rig, provider: ProviderServer) -> None:
    held = hang()
    provider.twilio.always(for_posts(held))
    with rig.daemon():
        publish(rig, "one", "two", "three")
        wait_until(lambda: sum(message.provider == "telegram" for message in provider.accepted) == 3, 20.0)
        assert not [message for message in provider.accepted if message.provider == "twilio"]
        provider.twilio.always(None)
        held.release()
        wait_until(lambda: sum(message.provider == "twilio" for message in provider.accepted) >= 3, 60.0)


def test_alert_published_while_no_daemon_runs_stays_journaled_and_is_drained(
    rig: Rig, provider: ProviderServer
) -> None:
    """`--wait` says 3, nothing is lost, and `--drain` delivers it when a daemon runs."""
    early = rig.publish("nobody there", "--severity", "CRITICAL", "--wait", "0.2")
    assert early.returncode == 3
    assert "stay in the journal" in early.stderr
    with rig.daemon():
        drained = rig.publish("--drain", "--wait", "30")
        assert drained.returncode == 0, drained.stderr
        assert drained.stdout.startswith("1 of 1 alerts drained")
        provider.wait_for_accepted(2)
    assert heads(provider) == {("telegram", "nobody there"): 1, ("twilio", "nobody there"): 1}


def test_database_that_is_locked_delays_alerts_and_loses_none(rig: Rig, provider: ProviderServer) -> None:
    with rig.daemon() as daemon:
        with sqlite3.connect(rig.folder / "alertbus.db", isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            waiting = rig.publish("locked out", "--severity", "CRITICAL", "--wait", "0.5")
            assert waiting.returncode == 3
            wait_until(lambda: "database" in daemon.output and "locked" in daemon.output, 30.0)
            other.execute("ROLLBACK")
        other.close()
        assert rig.publish("--drain", "--wait", "30").returncode == 0
        provider.wait_for_accepted(2)
    assert heads(provider) == {("telegram", "locked out"): 1, ("twilio", "locked out"): 1}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("mount") is None:
        if os.environ.get("CI"):
            pytest.fail("mounting a small file system needs root, which CI has")
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_disk_of_the_database_that_is_full_delays_alerts_and_loses_none(
    tmp_path: Path, provider: ProviderServer, small_disk: Path
) -> None:
    addresses = {f"ALERTBUS_{name}_URL": provider.url for name in ("TELEGRAM", "TWILIO", "META")}
    database = {"ALERTBUS_DATABASE_URL": f"sqlite:///{small_disk / 'alertbus.db'}"}
    with Rig(tmp_path, {**CREDENTIALS, **addresses, **database}) as rig, rig.daemon() as daemon:
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 65536):
                    pass
            except OSError:
                pass
        waiting = rig.publish("x" * 3000, "--severity", "CRITICAL", "--count", "40", "--wait", "1")
        assert waiting.returncode == 3
        wait_until(lambda: "full" in daemon.output, 30.0)
        filler.unlink()
        assert rig.publish("--drain", "--wait", "60").returncode == 0
        wait_until(lambda: rig.metric('alertbus_alerts_received_total{topic="severity.CRITICAL"}') >= 40, 60.0)
    assert daemon.process.returncode == 0
