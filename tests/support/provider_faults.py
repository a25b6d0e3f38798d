"""What can go wrong between a client and a provider, as values to script.

Owns the vocabulary of faults; the server's connection threads carry them out. A fault never sleeps: what
takes time waits on an event that `release()` or the closing of the server sets.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from tests.support.provider_rules import ProviderRules, Reply


class Ending(Enum):
    """How the connection goes on after a request."""

    ANSWER = "answer"
    DROP = "drop"
    RESET = "reset"
    RESET_UNREAD = "reset unread"


class Hold:
    """A pause that ends after some seconds, by `release()`, or when the server closes."""

    def __init__(self, seconds: float | None, *, after_accepting: bool) -> None:
        self.seconds = seconds
        self.after_accepting = after_accepting
        self.released = threading.Event()

    def wait(self) -> None:
        """Block the connection's thread until the pause is over."""
        self.released.wait(self.seconds)


@dataclass(frozen=True)
class Drip:
    """An answer that trickles: so many bytes, then a pause, and so on."""

    chunk_bytes: int
    interval_seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Fault:
    """What happens to one request instead of, or on top of, the provider's rules.

    Attributes:
        judged: the rules see the request and may accept it.
        reply: makes the answer that replaces the one of the rules.
        fails_later: an accepted message fails afterwards with this code.
        method: the only HTTP method that meets it; None is any.
    """

    name: str
    judged: bool = False
    reply: Callable[[ProviderRules], Reply] | None = None
    ending: Ending = Ending.ANSWER
    hold: Hold | None = None
    drip: Drip | None = None
    fails_later: int | None = None
    method: str | None = None

    def release(self) -> None:
        """End the pause of a hang, now and for every later request that meets it."""
        if self.hold is not None:
            self.hold.released.set()


def for_posts(fault: Fault) -> Fault:
    """Let only a POST meet a fault, which is how messages are sent; what asks about them goes on undisturbed."""
    return replace(fault, method="POST")


def ok() -> Fault:
    """No fault: the rules decide, for a good request between two bad ones in a script."""
    return Fault(name="ok", judged=True)


def rate_limited(retry_after: int | None = None) -> Fault:
    """Too many requests in the provider's own words; None leaves out how long to wait."""
    return Fault(name="rate_limited", reply=lambda rules: rules.rate_limited(retry_after))


def error(
    status: int,
    *,
    code: int | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Fault:
    """An error with this HTTP status: the provider's body for `code`, or `body` as it is."""
    if body is None:
        return Fault(name="error", reply=lambda rules: rules.error(status, code))
    raw = Reply(status=status, body=body, content_type="text/html", headers=headers or {})
    return Fault(name="error", reply=lambda _rules: raw)


def hang(seconds: float | None = None, *, accept_first: bool = False) -> Fault:
    """Read the request and stay silent, then serve it; with `accept_first` the message counts at once."""
    return Fault(name="hang", judged=True, hold=Hold(seconds, after_accepting=accept_first))


def stall(seconds: float, status: int = 503) -> Fault:
    """Read the request, stay silent, and then answer with an error; nothing is ever accepted."""
    hold = Hold(seconds, after_accepting=False)
    return Fault(name="stall", hold=hold, reply=lambda rules: rules.error(status, None))


def drip(chunk_bytes: int, interval_seconds: float) -> Fault:
    """Serve the request, but let the whole answer, status line included, trickle."""
    return Fault(name="drip", judged=True, drip=Drip(chunk_bytes, interval_seconds))


def reset_before_reading() -> Fault:
    """Reset the connection once the headers tell whom the request is for; its body is never read."""
    return Fault(name="reset_before_reading", ending=Ending.RESET_UNREAD)


def reset_after_reading() -> Fault:
    """Read the whole request, accept nothing, and reset the connection."""
    return Fault(name="reset_after_reading", ending=Ending.RESET)


def accept_then_drop() -> Fault:
    """Accept the message and close the connection without an answer."""
    return Fault(name="accept_then_drop", judged=True, ending=Ending.DROP)


def ok_false() -> Fault:
    """HTTP status 200 with a body that says no; nothing is accepted."""
    return Fault(name="ok_false", reply=lambda rules: rules.ok_false())


def garbage(body: bytes = b"<html>\xff\xfe not json", *, accept: bool = False) -> Fault:
    """HTTP status 200 with a body that nobody can read, for a message that is accepted or not."""
    unreadable = Reply(status=200, body=body)
    return Fault(name="garbage", judged=accept, reply=lambda _rules: unreadable)


def redirect(location: str = "/elsewhere", *, status: int = 302) -> Fault:
    """Send the client somewhere else; `server.elsewhere` records who follows."""
    moved = Reply(status=status, body=b"", headers={"Location": location})
    return Fault(name="redirect", reply=lambda _rules: moved)


def fails_later(code: int) -> Fault:
    """Accept the message and report `code` later: when its status is asked for, or by callback or webhook."""
    return Fault(name="fails_later", judged=True, fails_later=code)
