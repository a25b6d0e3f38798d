"""The seam between Apprise's plugins and our HTTP; each test fails loudly when a release of Apprise goes around it."""

import ast
import importlib
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import apprise
import pytest
import requests

from bus.errors import ConfigurationError
from subscriber.channels import plugins, requests_seam
from subscriber.channels.building import build_channel
from subscriber.channels.channel import AppriseConfig, MetaConfig, TelegramConfig, TwilioConfig
from subscriber.deliveries import Dialect, Message
from tests.support.provider_server import (
    META_PHONE_ID,
    META_RECIPIENT,
    META_TOKEN,
    TELEGRAM_CHAT,
    TELEGRAM_GROUP,
    TELEGRAM_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
    ProviderServer,
)

MESSAGE = Message("Drawdown", "Drawdown", Dialect.PLAIN)
_PLUGINS = Path(apprise.__file__).parent / "plugins"


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """Providers on loopback."""
    with ProviderServer() as running:
        yield running


def refuse(*_: object, **__: object) -> None:
    """Stand in for a way around the seam."""
    raise AssertionError("a plugin went around the seam")


def test_built_in_plugins_make_every_request_through_the_seam(
    server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With requests' own way out shut, everything still arrives."""
    monkeypatch.setattr(requests.Session, "send", refuse)
    monkeypatch.setattr(requests.sessions.Session, "request", refuse)
    configs = (
        TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT, base_url=server.url),
        TwilioConfig(TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_SENDER, TWILIO_RECIPIENT, base_url=server.url),
        MetaConfig(META_TOKEN, META_PHONE_ID, META_RECIPIENT, base_url=server.url),
        AppriseConfig("desk", f"json://127.0.0.1:{server.port}/hook"),
    )
    for config in configs:
        channel = build_channel(config, environ={})
        assert channel.send(MESSAGE).accepted
        channel.close()
    assert [len(desk.requests) for desk in (server.telegram, server.twilio, server.meta, server.hook)] == [1, 1, 1, 1]


def test_every_plugin_of_apprise_names_requests_as_a_module() -> None:
    """`from requests import post` would go around the seam, and so would a session; none does so today."""
    around = re.compile(r"^\s*(from requests import|import requests (as|\.))|requests\.[sS]ession\b", re.MULTILINE)
    sources = {path.name: path.read_text(encoding="utf-8") for path in _PLUGINS.rglob("*.py")}
    assert [name for name, source in sources.items() if around.search(source)] == []
    assert sum("import requests\n" in source for source in sources.values()) > 100


def test_no_plugin_of_apprise_keeps_a_function_of_requests_from_its_import() -> None:
    """A default argument or a table on a class would hold the real one for good; none does so today."""
    kept = [
        f"{path.name}:{node.lineno}"
        for path in _PLUGINS.rglob("*.py")
        for node in _outside_of_bodies(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "requests"
        if node.attr in {"request", "get", "post", "put", "patch", "delete", "head", "options"}
    ]
    assert kept == []


def _outside_of_bodies(node: ast.AST) -> Iterator[ast.AST]:
    """Return all that runs when a module is imported."""
    yield node
    inner = ast.iter_child_nodes(node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        inner = iter([node.args, *node.decorator_list])
    elif isinstance(node, ast.Lambda):
        inner = iter([node.args])
    for child in inner:
        yield from _outside_of_bodies(child)


def test_netrc_gives_no_credentials_away(
    server: ProviderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A requests session would send them to any host that is named there; credentials come from the settings alone."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login canary password canary-of-netrc\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert requests.utils.get_netrc_auth(server.url) == ("canary", "canary-of-netrc")
    configs = (
        TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT, base_url=server.url),
        AppriseConfig("desk", f"json://127.0.0.1:{server.port}/hook"),
    )
    for config in configs:
        channel = build_channel(config, environ={})
        assert channel.send(MESSAGE).accepted
        channel.close()
    headers = [desk.requests[0].request.headers for desk in (server.telegram, server.hook)]
    assert all("authorization" not in each for each in headers)


def test_route_leaves_everybody_elses_requests_alone() -> None:
    """Only the plugin's own module sees the stand-in."""
    build_channel(TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT), rehearsal=True, environ={})
    assert vars(sys.modules["apprise.plugins.telegram"])["requests"] is requests_seam.SEAM
    assert sys.modules["requests"] is requests
    assert importlib.import_module("apprise.attachment.http").requests is requests


def test_seam_has_the_names_of_requests() -> None:
    """Exception classes and codes are the ones that plugins catch and compare."""
    assert requests_seam.SEAM.RequestException is requests.RequestException
    assert requests_seam.SEAM.codes.ok == 200


def test_seam_outside_of_a_channel_is_plain_requests(server: ProviderServer) -> None:
    """Whoever else uses Apprise in this process is served as before."""
    response = requests_seam.SEAM.post(f"{server.url}/hook", json={"message": "plain"}, timeout=5)
    assert response.json()["ok"] is True
    assert server.hook.requests[0].request.headers["user-agent"].startswith("python-requests")
    response.close()


def test_seam_takes_positional_arguments_as_requests_does(server: ProviderServer) -> None:
    """Some plugins pass the data by position, and a form is encoded as requests encodes it."""
    channel = build_channel(AppriseConfig("desk", f"json://127.0.0.1:{server.port}/hook"), environ={})
    provider = channel._provider  # type: ignore[attr-defined]

    def submit(_plugin: object, _message: Message) -> bool:
        requests_seam.SEAM.post(f"{server.url}/hook/form", {"a": "1 2"}, auth=("user", "password"))
        requests_seam.SEAM.post(f"{server.url}/hook/json", None, {"b": [1]})
        requests_seam.SEAM.get(f"{server.url}/hook/query", {"c": "é"})
        requests_seam.SEAM.request("PUT", f"{server.url}/hook", files={"file": ("name.txt", b"content")})
        return True

    provider.submit = submit
    channel.send(MESSAGE)
    channel.close()
    form, json, query = (recorded.request for recorded in server.hook.requests)
    assert (form.form(), form.headers["authorization"]) == ({"a": "1 2"}, "Basic dXNlcjpwYXNzd29yZA==")
    assert json.json_object() == {"b": [1]}
    assert query.query == "c=%C3%A9"


def test_channels_that_run_at_once_never_meet(server: ProviderServer) -> None:
    """Each lane finds its own channel's HTTP."""
    channels = [
        build_channel(TelegramConfig(TELEGRAM_TOKEN, chat, base_url=server.url), environ={})
        for chat in (TELEGRAM_CHAT, TELEGRAM_GROUP)
    ]
    threads = [
        threading.Thread(target=lambda channel=channel: [channel.send(MESSAGE) for _ in range(30)])
        for channel in channels
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for channel in channels:
        channel.close()
    by_target: dict[str, set[int]] = {}
    for message in server.telegram.accepted:
        by_target.setdefault(message.target, set()).add(message.connection)
    assert {target: len(used) for target, used in by_target.items()} == {TELEGRAM_CHAT: 1, TELEGRAM_GROUP: 1}
    assert len(server.telegram.accepted) == 60


def test_plugin_that_no_longer_uses_requests_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Better no start than sends without a deadline."""
    monkeypatch.delattr(sys.modules["apprise.plugins.telegram"], "requests")
    with pytest.raises(RuntimeError, match="no longer makes its requests by the module"):
        build_channel(TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT), environ={})


def test_plugin_that_addresses_somebody_else_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that renames `targets` would write to the number that the plugin was built with."""
    real = plugins.built_in_plugin

    def build(provider: str, arguments: dict[str, object]) -> object:
        plugin = real(provider, arguments)
        kind = type(plugin)
        fixed = type("Renamed", (kind,), {"targets": property(lambda _: ["+12025550100"], lambda *_: None)})
        plugin.__class__ = fixed
        return plugin

    monkeypatch.setattr(plugins, "built_in_plugin", build)
    with pytest.raises(ConfigurationError, match="does not address what channel whatsapp is configured for"):
        build_channel(MetaConfig(META_TOKEN, META_PHONE_ID, META_RECIPIENT), environ={})
