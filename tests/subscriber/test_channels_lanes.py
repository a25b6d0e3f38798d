"""What no socket ends is left to itself at the deadline, never sends late, and is bounded in number."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from subscriber.channels import lanes
from subscriber.channels.building import build_channel
from subscriber.channels.channel import AppriseConfig, Channel, TelegramConfig
from subscriber.channels.lanes import SPARE_LANES, Lanes, NoLaneFree, StillRunning
from subscriber.deliveries import Dialect, Message, Reason
from tests.support.provider_server import TELEGRAM_CHAT, TELEGRAM_TOKEN, ProviderServer

MESSAGE = Message("<b>Drawdown</b>", "Drawdown", Dialect.TELEGRAM_HTML)
Build = Callable[..., Channel]


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A provider on loopback."""
    with ProviderServer() as running:
        yield running


@pytest.fixture
def build() -> Iterator[Build]:
    """Build Telegram channels; all of them are closed."""
    with contextlib.ExitStack() as opened:

        def build_one(base_url: str, deadline_seconds: float) -> Channel:
            config = TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT, base_url=base_url, deadline_seconds=deadline_seconds)
            channel = build_channel(config, environ={})
            opened.callback(channel.close)
            return channel

        yield build_one


@pytest.fixture
def two_lanes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lanes]:
    """Two lanes that are left to themselves at once."""
    monkeypatch.setattr(lanes, "GRACE_SECONDS", 0.01)
    made = Lanes("test", count=2)
    yield made
    made.close()


def run(chosen: Lanes, work: Callable[[], str], late: Callable[[str], None] = lambda _: None) -> str:
    """Run work that has no time at all."""
    return chosen.run(work, seconds=0.01, give_up=lambda: None, late=late)


def test_send_whose_name_server_hangs_ends_and_never_sends_late(
    server: ProviderServer, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No socket ends it; when it ends by itself, the request is not made any more."""
    released, resolved = threading.Event(), threading.Event()
    real = socket.getaddrinfo

    def resolve(*arguments: object, **options: object) -> object:
        released.wait(10)
        resolved.set()
        return real(*arguments, **options)  # type: ignore[arg-type]

    telegram = build(server.url, deadline_seconds=0.2)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    outcome = telegram.send(MESSAGE)
    assert (outcome.reason, outcome.in_doubt) == (Reason.NETWORK, False)
    monkeypatch.undo()
    released.set()
    assert resolved.wait(5)
    assert telegram.send(MESSAGE).accepted
    assert len(server.telegram.requests) == 1


def test_sends_that_all_hang_are_bounded_in_number(
    server: ProviderServer, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When every lane hangs, a send is refused before anything of it has happened; later it works again."""
    released = threading.Event()
    monkeypatch.setattr(lanes, "GRACE_SECONDS", 0.01)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(10) and [])
    telegram = build(server.url, deadline_seconds=0.2)  # long enough for a thread to begin on a busy machine
    details = [telegram.send(MESSAGE).detail for _ in range(SPARE_LANES + 2)]
    released.set()
    monkeypatch.undo()
    assert details[-1] == "nothing was sent: all threads still hang in earlier sends"
    assert details[:-1] == ["nothing was sent: no connection within 0.2 s"] * (SPARE_LANES + 1)


def test_send_that_hangs_outside_of_any_request_is_in_doubt(server: ProviderServer) -> None:
    """A plugin that speaks HTTP may speak something else as well."""
    released = threading.Event()
    config = AppriseConfig("desk", f"json://127.0.0.1:{server.port}/hook", deadline_seconds=0.1)
    channel = build_channel(config, environ={})
    channel._provider.submit = lambda *_: released.wait(10)  # type: ignore[attr-defined]
    outcome = channel.send(MESSAGE)
    released.set()
    channel.close()
    assert (outcome.reason, outcome.in_doubt, outcome.detail) == (Reason.TIMEOUT, True, "no result within 0.1 s")


def test_run_of_work_that_raises_raises_in_the_thread_that_waits(two_lanes: Lanes) -> None:
    """A bug shows where the channel was called, and the lane lives on."""

    def fail() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        two_lanes.run(fail, seconds=5, give_up=lambda: None, late=lambda _: None)
    name = two_lanes.run(lambda: threading.current_thread().name, seconds=5, give_up=lambda: None, late=lambda _: None)
    assert name == "lane:test:1"


def test_run_of_work_that_hangs_hands_its_late_result_over_and_frees_its_lane(two_lanes: Lanes) -> None:
    """Two hang, the third is refused; what they end with is heard, also after the channel has closed."""
    released, heard = threading.Event(), threading.Semaphore(0)
    results: list[str] = []

    def late(result: str) -> None:
        results.append(result)
        heard.release()

    def hang() -> str:
        released.wait(10)
        return "late"

    for _ in range(2):
        with pytest.raises(StillRunning):
            run(two_lanes, hang, late)
    with pytest.raises(NoLaneFree):
        run(two_lanes, hang, late)
    two_lanes.close()
    released.set()
    assert heard.acquire(timeout=60)
    assert heard.acquire(timeout=60)
    assert results == ["late", "late"]
