"""The provider server itself: connections, records, waiting, closing, and its life as a process."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from tests.support.provider_faults import Fault, error, fails_later
from tests.support.provider_server import (
    TELEGRAM_CHAT,
    TELEGRAM_TOKEN,
    AcceptedMessage,
    ProviderServer,
)

REPOSITORY = Path(__file__).parents[2]


def post_hook(url: str, message: str = "Drawdown", path: str = "/hook") -> requests.Response:
    return requests.post(url + path, json={"message": message}, timeout=60)


def test_connection_kept_alive_serves_several_requests(server: ProviderServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for number in range(3):
        connection.request("POST", "/hook", json.dumps({"message": str(number)}))
        assert connection.getresponse().read()
    connection.close()
    assert server.connections == 1
    assert {message.connection for message in server.hook.accepted} == {1}


def test_each_new_connection_is_counted_and_numbered(server: ProviderServer) -> None:
    for _ in range(3):
        assert post_hook(server.url).ok
    assert server.connections == 3
    assert [message.connection for message in server.hook.accepted] == [1, 2, 3]


def test_path_alone_decides_which_desk_serves(server: ProviderServer) -> None:
    for path in ("/bot1/getMe", "/2010-04-01/x", "/v21.0/x", "/hook/x", "/hookah", "/v21", "/"):
        requests.post(server.url + path, json={}, timeout=60)
    desks = (server.telegram, server.twilio, server.meta, server.hook, server.elsewhere)
    assert [[request.path for request in desk.requests] for desk in desks] == [
        ["/bot1/getMe"],
        ["/2010-04-01/x"],
        ["/v21.0/x"],
        ["/hook/x"],
        ["/hookah", "/v21", "/"],
    ]


def test_request_elsewhere_is_not_found(server: ProviderServer) -> None:
    assert requests.get(f"{server.url}/elsewhere", timeout=60).status_code == 404
    assert server.elsewhere.requests[0].verdict == "refused"


def test_records_keep_method_query_and_headers(server: ProviderServer) -> None:
    requests.get(f"{server.url}/bot{TELEGRAM_TOKEN}/getMe?a=1", headers={"X-Trace": "7"}, timeout=60)
    (record,) = server.telegram.requests
    assert (record.request.method, record.request.query, record.request.headers["x-trace"]) == (
        "GET",
        "a=1",
        "7",
    )
    assert (record.endpoint, record.verdict, record.status) == ("getMe", "answered", 200)


def test_accepted_over_all_providers_is_in_order_of_time(server: ProviderServer) -> None:
    post_hook(server.url, "first")
    requests.post(
        f"{server.url}/bot{TELEGRAM_TOKEN}/sendMessage",
        json={"chat_id": TELEGRAM_CHAT, "text": "second"},
        timeout=60,
    )
    post_hook(server.url, "third")
    assert [message.text for message in server.accepted] == ["first", "second", "third"]
    assert [message.provider for message in server.accepted] == ["hook", "telegram", "hook"]
    assert server.accepted[0].at < server.accepted[1].at < server.accepted[2].at


def test_many_threads_at_once_lose_and_repeat_nothing(server: ProviderServer) -> None:
    def send_all() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for _ in range(25):
            connection.request("POST", "/hook", b"{}")
            assert connection.getresponse().read()
        connection.close()

    threads = [threading.Thread(target=send_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert len(server.wait_for_accepted(200, provider="hook")) == 200
    for thread in threads:
        thread.join(60)
    assert len({message.message_id for message in server.hook.accepted}) == 200
    assert [request.verdict for request in server.hook.requests] == ["accepted"] * 200


def test_wait_for_accepted_ends_when_another_thread_sends(server: ProviderServer) -> None:
    client = threading.Thread(target=post_hook, args=(server.url, "late"))
    client.start()
    assert [message.text for message in server.wait_for_accepted(1)] == ["late"]
    client.join(60)


def test_wait_for_accepted_in_vain_says_what_came_instead(server: ProviderServer) -> None:
    server.hook.script(error(503))
    post_hook(server.url)
    with pytest.raises(AssertionError, match=r"no 1 accepted messages within 0.01 s; .*hook: error"):
        server.wait_for_accepted(1, provider="hook", timeout=0.01)


def test_wait_for_requests_in_vain_fails(server: ProviderServer) -> None:
    with pytest.raises(AssertionError, match=r"no 1 requests within 0.01 s; requests so far: \[\]"):
        server.wait_for_requests(1, timeout=0.01)


def test_on_accepted_hears_of_a_message_before_its_sender_does() -> None:
    heard: list[AcceptedMessage] = []
    with ProviderServer(on_accepted=heard.append) as server:
        post_hook(server.url, "x")
        assert [message.text for message in heard] == ["x"]


def test_request_that_breaks_off_is_not_served(server: ProviderServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{}")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    assert server.hook.requests == []


def test_closed_server_refuses_connections_and_keeps_its_records() -> None:
    with ProviderServer() as server:
        post_hook(server.url)
    with pytest.raises(requests.ConnectionError):
        post_hook(server.url)
    assert (len(server.accepted), server.connections) == (1, 1)
    server.close()


def test_closed_server_has_cut_idle_connections() -> None:
    with ProviderServer() as server:
        idle = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        post_hook(server.url)
    with idle:
        assert idle.recv(1) == b""


def test_server_can_come_back_on_the_same_port() -> None:
    with ProviderServer() as server:
        assert post_hook(server.url).ok
    with ProviderServer(port=server.port) as again:
        assert again.url == server.url
        assert post_hook(server.url).ok


def test_server_that_was_never_started_has_no_address() -> None:
    with pytest.raises(RuntimeError, match="never started"):
        _ = ProviderServer().url
    ProviderServer().close()


def serve_one(fault: Fault | None, path: str, body: Any) -> None:
    """Run a server for one request whose connection it is going to cut."""
    with ProviderServer() as server:
        for desk in (server.telegram, server.meta, server.hook):
            if fault is not None:
                desk.script(fault)
        with pytest.raises(requests.ConnectionError):
            requests.post(server.url + path, data=body, timeout=60)


@pytest.mark.parametrize("path", ["/bot1/getMe", "/hook"])
def test_script_that_a_provider_cannot_follow_is_raised_on_close(path: str) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        serve_one(fails_later(63016), path, b"{}")
    assert "script an error instead" in str(caught.value.exceptions[0])


def test_chunked_body_is_raised_on_close() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        serve_one(None, "/hook", iter([b"{}"]))
    assert "no chunked bodies" in str(caught.value.exceptions[0])


def test_tls_server_serves_while_a_client_dawdles_over_its_handshake(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with (
        ProviderServer(ssl_context=context) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=60),
    ):
        assert server.url.startswith("https://")
        answer = requests.post(f"{server.url}/hook", json={}, verify=str(tmp_path / "ca.pem"), timeout=60)
        assert answer.ok
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(server.url, timeout=60)


def run_as_process(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.provider_server", *arguments]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def test_process_that_is_killed_has_printed_and_synced_each_accepted_message(tmp_path: Path) -> None:
    log = tmp_path / "accepted.jsonl"
    with run_as_process("--port", "0", "--log", str(log)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stderr.readline().removeprefix("listening on ").strip()
        post_hook(url, "first")
        post_hook(url, "größer")
        printed = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.kill()
    assert [message["text"] for message in printed] == ["first", "größer"]
    assert (printed[0]["provider"], printed[0]["target"]) == ("hook", "/hook")
    assert [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] == printed


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGTERM that a process can handle")
def test_process_that_is_terminated_exits_with_zero() -> None:
    with run_as_process("--port", "0") as process:
        assert process.stderr is not None
        url = process.stderr.readline().removeprefix("listening on ").strip()
        assert post_hook(url).ok
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
