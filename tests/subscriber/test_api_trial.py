"""POST /test over real HTTP: a synthetic alert through queue, worker, plugin and provider, and what it tells."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from subscriber.deliveries import Outcome, Reason
from subscriber.errors import StoreError
from subscriber.monitoring.trial_models import TrialShown
from subscriber.service import RunOptions
from tests.support.provider_faults import error, fails_later, for_posts, hang
from tests.support.provider_server import TELEGRAM_BLOCKED_CHAT, ProviderServer
from tests.support.running_service import PREFIX, ServiceThread, provider_environ, running_service
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture(scope="module")
def daemon(providers: ProviderServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceThread]:
    """A daemon that takes more tests in a row than a real one."""
    folder = tmp_path_factory.mktemp("daemon")
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("subscriber.monitoring.trial_api.MOST_TESTS", 1000)
            running = stack.enter_context(running_service(provider_environ(providers), folder))
        yield running


@pytest.fixture
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subscriber.trial.DEFAULT_WAIT_SECONDS", 0.2)


def told(providers: ProviderServer, text: str) -> list[str]:
    """Return the providers that took a message with this text."""
    return sorted(message.provider for message in providers.accepted if text in message.text)


def results(answer: Any) -> dict[str, dict[str, Any]]:
    return {result["channel"]: result for result in answer["channels"]}


def test_test_without_channel_reaches_all_and_says_so(daemon: ServiceThread, providers: ProviderServer) -> None:
    """The whole way, with each provider's answer and the seconds it took; the alert is in the history."""
    answer = daemon.post("/test", {"text": "Is anybody there?"})
    assert answer["dry_run"] is False
    for channel, result in results(answer).items():
        state = {"telegram": "accepted", "whatsapp": "delivered"}[channel]  # Twilio has receipts, and is waited for
        assert (result["accepted"], result["state"], result["outcome"]) == (True, state, "accepted")
        assert result["seconds"] >= 0
        assert result["waiting_for"] is None
    assert set(results(answer)) == {"telegram", "whatsapp"}
    assert told(providers, "Is anybody there?") == ["telegram", "twilio"]
    story = daemon.get(f"/alerts/{answer['alert_id']}")
    assert (story["alert"]["event_type"], story["alert"]["severity"]) == ("TEST_ALERT", "INFO")


def test_answer_is_as_its_model_says_and_names_provider_and_message(
    daemon: ServiceThread, providers: ProviderServer
) -> None:
    answer = daemon.post("/test", {"channel": "telegram", "text": "By its number"})
    TrialShown.model_validate(answer)
    result = results(answer)["telegram"]
    assert (result["provider"], answer["route"], answer["not_routed"]) == ("telegram", None, False)
    story = daemon.get(f"/alerts/{answer['alert_id']}")
    assert story["deliveries"][0]["attempts"][0]["provider_message_id"] == result["message_id"]
    assert result["message_id"]


def test_test_refused_for_good_is_told_by_no_other_channel(daemon: ServiceThread, providers: ProviderServer) -> None:
    """Whoever tests one channel is told of that one, and is not answered by another."""
    providers.twilio.script(for_posts(error(400, code=21617)))
    answer = daemon.post("/test", {"channel": "whatsapp", "text": "No further"})
    assert len(daemon.get(f"/alerts/{answer['alert_id']}")["deliveries"]) == 1


@pytest.mark.parametrize("body", [None, {"channel": None, "text": None}, {"alert": None}])
def test_test_with_an_empty_body_means_every_channel(daemon: ServiceThread, body: object) -> None:
    assert set(results(daemon.post("/test", body))) == {"telegram", "whatsapp"}


def test_test_of_one_channel_reaches_that_one_alone(daemon: ServiceThread, providers: ProviderServer) -> None:
    assert set(results(daemon.post("/test", {"channel": "whatsapp", "text": "You alone"}))) == {"whatsapp"}
    assert told(providers, "You alone") == ["twilio"]


def test_test_refused_for_good_tells_the_providers_words(daemon: ServiceThread, providers: ProviderServer) -> None:
    providers.twilio.script(for_posts(error(400, code=21617)))
    result = results(daemon.post("/test", {"channel": "whatsapp"}))["whatsapp"]
    assert (result["accepted"], result["state"], result["outcome"]) == (False, "dead", "rejected")
    assert (result["status"], result["code"]) == (400, "21617")
    assert result["detail"]


def test_test_refused_for_its_target_answers_at_once_and_pauses_the_channel(
    providers: ProviderServer, tmp_path: Path
) -> None:
    """Waiting tells no more: a person has to do something, and the status says what."""
    environ = provider_environ(providers) | {"TELEGRAM_CHAT_ID": TELEGRAM_BLOCKED_CHAT}
    with running_service(environ, tmp_path) as daemon:
        result = results(daemon.post("/test", {"channel": "telegram"}))["telegram"]
        assert (result["accepted"], result["state"], result["outcome"]) == (False, "pending", "unauthorized")
        assert result["waiting_for"].startswith("a person")
        assert "blocked" in result["detail"]
        channels = {channel["name"]: channel for channel in daemon.get("/status")["channels"]}
        assert (channels["telegram"]["state"], channels["telegram"]["paused"]) == ("error", True)
        assert channels["telegram"]["last_error"]["reason"] == "unauthorized"
        wait_until(lambda: told(providers, "CHANNEL_UNAUTHORIZED") == ["twilio"])
        wait_until(lambda: daemon.metric("alertbus_channel_up", channel="telegram") == 0)


@pytest.mark.usefixtures("_short_wait")
def test_test_that_hangs_says_what_it_waits_for(daemon: ServiceThread, providers: ProviderServer) -> None:
    stuck = hang()
    providers.twilio.script(for_posts(stuck))
    result = results(daemon.post("/test", {"channel": "whatsapp"}))["whatsapp"]
    assert (result["accepted"], result["seconds"]) == (False, None)
    stuck.release()
    assert result["waiting_for"] == "the next attempt, after an attempt that is still open"
    wait_until(lambda: daemon.service._store.open_counts() == {})


@pytest.mark.usefixtures("_short_wait")
def test_test_after_a_failure_says_what_it_waits_for(providers: ProviderServer, tmp_path: Path) -> None:
    providers.telegram.script(error(503))
    environ = provider_environ(providers) | {"ALERTBUS_DELIVERY_BACKOFF_BASE": "60"}
    with running_service(environ, tmp_path) as daemon:
        result = results(daemon.post("/test", {"channel": "telegram"}))["telegram"]
    assert (result["accepted"], result["outcome"]) == (False, "unavailable")
    assert result["waiting_for"] == "the next attempt, after unavailable"


@pytest.mark.usefixtures("_short_wait")
def test_test_of_a_paused_channel_resumes_it_and_says_so(daemon: ServiceThread, providers: ProviderServer) -> None:
    """Who tests has put right what was wrong, or wants to know whether it is."""
    desk = daemon.service._parts.desks["whatsapp"]
    desk.note(Outcome(Reason.UNAUTHORIZED, "opted out"))
    result = results(daemon.post("/test", {"channel": "whatsapp", "text": "Is it well again?"}))["whatsapp"]
    assert (result["accepted"], result["resumed"], desk.paused) == (True, True, False)
    assert len(told(providers, "Is it well again?")) == 1


@pytest.mark.usefixtures("_short_wait")
def test_test_of_a_channel_that_is_still_refused_pauses_it_again(
    daemon: ServiceThread, providers: ProviderServer
) -> None:
    """One request for each click, and the answer names who has to act."""
    desk = daemon.service._parts.desks["whatsapp"]
    desk.note(Outcome(Reason.UNAUTHORIZED, "opted out"))
    providers.twilio.script(for_posts(error(400, code=21610)))
    result = results(daemon.post("/test", {"channel": "whatsapp"}))["whatsapp"]
    assert (result["accepted"], result["outcome"], desk.paused) == (False, "unauthorized", True)
    assert "paused" in result["waiting_for"]
    assert result["waiting_for"].endswith("(Attempt to send to unsubscribed recipient)")
    desk.resume()
    wait_until(lambda: not any(channel["backlog"] for channel in daemon.get("/status")["channels"]))


def test_test_of_a_message_that_fails_after_its_acceptance_says_so(
    daemon: ServiceThread, providers: ProviderServer
) -> None:
    """Accepted is not delivered: who trusts a test is not told that all is well."""
    providers.twilio.script(for_posts(fails_later(63005)))
    result = results(daemon.post("/test", {"channel": "whatsapp"}))["whatsapp"]
    assert (result["accepted"], result["state"], result["code"]) == (False, "dead", "63005")


@pytest.mark.usefixtures("_short_wait")
def test_test_whose_receipt_does_not_come_says_that_it_waits_for_it(
    daemon: ServiceThread, providers: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers.twilio.rules, "course", ("queued", "sent"))
    result = results(daemon.post("/test", {"channel": "whatsapp"}))["whatsapp"]
    assert (result["accepted"], result["state"]) == (True, "accepted")
    assert result["waiting_for"].startswith("the receipt")


def test_test_of_a_disabled_channel_says_that_it_is_off(daemon: ServiceThread, providers: ProviderServer) -> None:
    daemon.patch("/channels/telegram", {"enabled": False})
    result = results(daemon.post("/test", {"channel": "telegram", "text": "To nobody"}))["telegram"]
    daemon.patch("/channels/telegram", {"enabled": True})
    assert (result["accepted"], result["state"], result["why"]) == (False, "suppressed", "disabled")
    assert told(providers, "To nobody") == []


def test_test_in_dry_run_shows_what_would_be_sent(providers: ProviderServer, tmp_path: Path) -> None:
    with running_service(provider_environ(providers), tmp_path, options=RunOptions(dry_run=True)) as daemon:
        answer = daemon.post("/test", {"text": "Only a rehearsal"})
        assert answer["dry_run"] is True
        assert {result["why"] for result in answer["channels"]} == {"dry_run"}
        wait_until(lambda: sum("Only a rehearsal" in text for text in daemon.said) == 2)
    assert told(providers, "Only a rehearsal") == []


def test_test_that_can_not_be_stored_says_that_it_waits_for_the_database(
    daemon: ServiceThread, providers: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was told yet, which must not look like a success without channels."""
    store = daemon.service._store
    with monkeypatch.context() as broken:
        broken.setattr(store, "accept", _raising(StoreError("The disk is full.")))
        answer = daemon.post("/test", {"channel": "whatsapp", "text": "Later"})
    result = results(answer)["whatsapp"]
    assert (result["accepted"], result["waiting_for"]) == (False, "the database, which takes nothing at the moment")
    wait_until(lambda: told(providers, "Later") == ["twilio"])  # as soon as the database is back


def test_test_while_the_daemon_stops_answers_soon(providers: ProviderServer, tmp_path: Path) -> None:
    """A page that waits for a test must not hold up the end of the daemon."""
    with running_service(provider_environ(providers), tmp_path) as daemon:
        result = _tested_at_the_end_of(daemon)
    assert result["waiting_for"].startswith("the provider, which asked to be left alone")


def _tested_at_the_end_of(daemon: ServiceThread) -> dict[str, Any]:
    daemon.service._parts.desks["whatsapp"].hold(600)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(daemon.post, "/test", {"channel": "whatsapp"})
        wait_until(lambda: daemon.service._store.open_counts().get("whatsapp"))
        daemon.service.ask_to_stop()
        return results(asked.result(60))["whatsapp"]


def test_tests_at_once_beyond_the_bound_are_refused_and_health_still_answers(
    daemon: ServiceThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits in a thread that answers requests; they never take all of them."""
    began = threading.Semaphore(0)
    answer = threading.Event()

    def wait(*_args: object, **_named: object) -> dict[str, Any]:
        began.release()
        assert answer.wait(30)
        return {"channels": []}

    monkeypatch.setattr("subscriber.trial.Trial.run", wait)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(daemon.post, "/test", {}) for _ in range(8)]
        for _ in asked:
            assert began.acquire(timeout=60)
        refused = daemon.http.post(f"{PREFIX}/test", json={})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
        assert (refused.json()["status"], refused.json()["code"]) == ("error", "too_many_tests")
        assert daemon.http.get("/healthz").status_code == 200
        assert daemon.get("/status")["running"]
        answer.set()
        assert [each.result(60) for each in asked] == [{"channels": []}] * 8
    answer.set()
    assert daemon.post("/test", {}) == {"channels": []}


def _raising(failure: Exception) -> Any:
    def fail(*_args: object) -> None:
        raise failure

    return fail
