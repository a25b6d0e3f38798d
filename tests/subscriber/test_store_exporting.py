"""The export: every row once, in order, with the same columns each time, in bounded memory, and without secrets."""

from __future__ import annotations

import json
from itertools import islice
from uuid import UUID

import pytest
from sqlalchemy import insert

from subscriber.errors import StoreError
from subscriber.store import Store, exporting, schema
from subscriber.store.changes import ChangeKind
from subscriber.store.exporting import EXPORTS
from subscriber.store.silences import NewSilence
from tests.support.alerts import STREAM, agent_action, incoming, risk_event
from tests.support.books import Books, spoil
from tests.support.clock import START_US, FakeClock

WORDS = ("alerts", "deliveries", "attempts", "silences", "changes", "acknowledgements")


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_PAGE", 3)


def test_exports_are_those_of_the_contract() -> None:
    assert tuple(EXPORTS) == WORDS


def test_export_has_every_row_once_with_stable_columns(store: Store, clock: FakeClock) -> None:
    """Plain values only, so that a table of them is the same whatever stands in it."""
    books = Books(store, clock)
    books.write()
    for name in ("accepted", "dead"):
        store.acknowledge(books.key(name), "kim", "api", "")
    store.add_silence(NewSilence({}, "kim", "", START_US, START_US + 1), "api")
    for what, table in (
        ("alerts", "alert"),
        ("deliveries", "notification_queue"),
        ("attempts", "attempt"),
        ("silences", "silence"),
        ("changes", "change"),
        ("acknowledgements", "acknowledgement"),
    ):
        rows = list(store.export(what))
        with store.database.reading() as connection:
            assert len(rows) == connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
        assert rows
        assert {tuple(row) for row in rows} == {EXPORTS[what].columns}
        assert {type(value) for row in rows for value in row.values()} <= {str, int, float, bool, type(None)}
        key = EXPORTS[what].columns[0]
        assert [row[key] for row in rows] == sorted(row[key] for row in rows)


def test_export_of_alerts_has_what_they_say(store: Store) -> None:
    event = risk_event(extra={"vix": 31.5})
    store.accept([incoming(event, 7, "telegram"), incoming(agent_action(state={"rsi": 1}), 8)])
    first, second = store.export("alerts")
    assert (first["id"], first["stream"], first["sequence"]) == (str(event.id), STREAM.hex(), 7)
    assert (first["description"], first["value"], first["quantity"]) == (event.description, 12.4, None)
    assert json.loads(first["extra"]) == {"vix": 31.5}
    assert (second["event_type"], second["quantity"], second["price"], second["extra"]) == ("BUY", 10, 41.2, None)
    assert "state" not in second


def test_export_of_attempts_names_the_deliveries_of_each(store: Store) -> None:
    store.accept([incoming(risk_event(), number, "telegram") for number in (1, 2)])
    store.open_attempt(store.claim("telegram", "worker", 60, 1))
    (row,) = store.export("attempts")
    assert row["deliveries"] == "1"


def test_export_of_deliveries_has_what_the_route_said(store: Store) -> None:
    alert = risk_event()
    store.accept([incoming(alert, 1, "telegram")])
    text = json.dumps({"route": "desk", "silent": True})
    spoil(store, "UPDATE notification_queue SET handling = :text, told_by = alert_id", text=text)
    (row,) = store.export("deliveries")
    assert (row["route"], row["silent"], row["template"], row["more"]) == ("desk", True, None, 0)
    assert (UUID(row["alert_id"]), UUID(row["told_by"])) == (alert.id, alert.id)


@pytest.mark.parametrize(
    ("since", "until", "found"), [(None, None, 5), (2, None, 4), (None, 4, 3), (2, 4, 2), (6, None, 0)]
)
def test_export_keeps_to_its_bounds(store: Store, since: int | None, until: int | None, found: int) -> None:
    store.accept([incoming(agent_action(), number, published_us=START_US + number) for number in range(1, 6)])
    since_us, until_us = (None if moment is None else START_US + moment for moment in (since, until))
    assert len(list(store.export("alerts", since_us, until_us))) == found


def test_export_of_what_happened_at_one_moment_has_all_of_it(store: Store) -> None:
    """Acknowledgements have no number: time and alert order them, over the ends of pages too."""
    alerts = [agent_action() for _ in range(8)]
    store.accept([incoming(alert, number) for number, alert in enumerate(alerts, 1)])
    for alert in alerts:
        store.acknowledge(alert.id, "kim", "page", "")
    rows = list(store.export("acknowledgements"))
    assert {row["alert_id"] for row in rows} == {str(alert.id) for alert in alerts}
    assert len(rows) == 8


def test_export_ends_where_it_began_although_more_comes(store: Store) -> None:
    store.record_change(ChangeKind.CONFIG_LOADED, "kim", "api", {})
    rows = store.export("changes")
    seen = []
    for row in islice(rows, 100):
        seen.append(row)
        for _ in range(5):
            store.record_change(ChangeKind.CONFIG_LOADED, "kim", "api", {})
    assert len(seen) == 1


def test_export_reads_page_by_page(store: Store) -> None:
    """Nothing is held open between pages: a writer, and the end of the store, wait for no reader."""
    store.accept([incoming(agent_action(), number) for number in range(1, 8)])
    rows = store.export("alerts")
    assert [next(rows)["number"] for _ in range(3)] == [1, 2, 3]
    store.close()
    with pytest.raises(StoreError):
        next(rows)


def test_export_of_an_unknown_word_is_refused_at_once(store: Store) -> None:
    with pytest.raises(ValueError, match="alerts, deliveries"):
        store.export("secrets")


def test_export_of_nothing_is_empty(store: Store) -> None:
    assert [list(store.export(what)) for what in WORDS] == [[]] * len(WORDS)


def test_export_of_a_damaged_row_goes_on(store: Store) -> None:
    store.accept([incoming(agent_action(), number) for number in (1, 2)])
    spoil(store, "UPDATE alert SET body = :body WHERE sequence = 1", body=b"\xff")
    with store.database.writing() as connection:
        connection.execute(
            insert(schema.change).values(at_us=1, what="x", author="", via="", detail="{"),
        )
    assert [row["kind"] for row in store.export("alerts")] == ["agent_action"] * 2
    assert [row["detail"] for row in store.export("changes")] == ["{"]
