"""Takes secrets out of texts, in every form in which a library writes them. Pure."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Collection, Iterator
from typing import Final

MASK: Final = "***"
#: Characters below which a piece of base64 would match ordinary text.
_SHORTEST_BASE64: Final = 6


class Redactor:
    """Replaces secrets by `***`: plain, percent-encoded, escaped (JSON, Python, HTML; also twice), inside base64."""

    def __init__(self, secrets: Collection[str]) -> None:
        """Prepare for these secrets; an empty one is none."""
        texts = {text for secret in secrets if secret.strip() for text in _texts(secret.strip())}
        # The longest first: where one begins with another, the rest of it must not stay.
        ordered = sorted(texts, key=lambda text: (-len(text), text))
        patterns = ("".join(map(_character, text)) for text in ordered)
        self._pattern = re.compile("|".join(patterns)) if ordered else None

    def redact(self, text: str) -> str:
        """Return the text without any secret."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)


def _texts(secret: str) -> Iterator[str]:
    yield secret
    content = secret.encode("utf-8", "surrogatepass")
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + content).decode()
        # In the middle of other bytes, such as `user:password`, the first and the last character may hold bits of
        # the neighbours; all between are the secret's alone, in one of three alignments.
        core = encoded[-(-before * 8 // 6) : (before + len(content)) * 8 // 6]
        if len(core) >= _SHORTEST_BASE64:
            yield core
            yield core.translate({ord("+"): "-", ord("/"): "_"})


def _character(character: str) -> str:
    """Return the pattern of one character in all its forms; an escape may itself have been escaped."""
    literal = re.escape(character)
    if character.isascii() and character.isalnum():
        return literal
    content = character.encode("utf-8", "surrogatepass")
    forms = ["".join(rf"%(?:25)*(?i:{byte:02x})" for byte in content)]
    units = character.encode("utf-16-be", "surrogatepass").hex()
    forms.append("".join(rf"\\+u(?i:{units[start : start + 4]})" for start in range(0, len(units), 4)))
    forms.append(rf"\\+U(?i:{ord(character):08x})")
    if ord(character) < 0x100:
        forms.append(rf"\\+x(?i:{ord(character):02x})")
    if html.escape(character) != character:
        forms.append(rf"&(?:amp;)*{re.escape(html.escape(character)[1:])}")
    if character == " ":
        forms.append(r"\+")
    # The literal last: with its backslashes it would also match a part of what the others match whole.
    forms.append(rf"\\+{'' if character == chr(92) else literal}")
    forms.append(literal)
    return f"(?:{'|'.join(forms)})"
