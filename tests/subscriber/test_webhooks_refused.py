"""The webhooks under attack and in trouble: nothing unsigned reaches the database, and nothing of a call the log."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode

import pytest

from subscriber.channels.webhooks import WebhookNews, WebhookReader, WebhookRequest
from subscriber.errors import StoreError
from subscriber.monitoring.webhooks import BODY_LIMIT
from subscriber.store import Store
from tests.support.clock import FakeClock
from tests.support.provider_server import TWILIO_AUTH_TOKEN
from tests.support.waiting import wait_until
from tests.support.webhook_site import (
    PUBLIC_URL,
    WebhookSite,
    inbound_form,
    meta_call,
    status_form,
    twilio_signature,
    webhook_site,
)

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

#: Stands in every call here, and must be in no log.
CANARY = "canary-7f3a9c"
DELIVERED = status_form("SM1", "delivered", Body=CANARY)
HERE = f"{PUBLIC_URL}/webhooks/twilio"


@pytest.fixture
def site(store: Store, clock: FakeClock) -> Iterator[WebhookSite]:
    with webhook_site(store, clock) as made:
        yield made


@pytest.fixture
def untouched(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where the database is used at all."""

    def fail(*_args: object, **_fields: object) -> None:
        raise AssertionError("the database was used")

    for name in ("reading", "writing"):
        monkeypatch.setattr(store.database, name, fail)


def everything_logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return our records with all their fields and tracebacks; the test's own HTTP client logs what it asks."""
    ours = [record for record in caplog.records if not record.name.startswith("http")]
    return "".join(str(vars(record)) + record.getMessage() + str(record.exc_text) for record in ours)


@pytest.mark.parametrize(
    "changes",
    [
        {"token": "0" * 32},
        {"headers": {"X-Twilio-Signature": ""}},
        {"headers": {"X-Twilio-Signature": "a" * 60_000}},
        {"headers": {"X-Twilio-Signature": b"schl\xfcssel"}},
        {"url": f"{PUBLIC_URL}/webhooks/meta"},
        {"url": HERE + "?reference=1"},
        {"url": HERE.replace("https", "http")},
        {"body": urlencode({**DELIVERED, "MessageSid": "SM2"})},
        {"body": urlencode({**DELIVERED, "More": "1"})},
        {"body": ""},
    ],
    ids=["forged", "none", "long", "umlaut", "path", "query", "scheme", "tampered", "more", "emptied"],
)
@pytest.mark.usefixtures("untouched")
def test_call_without_twilios_signature_is_403_and_costs_no_database(
    site: WebhookSite, caplog: pytest.LogCaptureFixture, changes: dict[str, Any]
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = site.twilio(DELIVERED, **changes)
    assert answer.status_code == 403
    assert set(answer.json()) == {"status", "error", "code"}
    assert site.results() == {"refused": 1}
    assert CANARY not in everything_logged(caplog)
    assert TWILIO_AUTH_TOKEN not in everything_logged(caplog) + answer.text


@pytest.mark.usefixtures("untouched")
def test_call_signed_for_the_host_that_it_names_itself_is_refused(site: WebhookSite) -> None:
    """Whoever chose the Host header would choose what the signature has to cover."""
    for host in ("evil.example", "alerts.example.org"):
        url = f"http://{host}/webhooks/twilio"
        assert site.twilio(DELIVERED, url=url, headers={"Host": host}).status_code == 403


@pytest.mark.usefixtures("untouched")
def test_call_with_a_receipts_query_changed_is_refused(site: WebhookSite) -> None:
    url = f"{HERE}?reference=abc.1"
    assert site.twilio(DELIVERED, "?reference=abc.2", url=url).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "0" * 32},
        {"headers": {"X-Hub-Signature-256": ""}},
        {"headers": {"X-Hub-Signature-256": "sha256="}},
        {"body": b'{"entry": [] }'},
    ],
    ids=["forged", "none", "empty", "tampered"],
)
@pytest.mark.usefixtures("untouched")
def test_call_without_metas_signature_is_403_and_costs_no_database(site: WebhookSite, changes: dict[str, Any]) -> None:
    assert site.meta({"entry": []}, **changes).status_code == 403
    assert site.results("meta") == {"refused": 1}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("provider", ["telegram", "x" * 500, "Twilio", "%2e%2e"])
@pytest.mark.usefixtures("untouched")
def test_call_of_an_unknown_provider_is_404_and_no_label(site: WebhookSite, method: str, provider: str) -> None:
    answer = site.http.request(method, f"/webhooks/{provider}")
    assert answer.status_code == 404
    assert set(answer.json()) == {"status", "error", "code"}
    assert site.results("other") in ({"refused": 1}, {})
    assert f'provider="{provider}"' not in site.http.get("/metrics").text


def test_get_of_a_provider_that_asks_nothing_is_404(site: WebhookSite) -> None:
    assert site.http.get("/webhooks/twilio").status_code == 404


@pytest.mark.usefixtures("untouched")
def test_call_too_large_is_413_before_it_is_read(site: WebhookSite) -> None:
    """Neither by its own word nor without one: a chunked body says no length."""
    form = {**DELIVERED, "Padding": "x" * BODY_LIMIT}
    assert site.twilio(form).status_code == 413
    for size in (str(BODY_LIMIT + 1), "9" * 4000):
        assert raw(site, f"Content-Length: {size}", b"").startswith(b"HTTP/1.1 4")

    def chunks() -> Iterator[bytes]:
        for _ in range(BODY_LIMIT // 1000 + 2):
            yield b"x" * 1000

    answer = site.http.post("/webhooks/twilio", content=chunks())
    assert answer.status_code == 413
    assert site.results()["unreadable"] >= 3


def test_call_of_the_largest_size_is_taken(site: WebhookSite) -> None:
    form = {**DELIVERED, "Padding": ""}
    form["Padding"] = "x" * (BODY_LIMIT - len(urlencode(form)))
    assert site.twilio(form).status_code == 200


def test_call_that_drips_ends_at_its_deadline(site: WebhookSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subscriber.monitoring.webhooks._BODY_SECONDS", 0.05)
    answer = raw(site, "Content-Length: 100", b"half")
    assert answer.startswith(b"HTTP/1.1 408")
    assert site.results() == {"unreadable": 1}


def test_call_that_ends_in_the_middle_is_counted_and_logs_no_error(
    site: WebhookSite, caplog: pytest.LogCaptureFixture
) -> None:
    port = site.http.base_url.port
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /webhooks/twilio HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    wait_until(lambda: site.results() == {"unreadable": 1})
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a=1&" * 1000, b"%ff"], ids=["bytes", "fields", "escape"])
@pytest.mark.usefixtures("untouched")
def test_call_that_is_no_form_is_refused(site: WebhookSite, body: bytes) -> None:
    answer = site.twilio({}, body=body)
    assert answer.status_code in {400, 403}
    assert sum(site.results().values()) == 1


@pytest.mark.parametrize("call", [[], {}, {"entry": 7}, "text", None], ids=str)
@pytest.mark.usefixtures("untouched")
def test_call_signed_by_meta_that_is_none_of_its_calls_is_400(site: WebhookSite, call: object) -> None:
    assert site.meta(call).status_code == 400
    assert site.results("meta") == {"unreadable": 1}


def test_call_while_the_database_is_away_is_503_and_taken_when_it_is_repeated(
    site: WebhookSite, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider repeats it; nothing of it counts before it is stored."""
    alert = site.accepted("SM1")

    def away(*_args: object, **_options: object) -> None:
        raise StoreError("The database is locked by another program.")

    with monkeypatch.context() as patch:
        patch.setattr(store, "note_receipt", away)
        answer = site.twilio(DELIVERED)
        assert (answer.status_code, answer.json()["status"]) == (503, "error")
        assert site.results() == {"failed": 1}
    assert site.state(alert) == "accepted"
    assert site.twilio(DELIVERED).status_code == 200
    assert site.state(alert) == "delivered"
    assert site.results() == {"failed": 1, "ok": 1}


def test_calls_that_are_begun_and_never_ended_take_a_bounded_room(site: WebhookSite) -> None:
    """Anybody may begin a call: beyond so many none is read, and the provider repeats its own."""
    address = (site.http.base_url.host, site.http.base_url.port or 80)
    begun = f"POST /webhooks/twilio HTTP/1.1\r\nHost: {address[0]}\r\nContent-Length: 9\r\n\r\nhalf".encode()
    with ExitStack() as stack:
        for _ in range(64):
            stack.enter_context(socket.create_connection(address, 10)).sendall(begun)
        wait_until(lambda: site.twilio(DELIVERED).status_code == 503)
    wait_until(lambda: site.twilio(DELIVERED).status_code == 200)


def test_calls_while_the_database_hangs_leave_the_api_its_threads(
    site: WebhookSite, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of receipts must not take the threads that answer people; those who wait too long are sent away."""
    monkeypatch.setattr("subscriber.monitoring.webhooks._TURN_SECONDS", 0.05)
    hanging = threading.Event()
    note = store.note_receipt
    waiting = []

    def hang(*args: object, polling: bool) -> object:
        waiting.append(args)
        hanging.wait(30)
        return note(*args, polling=polling)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(store, "note_receipt", hang)
    with ThreadPoolExecutor(60) as pool:
        calls = [pool.submit(site.twilio, status_form(f"SM{number}", "sent")) for number in range(60)]
        wait_until(lambda: len(waiting) == 8)
        wait_until(lambda: sum(call.done() for call in calls) == 52)
        answer = site.http.get(
            "/api/monitoring/notifications/status", headers={"Authorization": "Bearer the-token-of-the-api"}
        )
        assert answer.status_code == 200
        hanging.set()
    codes = sorted(call.result().status_code for call in calls)
    assert codes == [200] * 8 + [503] * 52


class _Broken:
    """A reader with a bug, whose words are those of the call."""

    provider = "twilio"
    channels = ("whatsapp",)

    def greet(self, request: WebhookRequest) -> str | None:
        raise ValueError(str(dict(request.query)))

    def read(self, request: WebhookRequest) -> WebhookNews:
        raise ValueError(request.body.decode())


def test_call_that_finds_a_bug_is_500_and_the_log_names_the_line_alone(
    store: Store, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    readers: dict[str, WebhookReader] = {"twilio": _Broken()}
    with webhook_site(store, clock, readers) as site:
        for answer in (site.twilio(DELIVERED), site.http.get("/webhooks/twilio", params={"q": CANARY})):
            assert answer.status_code == 500
            assert CANARY not in answer.text
        assert site.results() == {"failed": 2}
    (record, _) = [each for each in caplog.records if "a webhook call failed" in each.getMessage()]
    assert (record.__dict__["error"], record.__dict__["provider"]) == ("ValueError", "twilio")
    assert "_Broken.read:" in record.__dict__["place"]
    assert CANARY not in everything_logged(caplog)


def test_calls_refused_are_logged_once_a_minute(
    site: WebhookSite, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A stranger must not fill the disk; a person who set a wrong URL must find out why nothing comes."""

    def lines() -> int:
        return sum("a webhook call was refused" in record.getMessage() for record in caplog.records)

    for _ in range(20):
        site.twilio(DELIVERED, token="0" * 32)
    assert lines() == 1
    clock.advance(61)
    site.twilio(DELIVERED, token="0" * 32)
    assert lines() == 2


def test_calls_taken_leave_nothing_of_them_in_the_log(site: WebhookSite, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    site.accepted("SM1")
    assert site.twilio(DELIVERED).status_code == 200
    assert site.twilio(inbound_form(Body=CANARY)).status_code == 200
    assert site.meta(meta_call([{"id": CANARY, "status": "sent"}])).status_code == 200
    assert CANARY not in everything_logged(caplog)


def raw(site: WebhookSite, header: str, body: bytes) -> bytes:
    """Post to Twilio's webhook as no client would; return the beginning of the answer."""
    signature = twilio_signature(HERE, {})
    head = f"POST /webhooks/twilio HTTP/1.1\r\nHost: x\r\nX-Twilio-Signature: {signature}\r\n{header}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", site.http.base_url.port), 30) as connection:
        connection.sendall(head.encode() + body)
        return connection.recv(65_536)
