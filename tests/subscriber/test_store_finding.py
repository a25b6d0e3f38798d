"""An alert is found by its id, or by the digits that a message shows."""

from __future__ import annotations

from uuid import UUID

import pytest

from subscriber.store import Store
from tests.support.alerts import incoming, risk_event

FIRST = UUID("01890000-0000-7000-8000-0000aabbccdd")
SECOND = UUID("01890000-0000-7000-8000-0001aabbccdd")


@pytest.fixture
def filled(store: Store) -> Store:
    store.accept([incoming(risk_event(id=FIRST), 1), incoming(risk_event(id=SECOND), 2)])
    return store


@pytest.mark.parametrize("text", [str(FIRST), FIRST.hex, FIRST.hex.upper(), " 0000aabbccdd "])
def test_find_id_or_its_end_finds_the_alert(filled: Store, text: str) -> None:
    assert filled.find_alerts(text) == [FIRST]


def test_find_end_of_several_returns_all_the_newest_first(filled: Store) -> None:
    assert filled.find_alerts("aabbccdd") == [SECOND, FIRST]


def test_find_odd_number_of_digits_compares_all_of_them(filled: Store) -> None:
    assert filled.find_alerts("1aabbccdd") == [SECOND]


@pytest.mark.parametrize("text", ["", "ccdd", "bccdd12", "no id at all", "0123456789", f"0{FIRST.hex}", "%%%%%%%%"])
def test_find_anything_else_finds_nothing(filled: Store, text: str) -> None:
    assert filled.find_alerts(text) == []


def test_alert_is_read_by_its_id_and_missing_one_is_none(filled: Store) -> None:
    found = filled.alert(FIRST)
    assert found is not None
    assert found.id == FIRST
    assert filled.alert(UUID(int=7)) is None


def test_newest_unacknowledged_passes_over_what_somebody_knows_of(filled: Store) -> None:
    assert filled.newest_unacknowledged() == SECOND
    filled.acknowledge(SECOND, "Kim", "cli", "")
    assert filled.newest_unacknowledged() == FIRST
    filled.acknowledge(FIRST, "Kim", "cli", "")
    assert filled.newest_unacknowledged() is None


def test_newest_unacknowledged_passes_over_what_is_not_critical(store: Store) -> None:
    store.accept([incoming(risk_event(severity="WARNING"), 1)])
    assert store.newest_unacknowledged() is None


def test_field_of_word_says_where_it_was_seen(filled: Store) -> None:
    assert filled.field_of("TNA") == "symbol"
    assert filled.field_of("DRAWDOWN_BREACHED") == "event_type"
    assert filled.field_of("tna") is None
    assert filled.field_of("\0") is None
