"""The four sockets: their options and the endpoints they refuse; what they carry is in test_sockets_traffic.py."""

from __future__ import annotations

import pytest
import zmq

from bus.errors import ConfigurationError, EndpointTaken
from bus.sockets import (
    CONTROL_HIGH_WATER_MARK,
    DATA_HIGH_WATER_MARK,
    bound_endpoint,
    open_daemon_control,
    open_daemon_data,
    open_publisher_control,
    open_publisher_data,
)
from tests.bus.conftest import Keep
from tests.bus.polling import (
    LOOPBACK,
    Context,
    Socket,
)

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
        zmq.HANDSHAKE_IVL: 5_000,
        zmq.RECONNECT_IVL: 100,
        zmq.RECONNECT_IVL_MAX: 2_000 if name.endswith("control") else 300,
        zmq.IMMEDIATE: int(name.startswith("publisher")),
        zmq.IPV6: 0,
    }
    if name.endswith("control"):
        expected |= {zmq.HEARTBEAT_IVL: 2_000, zmq.HEARTBEAT_TIMEOUT: 6_000, zmq.HEARTBEAT_TTL: 6_000}
    else:  # a full pipe must not end a connection that is well
        expected |= {zmq.HEARTBEAT_IVL: 0}
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
    with pytest.raises(EndpointTaken, match=rf"^ALERTBUS_DATA_ENDPOINT: {taken} is taken by another program"):
        open_daemon_data(context, [taken])


def test_daemon_control_endpoint_taken_is_refused_by_setting_and_endpoint(context: Context, taken: str) -> None:
    with pytest.raises(EndpointTaken, match=rf"^ALERTBUS_CONTROL_ENDPOINT: {taken} is taken"):
        open_daemon_control(context, [taken])


def test_publisher_bind_endpoint_taken_is_refused_by_setting_and_endpoint(context: Context, taken: str) -> None:
    with pytest.raises(EndpointTaken, match=rf"^ALERTBUS_PUBLISH_BIND: {taken} is taken"):
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
