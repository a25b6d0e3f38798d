"""On which line of a TOML text each key and each item of a list stands, which `tomllib` does not tell.

The text is one that `tomllib` has read without a fault, so this only has to find its way through: strings, comments and
brackets. Lines are counted from 1. Pure.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

#: Keys, and numbers in lists, from the top of the document.
Path = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY: Final = re.compile(
    r"""[ \t]*(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
    r"""(?:[ \t]*\.[ \t]*(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*'))*[ \t]*"""
)
_STRING: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")|' + r"'''.*?'{3,5}(?!')|" + r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'", re.DOTALL
)
_PLAIN: Final = re.compile(r"[^,\]}#\r\n]+")


def lines_of(text: str) -> dict[Path, int]:
    """Return the line of everything in a TOML text that has a place of its own: a table has that of its first key.

    Args:
        text: What `tomllib.loads` takes.
    """
    return _Scanner(text).scan()


class _Scanner:
    """Walks through the text once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[Path, int] = {}
        #: Of each list of tables, how many have begun.
        self._begun: dict[Path, int] = {}
        self._counted_to = 0
        self._line = 1

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        self._skip()
        while self._at < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._header(2)
            elif self._text.startswith("[", self._at):
                table = self._header(1)
            else:
                self._pair(table)
            self._skip()
        return self._lines

    def _header(self, brackets: int) -> Path:
        self._at += brackets
        line = self._here()
        keys = self._keys()
        self._at += brackets
        path = self._resolved(keys[:-1], line)
        path = (*path, keys[-1])
        self._lines.setdefault(path, line)
        if brackets == 1:
            return self._last(path)
        number = self._begun[path] = self._begun.get(path, -1) + 1
        self._lines[(*path, number)] = line
        return (*path, number)

    def _resolved(self, keys: list[str], line: int) -> Path:
        path: Path = ()
        for key in keys:
            path = (*path, key)
            self._lines.setdefault(path, line)
            path = self._last(path)
        return path

    def _last(self, path: Path) -> Path:
        return (*path, self._begun[path]) if path in self._begun else path

    def _pair(self, table: Path) -> None:
        line = self._here()
        path = table
        for key in self._keys():
            path = (*path, key)
            self._lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _keys(self) -> list[str]:
        found = _KEY.match(self._text, self._at)
        if found is None:  # no text that tomllib takes
            raise ValueError("this is no TOML")
        self._at = found.end()
        table: Any = tomllib.loads(f"{found[0]}=0")
        keys = []
        while isinstance(table, dict):
            ((key, table),) = table.items()
            keys.append(key)
        return keys

    def _value(self, path: Path) -> None:
        self._skip()
        start = self._text[self._at : self._at + 1]
        if start == "[":
            self._list(path)
        elif start == "{":
            self._table(path)
        else:
            found = (_STRING if start in {'"', "'"} else _PLAIN).match(self._text, self._at)
            self._at = self._at + 1 if found is None else found.end()

    def _list(self, path: Path) -> None:
        number = 0
        self._at += 1
        while not self._closed("]"):
            self._lines[(*path, number)] = self._here()
            self._value((*path, number))
            number += 1

    def _table(self, path: Path) -> None:
        self._at += 1
        while not self._closed("}"):
            self._pair(path)

    def _closed(self, bracket: str) -> bool:
        """Whether the list or table ends here; what is between its items is passed over."""
        self._skip()
        if self._text.startswith(",", self._at):
            self._at += 1
            self._skip()
        if self._text.startswith(bracket, self._at):
            self._at += 1
            return True
        return self._at >= len(self._text)

    def _skip(self) -> None:
        found = _BLANK.match(self._text, self._at)
        self._at = self._at if found is None else found.end()

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        return self._line
