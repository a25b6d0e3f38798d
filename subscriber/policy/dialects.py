"""Lines of a message in the markup of a provider, and their length in the provider's unit. Pure.

Telegram's HTML needs three characters escaped, and counts what is left after its entities are parsed. WhatsApp has
no escape character: a pair of marks (`*`, `_`, `~`) formats where the first stands at the beginning of a word and the
second at the end of one; backticks format anywhere in a line; `> `, `- `, `* ` and `1. ` at the beginning of a line
make a quotation or a list, which would turn `- 3.2%` into a bullet. Only such a mark is parted from its surroundings,
by word joiners (U+2060, no width): `BTC_USDT` and `-3.2%` stay as they are and can be copied.
"""

from __future__ import annotations

import html
import re
from typing import Final

from subscriber.deliveries import Dialect, LengthUnit, MessageLimits
from subscriber.policy.cleaning import balanced
from subscriber.policy.wording import Line, Rank

WORD_JOINER: Final = "\u2060"
_MARKS: Final = "*_~"
_BOLD: Final = "*"
_ITALIC: Final = "_"
_BACKTICK: Final = "`"
_BLOCK_BEGINS: Final = re.compile(r"(?:>|[-*•] |\d+[.)] )")


def body_of(line: Line, dialect: Dialect) -> str:
    """Write a line in a dialect, escaped."""
    text = text_of(line)
    if dialect is Dialect.TELEGRAM_HTML:
        return _telegram(line, text)
    return _whatsapp(line, text) if dialect is Dialect.WHATSAPP else text


def text_of(line: Line) -> str:
    """Write a line as a person reads it, without markup."""
    return balanced(line.text)


def unmarked_of(line: Line) -> str:
    """Write a line for WhatsApp without any formatting, neither ours nor what an alert's text would cause."""
    return "\n".join(_unmarked(part) for part in text_of(line).split("\n"))


def length_of(line: Line, limits: MessageLimits) -> int:
    """Return how much of the provider's limit a line takes, in the provider's unit."""
    seen = text_of(line) if limits.dialect is Dialect.TELEGRAM_HTML else body_of(line, limits.dialect)
    return len(seen.encode("utf-16-le")) // 2 if limits.unit is LengthUnit.UTF16 else len(seen)


def _telegram(line: Line, text: str) -> str:
    escaped = html.escape(text, quote=False)
    if line.rank is Rank.HEAD:
        return f"<b>{escaped}</b>"
    if line.rank is Rank.REPEAT:
        return f"<i>{escaped}</i>"
    if line.copyable:
        return escaped.replace(line.copyable, f"<code>{line.copyable}</code>", 1)
    return escaped


def _whatsapp(line: Line, text: str) -> str:
    unmarked = unmarked_of(line)
    mark = {Rank.HEAD: _BOLD, Rank.REPEAT: _ITALIC}.get(line.rank, "")
    # A mark inside could end ours too early, and beside a joiner ours would be as dead as the parted one.
    return f"{mark}{text}{mark}" if mark and mark not in text and unmarked == text else unmarked


def _unmarked(line: str) -> str:
    """Part every mark that would format from its surroundings."""
    parted = set(_paired_marks(line))
    if line.count(_BACKTICK) > 1:
        parted.update(index for index, character in enumerate(line) if character == _BACKTICK)
    if parted:
        line = "".join(
            f"{WORD_JOINER}{character}{WORD_JOINER}" if index in parted else character
            for index, character in enumerate(line)
        )
    return WORD_JOINER + line if _BLOCK_BEGINS.match(line) else line


def _paired_marks(line: str) -> list[int]:
    """Return where the marks stand that have a partner in the line."""
    paired: list[int] = []
    for mark in _MARKS:
        indexes = [index for index, character in enumerate(line) if character == mark]
        begins = [index for index in indexes if _begins_word(line, index)]
        ends = [index for index in indexes if _ends_word(line, index)]
        if begins and ends and begins[0] < ends[-1]:
            paired += {*begins, *ends}
    return paired


def _begins_word(line: str, index: int) -> bool:
    return not line[index - 1 : index].isalnum() and not line[index + 1 : index + 2].isspace()


def _ends_word(line: str, index: int) -> bool:
    return not line[index + 1 : index + 2].isalnum() and not line[max(index - 1, 0) : index].isspace()
