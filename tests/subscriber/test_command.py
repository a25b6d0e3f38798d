"""`status`, `history` and `test`: with a running daemon, and without one on its database."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.clock import SystemClock
from subscriber.deliveries import Done, PlannedDelivery
from subscriber.store import Store
from tests.support.alerts import agent_action, incoming, risk_event, system_event
from tests.support.commands import command
from tests.support.provider_faults import error, for_posts
from tests.support.provider_server import ProviderServer
from tests.support.running_service import ServiceThread, daemon_environ, provider_environ, running_service
from tests.support.waiting import wait_until
from tests.support.worker_bench import ACCEPTED


@pytest.fixture
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def daemon(providers: ProviderServer, tmp_path: Path) -> Iterator[ServiceThread]:
    environ = provider_environ(providers) | {"ALERTBUS_API_TOKEN": "a-long-random-word"}
    with running_service(environ, tmp_path) as running:
        yield running


def ended_daemon(providers: ProviderServer, tmp_path: Path) -> dict[str, str]:
    """Return the environment of a daemon that has told one alert on both channels and does not run any more."""
    environ = daemon_environ(provider_environ(providers), tmp_path)
    now = SystemClock().now_us()
    planned = (PlannedDelivery("telegram", now), PlannedDelivery("whatsapp", now))
    with Store(environ["ALERTBUS_DATABASE_URL"]) as store:
        store.accept([incoming(system_event(), stream=None, sequence=None, published_us=now, planned=planned)])
        for channel in ("telegram", "whatsapp"):
            claimed = store.claim(channel, "worker", 60.0, 1)
            store.close_attempt(store.open_attempt(claimed), claimed, ACCEPTED, Done(), 0.1)
    return environ


def add_waiting(url: str, channel: str) -> None:
    with Store(url) as store:
        now = SystemClock().now_us()
        store.accept([incoming(agent_action(), 1, published_us=now, planned=(PlannedDelivery(channel, now),))])
        store.accept([incoming(risk_event(action_taken="\x1b[31m"), 2, published_us=now)])


def test_status_asks_the_running_daemon(daemon: ServiceThread, tmp_path: Path) -> None:
    ended = command(daemon.environ, tmp_path, "status", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.json["running"] is True
    assert {channel["name"]: channel["state"] for channel in ended.json["channels"]} == {
        "telegram": "ok",
        "whatsapp": "ok",
    }
    shown = command(daemon.environ, tmp_path, "status")
    assert shown.code == 0
    assert ": running since " in shown.out


def test_status_with_a_wrong_token_names_the_setting(daemon: ServiceThread, tmp_path: Path) -> None:
    ended = command(daemon.environ | {"ALERTBUS_API_TOKEN": "wrong"}, tmp_path, "status")
    assert (ended.code, ended.out) == (1, "")
    assert "ALERTBUS_API_TOKEN" in ended.err


def test_status_of_a_daemon_on_every_address_asks_loopback(daemon: ServiceThread, tmp_path: Path) -> None:
    assert command(daemon.environ | {"ALERTBUS_HTTP_HOST": "0.0.0.0"}, tmp_path, "status").code == 0


def test_status_without_a_daemon_reads_its_database(providers: ProviderServer, tmp_path: Path) -> None:
    environ = ended_daemon(providers, tmp_path)
    add_waiting(environ["ALERTBUS_DATABASE_URL"], "forgotten")
    ended = command(environ, tmp_path, "status", "--json")
    assert (ended.code, ended.json["running"], ended.json["dry_run"]) == (0, False, False)
    channels = {channel["name"]: channel for channel in ended.json["channels"]}
    assert (channels["telegram"]["state"], channels["telegram"]["deliveries"]["accepted"]) == ("not_running", 1)
    assert channels["telegram"]["last_success_at"]
    assert (channels["forgotten"]["state"], channels["forgotten"]["backlog"]) == ("not_configured", 1)


def test_status_without_a_daemon_and_credentials_shows_the_databases_channels(
    providers: ProviderServer, tmp_path: Path
) -> None:
    environ = ended_daemon(providers, tmp_path)
    without = {name: value for name, value in environ.items() if name.startswith("ALERTBUS_")}
    ended = command(without, tmp_path, "status", "--json")
    assert (ended.code, ended.json["dry_run"]) == (0, True)
    assert [channel["name"] for channel in ended.json["channels"]] == ["telegram", "whatsapp"]


@pytest.mark.parametrize("name", ["status", "history"])
def test_command_without_daemon_and_database_says_so_and_makes_none(tmp_path: Path, name: str) -> None:
    """An empty table would look like an answer, in the wrong folder too."""
    environ = daemon_environ({}, tmp_path)
    ended = command(environ, tmp_path, name)
    assert (ended.code, ended.out) == (1, "")
    assert "no daemon has run with it" in ended.err
    assert not (tmp_path / "alertbus.db").exists()


def test_history_lists_what_the_database_holds_with_a_daemon_and_without(
    daemon: ServiceThread, providers: ProviderServer, tmp_path: Path
) -> None:
    add_waiting(daemon.environ["ALERTBUS_DATABASE_URL"], "archive")
    alert_id = daemon.post("/test", {})["alert_id"]
    while_running = command(daemon.environ, tmp_path, "history", "--json")
    daemon.stop()
    ended = command(daemon.environ, tmp_path, "history", "--json")
    assert ended.json == while_running.json
    assert ended.json[0]["alert"]["id"] == alert_id
    assert [entry["alert"].get("action") for entry in ended.json] == [None, None, "BUY"]
    shown = command(daemon.environ, tmp_path, "history")
    assert (shown.code, shown.err) == (0, "")
    assert alert_id in shown.out
    assert "telegram: accepted" in shown.out


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (("--limit", "1"), 1),
        (("--channel", "archive"), 1),
        (("--channel", "nobody"), 0),
        (("--state", "pending"), 1),
        (("--state", "accepted", "--channel", "telegram"), 1),
    ],
    ids=["limit", "channel", "unknown channel", "state", "both"],
)
def test_history_filters(providers: ProviderServer, tmp_path: Path, arguments: tuple[str, ...], count: int) -> None:
    environ = ended_daemon(providers, tmp_path)
    add_waiting(environ["ALERTBUS_DATABASE_URL"], "archive")
    assert len(command(environ, tmp_path, "history", "--json", *arguments).json) == count


def test_test_through_the_daemon_tells_each_channels_answer(
    daemon: ServiceThread, providers: ProviderServer, tmp_path: Path
) -> None:
    ended = command(daemon.environ, tmp_path, "test", "all", "--text", "Anybody? ёлка 🔴", "--json")
    assert ended.code == 0
    assert {result["channel"]: result["accepted"] for result in ended.json["channels"]} == {
        "telegram": True,
        "whatsapp": True,
    }
    assert all("Anybody? ёлка 🔴" in message.text for message in providers.accepted)
    shown = command(daemon.environ, tmp_path, "test", "whatsapp")
    assert shown.code == 0
    assert shown.out.splitlines()[1].split()[:2] == ["whatsapp", "delivered"]


def test_test_refused_by_the_provider_fails_with_its_words(
    daemon: ServiceThread, providers: ProviderServer, tmp_path: Path
) -> None:
    providers.twilio.script(for_posts(error(400, code=21617)))
    ended = command(daemon.environ, tmp_path, "test", "whatsapp")
    assert ended.code == 1
    assert "rejected" in ended.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pager",), "There is no channel 'pager'"),
        (("telegram", "--text", ""), "text"),
        (("telegram", "--text", "x" * 2000), "text"),
        (("\udcff",), "channel"),
        (("telegram", "--text", "\udcff"), "text"),
    ],
    ids=["unknown", "empty", "long", "no text", "no text either"],
)
def test_test_of_what_can_not_be_is_refused_by_the_daemon(
    daemon: ServiceThread, providers: ProviderServer, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    ended = command(daemon.environ, tmp_path, "test", *arguments)
    assert (ended.code, ended.out) == (1, "")
    assert words in ended.err
    assert providers.accepted == []


@pytest.mark.parametrize(
    "arguments", [("--severity", "critical"), ("--severity", "Warning"), ("--action", "buy")], ids=" ".join
)
def test_test_takes_a_severity_and_an_action_in_any_case(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with running_service({}, tmp_path) as daemon:
        assert command(daemon.environ, tmp_path, "test", *arguments).code == 0
        assert command(daemon.environ, tmp_path, "route", *arguments).code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("test", "--severity", "loud"), "must be INFO, WARNING or CRITICAL, in any case"),
        (("history", "--severity", "loud"), "must be INFO, WARNING or CRITICAL, in any case"),
        (("route", "--action", "wait"), "must be BUY, SELL or HOLD, in any case"),
    ],
    ids=str,
)
def test_severity_that_there_is_not_is_refused_in_plain_words(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    ended = command(daemon_environ({}, tmp_path), tmp_path, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert words in " ".join(ended.err.replace("│", " ").split())
    assert "Value error" not in ended.err


def test_test_in_dry_run_is_no_failure(tmp_path: Path) -> None:
    with running_service({}, tmp_path) as daemon:
        ended = command(daemon.environ, tmp_path, "test", "telegram")
        assert ended.code == 0
        assert "would be sent (dry run)" in ended.out
        wait_until(lambda: any("telegram would send" in text for text in daemon.said))


def test_test_without_a_daemon_sends_directly(providers: ProviderServer, tmp_path: Path) -> None:
    """So a person can try credentials before anything runs; no database is made for it."""
    environ = daemon_environ(provider_environ(providers), tmp_path)
    ended = command(environ, tmp_path, "test", "all", "--json")
    assert ended.code == 0
    assert [result["state"] for result in ended.json["channels"]] == ["accepted", "accepted"]
    assert sorted(message.provider for message in providers.accepted) == ["telegram", "twilio"]
    assert not (tmp_path / "alertbus.db").exists()
    providers.telegram.script(error(401, code=401))
    refused = command(environ, tmp_path, "test", "telegram")
    assert refused.code == 1
    assert "unauthorized" in refused.out


def test_test_without_a_daemon_of_an_odd_text_sends_what_can_be_read(providers: ProviderServer, tmp_path: Path) -> None:
    environ = daemon_environ(provider_environ(providers), tmp_path)
    assert command(environ, tmp_path, "test", "telegram", "--text", "\udcff" + "x" * 10_000).code == 0
    assert len(providers.telegram.accepted) == 1


def test_test_through_a_daemon_only_sends_nothing_where_none_runs(providers: ProviderServer, tmp_path: Path) -> None:
    """`make smoke` proves the queue; going round it would prove nothing."""
    before = len(providers.accepted)
    ended = command(daemon_environ(provider_environ(providers), tmp_path), tmp_path, "test", "all", "--daemon")
    assert (ended.code, ended.out) == (1, "")
    assert "No daemon answers" in ended.err
    assert len(providers.accepted) == before


@pytest.mark.parametrize("credentials", [True, False])
def test_test_without_a_daemon_of_an_unknown_channel_names_the_known(
    providers: ProviderServer, tmp_path: Path, credentials: bool
) -> None:
    environ = daemon_environ(provider_environ(providers) if credentials else {}, tmp_path)
    ended = command(environ, tmp_path, "test", "pager")
    assert (ended.code, ended.out) == (2, "")
    assert ("whatsapp, telegram" if credentials else "No channel has credentials") in ended.err


@pytest.mark.parametrize(
    "data",
    [{}, {"channels": 7}, {"running": True}, [], {"channels": [{"channel": "x"}]}, "text", None],
    ids=str,
)
@pytest.mark.parametrize("arguments", [("status",), ("test", "telegram")], ids=" ".join)
def test_command_answered_by_another_version_says_so(tmp_path: Path, data: Any, arguments: tuple[str, ...]) -> None:
    """YoopRL's own API speaks the same envelope, and a daemon may be older than this command."""
    body = json.dumps({"status": "success", "data": data}).encode()
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        environ = daemon_environ({"ALERTBUS_HTTP_PORT": str(listener.getsockname()[1])}, tmp_path)
        ended = command(environ, tmp_path, *arguments)
        thread.join(60)
    assert ended.code in {1, 2}
    assert ended.err.startswith("alertbus-subscriber: ")


def test_command_interrupted_ends_quietly_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while it waits for an answer."""

    def interrupted(*_args: object, **_fields: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("subscriber.client.DaemonClient.post", interrupted)
    ended = command(daemon_environ({}, tmp_path), tmp_path, "test", "all")
    assert (ended.code, ended.out, ended.err) == (1, "", "")
