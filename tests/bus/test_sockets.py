"""The four sockets over real TCP on this machine: their options, their refusals, and what they carry.

Nothing sleeps: a test polls until what it waits for is there, for at most `LIMIT_SECONDS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import zmq

from bus.alerts import RiskEvent, Severity
from bus.errors import ConfigurationError
from bus.sockets import (
    CONTROL_HIGH_WATER_MARK,
    DATA_HIGH_WATER_MARK,
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
from tests.bus.conftest import Context, Socket

LIMIT_SECONDS = 10.0
LOOPBACK = "tcp://127.0.0.1:*"
STREAM = bytes(range(16))
HEARTBEAT = Heartbeat(stream=STREAM, source="trader", first_held=1, first_unacknowledged=1, last=0, clock_us=0)

Keep = Callable[[Socket], Socket]
OpenSocket = Callable[..., Socket]


def attempts(poll_milliseconds: int = 10) -> Iterator[int]:
    """Count tries until the limit, and fail then."""
    limit = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < limit:
        yield poll_milliseconds
    pytest.fail(f"nothing happened in {LIMIT_SECONDS} s")


def received(socket: Socket) -> list[bytes]:
    """Wait for the next message."""
    assert socket.poll(int(LIMIT_SECONDS * 1000)), "nothing arrived"
    return socket.recv_multipart()


def sent_until_received(sender: Socket, frames: list[bytes], receiver: Socket) -> list[bytes]:
    """Send again and again, until the first message arrives: a PUB drops what nobody subscribed to yet."""
    for milliseconds in attempts():
        sender.send_multipart(frames)
        if receiver.poll(milliseconds):
            return receiver.recv_multipart()
    raise AssertionError


def sent_once_connected(dealer: Socket, frames: list[bytes]) -> None:
    """Send as soon as the daemon is there; until then a DEALER refuses."""
    for milliseconds in attempts():
        try:
            dealer.send_multipart(frames, zmq.DONTWAIT)
        except zmq.Again:
            dealer.poll(milliseconds, zmq.POLLOUT)
        else:
            return


@pytest.fixture
def daemon_data(context: Context, keep: Keep) -> Socket:
    return keep(open_daemon_data(context, [LOOPBACK]))


@pytest.fixture
def daemon_control(context: Context, keep: Keep) -> Socket:
    return keep(open_daemon_control(context, [LOOPBACK]))


@pytest.fixture
def publisher_data(context: Context, keep: Keep, daemon_data: Socket) -> Socket:
    return keep(open_publisher_data(context, [bound_endpoint(daemon_data)]))


@pytest.fixture
def publisher_control(context: Context, keep: Keep, daemon_control: Socket) -> Socket:
    return keep(open_publisher_control(context, bound_endpoint(daemon_control)))


@pytest.fixture
def taken(socket: OpenSocket) -> str:
    """An endpoint that another program has bound."""
    other = socket(zmq.PULL)
    other.bind(LOOPBACK)
    return bound_endpoint(other)


# --- options ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["publisher_data", "daemon_data", "publisher_control", "daemon_control"])
def test_socket_options_that_matter_are_set(name: str, request: pytest.FixtureRequest) -> None:
    opened: Socket = request.getfixturevalue(name)
    expected = {
        zmq.LINGER: 0,
        zmq.MAXMSGSIZE: 131_072,
        zmq.TCP_KEEPALIVE: 1,
        zmq.TCP_KEEPALIVE_IDLE: 30,
        zmq.TCP_KEEPALIVE_INTVL: 10,
        zmq.TCP_KEEPALIVE_CNT: 3,
        zmq.HEARTBEAT_IVL: 2_000,
        zmq.HEARTBEAT_TIMEOUT: 6_000,
        zmq.HEARTBEAT_TTL: 6_000,
        zmq.HANDSHAKE_IVL: 5_000,
        zmq.RECONNECT_IVL: 100,
        zmq.RECONNECT_IVL_MAX: 2_000,
        zmq.IMMEDIATE: int(name == "publisher_control"),
        zmq.IPV6: 0,
    }
    assert {option: opened.getsockopt(option) for option in expected} == expected


@pytest.mark.parametrize(
    ("name", "kind", "high_water_mark"),
    [
        ("publisher_data", zmq.PUB, DATA_HIGH_WATER_MARK),
        ("daemon_data", zmq.SUB, DATA_HIGH_WATER_MARK),
        ("publisher_control", zmq.DEALER, CONTROL_HIGH_WATER_MARK),
        ("daemon_control", zmq.ROUTER, CONTROL_HIGH_WATER_MARK),
    ],
)
def test_socket_kind_and_high_water_marks_are_set(
    name: str, kind: int, high_water_mark: int, request: pytest.FixtureRequest
) -> None:
    opened: Socket = request.getfixturevalue(name)
    assert opened.getsockopt(zmq.TYPE) == kind
    assert (opened.getsockopt(zmq.SNDHWM), opened.getsockopt(zmq.RCVHWM)) == (high_water_mark, high_water_mark)


def test_socket_to_an_ipv6_endpoint_speaks_ipv6(context: Context, keep: Keep) -> None:
    assert keep(open_publisher_control(context, "tcp://[::1]:5556")).getsockopt(zmq.IPV6) == 1


def test_bound_endpoint_names_the_port_that_the_system_chose(daemon_data: Socket) -> None:
    assert bound_endpoint(daemon_data).removeprefix("tcp://127.0.0.1:").isdigit()


# --- refusals ---------------------------------------------------------------------------------------------------


def test_daemon_data_endpoint_taken_is_refused_by_setting_and_endpoint(context: Context, taken: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^ALERTBUS_DATA_ENDPOINT: {taken} is taken by another program"):
        open_daemon_data(context, [taken])


def test_daemon_control_endpoint_taken_is_refused_by_setting_and_endpoint(context: Context, taken: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^ALERTBUS_CONTROL_ENDPOINT: {taken} is taken"):
        open_daemon_control(context, [taken])


def test_publisher_bind_endpoint_taken_is_refused_by_setting_and_endpoint(context: Context, taken: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^ALERTBUS_PUBLISH_BIND: {taken} is taken"):
        open_publisher_data(context, ["tcp://127.0.0.1:5555"], bind=taken)


INVALID = [
    "",
    "127.0.0.1:5555",
    "tcp://",
    "tcp://127.0.0.1",
    "tcp://127.0.0.1:port",
    "carrier://pigeon",
    "tcp://\udcff:1",
]


@pytest.mark.parametrize("endpoint", INVALID)
def test_daemon_data_endpoint_invalid_is_refused_by_setting(context: Context, endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^ALERTBUS_DATA_ENDPOINT: .* write it like tcp://127.0.0.1:5555"):
        open_daemon_data(context, [endpoint])


@pytest.mark.parametrize("endpoint", INVALID)
def test_daemon_control_endpoint_invalid_is_refused_by_setting(context: Context, endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^ALERTBUS_CONTROL_ENDPOINT: "):
        open_daemon_control(context, [endpoint])


@pytest.mark.parametrize("endpoint", INVALID)
def test_publisher_data_endpoint_invalid_is_refused_by_setting(context: Context, endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^ALERTBUS_DATA_ENDPOINT: "):
        open_publisher_data(context, [endpoint])


@pytest.mark.parametrize("endpoint", INVALID)
def test_publisher_control_endpoint_invalid_is_refused_by_setting(context: Context, endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^ALERTBUS_CONTROL_ENDPOINT: "):
        open_publisher_control(context, endpoint)


def test_daemon_second_endpoint_invalid_gives_the_first_back(context: Context) -> None:
    with pytest.raises(ConfigurationError, match="carrier"):
        open_daemon_data(context, [LOOPBACK, "carrier://pigeon"])
    assert all(socket.closed for socket in context._sockets)


def test_daemon_address_of_another_machine_is_refused(context: Context) -> None:
    with pytest.raises(ConfigurationError, match=r"^ALERTBUS_DATA_ENDPOINT: tcp://192\.0\.2\.1:5555 can't be used"):
        open_daemon_data(context, ["tcp://192.0.2.1:5555"])


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


def bound_again(context: Context, endpoint: str) -> Socket:
    """Bind an endpoint as soon as ZeroMQ has given it back, which happens in its own thread."""
    for _ in attempts():
        try:
            return open_daemon_control(context, [endpoint])
        except ConfigurationError:
            continue
    raise AssertionError
