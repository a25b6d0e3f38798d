"""Rows of the store as CSV or JSON lines, some at a time, however many there are. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

#: Rows that are turned into text at once.
_ROWS_AT_ONCE: Final = 500


def json_lines_of(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Turn rows into JSON, one object per line."""
    for some in _some(rows):
        yield "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in some)


def csv_of(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Turn rows into CSV with a header; what is no text, number or nothing stands as JSON.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    first = True
    for some in _some(rows):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        for row in some:
            if first:
                writer.writerow(row.keys())
                first = False
            writer.writerow(map(_cell, row.values()))
        yield text.getvalue()


def _some(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    some: list[Mapping[str, Any]] = []
    for row in rows:
        some.append(row)
        if len(some) == _ROWS_AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _cell(value: object) -> object:
    if value is None or isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
