"""The API of dead letters over real HTTP: list, preview, retry of one, some and all, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from subscriber.monitoring.dead_letters_models import DeadLetterList, DeadLetterStory, RetriedOne, RetriedSome
from subscriber.service import RunOptions
from tests.support.provider_faults import error, for_posts
from tests.support.provider_server import ProviderServer
from tests.support.running_service import PREFIX, ServiceThread, provider_environ, running_service
from tests.support.waiting import wait_until


@pytest.fixture
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def daemon(providers: ProviderServer, tmp_path: Path) -> Iterator[ServiceThread]:
    """A daemon whose books balance at the end of each test."""
    with running_service(provider_environ(providers), tmp_path) as running:
        yield running
        found = running.service._store.audit()
        assert (found.faults, found.balanced) == ((), True)


def letter(daemon: ServiceThread, providers: ProviderServer, text: str = "Refused", channel: str = "telegram") -> int:
    """Let a test alert be refused for good; return its delivery."""
    provider = providers.telegram if channel == "telegram" else providers.twilio
    provider.script(for_posts(error(400)) if channel == "telegram" else for_posts(error(400, code=21617)))
    answer = daemon.post("/test", {"channel": channel, "text": text})
    assert answer["channels"][0]["state"] == "dead"
    story = daemon.get(f"/alerts/{answer['alert_id']}")
    return int(story["deliveries"][0]["id"])


def told(providers: ProviderServer, text: str) -> list[str]:
    return [message.text for message in providers.accepted if text in message.text]


def test_list_tells_why_each_died_as_its_model_says(daemon: ServiceThread, providers: ProviderServer) -> None:
    first, second = letter(daemon, providers), letter(daemon, providers, "Refused, too", "whatsapp")
    answer = daemon.get("/dead-letters")
    DeadLetterList.model_validate(answer)
    assert answer["total"] == 2
    assert [each["id"] for each in answer["dead_letters"]] == [second, first]
    newest = answer["dead_letters"][0]
    assert (newest["channel"], newest["text"], newest["status"]) == ("whatsapp", "Refused, too", 400)
    assert (newest["reason"], newest["code"], newest["attempts"]) == ("rejected", "21617", 1)
    assert (newest["retriable"], newest["why_not"]) == (True, None)


def test_list_is_paged_and_filtered_by_channel(daemon: ServiceThread, providers: ProviderServer) -> None:
    first, second = letter(daemon, providers), letter(daemon, providers, channel="whatsapp")
    page = daemon.get("/dead-letters", limit=1)
    assert ([each["id"] for each in page["dead_letters"]], page["total"]) == ([second], 2)
    page = daemon.get("/dead-letters", limit=1, before=second)
    assert [each["id"] for each in page["dead_letters"]] == [first]
    page = daemon.get("/dead-letters", channel="telegram")
    assert ([each["id"] for each in page["dead_letters"]], page["total"]) == ([first], 1)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/dead-letters?channel=nobody", None, 404, "unknown_channel"),
        ("GET", "/dead-letters?limit=0", None, 422, "invalid_request"),
        ("GET", "/dead-letters/99", None, 404, "unknown_dead_letter"),
        ("GET", "/dead-letters/x", None, 404, "not_found"),
        ("POST", "/dead-letters/99/retry", None, 404, "unknown_dead_letter"),
        ("POST", "/dead-letters/retry", {"all": True, "channel": "nobody"}, 404, "unknown_channel"),
        ("POST", "/dead-letters/retry", {"ids": []}, 422, "invalid_request"),
        ("POST", "/dead-letters/retry", {"ids": [1], "all": True}, 422, "invalid_request"),
        ("POST", "/dead-letters/retry", {"ids": list(range(1, 502))}, 422, "invalid_request"),
        ("POST", "/dead-letters/retry", {"all": False}, 422, "invalid_request"),
        ("POST", "/dead-letters/retry", {}, 422, "invalid_request"),
    ],
)
def test_request_that_can_not_be_used_is_refused(
    daemon: ServiceThread, method: str, path: str, body: Any, status: int, code: str
) -> None:
    answer = daemon.http.request(method, PREFIX + path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_preview_says_what_the_retry_then_says(daemon: ServiceThread, providers: ProviderServer) -> None:
    """The worker's own words: with a template, its limit, its dialect and the mark of a possible repeat."""
    number = letter(daemon, providers, "Preview <me> & mine")
    story = daemon.get(f"/dead-letters/{number}")
    DeadLetterStory.model_validate(story)
    assert [each["reason"] for each in story["attempts_made"]] == ["rejected"]
    assert story["message"]["dialect"] == "telegram_html"
    daemon.post(f"/dead-letters/{number}/retry", {})
    wait_until(lambda: told(providers, "Preview"))
    assert told(providers, "Preview") == [story["message"]["text"]]


def test_preview_of_what_may_have_arrived_says_what_the_retry_then_says(
    daemon: ServiceThread, providers: ProviderServer
) -> None:
    number = letter(daemon, providers, "Once or twice")
    store = daemon.service._store
    store.mark_notification_sent(number, "pending")
    wait_until(lambda: told(providers, "Once or twice"))
    wait_until(lambda: store.open_counts() == {})
    store.mark_notification_sent(number, "dead")
    story = daemon.get(f"/dead-letters/{number}")
    assert story["possible_repeat"] is True
    assert "Possible repeat" in story["message"]["text"]
    daemon.post(f"/dead-letters/{number}/retry", {})
    wait_until(lambda: len(told(providers, "Once or twice")) == 2)
    assert told(providers, "Once or twice")[1] == story["message"]["text"]


def test_preview_by_a_template_says_what_the_retry_then_says(providers: ProviderServer, tmp_path: Path) -> None:
    config = tmp_path / "alertbus.toml"
    config.write_text('[templates.short]\nchannels = ["telegram"]\ntext = "{{ event }}: {{ description }}"\n')
    with running_service(provider_environ(providers) | {"ALERTBUS_CONFIG": str(config)}, tmp_path) as daemon:
        number = letter(daemon, providers, "By template")
        message = daemon.get(f"/dead-letters/{number}")["message"]
        assert message["template"] == "short"
        assert message["text"].startswith("TEST_ALERT: By template")
        daemon.post(f"/dead-letters/{number}/retry", {})
        wait_until(lambda: told(providers, "By template"))
        assert told(providers, "By template") == [message["text"]]


def test_retry_of_one_is_sent_counted_and_recorded(daemon: ServiceThread, providers: ProviderServer) -> None:
    number = letter(daemon, providers, "Once more")
    pending = daemon.metric("alertbus_deliveries_total", channel="telegram", state="pending") or 0
    answer = daemon.post(f"/dead-letters/{number}/retry", {"author": "Kim", "via": "page"})
    RetriedOne.model_validate(answer)
    assert answer == {"retried": [number], "skipped": []}
    wait_until(lambda: told(providers, "Once more"))
    assert daemon.metric("alertbus_deliveries_total", channel="telegram", state="pending") == pending + 1
    (change,) = [each for each in daemon.get("/changes") if each["what"] == "dead_letters_retried"]
    assert (change["author"], change["via"], change["detail"]["deliveries"]) == ("Kim", "page", [number])
    wait_until(lambda: daemon.service._store.open_counts() == {})
    assert daemon.get("/dead-letters")["total"] == 0


def test_retry_of_what_is_dead_no_more_conflicts(daemon: ServiceThread, providers: ProviderServer) -> None:
    number = letter(daemon, providers)
    daemon.post(f"/dead-letters/{number}/retry", {})
    wait_until(lambda: daemon.service._store.open_counts() == {})
    answer = daemon.http.post(f"{PREFIX}/dead-letters/{number}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_retriable")
    assert "it is accepted" in answer.json()["error"]


def test_retry_of_some_says_which_stay_and_why(daemon: ServiceThread, providers: ProviderServer) -> None:
    number = letter(daemon, providers, "Some")
    answer = daemon.post("/dead-letters/retry", {"ids": [number, 99]})
    RetriedSome.model_validate(answer)
    assert (answer["retried"], answer["count"]) == ([number], 1)
    assert answer["skipped"] == [{"id": 99, "why": "there is no such dead letter (any more)"}]


def test_retry_of_all_of_a_channel_leaves_the_others(
    daemon: ServiceThread, providers: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In several transactions; twice, which is harmless."""
    monkeypatch.setattr("subscriber.dead_letters.MOST_AT_ONCE", 2)
    ids = [letter(daemon, providers, "All of them") for _ in range(3)]
    other = letter(daemon, providers, "Stays", "whatsapp")
    answer = daemon.post("/dead-letters/retry", {"all": True, "channel": "telegram"})
    assert answer == {"retried": ids, "count": 3, "skipped": []}
    assert daemon.post("/dead-letters/retry", {"all": True, "channel": "telegram"})["count"] == 0
    wait_until(lambda: len(told(providers, "All of them")) == 3)
    assert [each["id"] for each in daemon.get("/dead-letters")["dead_letters"]] == [other]
    assert daemon.post("/dead-letters/retry", {"all": True})["retried"] == [other]


def test_retry_of_a_channel_that_is_switched_off_is_refused(daemon: ServiceThread, providers: ProviderServer) -> None:
    number = letter(daemon, providers)
    daemon.service._store.switch_channel("telegram", enabled=False, author="Kim", via="page")
    (shown,) = daemon.get("/dead-letters")["dead_letters"]
    assert (shown["retriable"], shown["why_not"]) == (False, "its channel telegram is switched off")
    answer = daemon.http.post(f"{PREFIX}/dead-letters/{number}/retry")
    assert (answer.status_code, answer.json()["data"]) == (
        409,
        {"id": number, "why": "its channel telegram is switched off"},
    )
    assert daemon.post("/dead-letters/retry", {"all": True})["skipped"] == [
        {"id": number, "why": "its channel telegram is switched off"}
    ]


def test_dead_letter_of_a_channel_that_is_gone_is_shown_without_a_message(
    providers: ProviderServer, tmp_path: Path
) -> None:
    environ = provider_environ(providers)
    with running_service(environ, tmp_path) as daemon:
        number = letter(daemon, providers, channel="whatsapp")
    with running_service(environ | {"NOTIFICATION_CHANNELS": "telegram"}, tmp_path) as daemon:
        story = daemon.get(f"/dead-letters/{number}")
        DeadLetterStory.model_validate(story)
        assert (story["message"], story["retriable"]) == (None, False)
        assert story["why_not"] == "its channel whatsapp is not configured"
        assert len(story["attempts_made"]) == 1
        assert daemon.get("/dead-letters", channel="whatsapp")["total"] == 1
        assert daemon.http.post(f"{PREFIX}/dead-letters/{number}/retry").status_code == 409


def test_retry_in_a_dry_run_is_refused(providers: ProviderServer, tmp_path: Path) -> None:
    """Nothing would be sent: it would wait for ever."""
    with running_service(provider_environ(providers), tmp_path) as daemon:
        number = letter(daemon, providers)
    with running_service(provider_environ(providers), tmp_path, options=RunOptions(dry_run=True)) as daemon:
        answer = daemon.http.post(f"{PREFIX}/dead-letters/{number}/retry")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_retriable")
        assert "dry run" in answer.json()["error"]
