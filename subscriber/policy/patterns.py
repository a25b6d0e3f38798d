"""Texts that a match allows: whole words, globs, and what a `!` in front excludes. Pure.

    ["TNA", "U*"]       TNA, and all that begins with U
    ["U*", "!UPRO"]     all that begins with U, but not UPRO
    ["!backtest-*"]     everything else, and what has none at all

`*` is any text, `?` one character, `[ab]` and `[!ab]` one of these and none of these; case counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Final

NOT: Final = "!"
_WILD: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Patterns:
    """Texts by their patterns; `text in patterns` says whether one is allowed."""

    words: tuple[str, ...]  #: as they were written
    _only: frozenset[str] = field(init=False, repr=False, compare=False)
    _globs: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)
    _never: frozenset[str] = field(init=False, repr=False, compare=False)
    _never_globs: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the patterns by what they do."""
        allowed = [word for word in self.words if not word.startswith(NOT)]
        refused = [word.removeprefix(NOT) for word in self.words if word.startswith(NOT)]
        for name, value in (
            ("_only", _exact(allowed)),
            ("_globs", _compiled(allowed)),
            ("_never", _exact(refused)),
            ("_never_globs", _compiled(refused)),
        ):
            object.__setattr__(self, name, value)

    def __contains__(self, text: str | None) -> bool:
        """Say whether a text is allowed; None is no text, which only exclusions allow."""
        asked = bool(self._only or self._globs)
        if text is None:
            return not asked
        if text in self._never or any(glob.match(text) for glob in self._never_globs):
            return False
        return not asked or text in self._only or any(glob.match(text) for glob in self._globs)


#: What a match allows of a text; without globs and exclusions it is a plain set.
Texts = frozenset[str] | Patterns


def texts_of(words: Iterable[str]) -> Texts:
    """Return the texts that these patterns allow."""
    given = tuple(words)
    if any(word.startswith(NOT) or _WILD & set(word) for word in given):
        return Patterns(given)
    return frozenset(given)


def words_of(texts: Texts) -> list[str]:
    """Return the patterns that `texts_of` makes these texts from."""
    return list(texts.words) if isinstance(texts, Patterns) else sorted(texts)


def _exact(words: Iterable[str]) -> frozenset[str]:
    return frozenset(word for word in words if not _WILD & set(word))


def _compiled(words: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(translate(word)) for word in words if _WILD & set(word))
