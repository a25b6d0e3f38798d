"""What the audit has to find: each corruption is planted behind the store's back, and told by its own kind."""

from __future__ import annotations

import json

import pytest

from subscriber.store import Store
from subscriber.store.ledger import MOST_FAULTS, Fault, FaultKind
from tests.support.alerts import OTHER_STREAM, STREAM, agent_action, incoming, risk_event
from tests.support.books import Books, spoil, without_unique_deliveries
from tests.support.clock import FakeClock

YEAR_SECONDS = 365 * 86_400


@pytest.fixture
def books(store: Store, clock: FakeClock) -> Books:
    made = Books(store, clock)
    made.write()
    return made


def the_fault(books: Books, count: int = 1) -> Fault:
    """Return the one fault that is found."""
    audit = books.store.audit()
    assert not audit.balanced
    assert audit.fault_count == count, audit.faults
    (fault,) = audit.faults
    assert audit.fault_counts == {fault.kind: count}
    return fault


def named(stream: bytes) -> str:
    return f"stream {stream.hex()}"


# --- deliveries -------------------------------------------------------------------------------------------------


def test_audit_finds_a_missing_delivery(books: Books) -> None:
    spoil(books.store, "DELETE FROM notification_queue WHERE id = :id", id=books.row("pending")["id"])
    fault = the_fault(books)
    assert fault.kind is FaultKind.MISSING_DELIVERY
    assert fault.where == f"alert {books.key('pending')}, channel telegram"
    telegram = next(ledger for ledger in books.store.audit().channels if ledger.channel == "telegram")
    assert not telegram.balanced


def test_audit_finds_a_delivery_that_nobody_planned(books: Books) -> None:
    row = {**books.row("pending"), "id": 10_000, "channel": "pager"}
    spoil(books.store, f"INSERT INTO notification_queue ({', '.join(row)}) VALUES (:{', :'.join(row)})", **row)
    fault = the_fault(books)
    assert (fault.kind, fault.where) == (
        FaultKind.UNPLANNED_DELIVERY,
        f"alert {books.key('pending')}, channel pager",
    )


def test_audit_finds_a_delivery_that_is_there_twice(books: Books) -> None:
    """In two states: the row itself, and another one after the constraint was lost."""
    row = {**books.row("dead"), "id": 10_000, "status": "expired", "last_reason": None, "finished_at": 1}
    with without_unique_deliveries(books.store):
        spoil(books.store, f"INSERT INTO notification_queue ({', '.join(row)}) VALUES (:{', :'.join(row)})", **row)
        fault = the_fault(books)
    assert (fault.kind, fault.where) == (FaultKind.TWO_STATES, f"alert {books.key('dead')}, channel telegram")
    assert "2 deliveries (first): dead, expired" in fault.text


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("accepted", "status = 'pending'"),
        ("accepted", "status = 'in_doubt'"),
        ("accepted", "status = 'dead'"),
        ("accepted", "status = 'expired'"),
        ("accepted", "status = 'suppressed'"),
        ("dead", "status = 'accepted'"),
        ("dead", "status = 'delivered'"),
        ("pending", "finished_at = 1"),
        ("accepted", "finished_at = NULL"),
        ("open", "open_attempt = open_attempt - 1"),
        ("open", "open_attempt = 10000"),
        ("open", "open_attempt = NULL"),
    ],
)
def test_audit_finds_a_delivery_in_two_states(books: Books, name: str, change: str) -> None:
    """Its state says one thing, its attempts or its end another."""
    spoil(books.store, f"UPDATE notification_queue SET {change} WHERE id = :id", id=books.row(name)["id"])
    audit = books.store.audit()
    assert audit.fault_counts.keys() == {FaultKind.TWO_STATES}
    alone = change == "open_attempt = NULL"  # only its attempt is left to tell of it
    where = {"telegram"} if alone else {f"alert {books.key(name)}", "telegram"}
    assert all(word in audit.faults[0].where for word in where)


@pytest.mark.parametrize(
    "change", ["closed_us = 1", "closed_us = 1, reason = 'accepted'", "closed_us = 1, reason = 'rejected', detail = ''"]
)
def test_audit_finds_an_attempt_that_ended_behind_its_delivery(books: Books, change: str) -> None:
    spoil(books.store, f"UPDATE attempt SET {change} WHERE closed_us IS NULL")
    fault = the_fault(books)
    assert (fault.kind, fault.where) == (FaultKind.TWO_STATES, f"alert {books.key('open')}, channel telegram")


def test_audit_finds_an_acceptance_whose_attempt_is_gone(books: Books) -> None:
    row = books.row("accepted")
    spoil(books.store, "DELETE FROM attempt_delivery WHERE delivery_id = :id", id=row["id"])
    assert the_fault(books).kind is FaultKind.TWO_STATES


def test_audit_finds_a_state_that_is_none(books: Books) -> None:
    spoil(books.store, "UPDATE notification_queue SET status = 'gone' WHERE id = :id", id=books.row("dead")["id"])
    fault = the_fault(books)
    assert (fault.kind, fault.where) == (FaultKind.UNKNOWN_STATE, f"alert {books.key('dead')}, channel telegram")


# --- alerts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["body", "digest"])
def test_audit_finds_a_changed_body(books: Books, column: str) -> None:
    key = books.key("accepted")
    spoil(books.store, f"UPDATE alert SET {column} = :other WHERE id = :id", other=b"\x80" * 16, id=key.bytes)
    fault = the_fault(books)
    assert (fault.kind, fault.where) == (FaultKind.CHANGED_BODY, f"alert {key}")


def test_audit_finds_a_lost_digest(books: Books) -> None:
    spoil(books.store, "UPDATE alert SET digest = NULL WHERE id = :id", id=books.key("told").bytes)
    assert the_fault(books).kind is FaultKind.CHANGED_BODY


@pytest.mark.parametrize(
    ("plan", "kind"),
    [
        ([["telegram", "first"], ["pager", "first"]], FaultKind.MISSING_DELIVERY),
        ([["telegram", "fallback"]], None),
        ([["telegram", "first"]] * 2, FaultKind.MISSING_DELIVERY),
    ],
    ids=["one more", "another step", "twice"],
)
def test_audit_finds_a_changed_plan(books: Books, plan: list[list[str]], kind: FaultKind | None) -> None:
    spoil(
        books.store,
        "UPDATE alert SET planned = :plan WHERE id = :id",
        plan=json.dumps(plan),
        id=books.key("dead").bytes,
    )
    kinds = {FaultKind.MISSING_DELIVERY, FaultKind.UNPLANNED_DELIVERY} if kind is None else {kind}
    audit = books.store.audit()
    assert audit.fault_counts.keys() == kinds
    assert all(str(books.key("dead")) in fault.where for fault in audit.faults)


@pytest.mark.parametrize("plan", ["", "{", "7", "[7]", '["ab", 1]', '{"a": 1}', "null"])
def test_audit_finds_a_plan_that_can_not_be_read(books: Books, plan: str) -> None:
    spoil(books.store, "UPDATE alert SET planned = :plan WHERE id = :id", plan=plan, id=books.key("dead").bytes)
    assert FaultKind.UNREADABLE_PLAN in books.store.audit().fault_counts


def test_audit_finds_a_critical_alert_for_nobody(store: Store) -> None:
    """Legal for anything but CRITICAL."""
    store.begin(STREAM, "trader-1", 1)
    store.accept([incoming(risk_event(), 1), incoming(agent_action(), 2)], {STREAM: 2})
    (fault,) = store.audit().faults
    assert fault.kind is FaultKind.NOT_ROUTED


# --- streams ----------------------------------------------------------------------------------------------------


def unplanned(books: Books, stream: bytes, number: int) -> None:
    """Remove an alert that nobody was to be told of."""
    spoil(
        books.store,
        "DELETE FROM alert WHERE stream = :s AND sequence = :n AND planned = '[]'",
        s=stream,
        n=number,
    )


@pytest.mark.parametrize("marked", [False, True], ids=["counted", "walked"])
def test_audit_finds_a_hole(books: Books, marked: bool) -> None:
    """Number 10 of one stream, number 44 of the other, where lost and duplicate numbers stand around it."""
    stream, number = (OTHER_STREAM, 44) if marked else (STREAM, 10)
    unplanned(books, stream, number)
    fault = the_fault(books)
    assert (fault.kind, fault.where) == (FaultKind.HOLE, named(stream))
    assert fault.text.startswith(f"Number {number} ")


def test_audit_finds_a_hole_where_a_mark_was(books: Books) -> None:
    spoil(books.store, "DELETE FROM stream_mark WHERE mark = 'lost' AND first = 45")
    fault = the_fault(books, 2)
    assert (fault.kind, fault.where) == (FaultKind.HOLE, named(OTHER_STREAM))
    assert fault.text.startswith("Each number from 45 to 46 ")


@pytest.mark.parametrize("up_to", [12, 2**62])
def test_audit_finds_an_acknowledged_number_that_was_never_stored(books: Books, up_to: int) -> None:
    spoil(books.store, "UPDATE stream SET up_to = :n WHERE stream = :s", n=up_to, s=STREAM)
    fault = the_fault(books, up_to - 11)
    assert (fault.kind, fault.where) == (FaultKind.NEVER_STORED, named(STREAM))
    assert " 12 " in fault.text


def test_audit_finds_a_stream_of_which_nothing_was_stored(books: Books) -> None:
    books.store.begin(b"e" * 16, "trader-3", 1)
    spoil(books.store, "UPDATE stream SET up_to = 3 WHERE stream = :s", s=b"e" * 16)
    assert the_fault(books, 3).kind is FaultKind.NEVER_STORED


@pytest.mark.parametrize("first", [None, 0, 14])
def test_audit_finds_a_stream_that_starts_nowhere(books: Books, first: int | None) -> None:
    spoil(books.store, "UPDATE stream SET first = :n WHERE stream = :s", n=first, s=STREAM)
    kinds = books.store.audit().fault_counts
    assert FaultKind.NO_START in kinds


def test_audit_finds_a_number_that_is_there_and_lost(books: Books) -> None:
    spoil(books.store, "UPDATE stream_mark SET last = 44 WHERE mark = 'lost' AND first = 42")
    fault = the_fault(books)
    assert (fault.kind, fault.where) == (FaultKind.STORED_AND_LOST, named(OTHER_STREAM))
    assert "44" in fault.text


def test_audit_finds_a_duplicate_of_nothing(books: Books) -> None:
    """A mark that no alert stands behind would hide a loss."""
    spoil(books.store, "UPDATE stream_mark SET alert_id = :id WHERE mark = 'duplicate' AND first = 47", id=b"x" * 16)
    fault = the_fault(books)
    assert (fault.kind, fault.where) == (FaultKind.DUPLICATE_OF_NOTHING, named(OTHER_STREAM))
    assert fault.text.startswith("Number 47 ")


def test_audit_finds_alerts_of_a_stream_that_has_no_row(books: Books) -> None:
    spoil(books.store, "DELETE FROM stream WHERE stream = :s", s=STREAM)
    fault = the_fault(books)
    assert (fault.kind, fault.where) == (FaultKind.UNKNOWN_STREAM, named(STREAM))


# --- totals -----------------------------------------------------------------------------------------------------


@pytest.fixture
def pruned(books: Books) -> Books:
    """The same books a year later."""
    books.clock.advance(YEAR_SECONDS)
    assert books.store.prune(books.clock.now_us() - 1, 1000).alerts
    assert books.store.audit().balanced
    return books


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("word", ["stored", "highest"])
def test_audit_finds_a_wrong_total_of_a_stream(pruned: Books, word: str, by: int) -> None:
    change = "UPDATE ledger_total SET total = total + :by WHERE scope = 'stream' AND name = :s AND word = :word"
    spoil(pruned.store, change, by=by if word == "stored" else by * 10, s=STREAM.hex(), word=word)
    audit = pruned.store.audit()
    assert FaultKind.WRONG_TOTAL in audit.fault_counts
    assert {fault.where for fault in audit.faults} == {named(STREAM)}


@pytest.mark.parametrize("word", ["planned", "accepted"])
def test_audit_finds_a_wrong_total_of_a_channel(pruned: Books, word: str) -> None:
    change = "UPDATE ledger_total SET total = total + 1 WHERE scope = 'channel' AND name = 'telegram' AND word = :word"
    spoil(pruned.store, change, word=word)
    fault = the_fault(pruned)
    assert (fault.kind, fault.where) == (FaultKind.WRONG_TOTAL, "channel telegram")


@pytest.mark.parametrize(
    ("scope", "name", "word"),
    [
        ("stream", "00" * 16, "stored"),
        ("stream", "no stream", "stored"),
        ("stream", STREAM.hex(), "accepted"),
        ("channel", "telegram", "stored"),
        ("channel", "nobody", "planned"),
    ],
)
def test_audit_finds_a_total_of_nothing(pruned: Books, scope: str, name: str, word: str) -> None:
    values = {"scope": scope, "name": name, "word": word}
    spoil(pruned.store, "INSERT INTO ledger_total VALUES (:scope, :name, :word, 1)", **values)
    fault = the_fault(pruned)
    assert (fault.kind, fault.where) == (FaultKind.WRONG_TOTAL, f"{scope} {name}")


def test_audit_finds_a_hole_above_what_retention_removed(pruned: Books) -> None:
    """By its number, however much was removed below it."""
    pruned.store.accept([incoming(agent_action(), number) for number in (12, 13, 14)], {STREAM: 14})
    unplanned(pruned, STREAM, 13)
    fault = the_fault(pruned)
    assert (fault.kind, fault.where) == (FaultKind.HOLE, named(STREAM))
    assert fault.text.startswith("Number 13 ")


# --- many -------------------------------------------------------------------------------------------------------


def test_audit_tells_some_faults_and_counts_all(store: Store) -> None:
    """A database that is wrong everywhere does not fill the memory."""
    store.begin(STREAM, "trader-1", 1)
    count = MOST_FAULTS + 50
    store.accept([incoming(agent_action(), number) for number in range(1, count + 1)], {STREAM: count})
    spoil(store, "UPDATE alert SET body = :other", other=b"\x80")
    audit = store.audit()
    assert (len(audit.faults), audit.fault_counts) == (MOST_FAULTS, {FaultKind.CHANGED_BODY: count})
