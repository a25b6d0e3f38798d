"""The audit in words and tables."""

from __future__ import annotations

from typing import Any

from subscriber.ledger_words import MOST_LISTED, ledger_sentences, ledger_tables
from subscriber.store.ledger import (
    MOST_FAULTS,
    Audit,
    ChannelLedger,
    FaultKind,
    Findings,
    JournalLedger,
    SourceLedger,
    StreamLedger,
)

BALANCED = Audit(
    began_us=0,
    seconds=1.25,
    alerts=3,
    deliveries=2,
    stream_count=2,
    streams=(
        StreamLedger("ab" * 16, "trader-1", 5, 9, stored=3, lost=1, pruned=1),
        StreamLedger("cd" * 16, "trader-2", None, None, ahead=2),
    ),
    sources=(SourceLedger("trader-1", streams=1), SourceLedger("trader-2", streams=1)),
    channels=(ChannelLedger("telegram", 2, {"accepted": 2}, 4, {"dead": 4}),),
    faults=(),
    fault_counts={},
)


def fields_of(**changes: Any) -> dict[str, Any]:
    given = {name: getattr(BALANCED, name) for name in BALANCED.__dataclass_fields__}
    return Audit(**{**given, **changes}).fields()


def test_tables_show_streams_and_channels() -> None:
    streams, channels = ledger_tables(BALANCED.fields())
    assert streams[1] == [
        ("abababab", "trader-1", "5..9", "3", "1", "0", "1", "0", "yes"),
        ("cdcdcdcd", "trader-2", "start unknown", "0", "0", "0", "0", "2", "yes"),
    ]
    assert channels[1] == [("telegram", "2", "accepted 2", "4", "yes")]


def test_tables_of_an_empty_store_are_left_out() -> None:
    assert list(ledger_tables(fields_of(streams=(), stream_count=0, channels=()))) == []


def test_tables_of_many_streams_show_their_sources() -> None:
    streams, _ = ledger_tables(fields_of(stream_count=MOST_LISTED + 1))
    assert [row[0] for row in streams[1]] == ["trader-1", "trader-2"]


def test_tables_show_the_journals_that_hold_most() -> None:
    journals = tuple(JournalLedger("f", f"{number:032x}", "trader", None, number, number) for number in range(50))
    table = list(ledger_tables(fields_of(journals=journals, journal_count=50)))[2]
    assert [row[4] for row in table[1]] == [str(number) for number in range(49, 49 - MOST_LISTED, -1)]
    assert table[1][0][2] == "nothing"


def test_sentences_tell_the_verdict() -> None:
    assert list(ledger_sentences(BALANCED.fields())) == [
        "3 alerts, 2 deliveries, 2 streams in 1.2 s.",
        "The ledger balances.",
    ]
    findings = Findings()
    findings.add(FaultKind.HOLE, "stream ab", "Number 5 is missing.")
    findings.add(FaultKind.WRONG_TOTAL, "channel x", "4 are not 5.", count=MOST_FAULTS)
    told = fields_of(faults=findings.told, fault_counts=findings.counts, journal_count=7)
    assert list(ledger_sentences(told)) == [
        "3 alerts, 2 deliveries, 2 streams, 7 journals in 1.2 s.",
        f"The ledger does NOT balance: hole 1, wrong_total {MOST_FAULTS}. The first 2 are listed.",
    ]
