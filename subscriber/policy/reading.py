"""Reads tables of a TOML file and goes on after a fault, so that a person hears of all of them in one run. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from subscriber.policy.durations import duration_text, parse_duration

#: Where something stands: keys, and numbers in lists, such as ("routes", 1, "match", "severity").
Path = tuple[str | int, ...]

#: Tables that are written in other ways than `[table.name]`.
_LISTS: Final = ("routes", "match")
_SINGLE: Final = ("market_hours",)
_SHOWN: Final = re.compile(r"[A-Za-z][A-Za-z_-]{0,20}")
#: How alike two words are, from 0 to 1, for one to be a misspelling of the other.
_ALIKE: Final = 0.75


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """What a file says of the policy, as it was written, and where."""

    tables: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[Path, int] = field(default_factory=dict, repr=False, compare=False)
    name: str = field(default="", compare=False)  #: of the file, in front of each fault

    def place(self, path: Path) -> str:
        """Return the words for a place: `ALERTBUS_CONFIG line 12: routes[1].match.severity`."""
        line = next((self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines), None)
        front = self.name if line is None else f"{self.name} line {line}:".lstrip()
        return f"{front} {place_of(path)}".lstrip()


class Reader:
    """Reads values by their place, and collects what is wrong with them; no fault shows a value."""

    def __init__(self, document: PolicyDocument | None = None) -> None:
        self._document = document or PolicyDocument()
        self.problems: list[str] = []
        self.hints: list[str] = []

    def fault(self, path: Path, sentence: str) -> None:
        """Keep a fault: a sentence that reads on from its place."""
        end = "" if sentence.endswith((".", "?")) else "."
        self.problems.append(f"{self._document.place(path)} {sentence}{end}")

    def hint(self, path: Path, sentence: str) -> None:
        """Keep what looks like a mistake and is allowed."""
        self.hints.append(f"{self._document.place(path)} {sentence}.")

    def table(self, path: Path, value: object, keys: Collection[str]) -> Mapping[str, Any]:
        """Return a table of which only these keys are known."""
        if not isinstance(value, dict):
            self.fault(path, "must be a table")
            return {}
        for key in value:
            if key not in keys:
                near = get_close_matches(key, sorted(keys), n=1, cutoff=_ALIKE)
                meant = f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(keys)}"
                self.fault((*path, key), f"is not known{meant}")
        return value

    def tables(self, path: Path, value: object) -> Mapping[str, Any]:
        """Return tables by names that are free to choose."""
        if isinstance(value, dict):
            return value
        self.fault(path, f"must be tables like [{path[0]}.name]")
        return {}

    def flag(self, path: Path, value: object) -> bool:
        """Return true or false."""
        if not isinstance(value, bool):
            self.fault(path, "must be true or false")
        return value is True

    def text(self, path: Path, value: object, default: str = "") -> str:
        """Return a text that is not empty."""
        if isinstance(value, str) and value.strip():
            return value
        self.fault(path, "must be a text that is not empty")
        return default

    def choice(self, path: Path, value: object, words: Sequence[str]) -> str:
        """Return one of some words."""
        if isinstance(value, str) and value in words:
            return value
        self.fault(path, f"must be {' or '.join(words)}")
        return words[0]

    def names(self, path: Path, value: object, known: Collection[str], what: str) -> tuple[str, ...]:
        """Return a list of names, each once."""
        if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
            self.fault(path, f"must be a list of {what} names")
            return ()
        for index, name in enumerate(value):
            self.known((*path, index), name, known, what)
        return tuple(dict.fromkeys(value))

    def known(self, path: Path, name: str, known: Collection[str], what: str) -> None:
        """Report a name that nobody has."""
        if name in known:
            return
        near = get_close_matches(name, sorted(known), n=1, cutoff=_ALIKE)
        meant = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(sorted(known)) or 'none'}"
        # Whoever misspelt it wants to see it; what has another form may be anything, and in the wrong place.
        shown = f' ("{name}")' if _SHOWN.fullmatch(name) else ""
        self.fault(path, f"is not the name of any {what}{shown}{meant}")

    def duration(self, path: Path, value: object, least_us: int, most_us: int) -> int | None:
        """Return microseconds between two bounds, or None for `never` (and after a fault)."""
        try:
            found = parse_duration(value if isinstance(value, str) else "")
        except ValueError as error:
            self.fault(path, str(error))
            return None
        if found is not None and not least_us <= found <= most_us:
            self.fault(path, f"must be from {duration_text(least_us)} to {duration_text(most_us)}")
            return None
        return found

    def bounded(self, path: Path, value: object, least_us: int, most_us: int) -> int:
        """Return microseconds between two bounds; `never` is a fault."""
        before = len(self.problems)
        found = self.duration(path, value, least_us, most_us)
        if found is None and len(self.problems) == before:
            self.fault(path, f"must be from {duration_text(least_us)} to {duration_text(most_us)}, and is never")
        return least_us if found is None else found


def place_of(path: Path) -> str:
    """Return the words for a place in the file: `routes[1].match.severity`, `[quiet_hours.night] windows[0]`."""
    first, *rest = path
    if first in _LISTS or (rest and isinstance(rest[0], int)):
        return _dotted(path)
    named = 1 if first in _SINGLE else 2
    return f"[{_dotted(path[:named])}] {_dotted(path[named:])}".rstrip()


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f"{'.' if text else ''}{part if part.isprintable() else repr(part)}"
    return text
