"""The webhook's few rules over real HTTP."""

import requests

from tests.support.provider_server import ProviderServer


def test_hook_with_title_and_message_is_accepted_as_two_lines(server: ProviderServer) -> None:
    answer = requests.post(f"{server.url}/hook", json={"title": "RISK", "message": "Drawdown"}, timeout=60)
    assert answer.json() == {"ok": True, "id": "1"}
    (message,) = server.hook.accepted
    assert (message.target, message.text) == ("/hook", "RISK\nDrawdown")
    assert message.raw_text == '{"title": "RISK", "message": "Drawdown"}'


def test_hook_with_message_alone_is_accepted_as_it_is(server: ProviderServer) -> None:
    assert requests.post(f"{server.url}/hook/team", json={"title": "", "message": "x"}, timeout=60).ok
    assert (server.hook.accepted[0].target, server.hook.accepted[0].text) == ("/hook/team", "x")


def test_hook_with_anything_but_a_json_object_is_refused(server: ProviderServer) -> None:
    for body in (b"", b"text", b"[1]", b"\xff"):
        assert requests.post(f"{server.url}/hook", data=body, timeout=60).status_code == 400
    assert server.hook.accepted == []


def test_hook_with_get_is_refused(server: ProviderServer) -> None:
    assert requests.get(f"{server.url}/hook", timeout=60).status_code == 405
