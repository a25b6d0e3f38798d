"""What may be named as an endpoint, and what is said about the rest."""

from __future__ import annotations

import pytest

from bus.endpoints import checked_endpoints, checked_pairing, endpoint_fault, is_loopback, split_list


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_is_loopback_own_machine_is_true(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "*", "10.0.0.1", "::", "[fe80::1]", "example.org", "127.0.0.1.evil.org", ""]
)
def test_is_loopback_anything_else_is_false(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:5555", "tcp://[::1]:1", "tcp://localhost:65535"])
def test_endpoint_fault_own_machine_is_none(endpoint: str) -> None:
    assert endpoint_fault(endpoint, bind=False) is None
    assert endpoint_fault(endpoint, bind=True) is None


@pytest.mark.parametrize(
    "endpoint",
    [
        "", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:", "127.0.0.1:5555", "ipc:///tmp/x", "inproc://x", "udp://127.0.0.1:1",
        "tcp://127.0.0.1:5555/", "tcp://127.0.0.1:5555 ", "tcp://:5555", "tcp://127.0.0.1:٣",
    ],
)  # fmt: skip
def test_endpoint_fault_malformed_shows_an_example(endpoint: str) -> None:
    assert "for example tcp://127.0.0.1:5555" in str(endpoint_fault(endpoint, bind=True))


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_endpoint_fault_impossible_port_names_the_range(port: str) -> None:
    assert endpoint_fault(f"tcp://127.0.0.1:{port}", bind=True) == "the port must be 1 to 65535"


def test_endpoint_fault_wildcard_port_is_for_binding_only() -> None:
    assert endpoint_fault("tcp://127.0.0.1:*", bind=True) is None
    assert "name the port" in str(endpoint_fault("tcp://127.0.0.1:*", bind=False))


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "192.168.1.7", "trader.example.org", "[::]"])
def test_endpoint_fault_network_address_needs_curve(host: str) -> None:
    fault = str(endpoint_fault(f"tcp://{host}:5555", bind=True))
    assert "needs CURVE, which this release does not have yet" in fault
    assert "tunnel or VPN" in fault
    assert "192.168" not in fault


def test_checked_endpoints_names_the_position_in_a_list() -> None:
    with pytest.raises(ValueError, match=r"^number 2 of the list: write it as"):
        checked_endpoints(("tcp://127.0.0.1:1", "canary"), bind=False)


def test_checked_endpoints_refuses_none_and_twice_the_same() -> None:
    with pytest.raises(ValueError, match="at least one"):
        checked_endpoints((), bind=False)
    with pytest.raises(ValueError, match="twice"):
        checked_endpoints(("tcp://127.0.0.1:1", "tcp://127.0.0.1:1"), bind=False)
    assert checked_endpoints(["tcp://127.0.0.1:*", "tcp://127.0.0.1:*"], bind=True)


def test_checked_pairing_names_both_settings() -> None:
    with pytest.raises(ValueError, match="ALERTBUS_DATA_ENDPOINT and ALERTBUS_CONTROL_ENDPOINT are paired"):
        checked_pairing(("tcp://127.0.0.1:1", "tcp://127.0.0.1:2"), ("tcp://127.0.0.1:3",))
    with pytest.raises(ValueError, match="must not share"):
        checked_pairing(("tcp://127.0.0.1:1",), ("tcp://127.0.0.1:1",))
    checked_pairing(("tcp://127.0.0.1:*",), ("tcp://127.0.0.1:*",))


def test_split_list_takes_commas_and_blanks_and_leaves_other_values() -> None:
    assert split_list(" a, b ,,") == ("a", "b")
    assert split_list(["a"]) == ["a"]
    assert split_list("") == ()
