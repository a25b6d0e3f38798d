"""What the four sockets carry over real TCP on this machine, and what they do when nobody is there."""

from __future__ import annotations

import pytest
import zmq

from bus.alerts import RiskEvent, Severity
from bus.sockets import (
    bound_endpoint,
    open_daemon_control,
    open_daemon_data,
    open_publisher_control,
    open_publisher_data,
)
from bus.topics import subscription_prefix, topic_of
from bus.wire import (
    FRAME_LIMIT_BYTES,
    Ack,
    Header,
    Heartbeat,
    Replayed,
    decode_control,
    decode_frames,
    encode_alert,
    encode_control,
    encode_frames,
)
from tests.bus.conftest import Keep, OpenSocket
from tests.bus.polling import (
    LOOPBACK,
    Context,
    Socket,
    attempts,
    bound_again,
    received,
    sent_once_connected,
    sent_until_received,
)

STREAM = bytes(range(16))
HEARTBEAT = Heartbeat(stream=STREAM, source="trader", first_held=1, first_unacknowledged=1, last=0, clock_us=0)

# --- data -------------------------------------------------------------------------------------------------------


def test_data_from_publisher_to_daemon_is_the_same_alert(publisher_data: Socket, daemon_data: Socket) -> None:
    alert = RiskEvent(event_type="DRAWDOWN", severity=Severity.CRITICAL, symbol="TNA", value=-5.2, extra={"a": [1]})
    header = Header(STREAM, 1, 1_772_461_815_250_001)
    frames = encode_frames(topic_of(alert), header, encode_alert(alert))
    envelope = decode_frames(sent_until_received(publisher_data, frames, daemon_data))
    assert (envelope.header, envelope.topic, envelope.alert) == (header, "severity.CRITICAL.TNA.", alert)


@pytest.mark.parametrize("topic", [b"action.HOLD.", b"nobody.knows.", b""])
def test_daemon_data_of_any_topic_arrives(publisher_data: Socket, daemon_data: Socket, topic: bytes) -> None:
    """A gap in the numbers is then a loss and never a filter."""
    assert sent_until_received(publisher_data, [topic], daemon_data) == [topic]


def test_data_from_one_publisher_reaches_every_daemon(context: Context, keep: Keep, daemon_data: Socket) -> None:
    other = keep(open_daemon_data(context, [LOOPBACK]))
    publisher = keep(open_publisher_data(context, [bound_endpoint(daemon_data), bound_endpoint(other)]))
    for daemon in (daemon_data, other):
        sent_until_received(publisher, [b"severity.INFO."], daemon)


def test_data_from_several_publishers_reaches_one_daemon(context: Context, keep: Keep, daemon_data: Socket) -> None:
    for topic in (b"one.", b"two.", b"three."):
        publisher = keep(open_publisher_data(context, [bound_endpoint(daemon_data)]))
        for milliseconds in attempts():
            publisher.send(topic)
            if daemon_data.poll(milliseconds) and daemon_data.recv() == topic:
                break


def test_daemon_data_on_two_endpoints_hears_both(context: Context, keep: Keep) -> None:
    daemon = keep(open_daemon_data(context, [LOOPBACK]))
    first = bound_endpoint(daemon)
    daemon.bind(LOOPBACK)
    for endpoint in (first, bound_endpoint(daemon)):
        sent_until_received(keep(open_publisher_data(context, [endpoint])), [b"x."], daemon)


def test_publisher_data_without_daemon_never_blocks(context: Context, keep: Keep) -> None:
    publisher = keep(open_publisher_data(context, ["tcp://127.0.0.1:9"]))
    for _ in range(1000):
        publisher.send_multipart([b"severity.INFO.", b"header", b"body"], zmq.DONTWAIT)


def test_publisher_bind_lets_any_program_listen_by_prefix(context: Context, keep: Keep, socket: OpenSocket) -> None:
    publisher = keep(open_publisher_data(context, ["tcp://127.0.0.1:9"], bind=LOOPBACK))
    listener = socket(zmq.SUB, SUBSCRIBE=subscription_prefix("severity", "CRITICAL", "T").encode())
    listener.connect(bound_endpoint(publisher))
    for milliseconds in attempts():
        for topic in (b"severity.CRITICAL.TNA.", b"severity.CRITICAL.", b"action.BUY.T.", b"severity.CRITICAL.T."):
            publisher.send(topic)
        if listener.poll(milliseconds):
            break
    assert listener.recv() == b"severity.CRITICAL.T."


# --- sizes ------------------------------------------------------------------------------------------------------


def test_data_frame_above_limit_never_arrives_and_good_ones_after_it_do(
    daemon_data: Socket, socket: OpenSocket
) -> None:
    """A daemon drops the peer before it holds the message; the peer comes back by itself."""
    stranger = socket(zmq.PUB, LINGER=0)
    stranger.connect(bound_endpoint(daemon_data))
    sent_until_received(stranger, [b"before"], daemon_data)
    stranger.send(b"x" * (FRAME_LIMIT_BYTES + 1))
    messages = [b""]
    for milliseconds in attempts():
        stranger.send(b"after")
        while daemon_data.poll(milliseconds):
            messages.append(daemon_data.recv())
        if messages[-1] == b"after":
            break
    assert max(map(len, messages)) < 10


def test_data_frame_at_limit_arrives(publisher_data: Socket, daemon_data: Socket) -> None:
    frames = [b"x" * FRAME_LIMIT_BYTES]
    assert sent_until_received(publisher_data, frames, daemon_data) == frames


def test_control_frame_above_limit_never_arrives_and_good_ones_after_it_do(
    daemon_control: Socket, socket: OpenSocket
) -> None:
    stranger = socket(zmq.DEALER, LINGER=0, IMMEDIATE=1, RECONNECT_IVL=10)
    stranger.connect(bound_endpoint(daemon_control))
    sent_once_connected(stranger, [b"x" * (FRAME_LIMIT_BYTES + 1)])
    for milliseconds in attempts():
        sent_once_connected(stranger, [b"after"])
        if daemon_control.poll(milliseconds):
            break
    assert daemon_control.recv_multipart()[1:] == [b"after"]


# --- control ----------------------------------------------------------------------------------------------------


def test_control_heartbeat_is_answered_to_the_one_who_sent_it(
    publisher_control: Socket, daemon_control: Socket
) -> None:
    sent_once_connected(publisher_control, [encode_control(HEARTBEAT)])
    peer, frame = received(daemon_control)
    assert decode_control(frame) == HEARTBEAT
    daemon_control.send_multipart([peer, encode_control(Ack(stream=STREAM, up_to=7))], zmq.DONTWAIT)
    assert decode_control(received(publisher_control)[0]) == Ack(stream=STREAM, up_to=7)


def test_control_replayed_alert_is_the_same_message_behind_one_frame(
    publisher_control: Socket, daemon_control: Socket
) -> None:
    alert = RiskEvent(event_type="DRAWDOWN", severity=Severity.CRITICAL)
    frames = encode_frames(topic_of(alert), Header(STREAM, 1, 0), encode_alert(alert))
    sent_once_connected(publisher_control, [encode_control(Replayed()), *frames])
    _peer, first, *rest = received(daemon_control)
    assert decode_control(first) == Replayed()
    assert decode_frames(rest).alert == alert


def test_daemon_control_answer_to_unknown_peer_raises(daemon_control: Socket) -> None:
    """Without ROUTER_MANDATORY it would be dropped in silence."""
    with pytest.raises(zmq.ZMQError) as error:
        daemon_control.send_multipart([b"nobody", b"welcome"], zmq.DONTWAIT)
    assert error.value.errno == zmq.EHOSTUNREACH


def test_daemon_control_answer_to_peer_that_left_raises(publisher_control: Socket, daemon_control: Socket) -> None:
    sent_once_connected(publisher_control, [encode_control(HEARTBEAT)])
    peer, _ = received(daemon_control)
    publisher_control.close()
    for milliseconds in attempts():
        try:
            daemon_control.send_multipart([peer, b"welcome"], zmq.DONTWAIT)
        except zmq.ZMQError as error:
            unreachable = error
            break
        daemon_control.poll(milliseconds)
    assert unreachable.errno == zmq.EHOSTUNREACH


def test_publisher_control_without_daemon_refuses_at_once(context: Context, keep: Keep) -> None:
    """Without IMMEDIATE the heartbeat would wait for a daemon, and be stale when it comes."""
    dealer = keep(open_publisher_control(context, "tcp://127.0.0.1:9"))
    with pytest.raises(zmq.Again):
        dealer.send(encode_control(HEARTBEAT), zmq.DONTWAIT)


def test_publisher_control_to_restarted_daemon_connects_again(context: Context, keep: Keep) -> None:
    daemon = keep(open_daemon_control(context, [LOOPBACK]))
    endpoint = bound_endpoint(daemon)
    dealer = keep(open_publisher_control(context, endpoint))
    sent_once_connected(dealer, [b"first"])
    received(daemon)
    daemon.close()
    restarted = bound_again(context, endpoint)
    keep(restarted)
    for milliseconds in attempts():
        sent_once_connected(dealer, [b"second"])
        if restarted.poll(milliseconds):
            break
    assert restarted.recv_multipart()[1:] == [b"second"]
