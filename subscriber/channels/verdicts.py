"""From what happened on the wire to an `Outcome`: what all providers have in common, and the table of all others. Pure.

Nothing here reads a log line: status, headers and body of the exchange decide, and whether bytes had been written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

from subscriber.channels.calls import Call, Exchange
from subscriber.channels.redaction import Redaction
from subscriber.deliveries import Outcome, Reason

#: A provider that asks for more is taken to mean this.
LONGEST_WAIT_SECONDS: Final = 7 * 86_400.0

#: A WhatsApp id has about 60 characters; whatever comes has to fit a database column.
_LONGEST_ID: Final = 256


@dataclass(frozen=True, slots=True)
class Row:
    """What one answer of a provider means, and where that is written."""

    reason: Reason
    meaning: str  #: in the provider's words, shortened
    source: str  #: an address, or a document and its section
    #: Whether it may have been sent all the same; None: as the reason says, and only `unavailable` leaves a doubt.
    in_doubt: bool | None = None


#: The statuses of any service. What is not in it: 2xx and 3xx may have been sent, other 4xx are refused for good, and
#: 5xx is unavailable and in doubt: no document says of any of them that the request was not processed, not even of a
#: 503 with Retry-After (RFC 9110, 15.6.4), whose wait is obeyed.
GENERAL_STATUSES: Final[Mapping[int, Row]] = {
    401: Row(Reason.UNAUTHORIZED, "it lacks valid authentication credentials", "RFC 9110, 15.5.2"),
    402: Row(Reason.UNAUTHORIZED, "payment required: of the account, so of each message", "RFC 9110, 15.5.3"),
    403: Row(Reason.UNAUTHORIZED, "understood, and refused", "RFC 9110, 15.5.4"),
    404: Row(Reason.UNAUTHORIZED, "nobody is there: a deleted webhook, a wrong address", "RFC 9110, 15.5.5"),
    407: Row(Reason.NETWORK, "the proxy wants credentials; the service never saw the request", "RFC 9110, 15.5.8"),
    408: Row(Reason.NETWORK, "no complete request came in time", "RFC 9110, 15.5.9"),
    410: Row(Reason.UNAUTHORIZED, "gone, and likely for good", "RFC 9110, 15.5.11"),
    421: Row(Reason.NETWORK, "came to a server that does not answer for this host", "RFC 9110, 15.5.20"),
    425: Row(Reason.NETWORK, "not processed: it might be a replay", "RFC 8470, 5.2"),
    429: Row(Reason.RATE_LIMITED, "too many requests in a given time", "RFC 6585, 4"),
    511: Row(
        Reason.NETWORK, "the network wants a login; only what stands in front of a service says so", "RFC 6585, 6"
    ),
}


class Answer:
    """A provider's answer, with its body read as JSON where it is JSON."""

    def __init__(self, exchange: Exchange, *, taken: bool) -> None:
        """Parse the body once.

        Args:
            exchange: What happened.
            taken: Whether the plugin calls it a success; some read the body, such as Slack's `ok: false`.
        """
        self.taken = taken
        self.status = exchange.status or 0
        self.headers = exchange.headers
        self.request_body = exchange.request_body
        self.json = _json_object(exchange)
        self._body = exchange.body

    def wait_seconds(self, *in_body: Any) -> float | None:
        """Return the provider's own wait, from the first of these body fields or the Retry-After header."""
        for value in in_body:
            seconds = _seconds(value)
            if seconds is not None:
                return seconds
        header = self.headers.get("retry-after", "")
        return _seconds(header) if header.replace(".", "", 1).isdigit() else self._until(header)

    def _until(self, date: str) -> float | None:
        """Return the seconds to an HTTP date by the provider's own clock, since ours may differ."""
        try:
            wait = parsedate_to_datetime(date) - parsedate_to_datetime(self.headers.get("date", ""))
        except (TypeError, ValueError):
            return None
        return _seconds(max(0.0, wait.total_seconds()))

    def words(self) -> str:
        """Return what a service of any kind says of itself: its status, and its text unless that is a page."""
        try:
            phrase = f"HTTP {self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            phrase = f"HTTP {self.status}"
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("application/json", "text/plain") or not self._body:
            return phrase
        return f"{phrase}: {self._body[:1000].decode('utf-8', 'replace')}"


def without_answer(call: Call, exchange: Exchange | None, redaction: Redaction) -> Outcome:
    """Judge an exchange that ended without an answer, or that never began."""
    if exchange is None or not exchange.written:
        failure = exchange.failure if exchange is not None else None
        late = f"no connection within {call.deadline_seconds:g} s" if call.given_up else "no request was made"
        return Outcome(Reason.NETWORK, redaction.text(f"nothing was sent: {failure or late}"))
    detail = exchange.failure or f"no answer within {call.deadline_seconds:g} s"
    return Outcome(Reason.TIMEOUT, redaction.text(detail), status=exchange.status, in_doubt=True)


def accepted(answer: Answer, message_id: Any) -> Outcome:
    """Build the outcome of an accepted message, with the provider's id of it."""
    shown = str(message_id)[:_LONGEST_ID] if isinstance(message_id, int | str) else ""
    return Outcome(
        Reason.ACCEPTED, status=answer.status, provider_message_id=shown.encode("ascii", "replace").decode() or None
    )


def outcome(
    reason: Reason,
    answer: Answer,
    detail: str,
    *,
    code: Any = None,
    wait_seconds: float | None = None,
    in_doubt: bool | None = None,
) -> Outcome:
    """Build the outcome of an answer; only an unavailable provider leaves a doubt, unless `in_doubt` says otherwise."""
    return Outcome(
        reason,
        detail,
        status=answer.status,
        code=str(code) if isinstance(code, int) else None,  # of all three providers a number
        retry_after_seconds=wait_seconds if wait_seconds is not None else _waits(reason, answer),
        in_doubt=reason is Reason.UNAVAILABLE if in_doubt is None else in_doubt,
    )


def unreadable(answer: Answer) -> Outcome:
    """Judge a success whose body does not say so: it may have been sent, and a repeat is better than a loss."""
    return outcome(Reason.UNAVAILABLE, answer, f"HTTP {answer.status} with an unreadable answer")


def by_status(answer: Answer) -> Reason:
    """Return what a status means where no code says more; a redirect is not followed, and may have been processed."""
    if answer.status in GENERAL_STATUSES:
        return GENERAL_STATUSES[answer.status].reason
    return Reason.REJECTED if 400 <= answer.status < 500 else Reason.UNAVAILABLE


def general(answer: Answer, redaction: Redaction) -> Outcome:
    """Judge an answer of a service that has no table of its own."""
    detail = redaction.text(answer.words())
    if answer.taken:
        return Outcome(Reason.ACCEPTED, detail, status=answer.status)
    wait = answer.wait_seconds(answer.json.get("retry_after"))  # in seconds at Discord and Telegram
    return outcome(by_status(answer), answer, detail, wait_seconds=wait)


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one for anything else: providers' errors have holes."""
    return value if isinstance(value, dict) else {}


def _waits(reason: Reason, answer: Answer) -> float | None:
    return answer.wait_seconds() if reason in (Reason.RATE_LIMITED, Reason.UNAVAILABLE) else None


def _json_object(exchange: Exchange) -> Mapping[str, Any]:
    try:
        value = json.loads(exchange.body) if exchange.body and not exchange.truncated else {}
    except (ValueError, RecursionError):
        return {}
    return mapping(value)


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return min(seconds, LONGEST_WAIT_SECONDS) if math.isfinite(seconds) and seconds >= 0 else None
