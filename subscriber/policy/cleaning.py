r"""Text from anywhere (an exception, a symbol, a foreign publisher) made fit for one line of a message. Pure.

Whatever a person could read stays: every script, emoji, `BTC_USDT`, `< 10%`. What could only mislead, break a
line or hide goes: control characters, terminal colours, marks that reorder text, invisible characters, lone
surrogates. Right-to-left text is put between isolates, so that it reads well and moves nothing around it.
"""

from __future__ import annotations

import re
from typing import Final

ELLIPSIS: Final = "…"
ISOLATE: Final = "\u2068"  # FIRST STRONG ISOLATE
END_OF_ISOLATE: Final = "\u2069"
_UNREADABLE: Final = "\ufffd"

_TERMINAL_SEQUENCE: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff\ufff9-\ufffb]+")
_SPACES: Final = re.compile(r"[\t \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
#: Soft hyphen, fillers, zero-width spaces and joiners of words, direction marks, overrides, embeddings and isolates,
#: invisible operators, deprecated format characters, tags, rare variation selectors: nothing that a person sees.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0d\ufeff\uffa0\U000e0000-\U000e0fff]+"
)
#: Joiners belong inside emoji and inside scripts that shape letters; beside ASCII, or in a row, they only hide.
_STRAY_JOINERS: Final = re.compile(
    "(?:^|(?<=[\x00-\x7f\u200c\u200d]))[\u200c\u200d]+|[\u200c\u200d]+(?=[\x00-\x7f]|$)", re.MULTILINE
)
#: Emoji selectors belong behind a character that has two looks; among ASCII only digits, # and * do.
_STRAY_SELECTORS: Final = re.compile("(?:^|(?<=[\x00-\x22\x24-\x29\x2b-\x2f\x3a-\x7f\ufe0e\ufe0f]))[\ufe0e\ufe0f]+")
#: Marks stacked on one letter; no script needs more than four of these.
_STACKED_MARKS: Final = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{4})[\u0300-\u036f"
    "\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+"
)
_RIGHT_TO_LEFT: Final = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)


def clean_line(text: str, limit: int | None = None) -> str:
    """Return the text as one line, cut to about `limit` characters where one is given; it may come out empty."""
    line = " ".join(_readable_lines(text))
    if limit is not None:
        line = cut(line, limit)
    return _isolated(line)


def clean_lines(text: str) -> str:
    """Return the text with its lines kept, without empty ones; it may come out empty."""
    return "\n".join(_isolated(line) for line in _readable_lines(text))


def cut(text: str, limit: int) -> str:
    """Cut a text to `limit` characters (at least 1), at a word where one ends near, with an ellipsis as the last."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 1]
    if not text[limit - 1].isspace():
        word_ends = max(kept.rfind(" "), kept.rfind("\n"))
        if word_ends >= len(kept) * 2 // 3:
            kept = kept[:word_ends]
    return kept.rstrip(" \n·,;:\u200c\u200d" + ISOLATE) + ELLIPSIS


def balanced(text: str) -> str:
    """Close in each line the isolates that a cut left open."""
    return "\n".join(_closed(line) for line in text.split("\n")) if ISOLATE in text else text


def _closed(line: str) -> str:
    return line + END_OF_ISOLATE * max(0, line.count(ISOLATE) - line.count(END_OF_ISOLATE))


def _isolated(line: str) -> str:
    return f"{ISOLATE}{line}{END_OF_ISOLATE}" if _RIGHT_TO_LEFT.search(line) else line


def _readable_lines(text: str) -> list[str]:
    # A pair of surrogates that some library left apart becomes its character; a lone one becomes U+FFFD.
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = _TERMINAL_SEQUENCE.sub("", text)
    lines = (_readable(line) for line in text.splitlines())
    return [line for line in lines if line]


def _readable(line: str) -> str:
    line = _CONTROLS.sub(_UNREADABLE, line)
    line = _INVISIBLE.sub("", line)
    line = _STRAY_JOINERS.sub("", line)
    line = _STRAY_SELECTORS.sub("", line)
    line = _STACKED_MARKS.sub(r"\1", line)
    return _SPACES.sub(" ", line).strip()
