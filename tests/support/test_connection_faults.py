"""Faults of the connection, as a client meets them over real HTTP: silence, trickles, resets, ends."""

import http.client
import socket
import threading
import time

import pytest
import requests

from tests.support.provider_clients import TELEGRAM_BODY, TELEGRAM_HEADERS, send_telegram
from tests.support.provider_faults import (
    Fault,
    accept_then_drop,
    drip,
    hang,
    reset_after_reading,
    reset_before_reading,
)
from tests.support.provider_server import TELEGRAM_TOKEN, ProviderServer


def ask_telegram_raw(server: ProviderServer) -> None:
    """Send a message by http.client, which shows as they are the ways in which a connection ends."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("POST", f"/bot{TELEGRAM_TOKEN}/sendMessage", TELEGRAM_BODY, TELEGRAM_HEADERS)
        connection.getresponse()
    finally:
        connection.close()


def test_hang_lets_the_client_time_out_and_serves_the_request_when_released(server: ProviderServer) -> None:
    silence = hang()
    server.telegram.script(silence)
    with pytest.raises(requests.ReadTimeout):
        send_telegram(server, timeout=0.1)
    (record,) = server.wait_for_requests(1, provider="telegram")
    assert (record.verdict, record.status) == ("pending", None)
    assert server.telegram.accepted == []
    silence.release()
    server.wait_for_accepted(1, provider="telegram")


def test_hang_with_accept_first_has_accepted_when_the_client_times_out(server: ProviderServer) -> None:
    server.telegram.script(hang(accept_first=True))
    with pytest.raises(requests.ReadTimeout):
        send_telegram(server, timeout=0.1)
    assert len(server.telegram.accepted) == 1


@pytest.mark.parametrize("accept_first", [False, True])
def test_hang_for_seconds_answers_afterwards(server: ProviderServer, accept_first: bool) -> None:
    server.telegram.script(hang(0.05, accept_first=accept_first))
    started = time.monotonic()
    assert send_telegram(server).ok
    assert time.monotonic() - started >= 0.05
    assert server.telegram.requests[0].fault == "hang"


@pytest.mark.parametrize("course", [hang(), hang(accept_first=True), drip(1, 60.0)], ids=lambda f: f.name)
def test_slow_fault_ends_when_the_server_closes(course: Fault) -> None:
    with ProviderServer() as server:
        server.telegram.script(course)
        with pytest.raises(requests.Timeout):
            send_telegram(server, timeout=0.1)
        started = time.monotonic()
    assert time.monotonic() - started < 2.0


def test_client_of_a_hang_is_cut_off_when_the_server_closes() -> None:
    with ProviderServer() as server:
        server.telegram.always(hang())
        outcome: list[type[BaseException]] = []

        def ask() -> None:
            with pytest.raises(requests.ConnectionError) as caught:
                send_telegram(server)
            outcome.append(caught.type)

        client = threading.Thread(target=ask)
        client.start()
        server.wait_for_requests(1)
    client.join(60)
    assert outcome == [requests.ConnectionError]
    assert server.telegram.accepted == []


def test_drip_answers_in_pieces_that_make_a_whole(server: ProviderServer) -> None:
    server.telegram.script(drip(16, 0.001))
    assert send_telegram(server).json()["ok"] is True
    assert len(server.telegram.accepted) == 1


def test_drip_starts_with_the_status_line_and_stays_within_its_pieces(server: ProviderServer) -> None:
    server.hook.script(drip(4, 0.05))
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        assert connection.recv(100) == b"HTTP"


def test_reset_before_reading_leaves_the_body_unread(server: ProviderServer) -> None:
    server.telegram.script(reset_before_reading())
    # A client that is still sending may learn of the reset by a broken pipe.
    with pytest.raises((ConnectionResetError, BrokenPipeError)) as caught:
        ask_telegram_raw(server)
    assert caught.type is not http.client.RemoteDisconnected
    (record,) = server.telegram.requests
    assert (record.request.body, record.verdict, record.status) == (b"", "reset_before_reading", None)
    assert server.telegram.accepted == []


def test_reset_after_reading_has_read_everything_and_accepted_nothing(server: ProviderServer) -> None:
    server.telegram.script(reset_after_reading())
    with pytest.raises(ConnectionResetError) as caught:
        ask_telegram_raw(server)
    assert caught.type is ConnectionResetError
    (record,) = server.telegram.requests
    assert (record.request.body, record.verdict) == (TELEGRAM_BODY.encode(), "reset_after_reading")
    assert server.telegram.accepted == []


def test_accept_then_drop_records_the_message_and_answers_nothing(server: ProviderServer) -> None:
    server.telegram.script(accept_then_drop())
    with pytest.raises(http.client.RemoteDisconnected):
        ask_telegram_raw(server)
    assert [message.text for message in server.telegram.accepted] == ["Drawdown"]
    (record,) = server.telegram.requests
    assert (record.verdict, record.status, record.fault) == ("accepted", None, "accept_then_drop")


def test_accept_then_drop_of_a_bad_request_accepts_nothing(server: ProviderServer) -> None:
    server.telegram.script(accept_then_drop())
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{server.url}/bot{TELEGRAM_TOKEN}/sendMessage", json={}, timeout=60)
    assert server.telegram.accepted == []
    assert server.telegram.requests[0].verdict == "refused"
