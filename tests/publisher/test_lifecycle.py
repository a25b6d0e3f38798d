"""How a publisher begins and ends: start, close and goodbye."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq

from bus.errors import AlertBusError, ConfigurationError, EndpointTaken
from bus.wire import Ack
from publisher import Publisher, PublisherClosed, PublisherSettings
from publisher.outboxes import Outboxes
from tests.publisher.builders import alert, journals, numbers, remains
from tests.publisher.conftest import MakePublisher, settings_for
from tests.support.scripted_daemon import ScriptedDaemon
from tests.support.waiting import wait_until


def heard(daemon: ScriptedDaemon) -> None:
    wait_until(lambda: daemon.heartbeats)


def test_from_environment_reads_the_variables(folder: Path, nowhere: tuple[str, str]) -> None:
    """And opens nothing yet."""
    publisher = Publisher.from_environment(
        {"ALERTBUS_JOURNAL": str(folder), "ALERTBUS_DATA_ENDPOINT": nowhere[0], "ALERTBUS_SOURCE": "desk"}
    )
    assert (publisher.settings.journal, publisher.settings.source) == (folder, "desk")
    assert publisher.settings.data_endpoints == (nowhere[0],)
    assert not publisher.stats().running
    assert not folder.exists()


def test_start_twice_is_one_start(make_publisher: MakePublisher) -> None:
    """A `with` block may get a publisher that runs already."""
    publisher = make_publisher()
    assert publisher.start() is publisher
    assert publisher.stats().running


@pytest.mark.parametrize(("endpoint", "setting"), [("nonsense", "data"), ("tcp://127.0.0.1:port", "control")])
def test_start_bad_endpoint_raises_configuration_error(
    settings: PublisherSettings, endpoint: str, setting: str
) -> None:
    """The settings refuse most of them; what ZeroMQ alone can refuse is told at the start."""
    publisher = Publisher(settings.model_copy(update={f"{setting}_endpoints": (endpoint,)}))
    with pytest.raises(ConfigurationError, match=f"ALERTBUS_{setting.upper()}_ENDPOINT"):
        publisher.start()


def test_start_taken_port_to_bind_raises_and_needs_no_close(settings: PublisherSettings) -> None:
    """It says which port; nobody has to close what was never open, and it does not seem to run."""
    with zmq.Context() as context, context.socket(zmq.PUB) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        publisher = Publisher(settings.model_copy(update={"publish_bind": f"tcp://127.0.0.1:{port}"}))
        with pytest.raises(EndpointTaken, match=f"ALERTBUS_PUBLISH_BIND.*{port} is taken"):
            publisher.start()
    with pytest.raises(PublisherClosed):
        publisher.start()
    with pytest.raises(PublisherClosed):
        publisher.publish(alert())
    assert "is taken" in (publisher.stats().last_error or "")
    del publisher
    gc.collect()  # a ResourceWarning would fail the test


def test_start_publish_bind_lets_any_program_listen(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """A second listener beside the daemon, over the bound endpoint."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with zmq.Context() as context, context.socket(zmq.SUB) as listener:
        listener.subscribe(b"severity.CRITICAL.")
        listener.connect(f"tcp://127.0.0.1:{port}")
        publisher = make_publisher(daemon, publish_bind=f"tcp://127.0.0.1:{port}")

        def arrived() -> bool:
            publisher.risk_event("DRAWDOWN", "CRITICAL")
            return bool(listener.poll(20))

        wait_until(arrived)
        assert listener.recv_multipart()[0] == b"severity.CRITICAL."


def test_start_slow_disk_raises_in_time_and_ends_by_itself(
    settings: PublisherSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hanging folder must not hang the trader's start, nor leave a thread behind."""
    release = threading.Event()
    opened = Outboxes.open

    def slow(self: Outboxes) -> None:
        release.wait(20.0)
        opened(self)

    monkeypatch.setattr(Outboxes, "open", slow)
    publisher = Publisher(settings)
    with pytest.raises(AlertBusError, match="not ready within"):
        publisher.start(timeout=0.01)
    release.set()
    wait_until(lambda: not publisher.stats().running)
    with pytest.raises(PublisherClosed):
        publisher.publish(alert())


@pytest.mark.parametrize(
    "use",
    [
        lambda publisher: publisher.publish(alert()),
        lambda publisher: publisher.publish(alert(), wait=1.0),
        lambda publisher: publisher.risk_event("A", "INFO"),
        lambda publisher: publisher.agent_action("ppo", "TNA", "HOLD"),
        lambda publisher: publisher.flush(1.0),
        lambda publisher: publisher.progress(),
        lambda publisher: publisher.start(),
    ],
)
def test_use_after_close_raises_publisher_closed(
    make_publisher: MakePublisher, use: Callable[[Publisher], object]
) -> None:
    """A bug in the caller, and the one error that says so."""
    publisher = make_publisher()
    publisher.close(timeout=0.0)
    with pytest.raises(PublisherClosed, match="make a new one"):
        use(publisher)


def test_close_with_a_daemon_says_goodbye_and_leaves_nothing(
    daemon: ScriptedDaemon, make_publisher: MakePublisher, folder: Path
) -> None:
    """Everything acknowledged, the goodbye heard: the file is gone."""
    publisher = make_publisher(daemon)
    heard(daemon)
    for number in range(100):
        publisher.publish(alert(number))
    assert publisher.close(timeout=10.0, reason="market closed") is True
    assert numbers(daemon.alerts) == list(range(100))
    assert {(bye.source, bye.reason, bye.last) for bye in daemon.goodbyes} == {("trader", "market closed", 100)}
    assert remains(folder) == []
    stats = publisher.stats()
    assert (stats.running, stats.queued, stats.journal_alerts, stats.acknowledged) == (False, 0, 0, 100)


def test_close_without_a_daemon_keeps_everything_and_is_quick(make_publisher: MakePublisher, folder: Path) -> None:
    """It does not wait out its limit for somebody who is not there."""
    publisher = make_publisher()
    for number in range(100):
        publisher.publish(alert(number))
    limit = threading.Timer(20.0, lambda: None)
    limit.start()
    assert publisher.close(timeout=60.0) is False
    assert limit.is_alive()
    limit.cancel()
    assert publisher.stats().journal_alerts == 100
    (journal,) = journals(folder)
    assert (journal.last, journal.held(), journal.goodbye) == (100, 100, "closed")


def test_close_goodbye_that_was_not_heard_is_repeated_by_an_adopter(
    make_publisher: MakePublisher, folder: Path, daemon: ScriptedDaemon
) -> None:
    """Else a daemon that was away would accuse a publisher that ended in order."""
    first = make_publisher(daemon)
    assert first.publish(alert(), wait=10.0)
    wait_until(lambda: first.stats().journal_alerts == 0)
    endpoints, streams = daemon.endpoints, daemon.streams
    daemon.stop()
    assert first.close(timeout=0.0, reason="exception: ValueError") is False
    assert daemon.goodbyes == []

    with ScriptedDaemon(endpoints=endpoints, streams=streams) as again:
        second = make_publisher(again, source="second")
        wait_until(lambda: again.goodbyes)
        assert again.goodbyes[0].reason == "exception: ValueError"
        wait_until(lambda: len(list(folder.glob("*.journal"))) == 1)
        assert second.close(timeout=10.0)
    assert remains(folder) == []


def test_close_twice_and_from_many_threads_is_one_close(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """Every call returns when it is over, with the same answer."""
    publisher = make_publisher(daemon)
    heard(daemon)
    publisher.publish(alert())
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(publisher.close(timeout=10.0))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 8
    assert publisher.close() is True
    assert {bye.reason for bye in daemon.goodbyes} == {"closed"}


def test_publish_never_started_starts_it(daemon: ScriptedDaemon, settings: PublisherSettings) -> None:
    """Nobody calls `start`: the first alert does, and waits for nothing."""
    assert Publisher(settings).close() is True
    endpoints = {"data_endpoints": (daemon.data_endpoint,), "control_endpoints": (daemon.control_endpoint,)}
    publisher = Publisher(settings.model_copy(update=endpoints))
    assert publisher.publish(alert())
    assert publisher.start() is publisher  # later is no mistake either
    assert publisher.publish(alert(), wait=10.0)
    assert publisher.close(10.0) is True


def test_publish_never_started_whose_thread_fails_is_told_in_stats(settings: PublisherSettings) -> None:
    """A port that is taken raises in `start` only; trading goes on."""
    with zmq.Context() as context, context.socket(zmq.PUB) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        publisher = Publisher(settings.model_copy(update={"publish_bind": f"tcp://127.0.0.1:{port}"}))
        assert publisher.publish(alert())
        wait_until(lambda: publisher.stats().last_error)
    assert "is taken" in (publisher.stats().last_error or "")
    publisher.close(0.0)


def test_close_daemon_hears_but_never_answers_ends_at_the_limit(
    daemon: ScriptedDaemon, make_publisher: MakePublisher, folder: Path
) -> None:
    """The journal has everything; a trader's exit is not held up for longer than was asked."""
    daemon.acknowledges = False
    publisher = make_publisher(daemon)
    publisher.publish(alert())
    heard(daemon)
    assert publisher.close(timeout=0.2) is False
    assert len(daemon.goodbyes) >= 2
    assert len(list(folder.glob("*.journal"))) == 1


def test_close_one_of_two_daemons_answers_says_goodbye_on_to_the_other(
    daemon: ScriptedDaemon, make_publisher: MakePublisher
) -> None:
    """Each of them has to have everything; the one that has is left in peace."""
    with ScriptedDaemon(store_id="store-b") as deaf:
        publisher = make_publisher(
            data_endpoints=f"{daemon.data_endpoint},{deaf.data_endpoint}",
            control_endpoints=f"{daemon.control_endpoint},{deaf.control_endpoint}",
        )
        wait_until(lambda: daemon.heartbeats and deaf.heartbeats)
        deaf.acknowledges = False
        assert publisher.close(timeout=0.4) is False
        assert len(deaf.goodbyes) > len(daemon.goodbyes) >= 1


def test_close_ack_of_the_goodbye_alone_is_not_enough(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """The alerts must be stored, too, those that come after it included."""
    daemon.acknowledges = False
    publisher = make_publisher(daemon)
    heard(daemon)
    daemon.send(Ack(stream=daemon.heartbeats[0].stream, up_to=0, goodbye=True))
    daemon.send_frames([b"a mark that is read behind it"])
    wait_until(lambda: publisher.stats().errors == 1)
    publisher.publish(alert())
    assert publisher.close(timeout=0.2) is False


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, "closed"),
        (ValueError("drawdown"), "exception: ValueError"),
        (KeyboardInterrupt(), "signal: SIGINT"),
        (SystemExit(3), "exception: SystemExit"),
        (SystemExit(0), "closed"),
        (SystemExit(), "closed"),
        (GeneratorExit(), "closed"),
    ],
)
def test_with_block_goodbye_says_how_it_ended(
    daemon: ScriptedDaemon, folder: Path, error: BaseException | None, reason: str
) -> None:
    """An exception is told to people; `sys.exit(0)` is an end in order."""

    def trade() -> None:
        with Publisher(settings_for(folder, daemon.endpoints)):
            heard(daemon)
            if error is not None:
                raise error

    if error is None:
        trade()
    else:
        with pytest.raises(type(error)):
            trade()
    assert {bye.reason for bye in daemon.goodbyes} == {reason}


def test_close_reason_of_any_length_is_told(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """Cut to what a goodbye carries."""
    publisher = make_publisher(daemon)
    heard(daemon)
    assert publisher.close(timeout=10.0, reason="r\ud800" * 500) is True
    assert {len(bye.reason) for bye in daemon.goodbyes} == {128}
