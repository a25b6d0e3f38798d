"""The webhooks over real HTTP, with signatures made apart from ours: what is taken, and what it does."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Final

import pytest

from subscriber.channels.meta_receipts import message_key
from subscriber.monitoring.answers import PREFIX
from subscriber.store import Store
from tests.support.clock import START_US, FakeClock
from tests.support.daemon import PATIENCE_SECONDS
from tests.support.waiting import wait_until
from tests.support.webhook_site import VERIFY_TOKEN, WebhookSite, inbound_form, meta_call, status_form, webhook_site

SECOND = 1_000_000
NOW = START_US // SECOND
#: So many of the API's handlers run at a time; anyio's default.
API_THREADS: Final = 40


@pytest.fixture
def site(store: Store, clock: FakeClock) -> Iterator[WebhookSite]:
    with webhook_site(store, clock) as made:
        yield made


def states_told(site: WebhookSite, alert: object, channel: str = "whatsapp") -> list[str]:
    """Return what receipts said of an alert's only attempt, in the order in which it was stored."""
    (attempt,) = site.bench.delivery(alert, channel)["attempts"]  # type: ignore[arg-type]  # an Alert
    return [receipt["state"] for receipt in attempt["receipts"]]


def test_receipt_delivered_is_on_the_delivery_with_its_time(site: WebhookSite) -> None:
    alert = site.accepted("SM1")
    site.clock.advance(2.5)
    answer = site.twilio(status_form("SM1", "delivered"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert answer.text == '<?xml version="1.0" encoding="UTF-8"?><Response/>'
    assert site.state(alert) == "delivered"
    metric = site.bench.metric
    assert metric("deliveries_total", channel="whatsapp", state="delivered") == 1
    assert metric("receipts_total", channel="whatsapp", state="delivered") == 1
    assert metric("receipt_seconds_sum", channel="whatsapp") == 2.5
    assert site.results() == {"ok": 1}


def test_receipt_needs_no_bearer_token_and_a_bearer_token_is_no_signature(site: WebhookSite) -> None:
    alert = site.accepted("SM1")
    headers = {"Authorization": "Bearer the-token-of-the-api", "X-Twilio-Signature": ""}
    assert site.twilio(status_form("SM1", "delivered"), headers=headers).status_code == 403
    assert site.state(alert) == "accepted"
    assert site.twilio(status_form("SM1", "delivered")).status_code == 200
    assert site.state(alert) == "delivered"


@pytest.mark.parametrize("order", list(itertools.permutations(["queued", "sent", "delivered", "read"])), ids="-".join)
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_receipts_in_any_order_move_the_state_forward_only(site: WebhookSite, order: tuple[str, ...]) -> None:
    alert = site.accepted("SM1")
    arrived = False
    for state in order:
        assert site.twilio(status_form("SM1", state)).status_code == 200
        arrived = arrived or state in {"delivered", "read"}
        assert site.state(alert) == ("delivered" if arrived else "accepted")
    (attempt,) = site.bench.delivery(alert, "whatsapp")["attempts"]
    assert attempt["receipt"] == "read"
    assert site.bench.metric("deliveries_total", channel="whatsapp", state="delivered") == 1


def test_receipt_is_taken_while_all_threads_of_the_api_wait(site: WebhookSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries that take long are people's; a provider calls all the same, and gives up soon."""
    alert = site.accepted("SM1")
    go_on = threading.Event()
    waiting: list[int] = []

    def slow(*_given: object, **_fields: object) -> list[object]:
        waiting.append(1)
        go_on.wait(PATIENCE_SECONDS)
        return []

    monkeypatch.setattr(site.store, "history", slow)
    headers = {"Authorization": "Bearer the-token-of-the-api"}
    with ThreadPoolExecutor(API_THREADS) as people:
        asked = [people.submit(site.http.get, f"{PREFIX}/history", headers=headers) for _ in range(API_THREADS)]
        try:
            wait_until(lambda: len(waiting) == API_THREADS, PATIENCE_SECONDS)
            assert site.twilio(status_form("SM1", "delivered")).status_code == 200
            assert site.state(alert) == "delivered"
        finally:
            go_on.set()
        assert {each.result().status_code for each in asked} == {200}


def test_receipts_repeated_count_once(site: WebhookSite) -> None:
    """Providers repeat a call whose answer they did not see; so may whoever recorded one."""
    alert = site.accepted("SM1")
    for _ in range(3):
        assert site.twilio(status_form("SM1", "delivered")).status_code == 200
    assert site.state(alert) == "delivered"
    assert states_told(site, alert) == ["delivered"]
    for name, state in (("receipts_total", "delivered"), ("deliveries_total", "delivered")):
        assert site.bench.metric(name, channel="whatsapp", state=state) == 1
    assert site.results() == {"ok": 3}


def test_receipt_before_our_own_commit_counts_when_the_acceptance_is_recorded(site: WebhookSite) -> None:
    """Twilio calls while its answer to us is still on the way."""
    sending = site.begin()
    assert site.twilio(status_form("SM1", "delivered")).status_code == 200
    assert site.state(sending.alert) != "accepted"
    site.end(sending, "SM1")
    assert site.state(sending.alert) == "delivered"


def test_receipt_by_reference_ends_the_doubt_of_an_attempt_without_an_id(site: WebhookSite) -> None:
    """The answer was lost on its way; the callback names the attempt, so nobody gets it twice."""
    sending = site.begin()
    reference = site.store.reference_of(sending.attempt)
    assert site.twilio(status_form("SM7", "delivered"), f"?reference={reference}").status_code == 200
    site.clock.advance(61)
    site.store.release_worker("worker")
    assert site.state(sending.alert) == "delivered"
    assert site.store.claim("whatsapp", "other", 60.0, 1) == []


def test_receipt_hours_late_is_taken(site: WebhookSite) -> None:
    """The phone was off."""
    alert = site.accepted("SM1")
    site.clock.advance(5 * 3600)
    assert site.twilio(status_form("SM1", "delivered")).status_code == 200
    assert site.state(alert) == "delivered"
    assert site.bench.metric("receipt_seconds_sum", channel="whatsapp") == 5 * 3600


def test_receipt_of_a_message_that_is_not_ours_changes_nothing(site: WebhookSite) -> None:
    alert = site.accepted("SM1")
    assert site.twilio(status_form("SM2", "delivered")).status_code == 200
    assert site.state(alert) == "accepted"
    assert site.bench.metric("receipts_total", channel="whatsapp", state="delivered") == 0


def test_receipt_failed_wakes_the_channels_keeper_and_no_other(site: WebhookSite) -> None:
    alert = site.accepted("SM1")
    assert site.twilio(status_form("SM1", "undelivered", ErrorCode="63016")).status_code == 200
    assert site.woken == ["whatsapp"]
    assert site.state(alert) == "accepted"
    (failed,) = site.store.failed_receipts(["whatsapp"])
    assert (failed.receipt.code, failed.receipt.message_id) == ("63016", "SM1")


def test_receipt_delivered_after_failed_wins(site: WebhookSite) -> None:
    """It is on the phone, whatever was said before."""
    alert = site.accepted("SM1")
    site.twilio(status_form("SM1", "failed", ErrorCode="63024"))
    site.twilio(status_form("SM1", "delivered"))
    assert site.state(alert) == "delivered"
    assert site.store.failed_receipts(["whatsapp"]) == []


# --- what a person writes -----------------------------------------------------------------------------------


def test_inbound_by_twilio_opens_the_window_now_and_answers_nothing_to_the_person(site: WebhookSite) -> None:
    answer = site.twilio(inbound_form())
    assert answer.text.endswith("<Response/>")
    assert site.inbound == [(("whatsapp",), START_US)]


def test_inbound_by_twilio_repeated_later_does_not_open_it_again(site: WebhookSite) -> None:
    """Twilio names no time, so a recorded call would look like a new message for ever."""
    for _ in range(3):
        assert site.twilio(inbound_form()).status_code == 200
        site.clock.advance(3600)
    assert site.inbound == [(("whatsapp",), START_US)]
    assert site.twilio(inbound_form(MessageSid="SM901")).status_code == 200
    assert site.inbound[1:] == [(("whatsapp",), START_US + 3 * 3600 * SECOND)]


@pytest.mark.parametrize("fields", [{"From": "whatsapp:+12025550199"}, {"To": "whatsapp:+12025550198"}], ids=str)
def test_inbound_of_somebody_else_opens_nothing(site: WebhookSite, fields: dict[str, str]) -> None:
    assert site.twilio(inbound_form(**fields)).status_code == 200
    assert site.inbound == []


@pytest.mark.parametrize(("ahead", "expected"), [(-3600, -3600), (0, 0), (3600, 0)])
def test_inbound_by_meta_counts_from_its_own_time_but_never_from_the_future(
    site: WebhookSite, ahead: int, expected: int
) -> None:
    message = {"from": "12025550111", "id": "wamid.1", "timestamp": str(NOW + ahead), "type": "text"}
    assert site.meta(meta_call(messages=[message])).status_code == 200
    assert site.inbound == [(("business",), START_US + expected * SECOND)]


# --- Meta ---------------------------------------------------------------------------------------------------


def status(message_id: str, state: str, **fields: object) -> dict[str, object]:
    return {"id": message_id, "status": state, "timestamp": str(NOW), "recipient_id": "12025550111", **fields}


def test_meta_greeting_repeats_the_challenge_for_our_token_alone(site: WebhookSite) -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": VERIFY_TOKEN}
    answer = site.http.get("/webhooks/meta", params=query)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")
    for changes in ({"hub.verify_token": "wrong"}, {"hub.mode": "unsubscribe"}, {"hub.verify_token": ""}):
        refused = site.http.get("/webhooks/meta", params={**query, **changes})
        assert refused.status_code == 403
        assert "1158201444" not in refused.text
    assert site.results("meta") == {"ok": 1, "refused": 3}


def test_meta_call_of_many_receipts_takes_all(site: WebhookSite) -> None:
    alerts = [site.accepted(message_key(f"wamid.{number}"), "business") for number in range(5)]
    told = [
        status(f"wamid.{number}", state)
        for number in range(5)
        for state in Random(number).sample(["sent", "delivered", "read"], 3)
    ]
    answer = site.meta(meta_call(told))
    assert (answer.status_code, answer.json()["status"]) == (200, "success")
    assert {site.state(alert, "business") for alert in alerts} == {"delivered"}
    assert site.bench.metric("deliveries_total", channel="business", state="delivered") == 5
    assert site.bench.metric("receipts_total", channel="business", state="sent") == 5


def test_meta_receipt_failed_after_acceptance_is_found_with_code_and_words(site: WebhookSite) -> None:
    site.accepted(message_key("wamid.1"), "business")
    error = {"code": 131047, "title": "Re-engagement message", "error_data": {"details": "More than 24 hours"}}
    assert site.meta(meta_call([status("wamid.1", "failed", errors=[error])])).status_code == 200
    assert site.woken == ["business"]
    (failed,) = site.store.failed_receipts(["business"])
    assert failed.receipt.code == "131047"
    assert "More than 24 hours" in failed.receipt.detail


def test_meta_call_about_another_number_is_taken_and_means_nothing(site: WebhookSite) -> None:
    alert = site.accepted(message_key("wamid.1"), "business")
    call = meta_call([status("wamid.1", "delivered")], phone_id="100000000000009")
    assert site.meta(call).status_code == 200
    assert site.state(alert, "business") == "accepted"
