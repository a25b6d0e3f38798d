"""`alertbus-subscriber dead-letters`: through a running daemon, and on the database where none runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from subscriber.deliveries import DeliveryState, GiveUp, Outcome, Reason
from subscriber.store import Store
from tests.support.alerts import STREAM, incoming, risk_event
from tests.support.commands import command
from tests.support.daemon import CREDENTIALS
from tests.support.provider_server import ProviderServer
from tests.support.running_service import ServiceThread, daemon_environ, provider_environ, running_service
from tests.support.waiting import wait_until

REJECTED: Final = Outcome(Reason.REJECTED, "message is too long", status=400, code="400")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    given = {**CREDENTIALS["telegram"], "ALERTBUS_TELEGRAM_URL": "http://127.0.0.1:9"}
    return daemon_environ(given, tmp_path)


@pytest.fixture
def store(environ: dict[str, str]) -> Iterator[Store]:
    with Store(environ["ALERTBUS_DATABASE_URL"]) as opened:
        opened.begin(STREAM, "trader-1", 1)
        yield opened


def died(store: Store, number: int, channel: str = "telegram", text: str = "Drawdown breached") -> int:
    """Store an alert, and let its delivery be refused for good; return the delivery."""
    store.accept([incoming(risk_event(description=text), number, channel)], {STREAM: number})
    (delivery,) = store.claim(channel, "worker", 60.0, 1)
    attempt = store.open_attempt([delivery])
    store.close_attempt(attempt, [delivery], REJECTED, GiveUp(DeliveryState.DEAD), 0.2)
    return delivery.id


def test_list_without_a_daemon_shows_what_the_database_says(
    environ: dict[str, str], store: Store, tmp_path: Path
) -> None:
    number = died(store, 1)
    shown = command(environ | {"COLUMNS": "200"}, tmp_path, "dead-letters", "list")
    assert shown.code == 0
    for words in (
        str(number),
        "telegram",
        "Drawdown breached",
        "rejected HTTP 400 message is too long",
        "nobody",
        "yes",
    ):
        assert words in shown.out
    told = command(environ, tmp_path, "dead-letters", "list", "--json").json
    assert (told["total"], told["dead_letters"][0]["id"]) == (1, number)


def test_list_in_eighty_columns_leaves_the_text_room(environ: dict[str, str], store: Store, tmp_path: Path) -> None:
    number = died(store, 1)
    shown = command(environ, tmp_path, "dead-letters", "list").out.splitlines()
    assert len(shown) <= 5  # its heading among them
    assert shown[1].startswith(f"{number} ")
    assert any("Drawdown breached" in line for line in shown)
    assert max(map(len, shown)) <= 80


def test_list_says_the_number_of_a_status_once(environ: dict[str, str], store: Store, tmp_path: Path) -> None:
    store.accept([incoming(risk_event(), 1, "telegram")], {STREAM: 1})
    (delivery,) = store.claim("telegram", "worker", 60.0, 1)
    attempt = store.open_attempt([delivery])
    refused = Outcome(Reason.REJECTED, "400 Bad Request", status=400)
    store.close_attempt(attempt, [delivery], refused, GiveUp(DeliveryState.DEAD), 0.2)
    assert (
        "rejected HTTP 400 Bad Request" in command(environ | {"COLUMNS": "200"}, tmp_path, "dead-letters", "list").out
    )


def test_retry_of_one_that_stays_says_nothing_of_what_waits(
    environ: dict[str, str], store: Store, tmp_path: Path
) -> None:
    done = command(environ, tmp_path, "dead-letters", "retry", str(died(store, 1, "gone")))
    assert (done.code, "to be sent again" in done.out, "stays: " in done.out) == (1, False, True)


def test_retry_of_all_asks_of_one_in_the_singular(environ: dict[str, str], store: Store, tmp_path: Path) -> None:
    died(store, 1)
    assert "Send 1 dead letter again?" in command(environ, tmp_path, "dead-letters", "retry", "--all").err


def test_list_of_nothing_says_so(environ: dict[str, str], store: Store, tmp_path: Path) -> None:
    assert command(environ, tmp_path, "dead-letters", "list").out == "There is no dead letter.\n"


def test_list_says_how_to_see_older_ones(environ: dict[str, str], store: Store, tmp_path: Path) -> None:
    older, newer = died(store, 1), died(store, 2)
    page = command(environ, tmp_path, "dead-letters", "list", "--limit", "1")
    assert f"1 of 2; older ones: --before {newer}" in page.out
    rest = command(environ, tmp_path, "dead-letters", "list", "--before", str(newer), "--json").json
    assert [each["id"] for each in rest["dead_letters"]] == [older]


def test_preview_without_a_daemon_says_what_another_try_would(
    environ: dict[str, str], store: Store, tmp_path: Path
) -> None:
    number = died(store, 1)
    shown = command(environ, tmp_path, "dead-letters", "preview", str(number))
    assert shown.code == 0
    assert "Another try would say (telegram_html):" in shown.out
    assert "    Drawdown breached" in shown.out
    assert "rejected, HTTP 400, code 400: message is too long" in shown.out
    missing = command(environ, tmp_path, "dead-letters", "preview", "99")
    assert (missing.code, missing.out) == (1, "")
    assert "There is no dead letter 99" in missing.err


def test_preview_of_a_channel_that_is_gone_says_why_it_stays(
    environ: dict[str, str], store: Store, tmp_path: Path
) -> None:
    shown = command(environ, tmp_path, "dead-letters", "preview", str(died(store, 1, "gone")))
    assert "Another try would say" not in shown.out
    assert "It can't be sent again: its channel gone is not configured." in shown.out


def test_retry_without_a_daemon_lets_them_wait_for_its_start(
    environ: dict[str, str], store: Store, tmp_path: Path
) -> None:
    number, gone = died(store, 1), died(store, 2, "gone")
    done = command(environ, tmp_path, "dead-letters", "retry", str(number), str(gone), "--author", "Kim")
    assert done.code == 1  # one of those that were named stays
    assert "1 dead letter waits" in done.out
    assert f"{gone} stays: its channel gone is not configured." in done.out
    assert store.open_counts() == {"telegram": 1}
    change = store.changes(1)[0]
    assert (change["author"], change["via"]) == ("Kim", "cli")
    assert store.audit().faults == ()


def test_retry_of_all_asks_first(environ: dict[str, str], store: Store, tmp_path: Path) -> None:
    """Nobody is there to answer, so nothing is done; with --yes it is."""
    ids = [died(store, number) for number in (1, 2)]
    asked = command(environ, tmp_path, "dead-letters", "retry", "--all", "--channel", "telegram")
    assert asked.code == 1
    assert "Send 2 dead letters of the channel telegram again?" in asked.err
    assert store.open_counts() == {}
    done = command(environ, tmp_path, "dead-letters", "retry", "--all", "--yes", "--json")
    assert (done.code, done.json) == (0, {"retried": ids, "count": 2, "skipped": []})


@pytest.mark.parametrize(
    "arguments", [(), ("1", "--all"), ("1", "--channel", "telegram"), tuple(str(each) for each in range(1, 502))]
)
def test_retry_that_says_neither_which_nor_all_is_refused(
    environ: dict[str, str], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert command(environ, tmp_path, "dead-letters", "retry", *arguments).code == 2


@pytest.fixture
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def daemon(providers: ProviderServer, tmp_path: Path) -> Iterator[ServiceThread]:
    with running_service(provider_environ(providers), tmp_path) as running:
        yield running


def test_commands_go_through_the_running_daemon(
    daemon: ServiceThread, providers: ProviderServer, tmp_path: Path
) -> None:
    """Its workers are woken, and its metrics count what waits again."""
    store = daemon.service._store
    store.begin(STREAM, "trader-1", 1)
    number = _refused(daemon, store)
    pending = daemon.metric("alertbus_deliveries_total", channel="telegram", state="pending") or 0
    listed = command(daemon.environ, tmp_path, "dead-letters", "list", "--json").json
    assert [each["id"] for each in listed["dead_letters"]] == [number]
    preview = command(daemon.environ, tmp_path, "dead-letters", "preview", str(number), "--json").json
    done = command(daemon.environ, tmp_path, "dead-letters", "retry", str(number), "--author", "Kim")
    assert done.code == 0
    wait_until(lambda: [each.text for each in providers.accepted] == [preview["message"]["text"]])
    assert daemon.metric("alertbus_deliveries_total", channel="telegram", state="pending") == pending + 1
    change = store.changes(1)[0]
    assert (change["what"], change["author"], change["via"]) == ("dead_letters_retried", "Kim", "cli")
    again = command(daemon.environ, tmp_path, "dead-letters", "retry", "--all", "--yes", "--channel", "telegram")
    assert (again.code, again.out) == (0, "0 dead letters wait to be sent again.\n")


def test_test_as_an_alert_goes_where_the_routes_send_it(
    daemon: ServiceThread, providers: ProviderServer, tmp_path: Path
) -> None:
    shown = command(daemon.environ, tmp_path, "test", "--severity", "CRITICAL", "--symbol", "TNA", "--daemon")
    assert shown.code == 0
    assert "It went by the route warnings." in shown.out
    assert sorted(each.provider for each in providers.accepted) == ["telegram", "twilio"]
    shown = command(daemon.environ, tmp_path, "test", "telegram", "--action", "BUY", "--text", "as a trade")
    assert shown.code == 0
    assert "TEST: as a trade" in providers.accepted[-1].text
    shown = command(daemon.environ, tmp_path, "test", "--severity", "INFO")
    assert shown.code == 0
    assert "No route sends such an alert anywhere" in shown.out


def test_test_as_an_alert_needs_a_daemon_and_a_test_something_to_test(environ: dict[str, str], tmp_path: Path) -> None:
    refused = command(environ, tmp_path, "test", "--severity", "CRITICAL")
    assert refused.code == 1
    assert "No daemon answers" in refused.err
    assert command(environ, tmp_path, "test").code == 2


def _refused(daemon: ServiceThread, store: Store) -> int:
    """Let a delivery of the running daemon be dead: by hand, for its channel is well."""
    desk = daemon.service._parts.desks["telegram"]
    desk.hold(600)
    store.accept([incoming(risk_event(), 1, "telegram")], {STREAM: 1})
    (row,) = store.fetch_pending_notifications()
    store.mark_notification_sent(row["id"], "dead")
    desk.resume()
    return int(row["id"])
