"""Telegram's HTML mode, read as strictly as Telegram reads it.

Source: parse_html and decode_html_entity in tdlib/td, td/telegram/MessageEntity.cpp (the library behind
api.telegram.org), commit 022d602; the tags are those of core.telegram.org/bots/api#html-style. Left out on
purpose, so refused here though Telegram knows them: tg-emoji and tg-time, which no alert needs.
"""

import re

_BOLD_AND_SO_ON = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "span", "tg-spoiler"}
_TAGS = _BOLD_AND_SO_ON | {"a", "code", "pre", "blockquote"}
_SPACES = " \t\r\n\0\v"
_ENTITY = re.compile(r"&(?:#x(?P<hexadecimal>[0-9a-fA-F]*)|#(?P<decimal>[0-9]*)|(?P<name>[A-Za-z]*))")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_ATTRIBUTE = re.compile(
    r"""(?P<name>[^\s\0=>/"']+)[\s\0]*"""
    r"""(?:=[\s\0]*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<token>[A-Za-z0-9.-]*)(?=[\s\0>])))?"""
)


class MarkupError(ValueError):
    """The text cannot be parsed; the message is what follows "can't parse entities: "."""


def byte_offset(text: str, position: int) -> int:
    """Return where a character starts in UTF-8, which is how Telegram counts in its errors."""
    return len(text[:position].encode())


def parse_html(source: str) -> str:
    """Return the text without its markup.

    Raises:
        MarkupError: in every case where Telegram answers 400.
    """
    shown: list[str] = []
    open_tags: list[str] = []
    position = 0
    while position < len(source):
        character = source[position]
        if character == "&":
            character, position = _read_entity(source, position)
            shown.append(character)
        elif character != "<":
            shown.append(character)
            position += 1
        elif source.startswith("/", position + 1):
            position = _read_end_tag(source, position, open_tags)
        else:
            position = _read_start_tag(source, position, open_tags)
    if open_tags:
        raise MarkupError(f'Can\'t find end tag corresponding to start tag "{open_tags[-1]}"')
    return "".join(shown)


def _read_entity(source: str, start: int) -> tuple[str, int]:
    """Decode one entity; what is none stays as it is, such as `R&D` and `&nbsp;`."""
    found = _ENTITY.match(source, start)
    character = "" if found is None else _character(found)
    if found is None or not character:
        return "&", start + 1
    return character, found.end() + source.startswith(";", found.end())


def _character(found: re.Match[str]) -> str:
    if found["name"] is not None:
        return _NAMED.get(found["name"], "")
    digits, base = (found["decimal"], 10) if found["decimal"] is not None else (found["hexadecimal"], 16)
    code = int(digits, base) if digits else 0
    if code == 0 or code >= 0x10FFFF or len(found[0]) >= 10:
        return ""
    if 0xD800 <= code <= 0xDFFF:
        raise MarkupError(
            "Text contains invalid Unicode characters after decoding HTML entities, "
            "check for unmatched surrogate code units"
        )
    return chr(code)


def _read_name(source: str, start: int) -> int:
    """Return where a tag's name ends."""
    end = start
    while end < len(source) and source[end] not in _SPACES and source[end] != ">":
        end += 1
    return end


def _skip_spaces(source: str, start: int) -> int:
    end = start
    while end < len(source) and source[end] in _SPACES:
        end += 1
    return end


def _read_start_tag(source: str, start: int, open_tags: list[str]) -> int:
    where = f"at byte offset {byte_offset(source, start)}"
    position = _read_name(source, start + 1)
    if position == len(source):
        raise MarkupError(f"Unclosed start tag {where}")
    tag = source[start + 1 : position].lower()
    if tag not in _TAGS:
        raise MarkupError(f'Unsupported start tag "{tag}" {where}')
    classes = ""
    while True:
        position = _skip_spaces(source, position)
        if position == len(source):
            raise MarkupError(f'Unclosed start tag "{tag}" {where}')
        if source[position] == ">":
            break
        attribute = _ATTRIBUTE.match(source, position)
        if attribute is None:
            raise MarkupError(f'Empty attribute name in the tag "{tag}" {where}')
        if attribute["name"] == "class":
            classes = attribute["double"] or attribute["single"] or attribute["token"] or ""
        position = attribute.end()
    if tag == "span" and classes != "tg-spoiler":
        raise MarkupError(f'Tag "span" must have class "tg-spoiler" {where}')
    open_tags.append(tag)
    return position + 1


def _read_end_tag(source: str, start: int, open_tags: list[str]) -> int:
    where = f"at byte offset {byte_offset(source, start)}"
    if not open_tags:
        raise MarkupError(f"Unexpected end tag {where}")
    name_end = _read_name(source, start + 2)
    position = _skip_spaces(source, name_end)
    if not source.startswith(">", position):
        raise MarkupError(f"Unclosed end tag {where}")
    tag = source[start + 2 : name_end].lower()
    if tag and tag != open_tags[-1]:  # Telegram takes `</>` as the end of the innermost tag
        raise MarkupError(f'Unmatched end tag {where}, expected "</{open_tags[-1]}>", found "</{tag}>"')
    open_tags.pop()
    return position + 1
