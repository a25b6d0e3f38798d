"""What the audit has to find in records that say something else than what they were made from."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text

from bus.alerts import Alert, OpaqueAlert, RiskEvent, Severity
from subscriber.deliveries import DeliveryState
from subscriber.store import Store
from subscriber.store.ledger import FaultKind
from tests.support.alerts import OTHER_STREAM, STREAM, agent_action, incoming, risk_event, system_event
from tests.support.books import Books, lose, spoil
from tests.support.clock import FakeClock
from tests.support.running_intake import on_sqlite


@pytest.fixture
def books(store: Store, clock: FakeClock) -> Books:
    made = Books(store, clock)
    made.write()
    return made


def found(store: Store) -> list[tuple[FaultKind, str]]:
    """Return each fault's kind and place."""
    return [(fault.kind, fault.where) for fault in store.audit().faults]


def of_type(store: Store, name: str) -> str:
    """Return an SQL value of another type than the column's; PostgreSQL, which has none, gets another blob."""
    values = {"text": "body || 'x'", "no UTF-8": "CAST(x'c1ff' AS TEXT)", "number": "7", "empty": "''"}
    if store.database.is_postgresql:
        return "'\\xc1ff'::bytea"
    return values[name]


# --- bodies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["text", "no UTF-8", "number", "empty"])
@pytest.mark.parametrize("column", ["body", "digest"])
def test_audit_finds_what_is_no_blob(books: Books, column: str, name: str) -> None:
    """SQLite lets each value have a type of its own, and makes a text of what is joined to a blob."""
    key = books.key("accepted")
    spoil(books.store, f"UPDATE alert SET {column} = {of_type(books.store, name)} WHERE id = :id", id=key.bytes)
    assert found(books.store) == [(FaultKind.CHANGED_BODY, f"alert {key}")]


@on_sqlite
def test_audit_finds_a_body_of_the_same_bytes_that_is_no_blob(books: Books) -> None:
    """PostgreSQL's column takes nothing else."""
    key = books.key("accepted")
    spoil(books.store, "UPDATE alert SET body = CAST(body AS TEXT) WHERE id = :id", id=key.bytes)
    assert found(books.store) == [(FaultKind.CHANGED_BODY, f"alert {key}")]


@pytest.mark.parametrize("name", ["text", "no UTF-8", "number", "empty"])
def test_body_that_is_no_blob_is_told_by_its_columns(store: Store, name: str) -> None:
    """It goes out, shows in the history, and what is behind it goes out too."""
    alerts = [risk_event(), risk_event()]
    store.accept([incoming(alert, number, "telegram") for number, alert in enumerate(alerts, 1)])
    spoil(store, f"UPDATE alert SET body = {of_type(store, name)} WHERE sequence = 1")
    first, second = store.claim("telegram", "worker", 60, 10)
    assert (type(first.alert), type(second.alert)) == (OpaqueAlert, RiskEvent)
    assert (first.alert.id, first.alert.severity) == (alerts[0].id, Severity.CRITICAL)  # type: ignore[union-attr]  # no action
    assert store.history(10)[1]["alert"]["fields"] == {"alertbus": "the stored body can't be read"}
    story = store.story(alerts[0].id)
    assert story is not None
    assert story["alert"]["original_kind"] == "risk_event"


@pytest.mark.parametrize("change", ["severity = 'LOUD'", "source = ''", "event_type = ''", "kind = ''"])
def test_damaged_alert_whose_columns_are_damaged_too_goes_out(store: Store, change: str) -> None:
    store.accept([incoming(risk_event(severity="WARNING"), 1, "telegram")])
    spoil(store, f"UPDATE alert SET body = :other, {change}", other=b"\xc1")
    (delivery,) = store.claim("telegram", "worker", 60, 10)
    assert isinstance(delivery.alert, OpaqueAlert)
    assert delivery.alert.severity is (Severity.CRITICAL if "severity" in change else Severity.WARNING)
    names = {delivery.alert.source, delivery.alert.event_type, delivery.alert.original_kind}
    assert ("unknown" in names) is (change != "severity = 'LOUD'")


def test_damaged_alert_whose_id_is_damaged_too_shows_in_the_history(store: Store) -> None:
    store.accept([incoming(agent_action(), 1)])
    spoil(store, "UPDATE alert SET body = :other, id = :id", other=b"\xc1", id=b"\x01" * 3)
    (shown,) = store.history(10)
    assert shown["alert"]["id"] == str(UUID(bytes=b"\x01" * 3 + bytes(13)))


# --- severities and plans ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["INFO", "WARNING", "LOUD", ""])
def test_audit_finds_a_critical_alert_that_is_stored_as_less(books: Books, word: str) -> None:
    spoil(books.store, "UPDATE alert SET severity = :word WHERE id = :id", word=word, id=books.key("dead").bytes)
    assert found(books.store) == [(FaultKind.WRONG_SEVERITY, f"alert {books.key('dead')}")]


def test_audit_finds_a_critical_alert_that_is_stored_as_an_action(books: Books) -> None:
    change = "UPDATE alert SET severity = 'INFO', kind = 'agent_action' WHERE id = :id"
    spoil(books.store, change, id=books.key("dead").bytes)
    assert found(books.store) == [(FaultKind.WRONG_SEVERITY, f"alert {books.key('dead')}")]


def test_audit_of_alerts_that_speak_of_severity_balances(store: Store) -> None:
    """The word in a text, in a nested field, or in an alert of a kind that has none."""
    store.begin(STREAM, "trader-1", 1)
    told: list[Alert] = [
        risk_event(severity="WARNING", description="severity CRITICAL"),
        risk_event(severity="INFO", extra={"severity": "CRITICAL"}),
        agent_action(extra={"severity": "CRITICAL"}),
        agent_action(rationale="severity"),
        OpaqueAlert(original_kind="new", event_type="NEW", severity=Severity.INFO, source="trader-1"),
        system_event(severity="WARNING"),
    ]
    store.accept([incoming(alert, number) for number, alert in enumerate(told, 1)], {STREAM: len(told)})
    assert store.audit().faults == ()
    spoil(store, "UPDATE alert SET severity = 'CRITICAL', marks = '', planned = '' WHERE severity <> 'CRITICAL'")
    assert store.audit().fault_counts[FaultKind.WRONG_SEVERITY] == len(told)


def test_audit_finds_an_alert_whose_plan_was_emptied(books: Books) -> None:
    """Nobody would miss its delivery, but no route left it to nobody."""
    spoil(books.store, "UPDATE alert SET planned = '[]' WHERE id = :id", id=books.key("told").bytes)
    spoil(books.store, "DELETE FROM notification_queue WHERE alert_id = :id", id=books.key("told").bytes)
    assert (FaultKind.WRONG_MARK, f"alert {books.key('told')}") in found(books.store)


@pytest.mark.parametrize("marks", ["", "duplicate"])
def test_audit_finds_an_alert_for_nobody_without_its_mark(store: Store, marks: str) -> None:
    store.begin(STREAM, "trader-1", 1)
    item = incoming(agent_action(), 1)
    store.accept([item], {STREAM: 1})
    spoil(store, "UPDATE alert SET marks = :marks", marks=marks)
    assert found(store) == [(FaultKind.WRONG_MARK, f"alert {item.alert.id}")]


def test_audit_finds_a_planned_alert_that_is_marked_as_for_nobody(books: Books) -> None:
    spoil(books.store, "UPDATE alert SET marks = 'lost,not_routed' WHERE id = :id", id=books.key("dead").bytes)
    assert found(books.store) == [(FaultKind.WRONG_MARK, f"alert {books.key('dead')}")]


# --- states and attempts ----------------------------------------------------------------------------------------

NEVER_TRIED = "finished_at = 5, last_reason = NULL, last_detail = NULL"


@pytest.mark.parametrize("state", ["accepted", "delivered", "folded"])
@pytest.mark.parametrize("name", ["pending", "dead", "dry", "expired", "taken_over"])
def test_audit_finds_a_delivery_that_nobody_accepted(books: Books, name: str, state: str) -> None:
    """An alert that was never sent would count as told, at whatever time it ended."""
    change = f"UPDATE notification_queue SET status = :state, {NEVER_TRIED} WHERE id = :id"
    spoil(books.store, change, state=state, id=books.row(name)["id"])
    expected = [FaultKind.TWO_STATES, *([FaultKind.WRONG_DIGEST] if state == "folded" else [])]
    assert found(books.store) == [(kind, f"alert {books.key(name)}, channel telegram") for kind in expected]


@pytest.mark.parametrize("state", list(DeliveryState))
def test_audit_finds_an_accepted_delivery_that_is_something_else(books: Books, state: DeliveryState) -> None:
    """It would be sent again as if it were the first time, or count as untold."""
    ended = "NULL" if state in {"pending", "in_doubt"} else "7"
    change = f"status = :state, finished_at = {ended}, last_reason = NULL, last_detail = NULL, last_code = NULL"
    spoil(
        books.store,
        f"UPDATE notification_queue SET {change} WHERE id = :id",
        state=state.value,
        id=books.row("accepted")["id"],
    )
    expected = {"accepted": [], "folded": [FaultKind.WRONG_DIGEST]}.get(state.value, [FaultKind.TWO_STATES])
    assert [kind for kind, _ in found(books.store)] == expected


# --- losses and totals ------------------------------------------------------------------------------------------


def test_audit_finds_a_loss_of_which_nobody_was_told(books: Books) -> None:
    spoil(books.store, "DELETE FROM notification_queue WHERE alert_id = :id", id=books.key("told").bytes)
    spoil(books.store, "DELETE FROM alert WHERE id = :id", id=books.key("told").bytes)
    assert found(books.store) == [(FaultKind.UNTOLD_LOSS, f"stream {OTHER_STREAM.hex()}")]


def test_audit_finds_a_stored_alert_that_was_made_a_loss(books: Books) -> None:
    """Of a stream that lost nothing before."""
    spoil(
        books.store,
        "INSERT INTO stream_mark (stream, first, last, mark, reason, noted_us) "
        "SELECT stream, sequence, sequence, 'lost', 'gone', stored_us FROM alert WHERE stream = :s AND sequence = 10",
        s=STREAM,
    )
    spoil(books.store, "DELETE FROM alert WHERE stream = :s AND sequence = 10", s=STREAM)
    assert found(books.store) == [(FaultKind.UNTOLD_LOSS, f"stream {STREAM.hex()}")]


def test_audit_finds_an_untold_loss_in_a_store_that_was_pruned(store: Store, clock: FakeClock) -> None:
    """What is older and could have gone is still there, so the alert can't have gone for its age."""
    store.begin(STREAM, "trader-1", 1)
    planned = incoming(system_event(), None, "desk", stream=None)
    store.accept([planned])
    assert store.mark_notification_sent(store.story(planned.alert.id)["deliveries"][0]["id"], "dead")  # type: ignore[index]  # it is there
    clock.advance(1)
    assert store.prune(clock.now_us(), 100).alerts == 1
    store.accept([incoming(agent_action(), 1)], {STREAM: 1})
    clock.advance(1)
    told = lose(store, STREAM, 2, 3)
    assert store.audit().balanced
    spoil(store, "DELETE FROM notification_queue WHERE alert_id = :id", id=told.id.bytes)
    spoil(store, "DELETE FROM alert WHERE id = :id", id=told.id.bytes)
    assert found(store) == [(FaultKind.UNTOLD_LOSS, f"stream {STREAM.hex()}")]


@pytest.mark.parametrize("body", [b"\xc1", b""])
def test_audit_finds_a_loss_whose_alert_can_not_be_read(books: Books, body: bytes) -> None:
    spoil(books.store, "UPDATE alert SET body = :body WHERE id = :id", body=body, id=books.key("told").bytes)
    assert {kind for kind, _ in found(books.store)} == {FaultKind.CHANGED_BODY, FaultKind.UNTOLD_LOSS}


@pytest.mark.parametrize("word", ["stored", "duplicate"])
def test_audit_finds_a_total_below_zero(books: Books, word: str) -> None:
    """One too many of the one hides one too few of the other in their sum."""
    books.clock.advance(1)
    assert books.store.prune(books.clock.now_us(), 1000).alerts
    assert books.store.audit().balanced
    with books.store.database.reading() as connection:
        query = text("SELECT word, total FROM ledger_total WHERE scope = 'stream' AND name = :s")
        totals = {row.word: row.total for row in connection.execute(query, {"s": OTHER_STREAM.hex()})}
    other = "duplicate" if word == "stored" else "stored"
    change = "UPDATE ledger_total SET total = total + :by WHERE name = :s AND word = :word"
    by = totals[word] + 1
    spoil(books.store, change, by=-by, s=OTHER_STREAM.hex(), word=word)
    spoil(books.store, change, by=by, s=OTHER_STREAM.hex(), word=other)
    assert found(books.store) == [(FaultKind.WRONG_TOTAL, f"stream {OTHER_STREAM.hex()}")]
