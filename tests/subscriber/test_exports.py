"""Rows as CSV and as JSON lines: complete, whatever stands in them, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from subscriber.exports import csv_of, json_lines_of

ROWS: list[dict[str, Any]] = [
    {"id": 1, "text": 'a "quoted", text', "none": None, "number": -1.5, "list": ["a", 1]},
    {"id": 2, "text": "two\nlines", "none": None, "number": 0, "list": []},
]


def test_json_lines_rows_are_one_object_each() -> None:
    lines = "".join(json_lines_of(ROWS)).splitlines()
    assert [json.loads(line) for line in lines] == ROWS


def test_csv_rows_have_a_header_and_keep_every_value() -> None:
    found = list(csv.reader(io.StringIO("".join(csv_of(ROWS)), newline="")))
    assert found == [
        ["id", "text", "none", "number", "list"],
        ["1", 'a "quoted", text', "", "-1.5", '["a", 1]'],
        ["2", "two\nlines", "", "0", "[]"],
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+cmd", "@SUM(A1)", "\tx", "\rx"])
def test_csv_formula_is_made_text(text: str) -> None:
    """A symbol from anywhere must not run in the spreadsheet of whoever opens the export."""
    found = next(csv.reader(io.StringIO("".join(csv_of([{"symbol": text}])).partition("\r\n")[2], newline="")))
    assert found == [f"'{text}"]


def test_export_of_many_rows_comes_in_pieces() -> None:
    rows = [{"id": number} for number in range(1201)]
    assert len(list(json_lines_of(rows))) == 3
    assert sum(piece.count("\r\n") for piece in csv_of(rows)) == 1202


def test_export_of_nothing_is_empty() -> None:
    assert "".join(csv_of([])) == ""
    assert "".join(json_lines_of([])) == ""
