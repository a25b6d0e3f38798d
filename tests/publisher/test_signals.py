"""Closing on signals: the goodbye names the signal, and the process ends as it would have."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bus.errors import AlertBusError
from publisher import Publisher, PublisherClosed, PublisherSettings
from publisher.signals import ClosingSignals
from tests.publisher.builders import journals, python
from tests.support.scripted_daemon import ScriptedDaemon
from tests.support.waiting import wait_until

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="TerminateProcess asks nobody there")

TRADER = """
import signal, sys, time
from pathlib import Path
from publisher import Publisher, PublisherSettings
_, folder, data, control, how = sys.argv
if how == "handled":
    def handler(number, frame):
        print("the trader's own handler", number == signal.SIGTERM, flush=True)
        sys.exit(7)
    signal.signal(signal.SIGTERM, handler)
settings = PublisherSettings(journal=Path(folder), data_endpoints=data, control_endpoints=control, source="trader")
publisher = Publisher(settings).start()
if how != "not asked":
    publisher.close_on_signals()
    publisher.close_on_signals()
for number in range(1, 51):
    publisher.risk_event(f"TEST_{number}", "INFO")
print("published", flush=True)
while True:
    time.sleep(0.05)
"""


def end_trader(folder: Path, endpoints: tuple[str, str], how: str, number: int) -> tuple[int, str]:
    with python(TRADER, str(folder), *endpoints, how) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "published\n"
        child.send_signal(number)
        try:
            out, _ = child.communicate(timeout=30)
        finally:
            child.kill()  # one that a signal does not end, as where SIGHUP is ignored, would be waited for without end
    return child.returncode, out


@posix_only
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signal_with_a_daemon_says_goodbye_and_ends_the_process(
    folder: Path, daemon: ScriptedDaemon, name: str
) -> None:
    """Everything arrives, people hear of the signal, and whoever sent it sees that it worked."""
    number = signal.Signals[name].value
    code, _ = end_trader(folder, daemon.endpoints, "default", number)
    assert code == -number
    wait_until(lambda: {bye.reason for bye in daemon.goodbyes} == {f"signal: {name}"})
    assert len(daemon.alerts) == 50
    assert list(folder.glob("*.journal")) == []


@posix_only
def test_signal_without_a_daemon_journals_all_and_the_goodbye(folder: Path, nowhere: tuple[str, str]) -> None:
    """An adopter sends both."""
    code, _ = end_trader(folder, nowhere, "default", signal.SIGTERM)
    assert code == -signal.SIGTERM
    (journal,) = journals(folder)
    assert (journal.held(), journal.goodbye) == (50, "signal: SIGTERM")


@posix_only
def test_signal_that_the_trader_handles_reaches_its_handler(folder: Path, nowhere: tuple[str, str]) -> None:
    """After the goodbye, with the handler that was there before."""
    code, out = end_trader(folder, nowhere, "handled", signal.SIGTERM)
    assert (code, out) == (7, "the trader's own handler True\n")
    (journal,) = journals(folder)
    assert journal.goodbye == "signal: SIGTERM"


@posix_only
def test_signal_nobody_asked_for_is_not_handled(folder: Path, nowhere: tuple[str, str]) -> None:
    """A library that takes signals by itself would break its host."""
    code, _ = end_trader(folder, nowhere, "not asked", signal.SIGTERM)
    assert code == -signal.SIGTERM
    (journal,) = journals(folder)
    assert journal.goodbye is None


@pytest.fixture
def handlers() -> Iterator[None]:
    """The process's own handlers, afterwards."""
    names = [name for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    before = {name: signal.getsignal(getattr(signal, name)) for name in names}
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


@pytest.fixture
def reasons() -> list[str]:
    return []


@pytest.fixture
def closing(handlers: None, reasons: list[str]) -> ClosingSignals:
    def close() -> Callable[[str], object]:
        return reasons.append

    return ClosingSignals(close)


def test_remove_gives_the_signals_back(closing: ClosingSignals) -> None:
    """As they were, and once is enough."""

    def own(*_: object) -> None:
        raise AssertionError

    signal.signal(signal.SIGTERM, own)
    closing.install()
    assert signal.getsignal(signal.SIGTERM) is not own
    closing.remove()
    closing.remove()
    assert signal.getsignal(signal.SIGTERM) is own


def test_install_ignored_signal_stays_ignored(closing: ClosingSignals, reasons: list[str]) -> None:
    """It would have ended nothing."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    closing.install()
    signal.raise_signal(signal.SIGTERM)
    assert (signal.getsignal(signal.SIGTERM), reasons) == (signal.SIG_IGN, [])


@posix_only
def test_install_hangup_that_somebody_handles_is_left_alone(closing: ClosingSignals, reasons: list[str]) -> None:
    """Traders reload by it."""
    heard: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _: heard.append(number))
    closing.install()
    signal.raise_signal(signal.SIGHUP)
    closing.remove()
    assert (heard, reasons) == ([signal.SIGHUP], [])


def test_handler_before_is_called_after_the_close(closing: ClosingSignals, reasons: list[str]) -> None:
    """Once, and with all signals given back."""
    order: list[str] = []
    signal.signal(signal.SIGTERM, lambda *_: order.append(f"handler after {reasons}"))
    closing.install()
    signal.raise_signal(signal.SIGTERM)
    assert order == ["handler after ['signal: SIGTERM']"]
    signal.raise_signal(signal.SIGTERM)
    assert len(order) == 2
    assert reasons == ["signal: SIGTERM"]


def test_handler_installed_over_ours_that_calls_it_ends_once(closing: ClosingSignals, reasons: list[str]) -> None:
    """A chain in the other direction: ours gives nothing back that is not ours."""
    order: list[str] = []
    signal.signal(signal.SIGTERM, lambda *_: order.append("first"))
    closing.install()
    ours = signal.getsignal(signal.SIGTERM)
    assert callable(ours)

    def last(number: int, frame: object) -> None:
        order.append("last")
        ours(number, None)

    signal.signal(signal.SIGTERM, last)
    signal.raise_signal(signal.SIGTERM)
    assert (order, reasons) == (["last", "first"], ["signal: SIGTERM"])
    assert signal.getsignal(signal.SIGTERM) is last


def test_close_on_signals_outside_of_the_main_thread_says_so(settings: PublisherSettings) -> None:
    """Python takes signals in the main thread only."""
    publisher = Publisher(settings)
    errors: list[Exception] = []

    def call() -> None:
        try:
            publisher.close_on_signals()
        except AlertBusError as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert "main thread" in str(errors[0])


def test_close_on_signals_closed_publisher_raises_and_close_gives_back(
    handlers: None, settings: PublisherSettings
) -> None:
    """What is over handles nothing."""
    before = signal.getsignal(signal.SIGTERM)
    with Publisher(settings) as publisher:
        publisher.close_on_signals()
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    with pytest.raises(PublisherClosed):
        publisher.close_on_signals()


def test_forgotten_publisher_is_not_held_by_the_signals(handlers: None, settings: PublisherSettings) -> None:
    """The table of signals lives as long as the process; its handler then only passes the signal on."""

    def ends(*_: object) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, ends)
    publisher = Publisher(settings)
    publisher.close_on_signals()
    forgotten = weakref.ref(publisher)
    del publisher
    gc.collect()
    assert forgotten() is None
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)


WITH_BLOCK = """
import signal, sys, time
from pathlib import Path
from publisher import Publisher, PublisherSettings
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a script inherits "ignored"
_, folder, data, control = sys.argv
with Publisher(PublisherSettings(journal=Path(folder), data_endpoints=data, control_endpoints=control)) as publisher:
    publisher.risk_event("TEST_1", "INFO")
    print("published", flush=True)
    while True:
        time.sleep(0.05)
"""


@posix_only
def test_control_c_in_a_with_block_is_told_as_a_signal(folder: Path, nowhere: tuple[str, str]) -> None:
    """A person ended it by hand: that is no exception of the trading loop."""
    with python(WITH_BLOCK, str(folder), *nowhere) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "published\n"
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=30)
    (journal,) = journals(folder)
    assert (journal.held(), journal.goodbye) == (1, "signal: SIGINT")
