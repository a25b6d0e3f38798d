"""`alertbus-publish`: what it publishes, what it says, and with which code it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.alerts import Action, AgentAction, RiskEvent, Severity
from bus.errors import AlertBusError
from publisher import Publisher, PublisherSettings, sender
from publisher.__main__ import EXIT_DONE, EXIT_FAILED, EXIT_NOT_STORED, EXIT_USAGE, SOURCE, main, run
from publisher.journal_folder import left_behind
from tests.publisher.builders import ROOT, alert, numbers, python
from tests.publisher.conftest import MakePublisher
from tests.support.scripted_daemon import ScriptedDaemon
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path, nowhere: tuple[str, str]
) -> pytest.MonkeyPatch:
    """A working directory without `.env`, a folder of its own, and no daemon, which is not waited for at the end."""
    monkeypatch.setattr(sender, "_ABSENT_DAEMON_SECONDS", 0.02)
    monkeypatch.chdir(tmp_path)
    for name, value in (("DATA_ENDPOINT", nowhere[0]), ("CONTROL_ENDPOINT", nowhere[1]), ("JOURNAL", str(folder))):
        monkeypatch.setenv(f"ALERTBUS_{name}", value)
    monkeypatch.delenv("ALERTBUS_SOURCE", raising=False)
    return monkeypatch


@pytest.fixture
def reached(environment: pytest.MonkeyPatch, daemon: ScriptedDaemon) -> ScriptedDaemon:
    """A daemon where the command looks for it."""
    environment.setenv("ALERTBUS_DATA_ENDPOINT", daemon.data_endpoint)
    environment.setenv("ALERTBUS_CONTROL_ENDPOINT", daemon.control_endpoint)
    return daemon


def test_run_text_with_wait_is_stored(reached: ScriptedDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    """The command of the README: exit 0 means that a daemon has stored it."""
    assert run(["Drawdown breached", "--severity", "critical", "--wait", "10"]) == EXIT_DONE
    (event,) = reached.alerts
    assert isinstance(event, RiskEvent)
    told = (event.event_type, event.severity, event.description, event.source)
    assert told == ("TEST_ALERT", Severity.CRITICAL, "Drawdown breached", SOURCE)
    assert capsys.readouterr().out == "1 of 1 alerts stored by a daemon\n"


def test_run_every_option_of_an_event_is_carried(reached: ScriptedDaemon) -> None:
    """As the trader's own call would have it."""
    options = "--event DRAWDOWN --symbol TNA --agent ppo --value 6.1 --threshold 5 --pnl -3.5 --wait 10 --source me"
    assert run(["6.1 %", *options.split()]) == EXIT_DONE
    (event,) = reached.alerts
    assert isinstance(event, RiskEvent)
    assert (event.event_type, event.symbol, event.agent_name, event.source) == ("DRAWDOWN", "TNA", "ppo", "me")
    assert (event.value, event.threshold, event.pnl, event.severity) == (6.1, 5.0, -3.5, Severity.INFO)


@pytest.mark.parametrize("option", ["--event", "--event-type"])
def test_run_event_type_has_the_name_that_the_daemons_commands_give_it(reached: ScriptedDaemon, option: str) -> None:
    assert run(["Drawdown breached", option, "DRAWDOWN_BREACHED", "--wait", "10"]) == EXIT_DONE
    (event,) = reached.alerts
    assert isinstance(event, RiskEvent)
    assert event.event_type == "DRAWDOWN_BREACHED"


def test_run_action_is_a_trade(reached: ScriptedDaemon) -> None:
    """With its text as the rationale."""
    options = "--action buy --symbol TNA --quantity 10 --price 41.2 --confidence 0.9 --wait 10"
    assert run(["momentum", *options.split()]) == EXIT_DONE
    (event,) = reached.alerts
    assert isinstance(event, AgentAction)
    assert (event.action, event.symbol, event.quantity, event.price) == (Action.BUY, "TNA", 10.0, 41.2)
    assert (event.confidence, event.rationale) == (0.9, "momentum")


def test_run_count_numbers_the_alerts(reached: ScriptedDaemon) -> None:
    """At a pace, when one is given; a trade needs no text, and the number is its rationale then."""
    assert run(["load", "--count", "3", "--rate", "1000", "--wait", "10"]) == EXIT_DONE
    assert run(["--action", "HOLD", "--count", "2", "--wait", "10"]) == EXIT_DONE
    told = [getattr(each, "description", None) or getattr(each, "rationale", None) for each in reached.alerts]
    assert told == ["load (1 of 3)", "load (2 of 3)", "load (3 of 3)", "(1 of 2)", "(2 of 2)"]


def test_run_without_wait_journals(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """No daemon is needed for that: it stays until one comes."""
    assert run(["hello"]) == EXIT_DONE
    assert (
        capsys.readouterr().out == "1 of 1 alerts journaled (--wait SECONDS tells whether a daemon has stored them)\n"
    )
    assert len(left_behind(folder)) == 1


def test_run_wait_without_a_daemon_says_so(
    capsys: pytest.CaptureFixture[str], folder: Path, nowhere: tuple[str, str]
) -> None:
    """Exit 3: not stored in time, and what happens to it."""
    assert run(["hello", "--wait", "0.1"]) == EXIT_NOT_STORED
    errors = capsys.readouterr().err
    assert f"not stored within 0.1 s: no daemon answers at {nowhere[1]}" in errors
    assert "1 alerts stay in the journal" in errors
    assert len(left_behind(folder)) == 1


def test_run_wait_with_a_daemon_that_does_not_store_says_so(
    reached: ScriptedDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is another fault than no daemon at all."""
    reached.acknowledges = False

    def answer_at_the_end() -> None:
        wait_until(lambda: reached.goodbyes)
        reached.acknowledges = True

    threading.Thread(target=answer_at_the_end).start()
    assert run(["hello", "--wait", "0.3"]) == EXIT_NOT_STORED
    assert "a daemon answers but has not stored all" in capsys.readouterr().err


def test_run_journal_that_does_not_work_is_a_failure(
    environment: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`journaled` would be a lie: it is gone with the command."""
    (tmp_path / "file").touch()
    environment.setenv("ALERTBUS_JOURNAL", str(tmp_path / "file" / "journal"))
    assert run(["hello"]) == EXIT_FAILED
    captured = capsys.readouterr()
    assert "the journal does not work" in captured.err
    assert captured.out == ""


def test_run_queue_full_counts_what_was_refused(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It publishes as the trader does: what the queue refuses is refused."""
    taken = iter([True, False, True])
    environment.setattr(Publisher, "publish", lambda self, alert, wait=None: next(taken))
    assert run(["hello", "--count", "3"]) == EXIT_FAILED
    assert (
        capsys.readouterr().out == "2 of 3 alerts journaled (--wait SECONDS tells whether a daemon has stored them)\n"
    )


@pytest.mark.parametrize("arguments", [["hello", "--wait", "0.2"], ["--drain", "--wait", "0.2"]], ids=" ".join)
def test_run_without_a_journal_that_works_promises_nothing(
    environment: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """What no daemon stored is gone when the command ends, and a folder that can't be used is not drained."""
    (tmp_path / "file").write_text("")
    environment.setenv("ALERTBUS_JOURNAL", str(tmp_path / "file" / "journal"))
    assert run(arguments) == EXIT_FAILED
    told = capsys.readouterr()
    assert "stay in the journal" not in told.err + told.out
    assert "journal does not work" in told.err or "journal can't be used" in told.err


def test_run_source_of_the_environment_is_the_traders(reached: ScriptedDaemon, environment: pytest.MonkeyPatch) -> None:
    """The script's end, or its stream, must never be taken for the trader's: it reads the same `.env`."""
    environment.setenv("ALERTBUS_SOURCE", "live_trader")
    assert run(["hello", "--wait", "10"]) == EXIT_DONE
    assert {beat.source for beat in reached.heartbeats} == {SOURCE}


def test_run_drain_delivers_what_is_left(
    reached: ScriptedDaemon, settings: PublisherSettings, make_publisher: MakePublisher,
    capsys: pytest.CaptureFixture[str], folder: Path,
) -> None:  # fmt: skip
    """Of a trader that crashed while no daemon ran and never starts again."""
    dead = make_publisher()
    for number in range(20):
        dead.publish(alert(number))
    dead.close(timeout=0.0)
    assert run(["--drain", "--wait", "10"]) == EXIT_DONE
    assert numbers(reached.record_of("trader").alerts) == list(range(20))
    assert capsys.readouterr().out == "20 of 20 alerts drained, 0 left\n"
    assert left_behind(folder) == []


def test_run_drain_without_a_daemon_leaves_it(
    make_publisher: MakePublisher, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """Exit 3, and nothing is lost."""
    dead = make_publisher()
    dead.publish(alert())
    dead.close(timeout=0.0)
    assert run(["--drain", "--wait", "0.1"]) == EXIT_NOT_STORED
    assert capsys.readouterr().out == "0 of 1 alerts drained, 1 left\n"
    assert len(left_behind(folder)) == 1


def test_run_drain_empty_folder_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to wait for, and the limit has a default."""
    assert run(["--drain"]) == EXIT_DONE
    assert capsys.readouterr().out == "nothing to drain: 0 alerts wait in the journal\n"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ([], "give a text, or --action, or --drain"),
        (["hello", "--drain"], "give a text, or --action, or --drain"),
        (["hello", "--severity", "LOUD"], "use INFO, WARNING or CRITICAL"),
        (["--action", "SHORT"], "use BUY, SELL or HOLD"),
        (["--action", "BUY", "--severity", "CRITICAL"], "not allowed with argument"),
        (["hello", "--count", "0"], "use a number above 0"),
        (["hello", "--count", "1.5"], "use a whole number"),
        (["hello", "--rate", "many"], "use a number above 0"),
        (["hello", "--wait", "nan"], "use a number above 0"),
        (["hello", "--wait", "inf"], "use a number above 0"),
        (["hello", "--value", "x"], "invalid float value"),
        (["hello", "--source", ""], "use 1 to 128 printable characters"),
        (["hello", "--source", "a\nb"], "use 1 to 128 printable characters"),
        (["hello", "--source", "s" * 129], "use 1 to 128 printable characters"),
    ],
)
def test_run_wrong_usage_exits_2_and_says_what_to_do(
    capsys: pytest.CaptureFixture[str], arguments: list[str], hint: str
) -> None:
    """argparse's own way."""
    with pytest.raises(SystemExit) as caught:
        run(arguments)
    assert caught.value.code == EXIT_USAGE
    assert hint in capsys.readouterr().err


def test_run_event_that_cannot_be_built_names_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    """By the option's name, not the field's."""
    assert run(["hello", "--event", ""]) == EXIT_USAGE
    assert capsys.readouterr().err == "alertbus-publish: --event: String should have at least 1 character\n"


def test_run_bad_environment_tells_every_fault(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the variable's name, exit 2."""
    environment.setenv("ALERTBUS_QUEUE_LIMIT", "many")
    environment.setenv("ALERTBUS_JOURNAL_SYNC", "sometimes")
    assert run(["hello"]) == EXIT_USAGE
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("alertbus-publish: ALERTBUS_") for line in lines)


@pytest.mark.parametrize(
    ("error", "errors"),
    [(KeyboardInterrupt(), ""), (AlertBusError("It was not ready."), "alertbus-publish: It was not ready.\n")],
)
@pytest.mark.parametrize("method", ["start", "publish"])
def test_run_interrupted_or_failing_exits_1(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], method: str, error: BaseException, errors: str
) -> None:
    """Ctrl-C without a trace; any fault of ours with its sentence."""

    def fail(*_: object, **__: object) -> bool:
        raise error

    environment.setattr(Publisher, method, fail)
    assert run(["hello"]) == EXIT_FAILED
    assert capsys.readouterr().err == errors


def test_run_wrong_option_ends_in_order(reached: ScriptedDaemon, environment: pytest.MonkeyPatch) -> None:
    """A typing error at the prompt is no exception of a trader that wakes people up."""
    environment.setenv("ALERTBUS_HEARTBEAT_INTERVAL", "0.05")
    start = Publisher.start

    def started(self: Publisher, timeout: float = 5.0) -> Publisher:
        start(self, timeout)
        wait_until(lambda: reached.heartbeats)
        return self

    environment.setattr(Publisher, "start", started)
    assert run(["hello", "--event", ""]) == EXIT_USAGE
    assert {bye.reason for bye in reached.goodbyes} == {"closed"}


@pytest.mark.usefixtures("sigterm")
def test_main_exits_with_the_code_of_run() -> None:
    """For the console script."""
    with pytest.raises(SystemExit) as caught:
        main(["--drain"])
    assert caught.value.code == EXIT_DONE


@pytest.fixture
def sigterm() -> Iterator[None]:
    """The handler that `main` replaces."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_process_terminated_says_goodbye(
    reached: ScriptedDaemon, make_publisher: MakePublisher, environment: pytest.MonkeyPatch
) -> None:
    """A service manager stops a drain that has not ended: that is no silent trader."""
    reached.acknowledges = False
    dead = make_publisher()
    dead.publish(alert())
    dead.close(timeout=0.0)
    with python("from publisher.__main__ import main; main(['--drain'])") as child:
        wait_until(lambda: any(beat.source == SOURCE for beat in reached.heartbeats))
        reached.acknowledges = True
        reached.asks_replays = False
        child.terminate()
        assert child.wait(timeout=30.0) == EXIT_FAILED
    assert {bye.reason for bye in reached.record_of(SOURCE).goodbyes} == {"closed"}


def test_process_python_dash_m_publisher(reached: ScriptedDaemon, tmp_path: Path) -> None:
    """The real command, in a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-m", "publisher", "Drawdown breached", "--severity", "CRITICAL", "--wait", "20"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "1 of 1 alerts stored by a daemon\n", "")
    assert len(reached.alerts) == 1
    assert {bye.reason for bye in reached.goodbyes} == {"closed"}
