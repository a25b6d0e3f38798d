"""Faults that are answers, and how faults are scripted, as a client meets them over real HTTP."""

import pytest
import requests

from tests.support.provider_clients import SENDERS, send_hook, send_meta, send_telegram, send_twilio
from tests.support.provider_desk import ProviderDesk
from tests.support.provider_faults import error, for_posts, garbage, ok, ok_false, rate_limited, redirect
from tests.support.provider_rules import ProviderRules
from tests.support.provider_server import TELEGRAM_TOKEN, ProviderServer


def desk_of(server: ProviderServer, provider: str) -> ProviderDesk[ProviderRules]:
    desks: dict[str, ProviderDesk[ProviderRules]] = {
        "telegram": server.telegram,
        "twilio": server.twilio,
        "meta": server.meta,
        "hook": server.hook,
    }
    return desks[provider]


def test_rate_limited_telegram_tells_the_seconds_three_times(server: ProviderServer) -> None:
    server.telegram.script(rate_limited(35))
    answer = send_telegram(server)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "35")
    assert answer.json() == {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 35",
        "parameters": {"retry_after": 35},
    }


def test_rate_limited_twilio_is_20429(server: ProviderServer) -> None:
    server.twilio.script(rate_limited(2))
    answer = send_twilio(server)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (429, 20429, "2")


def test_rate_limited_meta_is_130429(server: ProviderServer) -> None:
    server.meta.script(rate_limited(2))
    answer = send_meta(server)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert answer.json()["error"]["message"] == "(#130429) Rate limit hit"


def test_rate_limited_hook_is_429(server: ProviderServer) -> None:
    server.hook.script(rate_limited(2))
    answer = send_hook(server)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")


@pytest.mark.parametrize("provider", SENDERS)
def test_rate_limited_without_seconds_names_none(server: ProviderServer, provider: str) -> None:
    desk_of(server, provider).script(rate_limited())
    answer = SENDERS[provider](server)
    assert answer.status_code == 429
    assert "Retry-After" not in answer.headers
    assert "retry_after" not in answer.text
    assert desk_of(server, provider).accepted == []
    (record,) = desk_of(server, provider).requests
    assert (record.verdict, record.status, record.fault) == ("rate_limited", 429, "rate_limited")


@pytest.mark.parametrize("provider", SENDERS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 502, 503])
def test_error_has_the_status_and_the_providers_shape(server: ProviderServer, provider: str, status: int) -> None:
    desk_of(server, provider).script(error(status))
    answer = SENDERS[provider](server)
    assert answer.status_code == status
    body = answer.json()
    assert body.get("ok") is False or "more_info" in body or body["error"]["type"] == "OAuthException"
    assert desk_of(server, provider).accepted == []


def test_error_with_code_has_the_code_whatever_the_status(server: ProviderServer) -> None:
    server.telegram.script(error(400, code=429))
    server.twilio.script(error(400, code=63016))
    server.meta.script(error(400, code=130429), error(401), error(400, code=131048), error(400, code=131056))
    assert send_telegram(server).json()["error_code"] == 429
    twilio = send_twilio(server)
    assert (twilio.status_code, twilio.json()["code"]) == (400, 63016)
    codes = []
    for _ in range(4):
        answer = send_meta(server)
        codes.append((answer.status_code, answer.json()["error"]["code"]))
    assert codes == [(400, 130429), (401, 190), (400, 131048), (400, 131056)]


def test_error_with_body_is_sent_as_it_is(server: ProviderServer) -> None:
    server.telegram.script(error(502, body=b"<h1>Bad Gateway</h1>", headers={"Server": "nginx"}))
    answer = send_telegram(server)
    assert (answer.status_code, answer.content) == (502, b"<h1>Bad Gateway</h1>")
    assert (answer.headers["Server"], answer.headers["Content-Type"]) == ("nginx", "text/html")


@pytest.mark.parametrize("provider", SENDERS)
def test_ok_false_is_200_and_accepts_nothing(server: ProviderServer, provider: str) -> None:
    desk_of(server, provider).script(ok_false())
    answer = SENDERS[provider](server)
    assert answer.status_code == 200
    body = answer.json()
    assert body.get("ok") is False or body.get("status") == "failed" or "error" in body
    assert desk_of(server, provider).accepted == []


@pytest.mark.parametrize("accept", [False, True])
def test_garbage_is_200_and_unreadable(server: ProviderServer, accept: bool) -> None:
    server.telegram.script(garbage(accept=accept))
    answer = send_telegram(server)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"Expecting value|decode"):
        answer.json()
    assert len(server.telegram.accepted) == int(accept)


def test_redirect_leads_elsewhere_where_it_is_recorded(server: ProviderServer) -> None:
    server.telegram.script(redirect())
    assert send_telegram(server).status_code == 404
    assert [(request.path, request.request.method) for request in server.elsewhere.requests] == [("/elsewhere", "GET")]
    assert server.telegram.requests[0].status == 302


def test_redirect_with_307_repeats_the_post_where_it_is_told(server: ProviderServer) -> None:
    server.telegram.script(redirect("/hook", status=307))
    assert send_telegram(server).status_code == 200
    assert len(server.hook.accepted) == 1


def test_script_is_used_up_in_order_and_only_by_its_provider(server: ProviderServer) -> None:
    server.telegram.script(error(500), ok(), error(503))
    assert send_hook(server).ok
    assert [send_telegram(server).status_code for _ in range(4)] == [500, 200, 503, 200]


def test_script_applies_to_probes_too(server: ProviderServer) -> None:
    server.telegram.script(error(502))
    assert requests.get(f"{server.url}/bot{TELEGRAM_TOKEN}/getMe", timeout=60).status_code == 502


def test_always_applies_after_the_script_until_it_is_ended(server: ProviderServer) -> None:
    server.telegram.always(error(502))
    server.telegram.script(error(500))
    assert [send_telegram(server).status_code for _ in range(3)] == [500, 502, 502]
    server.telegram.always(None)
    assert send_telegram(server).status_code == 200


def test_release_of_a_fault_without_a_pause_does_nothing() -> None:
    error(500).release()


def test_fault_for_posts_waits_for_a_post(server: ProviderServer) -> None:
    """What asks about a message, or for the account, neither meets the fault nor uses it up."""
    server.telegram.script(for_posts(error(503)), error(502))
    url = f"{server.url}/bot{TELEGRAM_TOKEN}/getMe"
    assert [requests.get(url, timeout=60).status_code for _ in range(2)] == [502, 200]
    assert [send_telegram(server).status_code for _ in range(2)] == [503, 200]
    server.telegram.always(for_posts(error(500)))
    assert (requests.get(url, timeout=60).status_code, send_telegram(server).status_code) == (200, 500)
