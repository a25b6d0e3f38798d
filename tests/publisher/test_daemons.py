"""The control channel to one daemon, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
import zmq

from bus.errors import UnsupportedVersion, WireError
from bus.sockets import bound_endpoint, open_daemon_control, open_publisher_control
from bus.wire import (
    Ack,
    Control,
    Goodbye,
    Heartbeat,
    Replay,
    Replayed,
    Welcome,
    decode_control,
    decode_frames,
    encode_alert,
    encode_control,
)
from publisher.daemons import Daemon
from publisher.outbox import Entry
from tests.publisher.builders import alert
from tests.support.waiting import wait_until

STREAM = b"s" * 16
HEARTBEAT = Heartbeat(stream=STREAM, source="trader", first_held=1, first_unacknowledged=1, last=0, clock_us=1)


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield made
    made.term()


@pytest.fixture
def router(context: zmq.Context[zmq.Socket[bytes]]) -> Iterator[zmq.Socket[bytes]]:
    with closing(open_daemon_control(context, ["tcp://127.0.0.1:*"])) as opened:
        yield opened


@pytest.fixture
def daemon(context: zmq.Context[zmq.Socket[bytes]], router: zmq.Socket[bytes]) -> Iterator[Daemon]:
    """Connected, and known to the router."""
    endpoint = bound_endpoint(router)
    with closing(Daemon(open_publisher_control(context, endpoint), endpoint)) as connected:
        wait_until(lambda: connected.send(HEARTBEAT))
        yield connected


def answer(router: zmq.Socket[bytes], daemon: Daemon, frames: list[bytes]) -> None:
    """Send frames to the one publisher, and wait until they are there."""
    identity, _ = router.recv_multipart()
    router.send_multipart([identity, *frames])
    assert daemon.socket.poll(10_000)


def test_send_nobody_there_returns_false_at_once(
    context: zmq.Context[zmq.Socket[bytes]], nowhere: tuple[str, str]
) -> None:
    """Nothing waits in a queue for a daemon that is away: it would be stale when it comes."""
    with closing(Daemon(open_publisher_control(context, nowhere[1]), nowhere[1])) as absent:
        assert absent.send(HEARTBEAT) is False
        assert absent.reachable is False
        assert absent.receive() is None


def test_send_connected_arrives_and_marks_it_reachable(router: zmq.Socket[bytes], daemon: Daemon) -> None:
    """The message is as it was built."""
    _, frame = router.recv_multipart()
    assert decode_control(frame) == HEARTBEAT
    assert daemon.reachable is True


def test_send_daemon_gone_becomes_unreachable(router: zmq.Socket[bytes], daemon: Daemon) -> None:
    """Its death is noticed by the next sends."""
    router.close()
    wait_until(lambda: not daemon.send(HEARTBEAT))
    assert daemon.reachable is False


def test_send_again_carries_the_alert_behind_its_mark(router: zmq.Socket[bytes], daemon: Daemon) -> None:
    """A replayed alert is byte for byte the one of before."""
    router.recv_multipart()
    body = encode_alert(alert(7))
    assert daemon.send_again(STREAM, Entry(7, 123, "severity.INFO.", body))
    _, mark, *frames = router.recv_multipart()
    envelope = decode_frames(frames)
    assert decode_control(mark) == Replayed()
    assert (envelope.header.stream, envelope.header.sequence, envelope.header.published_us) == (STREAM, 7, 123)
    assert (envelope.topic, envelope.body) == ("severity.INFO.", body)


@pytest.mark.parametrize(
    "message",
    [
        Welcome(store_id="a", version="1"),
        Ack(stream=STREAM, up_to=5, goodbye=True),
        Replay(stream=STREAM, first=1, last=9),
    ],
)
def test_receive_what_daemons_say_returns_it(router: zmq.Socket[bytes], daemon: Daemon, message: Control) -> None:
    """Then there is nothing more."""
    answer(router, daemon, [encode_control(message)])
    assert daemon.receive() == message
    assert daemon.receive() is None


@pytest.mark.parametrize(
    "frames",
    [
        [b"garbage"],
        [b""],
        [b"\xc1" * 100],
        [encode_control(HEARTBEAT)],
        [encode_control(Goodbye(stream=STREAM, source="a", last=1))],
        [encode_control(Replayed())],
        [encode_control(Ack(stream=STREAM, up_to=1)), b"more"],
        [encode_control(Ack(stream=STREAM, up_to=1))[:-1]],
        [b"\x93\x01\xa3ack\x82\xa6stream\xa1s\xa5up_to\x01"],
    ],
)
def test_receive_what_no_daemon_says_raises(router: zmq.Socket[bytes], daemon: Daemon, frames: list[bytes]) -> None:
    """It is told once, and what comes behind it can be read."""
    answer(router, daemon, frames)
    with pytest.raises(WireError):
        daemon.receive()
    assert daemon.receive() is None


def test_receive_other_version_raises_with_its_number(router: zmq.Socket[bytes], daemon: Daemon) -> None:
    """The reader learns which side to upgrade."""
    answer(router, daemon, [b"\x93\x63" + encode_control(Ack(stream=STREAM, up_to=1))[2:]])
    with pytest.raises(UnsupportedVersion, match="version 99"):
        daemon.receive()
