"""Takes a channel's secrets out of what people may read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from subscriber.redaction import MASK, Redactor

#: The longest text that an outcome carries.
MAX_DETAIL_CHARACTERS: Final = 300
#: Shorter ones would tear holes into innocent words.
_SHORTEST: Final = 5

_UNREADABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")


class Redaction:
    """Knows the literal secrets of one channel, plain and encoded."""

    def __init__(self, secrets: Iterable[str], *, show_paths: bool) -> None:
        """Prepare for all of them.

        Args:
            secrets: The literal values.
            show_paths: Whether a URL's path is harmless once the secrets are out; a custom service's may be a secret.
        """
        self._secrets = frozenset(secret for secret in secrets if len(secret) >= _SHORTEST)
        self._redactor = Redactor(self._secrets)
        self._show_paths = show_paths

    def learn(self, *secrets: str) -> None:
        """Take out these as well from now on, such as the new id of a group that moved."""
        new = frozenset(secret for secret in secrets if len(secret) >= _SHORTEST)
        if not new <= self._secrets:
            # Two threads that learn at once learn the same: there is one target, and it moves to one place.
            self._secrets |= new
            self._redactor = Redactor(self._secrets)

    def text(self, text: str) -> str:
        """Return one bounded line without secrets."""
        clean = _UNREADABLE.sub(" ", self._redactor.redact(text)).strip()
        clean = clean.encode("utf-8", "replace").decode()  # JSON may hold half a surrogate pair, a database may not
        # Cut after masking, so that no secret's first half is left at the end.
        return clean if len(clean) <= MAX_DETAIL_CHARACTERS else clean[: MAX_DETAIL_CHARACTERS - 1] + "…"

    def url(self, url: str) -> str:
        """Return where a URL leads, without its secrets, user and query."""
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        path = parts.path if self._show_paths else (f"/{MASK}" if parts.path.strip("/") else "")
        return self.text(f"{parts.scheme}://{host}{path}")
