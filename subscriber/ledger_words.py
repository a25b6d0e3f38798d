"""What `alertbus-subscriber audit` shows to people: the ledger as tables, and its verdict in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Fields = Mapping[str, Any]
Table = tuple[Sequence[str], Sequence[Sequence[str]]]  #: the names of the columns, and the rows

#: Up to so many streams are shown one by one; more are summed up by their sources. So many journals are shown.
MOST_LISTED: Final = 20

_COUNTS: Final = ("stored", "lost", "duplicate", "pruned", "ahead")


def ledger_tables(audit: Fields) -> Iterator[Table]:
    """Return the tables that have rows: streams, channels, journals, faults."""
    for table in (_streams(audit), _channels(audit), _journals(audit), _faults(audit)):
        if table[1]:
            yield table


def ledger_sentences(audit: Fields) -> Iterator[str]:
    """Return what was read, and whether it balances."""
    journals = f", {audit['journal_count']} journals" if audit["journal_count"] else ""
    yield (
        f"{audit['alerts']} alerts, {audit['deliveries']} deliveries, {audit['stream_count']} streams{journals} in "
        f"{audit['seconds']:.1f} s."
    )
    count, told = audit["fault_count"], len(audit["faults"])
    if not count:
        yield "The ledger balances."
        return
    kinds = ", ".join(f"{kind} {number}" for kind, number in audit["fault_kinds"].items())
    yield f"The ledger does NOT balance: {kinds}." + (f" The first {told} are listed." if told < count else "")


def _streams(audit: Fields) -> Table:
    if audit["stream_count"] <= MOST_LISTED:
        columns = ("stream", "source", "numbers", *_COUNTS, "balance")
        return columns, [_stream(stream) for stream in audit["streams"]]
    columns = ("source", "streams", "numbers", *_COUNTS, "balance")
    rows = [
        (
            source["source"],
            str(source["streams"]),
            str(source["span"]),
            *(str(source[name]) for name in _COUNTS),
            f"NO: {source['unbalanced']} streams" if source["unbalanced"] else "yes",
        )
        for source in audit["sources"]
    ]
    return columns, rows


def _stream(stream: Fields) -> Sequence[str]:
    known = stream["first"] is not None and stream["up_to"] is not None
    return (
        stream["stream"][:8],
        stream["source"],
        f"{stream['first']}..{stream['up_to']}" if known else "start unknown",
        *(str(stream[name]) for name in _COUNTS),
        "yes" if stream["balanced"] else "NO",
    )


def _channels(audit: Fields) -> Table:
    rows = []
    for channel in audit["channels"]:
        pruned = channel["pruned"]["planned"]
        states = ", ".join(f"{state} {count}" for state, count in channel["states"].items() if count)
        balance = "yes" if channel["balanced"] else "NO"
        rows.append((channel["channel"], str(channel["planned"]), states, str(pruned), balance))
    return ("channel", "planned", "states", "pruned", "balance"), rows


def _journals(audit: Fields) -> Table:
    columns = ("journal", "source", "acknowledged", "held", "outstanding")
    rows = [
        (
            journal["stream"][:8],
            journal["source"],
            "nothing" if journal["acknowledged"] is None else f"up to {journal['acknowledged']}",
            str(journal["held"]),
            str(journal["outstanding"]),
        )
        for journal in sorted(audit["journals"], key=lambda journal: -journal["outstanding"])[:MOST_LISTED]
    ]
    return columns, rows


def _faults(audit: Fields) -> Table:
    return ("fault", "where", "what"), [(fault["kind"], fault["where"], fault["text"]) for fault in audit["faults"]]
