"""What people changed is kept with who did it and how, and told the newest first."""

from __future__ import annotations

import json

from subscriber.store import Store
from subscriber.store.changes import ChangeKind
from tests.support.books import spoil
from tests.support.clock import START_US, FakeClock


def test_record_change_is_kept_with_its_detail(store: Store) -> None:
    detail = {"file": "alertbus.toml", "routes": 3, "problems": ["a \0 b"]}
    store.record_change(ChangeKind.CONFIG_REFUSED, "k\0im", "signal", detail)
    (change,) = store.changes(10)
    assert change == {
        "id": 1,
        "at_us": START_US,
        "what": "config_refused",
        "author": "k\ufffdim",
        "via": "signal",
        "detail": detail,
    }
    json.dumps(change)


def test_changes_are_paged_newest_first(store: Store, clock: FakeClock) -> None:
    for kind in ChangeKind:
        store.record_change(kind, "kim", "api", {})
        clock.advance(1)
    newest = list(reversed([kind.value for kind in ChangeKind]))
    page = store.changes(3)
    assert [change["what"] for change in page] == newest[:3]
    assert [change["what"] for change in store.changes(10, page[-1]["id"])] == newest[3:]


def test_last_change_is_the_newest_of_its_kind(store: Store) -> None:
    assert store.last_change(ChangeKind.CONFIG_LOADED) is None
    for author in ("kim", "lee"):
        store.record_change(ChangeKind.CONFIG_LOADED, author, "api", {})
    store.record_change(ChangeKind.CONFIG_REFUSED, "ada", "api", {})
    last = store.last_change(ChangeKind.CONFIG_LOADED)
    assert last is not None
    assert last["author"] == "lee"


def test_changes_with_a_damaged_detail_are_told_all_the_same(store: Store) -> None:
    store.record_change(ChangeKind.CONFIG_LOADED, "kim", "api", {})
    for text in ("{", "[1]"):
        spoil(store, "UPDATE change SET detail = :text", text=text)
        assert store.changes(1)[0]["detail"] == {"text": text}
