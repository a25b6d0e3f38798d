"""What is left when nobody closed the publisher: it is forgotten, its process ends, its thread ends."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path

import pytest

from bus.alerts import Severity
from publisher import Publisher, PublisherSettings
from publisher import sender as module
from tests.publisher.builders import alert, journals, python, remains
from tests.publisher.conftest import MakePublisher
from tests.support.scripted_daemon import ScriptedDaemon
from tests.support.waiting import wait_until


def test_publisher_forgotten_warns_and_journals(
    settings: PublisherSettings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last milliseconds depend on luck: that is told, and what was queued is kept all the same."""
    monkeypatch.setattr(module, "_ABSENT_DAEMON_SECONDS", 0.02)
    publisher = Publisher(settings).start()
    publisher.publish(alert())
    sender = publisher._sender
    kept = [publisher]
    del publisher
    with pytest.warns(ResourceWarning, match=r"was not closed; call close\(\) or use it in a with statement"):
        kept.clear()
    wait_until(lambda: not sender.running)
    (journal,) = journals(folder)
    assert (journal.held(), journal.goodbye) == (1, "interpreter exit")


def test_publisher_never_started_is_forgotten_without_a_word(settings: PublisherSettings) -> None:
    """Nothing was opened."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        publisher = Publisher(settings)
        del publisher
        gc.collect()


def test_publish_last_moment_is_journaled(
    make_publisher: MakePublisher, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that was in the middle of publishing when another one closed loses nothing, or is refused."""
    publisher = make_publisher()
    over = module.Sender._over

    def published_meanwhile(self: module.Sender, stop: object, now: float) -> bool:
        if not over(self, stop, now):  # type: ignore[arg-type]
            return False
        self._handover.put((1, alert(7), None))
        return True

    monkeypatch.setattr(module.Sender, "_over", published_meanwhile)
    publisher.close(timeout=0.0)
    assert publisher._handover.put((1, alert(8, Severity.CRITICAL), None)) is False
    (journal,) = journals(folder)
    assert journal.held() == 1


def test_thread_ends_unexpectedly_refuses_and_says_so(
    make_publisher: MakePublisher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug of ours never raises in the trader's thread, and never looks as if all were well."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    publisher = make_publisher()
    monkeypatch.setattr(module.Sender, "_beat", fail)
    wait_until(lambda: not publisher.stats().running)
    assert publisher.publish(alert(), wait=30.0) is False
    stats = publisher.stats()
    assert (stats.refused, stats.last_error) == (1, "ZeroDivisionError: a bug")
    assert "ended unexpectedly" in caplog.text
    assert publisher.close() is False


EXIT = """
import atexit, sys
from pathlib import Path
from publisher import Publisher, PublisherSettings
_, folder, data, control, how = sys.argv
publisher = Publisher(PublisherSettings(journal=Path(folder), data_endpoints=data, control_endpoints=control)).start()
for number in range(50):
    publisher.risk_event(f"TEST_{number}", "INFO")
if how == "registered":
    atexit.register(publisher.close)
if how in {"exception", "registered"}:
    raise ValueError("the trading loop died")
if how == "exit":
    sys.exit(1)
"""


@pytest.mark.parametrize(
    ("how", "code", "reason"),
    [
        ("exit", 1, "interpreter exit"),
        ("exception", 1, "exception: ValueError"),
        ("registered", 1, "exception: ValueError"),
    ],
)
def test_process_ends_without_close_journals_everything(
    folder: Path, nowhere: tuple[str, str], how: str, code: int, reason: str
) -> None:
    """The end of the interpreter waits for the journal; one that died of an exception says so."""
    with python(EXIT, str(folder), *nowhere, how) as child:
        _, errors = child.communicate(timeout=60)
    assert child.returncode == code, errors
    (journal,) = journals(folder)
    assert (journal.held(), journal.last, journal.goodbye) == (50, 50, reason)


def test_goodbye_is_heard_when_the_interpreter_exits(folder: Path, daemon: ScriptedDaemon) -> None:
    """With a daemon at hand nothing stays behind at all."""
    with python(EXIT, str(folder), *daemon.endpoints, "end") as child:
        _, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    assert len(daemon.alerts) == 50
    assert {bye.reason for bye in daemon.goodbyes} == {"interpreter exit"}
    assert remains(folder) == []
