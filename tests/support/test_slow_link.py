"""A link whose way is long and wide."""

import socket
import statistics
import time

import pytest
import requests

from tests.support.provider_faults import reset_after_reading
from tests.support.provider_server import ProviderServer
from tests.support.slow_link import SlowLink

DELAY_MS = 30.0
ROUND_TRIP_SECONDS = 2 * DELAY_MS / 1000


def test_message_over_the_link_arrives(server: ProviderServer) -> None:
    with SlowLink(server.port, delay_ms=0) as link:
        body = {"message": "x" * 300_000}
        assert requests.post(f"http://127.0.0.1:{link.port}/hook", json=body, timeout=60).ok
        assert link.connections == 1
    assert len(server.hook.accepted) == 1


def test_request_costs_a_round_trip_and_its_connection_another(server: ProviderServer) -> None:
    """Never less; how much more is the machine's own affair."""
    with SlowLink(server.port, delay_ms=DELAY_MS) as link, requests.Session() as session:
        took = []
        for _ in range(4):
            begin = time.monotonic()
            session.post(f"http://127.0.0.1:{link.port}/hook", json={"message": "x"}, timeout=60)
            took.append(time.monotonic() - begin)
        assert link.connections == 1
    assert took[0] >= 2 * ROUND_TRIP_SECONDS
    assert statistics.median(took[1:]) >= ROUND_TRIP_SECONDS


def test_bytes_on_their_way_hold_up_none_that_follow() -> None:
    """A hundred writes take one way, not a hundred: the link is long, and not narrow."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        SlowLink(listener.getsockname()[1], delay_ms=200) as link,
        socket.create_connection(("127.0.0.1", link.port)) as near,
        listener.accept()[0] as far,
    ):
        begin = time.monotonic()
        for _ in range(100):
            near.sendall(b"x" * 100)
        far.settimeout(5.0)
        received = 0
        while received < 10_000:
            received += len(far.recv(65_536))
        assert 0.2 <= time.monotonic() - begin < 100 * 0.2


def test_reset_at_the_far_end_arrives_as_a_reset(server: ProviderServer) -> None:
    server.hook.script(reset_after_reading())
    with SlowLink(server.port, delay_ms=1) as link, pytest.raises(requests.ConnectionError):
        requests.post(f"http://127.0.0.1:{link.port}/hook", json={"message": "x"}, timeout=60)


def test_link_to_nobody_resets(server: ProviderServer) -> None:
    server.close()
    with SlowLink(server.port, delay_ms=0) as link, pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{link.port}/", timeout=60)
