"""What the rules of every stand-in provider have in common.

Owns the plain values that pass between the server and a provider's rules, and the protocol that those rules
follow. It knows no provider and no socket; rules are called from the server's connection threads, several
at once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl

JSON_TYPE = "application/json"


@dataclass(frozen=True, kw_only=True)
class ProviderRequest:
    """One HTTP request as it arrived; header names are in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def form(self) -> dict[str, str]:
        """Return the fields of a form body; empty unless the content type says that it is one."""
        if not self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return {}
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def json_object(self) -> dict[str, object] | None:
        """Return the body as a JSON object, or None when it is anything else."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message that a provider takes responsibility for.

    Attributes:
        target: chat id, phone number with its `+`, or path of the webhook.
        text: what the recipient reads, after entities parsing; a template's parameters, joined by a space.
        raw_text: what was sent, markup and all.
        silent: the sender asked for no sound.
        failed_code: the provider accepts now and reports this error later; None if it delivers.
    """

    target: str
    text: str
    raw_text: str
    message_id: str
    parse_mode: str | None = None
    silent: bool = False
    template: str | None = None
    parameters: tuple[str, ...] = ()
    failed_code: int | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the rules say to one request: the answer, and the message if they accept one."""

    reply: Reply
    message: Message | None = None


class ProviderRules(Protocol):
    """What the server asks of one provider's rules."""

    def judge(self, request: ProviderRequest, *, fails_later: int | None = None) -> Judgement:
        """Decide on one request; `fails_later` makes an accepted message fail afterwards with that code."""
        ...

    def rate_limited(self, retry_after: int | None) -> Reply:
        """Return the answer to too many requests, in this provider's words."""
        ...

    def error(self, status: int, code: int | None) -> Reply:
        """Return an error answer in this provider's shape; None stands for the provider's usual code."""
        ...

    def ok_false(self) -> Reply:
        """Return an answer with HTTP status 200 whose body says that the request failed."""
        ...


def json_reply(status: int, payload: object, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an answer with a JSON body."""
    return Reply(status=status, body=json.dumps(payload).encode(), headers=headers or {})


def utf16_length(text: str) -> int:
    """Count UTF-16 code units, so an emoji outside the basic plane counts as two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
