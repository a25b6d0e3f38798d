"""Telegram's MarkdownV2 and legacy Markdown, read as strictly as Telegram reads them.

Source: parse_markdown_v2 and parse_markdown in tdlib/td, td/telegram/MessageEntity.cpp, commit 022d602; the
reserved characters are those of core.telegram.org/bots/api#markdownv2-style.
"""

from dataclasses import dataclass

from tests.support.telegram_html import MarkupError, byte_offset

_RESERVED = "_*[]()~`>#+-=|{}.!\n"
# Longest first: `__` is not two `_`, and three backticks are not one.
_OPENINGS = (
    ("```", "Pre"),
    ("__", "Underline"),
    ("||", "Spoiler"),
    ("![", "CustomEmoji"),
    ("_", "Italic"),
    ("*", "Bold"),
    ("~", "Strikethrough"),
    ("`", "Code"),
    ("[", "TextUrl"),
)
_ENDS = {kind: opening for opening, kind in _OPENINGS} | {"CustomEmoji": "]", "TextUrl": "]"}
_EMOJI_LINKS = ("tg://emoji?id=", "tg://time?")


def parse_markdown_v2(source: str) -> str:
    """Return the text without its markup.

    Raises:
        MarkupError: in every case where Telegram answers 400.
    """
    return _MarkdownV2(source).parse()


def parse_legacy_markdown(source: str) -> str:
    """Return the text without its markup; legacy mode escapes only four characters and nests nothing.

    Raises:
        MarkupError: an entity has no end.
    """
    shown: list[str] = []
    position = 0
    while position < len(source):
        character = source[position]
        if character == "\\" and source[position + 1 : position + 2] in ("_", "*", "`", "["):
            shown.append(source[position + 1])
            position += 2
            continue
        if character not in "_*`[":
            shown.append(character)
            position += 1
            continue
        fence = source.startswith("```", position)
        opening = "```" if fence else character
        closing = "]" if character == "[" else opening
        inside = _skip_language(source, position + 3) if fence else position + 1
        end = source.find(closing, inside)
        if end < 0:
            where = byte_offset(source, position)
            raise MarkupError(f"Can't find end of the entity starting at byte offset {where}")
        shown.append(source[inside:end])
        position = end + len(closing)
        if character == "[" and source.startswith("(", position):
            link_end = source.find(")", position)
            position = len(source) if link_end < 0 else link_end + 1
    return "".join(shown)


def _skip_language(source: str, start: int) -> int:
    """Return where a fenced block's text starts: after its language and one line break."""
    end = start
    while end < len(source) and source[end] not in " \t\r\n\0\v`":
        end += 1
    position = end if start < end < len(source) and source[end] != "`" else start
    if source[position : position + 2] in ("\r\n", "\n\r"):
        return position + 2
    return position + 1 if source[position : position + 1] in ("\r", "\n") else position


@dataclass(frozen=True)
class _Entity:
    kind: str
    start: int


class _MarkdownV2:
    """One pass over one text."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._position = 0
        self._shown: list[str] = []
        self._open: list[_Entity] = []
        self._in_quote = False
        self._quote_may_start = True

    def parse(self) -> str:
        while self._position < len(self._source):
            if not self._read_plain():
                kind = self._ending()
                if kind is None:
                    self._read_opening()
                else:
                    self._read_end(kind)
        self._end_last_quote()
        if self._open:
            raise self._endless(self._open[-1])
        return "".join(self._shown)

    def _show(self, character: str, *, length: int = 1) -> None:
        self._shown.append(character)
        self._position += length
        if character != "\r":
            self._quote_may_start = character == "\n"

    def _read_plain(self) -> bool:
        """Take an escaped or an ordinary character; False when a reserved one has the word."""
        character = self._source[self._position]
        following = self._source[self._position + 1 : self._position + 2]
        if character == "\\" and following and 0 < ord(following) <= 126:
            self._show(following, length=2)
            return True
        inside_code = bool(self._open) and self._open[-1].kind in ("Code", "Pre")
        if character in ("`" if inside_code else _RESERVED):
            return False
        self._show(character)
        return True

    def _ending(self) -> str | None:
        """Return the kind of entity that ends here, if one does."""
        if not self._open:
            return None
        source, position = self._source, self._position
        if self._in_quote and source[position] == "\n" and not source.startswith(">", position + 1):
            return "BlockQuote"
        kind = self._open[-1].kind
        if kind == "Italic" and source.startswith("__", position):
            return None
        return kind if kind in _ENDS and source.startswith(_ENDS[kind], position) else None

    def _read_opening(self) -> None:
        source, position = self._source, self._position
        character = source[position]
        if character == "\n":
            self._show(character)
            return
        if character == ">" and self._quote_may_start:
            if not self._in_quote:
                self._in_quote = True
                self._open.append(_Entity("BlockQuote", position))
            self._position += 1
            return
        for opening, kind in _OPENINGS:
            if source.startswith(opening, position):
                self._open.append(_Entity(kind, position))
                after = position + len(opening)
                self._position = _skip_language(source, after) if kind == "Pre" else after
                return
        raise MarkupError(f"Character '{character}' is reserved and must be escaped with the preceding '\\'")

    def _read_end(self, kind: str) -> None:
        if kind == "BlockQuote":
            self._end_quote()
            return
        self._open.pop()
        self._position += len(_ENDS[kind])
        if kind in ("TextUrl", "CustomEmoji"):
            link = self._read_link()
            if kind == "CustomEmoji" and not link.startswith(_EMOJI_LINKS):
                raise MarkupError("Invalid tg://emoji or tg://time URL specified")

    def _read_link(self) -> str:
        """Read `(link)` after a label; without one, the label is the link."""
        if not self._source.startswith("(", self._position):
            return ""
        start = self._position + 1
        end = start
        while end < len(self._source) and self._source[end] != ")":
            end += 2 if self._source[end] == "\\" else 1
        if end >= len(self._source):
            raise MarkupError(f"Can't find end of a URL at byte offset {byte_offset(self._source, start)}")
        self._position = end + 1
        return self._source[start:end]

    def _end_quote(self) -> None:
        """End a quotation at a line break; `||` right before it makes the quotation expandable."""
        last = self._open[-1]
        if last.kind == "Spoiler" and last.start == self._position - 2:
            self._open.pop()
        if self._open[-1].kind != "BlockQuote":
            raise self._endless(self._open[-1])
        self._open.pop()
        self._in_quote = False
        self._show("\n")

    def _end_last_quote(self) -> None:
        if not self._in_quote:
            return
        last = self._open[-1]
        if last.kind == "Spoiler" and last.start == len(self._source) - 2:
            self._open.pop()
        if self._open[-1].kind == "BlockQuote":
            self._open.pop()

    def _endless(self, entity: _Entity) -> MarkupError:
        where = byte_offset(self._source, entity.start)
        return MarkupError(f"Can't find end of {entity.kind} entity at byte offset {where}")
