"""The `match` of a route, and the matchers of a silence, as they are written. Pure.

{ severity = ">=WARNING", symbol = ["TNA", "U*", "!UPRO"], agent_name = "!backtest-*" }
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from bus.alerts import Action, Severity
from bus.errors import ConfigurationError
from subscriber.policy.matching import KINDS, MATCH_FIELDS, Match, at_least
from subscriber.policy.patterns import NOT, Texts, texts_of
from subscriber.policy.reading import Path, Reader

_AT_LEAST: Final = ">="
#: Values of one list: more is a mistake.
_MOST_WORDS: Final = 1000
_FORM: Final = "must be a text or a list of texts that is not empty"

_Value = TypeVar("_Value")


def match_of(matchers: Mapping[str, object]) -> Match:
    """Read matchers that stand alone.

    Raises:
        ConfigurationError: All faults at once, each with its field.
    """
    reader = Reader()
    match = read_match(reader, ("match",), dict(matchers))
    if reader.problems:
        raise ConfigurationError(*reader.problems)
    return match


def read_match(reader: Reader, path: Path, value: object) -> Match:
    """Read the match at some place; its faults are the reader's."""
    table = reader.table(path, value, tuple(MATCH_FIELDS))

    def closed(
        name: str, parse: Callable[[str], Iterable[_Value]], words: Iterable[_Value], allowed: str
    ) -> frozenset[_Value] | None:
        return _closed(reader, (*path, name), table[name], parse, words, allowed) if name in table else None

    def texts(name: str) -> Texts | None:
        return _texts(reader, (*path, name), table[name]) if name in table else None

    return Match(
        severities=closed("severity", _severities, Severity, f"{', '.join(Severity)}, each also behind >= or !"),
        actions=closed("action", _actions, Action, f"{', '.join(Action)}, each also behind !"),
        kinds=closed("kind", _kinds, KINDS, f"{', '.join(KINDS)}, each also behind !"),
        event_types=texts("event_type"),
        symbols=texts("symbol"),
        agent_names=texts("agent_name"),
        sources=texts("source"),
    )


def _words(reader: Reader, path: Path, value: Any, allowed: str) -> list[str] | None:
    items = value if isinstance(value, list) else [value]
    if items and len(items) <= _MOST_WORDS and all(isinstance(item, str) and item.strip(f" {NOT}") for item in items):
        return [item.strip() for item in items]
    reader.fault(path, f"{_FORM}{allowed}")
    return None


def _texts(reader: Reader, path: Path, value: object) -> Texts | None:
    words = _words(reader, path, value, "; globs and a ! in front are allowed")
    return None if words is None else texts_of(words)


def _closed(
    reader: Reader,
    path: Path,
    value: object,
    parse: Callable[[str], Iterable[_Value]],
    every: Iterable[_Value],
    allowed: str,
) -> frozenset[_Value]:
    words = _words(reader, path, value, f"; allowed: {allowed}")
    given: set[_Value] = set()
    refused: set[_Value] = set()
    only_refused = True
    for word in words or ():
        values = set(parse(word.removeprefix(NOT).strip()))
        if not values:
            bare, known = word.lstrip(f" {NOT}{_AT_LEAST}"), [str(each) for each in every]
            near = get_close_matches(bare.upper(), known, n=1) or get_close_matches(bare.lower(), known, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            reader.fault(path, f"must be of the words that are allowed: {allowed}{meant}")
            return frozenset()
        (refused if word.startswith(NOT) else given).update(values)
        only_refused &= word.startswith(NOT)
    found = frozenset((set(every) if only_refused else given) - refused)
    if words and not found:
        reader.fault(path, "must leave something to take: it excludes all that it allows")
    return found


def _severities(word: str) -> frozenset[Severity]:
    try:
        if word.startswith(_AT_LEAST):
            return at_least(Severity(word.removeprefix(_AT_LEAST)))
        return frozenset({Severity(word)})
    except ValueError:
        return frozenset()


def _actions(word: str) -> frozenset[Action]:
    try:
        return frozenset({Action(word)})
    except ValueError:
        return frozenset()


def _kinds(word: str) -> frozenset[str]:
    return frozenset({word}) & frozenset(KINDS)
