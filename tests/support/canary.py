"""Looks for secrets in whatever a program wrote, in every form in which a library or a provider may write them. Pure.

The forms are made here on their own, not by the redactor, whose mistakes would then be made twice.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

#: A shorter piece of base64 would be found in innocent text.
_SHORTEST_BASE64 = 8
_PERCENT = re.compile(rb"%[0-9A-F]{2}")


@dataclass(frozen=True)
class Leak:
    """One secret that was found: whose it is, in which form, where, and what stands around it without the secret."""

    secret: str
    form: str
    place: str
    context: str


def forms(secret: str) -> dict[str, bytes]:
    """Return what a secret looks like, by the form's name; forms that look alike are there once."""
    content = secret.encode()
    escaped = json.dumps(secret)[1:-1]
    found = {
        "plain": content,
        "percent": quote(secret, safe="").encode(),
        "path": quote(secret).encode(),
        "path with colons": quote(secret, safe="/:@").encode(),
        "query": quote_plus(secret).encode(),
        "percent, whole": "".join(f"%{byte:02X}" for byte in content).encode(),
        "percent, twice": quote(quote(secret, safe=""), safe="").encode(),
        "json": escaped.encode(),
        "json with slashes escaped": escaped.replace("/", "\\/").encode(),
        "json, twice": json.dumps(escaped)[1:-1].encode(),
        "json, whole": "".join(f"\\u{ord(character):04x}" for character in secret).encode(),
        "json, whole, in capitals": "".join(f"\\u{ord(character):04X}" for character in secret).encode(),
        "python": repr(secret)[1:-1].encode(),
        "html": html.escape(secret).encode(),
        "hex": content.hex().encode(),
        "hex in capitals": content.hex().upper().encode(),
        "hex with colons": content.hex(":").encode(),
        "utf-16": secret.encode("utf-16-le"),
    }
    for name in [name for name in found if name.startswith(("p", "query"))]:
        found[f"{name}, in small letters"] = _PERCENT.sub(lambda one: one[0].lower(), found[name])
    for offset, core in enumerate(_base64_cores(content)):
        found[f"base64 at {offset}"] = core
        found[f"base64 for addresses at {offset}"] = core.translate(bytes.maketrans(b"+/", b"-_"))
    return {name: form for form, name in {form: name for name, form in reversed(found.items())}.items()}


def echo_of(secrets: Iterable[str]) -> str:
    """Return a text such as a provider's error may have: secrets as they came, percent-encoded, escaped, in base64."""
    named = ("plain", "percent", "percent, in small letters", "path", "json", "html", "base64 at 0")
    return " ".join(
        form.decode() for secret in secrets for name, form in forms(secret).items() if name in named
    ) + " ".join(base64.b64encode(f"user:{secret}".encode()).decode() for secret in secrets)


class Canary:
    """Knows secrets by harmless names, and finds them."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """Prepare for these secrets."""
        self._forms = {name: forms(secret) for name, secret in secrets.items()}

    def leaks(self, evidence: Mapping[str, bytes]) -> list[Leak]:
        """Return what was found in what was written, by the place where it was written; one leak per place and form."""
        return [leak for place, written in evidence.items() for leak in self._in(place, written)]

    def _in(self, place: str, written: bytes) -> Iterator[Leak]:
        for secret, looks in self._forms.items():
            for form, look in looks.items():
                at = written.find(look)
                if at >= 0:
                    before, after = written[max(0, at - 80) : at], written[at + len(look) : at + len(look) + 40]
                    yield Leak(secret, form, place, f"{before!r} <{secret}> {after!r}")


def _base64_cores(content: bytes) -> Iterator[bytes]:
    """Return the characters of base64 that are the content's alone, whatever stands before and after it."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + content)
        core = whole[-(-before * 8 // 6) : (before + len(content)) * 8 // 6]
        if len(core) >= _SHORTEST_BASE64:
            yield core
