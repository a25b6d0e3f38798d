"""The internet of the tests: one HTTP/1.1 server on loopback that stands in for every provider.

Owns the listening socket, its connection threads and a desk per provider; which desk gets a request is
decided by the path alone. Speaks keep-alive, and TLS when given a context. Nothing outlives `close()`: hangs
end, connections are cut, and an error of the server itself is raised there, so no test passes over it.

    with ProviderServer() as server:
        server.telegram.script(rate_limited(30))
        ...
        server.wait_for_accepted(1, provider="telegram")

As a process, `python -m tests.support.provider_server --port N [--log FILE]` prints one JSON line for each
accepted message before its sender hears of it; FILE is synced line by line, so it tells the truth after a kill.
With `--steered` it takes faults from standard input, as `provider_steering` says.
"""

import argparse
import json
import os
import re
import signal
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from tests.support.hook_rules import ElsewhereRules, HookRules
from tests.support.meta_rules import (
    META_APP_SECRET,
    META_NOT_ALLOWED,
    META_NOT_ON_WHATSAPP,
    META_OUTSIDE_WINDOW,
    META_PHONE_ID,
    META_RECIPIENT,
    META_TEMPLATE,
    META_TEMPLATE_LANGUAGE,
    META_TEMPLATE_OF_THREE,
    META_TOKEN,
    META_VERIFY_TOKEN,
    MetaRules,
)
from tests.support.provider_desk import AcceptedMessage, ProviderDesk, RecordedRequest
from tests.support.provider_listener import ProviderListener
from tests.support.provider_rules import ProviderRules
from tests.support.provider_steering import steer
from tests.support.telegram_rules import (
    TELEGRAM_BLOCKED_CHAT,
    TELEGRAM_CHAT,
    TELEGRAM_DEACTIVATED_CHAT,
    TELEGRAM_GROUP,
    TELEGRAM_KICKED_GROUP,
    TELEGRAM_TOKEN,
    TELEGRAM_UNKNOWN_CHAT,
    TELEGRAM_UPGRADED_GROUP,
    TELEGRAM_UPGRADED_TO,
    TelegramRules,
)
from tests.support.twilio_rules import (
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_CONTENT_SID,
    TWILIO_CONTENT_SID_OF_ONE,
    TWILIO_MESSAGING_SERVICE_SID,
    TWILIO_NOT_JOINED,
    TWILIO_OPTED_OUT,
    TWILIO_OUTSIDE_WINDOW,
    TWILIO_RECIPIENT,
    TWILIO_SANDBOX_SENDER,
    TWILIO_SENDER,
    TwilioRules,
)

__all__ = [
    "META_APP_SECRET",
    "META_NOT_ALLOWED",
    "META_NOT_ON_WHATSAPP",
    "META_OUTSIDE_WINDOW",
    "META_PHONE_ID",
    "META_RECIPIENT",
    "META_TEMPLATE",
    "META_TEMPLATE_LANGUAGE",
    "META_TEMPLATE_OF_THREE",
    "META_TOKEN",
    "META_VERIFY_TOKEN",
    "TELEGRAM_BLOCKED_CHAT",
    "TELEGRAM_CHAT",
    "TELEGRAM_DEACTIVATED_CHAT",
    "TELEGRAM_GROUP",
    "TELEGRAM_KICKED_GROUP",
    "TELEGRAM_TOKEN",
    "TELEGRAM_UNKNOWN_CHAT",
    "TELEGRAM_UPGRADED_GROUP",
    "TELEGRAM_UPGRADED_TO",
    "TWILIO_ACCOUNT_SID",
    "TWILIO_AUTH_TOKEN",
    "TWILIO_CONTENT_SID",
    "TWILIO_CONTENT_SID_OF_ONE",
    "TWILIO_MESSAGING_SERVICE_SID",
    "TWILIO_NOT_JOINED",
    "TWILIO_OPTED_OUT",
    "TWILIO_OUTSIDE_WINDOW",
    "TWILIO_RECIPIENT",
    "TWILIO_SANDBOX_SENDER",
    "TWILIO_SENDER",
    "AcceptedMessage",
    "ProviderServer",
    "RecordedRequest",
]

_META_PATH = re.compile(r"/v\d+\.\d+/")


class ProviderServer:
    """Telegram, Twilio, Meta and a webhook behind one loopback address."""

    def __init__(
        self,
        *,
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        on_accepted: Callable[[AcceptedMessage], None] | None = None,
        telegram: TelegramRules | None = None,
    ) -> None:
        """Prepare; `telegram` are rules of the test's own, such as ones with limits."""
        self._port = port
        self._ssl_context = ssl_context
        self._changed = threading.Condition()
        self.telegram = ProviderDesk("telegram", telegram or TelegramRules(), self._changed, on_accepted)
        self.twilio = ProviderDesk("twilio", TwilioRules(), self._changed, on_accepted)
        self.meta = ProviderDesk("meta", MetaRules(), self._changed, on_accepted)
        self.hook = ProviderDesk("hook", HookRules(), self._changed, on_accepted)
        self.elsewhere = ProviderDesk("elsewhere", ElsewhereRules(), self._changed, None)
        self._desks: dict[str, ProviderDesk[ProviderRules]] = {
            desk.name: desk for desk in (self.telegram, self.twilio, self.meta, self.hook, self.elsewhere)
        }
        self._listener: ProviderListener | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Listen; `url` and `port` are known from here on."""
        self._listener = ProviderListener(self._port, self._desk_for, self._ssl_context)
        self._listener.start()

    def close(self) -> None:
        """Cut everything off; records and `url`, where nobody answers any more, stay.

        Raises:
            ExceptionGroup: the server itself failed while it served.
        """
        if self._listener is not None:
            self._listener.close(self._end_hangs)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._started().port

    @property
    def url(self) -> str:
        """Where the server is, such as http://127.0.0.1:40123, without a path."""
        scheme = "http" if self._ssl_context is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many TCP connections were ever accepted."""
        return self._started().connections

    def _started(self) -> ProviderListener:
        if self._listener is None:
            raise RuntimeError("the provider server was never started")
        return self._listener

    @property
    def accepted(self) -> list[AcceptedMessage]:
        """Every accepted message of every provider, in order of time."""
        with self._changed:
            return sorted(
                (message for desk in self._desks.values() for message in desk.accepted),
                key=lambda message: message.at,
            )

    def wait_for_accepted(
        self, count: int, *, provider: str | None = None, timeout: float = 60.0
    ) -> list[AcceptedMessage]:
        """Wait until so many messages are accepted, by one provider or by all, and return them.

        Raises:
            AssertionError: they were not in time; it says what came instead.
        """
        self._wait(lambda: len(self._accepted(provider)) >= count, f"{count} accepted messages", timeout)
        return self._accepted(provider)

    def wait_for_requests(
        self, count: int, *, provider: str | None = None, timeout: float = 60.0
    ) -> list[RecordedRequest]:
        """Wait until so many requests have arrived, answered or not, and return them.

        Raises:
            AssertionError: they did not in time; it says what came instead.
        """
        self._wait(lambda: len(self._requests(provider)) >= count, f"{count} requests", timeout)
        return self._requests(provider)

    def _wait(self, happened: Callable[[], bool], what: str, timeout: float) -> None:
        with self._changed:
            if not self._changed.wait_for(happened, timeout):
                seen = [f"{request.endpoint}: {request.verdict}" for request in self._requests(None)]
                raise AssertionError(f"no {what} within {timeout} s; requests so far: {seen}")

    def _accepted(self, provider: str | None) -> list[AcceptedMessage]:
        return self.accepted if provider is None else self._desks[provider].accepted

    def _requests(self, provider: str | None) -> list[RecordedRequest]:
        desks = self._desks.values() if provider is None else [self._desks[provider]]
        return [request for desk in desks for request in desk.requests]

    def _desk_for(self, path: str) -> ProviderDesk[ProviderRules]:
        if path.startswith("/bot"):
            return self._desks["telegram"]
        if path.startswith("/2010-04-01/"):
            return self._desks["twilio"]
        if _META_PATH.match(path):
            return self._desks["meta"]
        return self._desks["hook" if path == "/hook" or path.startswith("/hook/") else "elsewhere"]

    def _end_hangs(self) -> None:
        for desk in self._desks.values():
            desk.release_all()
        self.telegram.rules.inbox.release()


class _Printer:
    """Writes accepted messages, one JSON line each, to standard output and perhaps a file."""

    def __init__(self, log: Path | None) -> None:
        self._log = None if log is None else log.open("a", encoding="utf-8")

    def __call__(self, message: AcceptedMessage) -> None:
        line = json.dumps(asdict(message)) + "\n"
        sys.stdout.write(line)
        sys.stdout.flush()
        if self._log is not None:
            self._log.write(line)
            self._log.flush()
            os.fsync(self._log.fileno())

    def close(self) -> None:
        if self._log is not None:
            self._log.close()


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; where is said on standard error."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.provider_server")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--log", type=Path, help="append accepted messages here as well, synced to disk")
    parser.add_argument("--steered", action="store_true", help="take faults from standard input, a JSON line each")
    options = parser.parse_args(arguments)
    stopped = threading.Event()
    wrong_orders: list[Exception] = []

    def ended(wrong: Exception | None) -> None:
        if wrong is not None:
            wrong_orders.append(wrong)
        stopped.set()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    printer = _Printer(options.log)
    with ProviderServer(port=options.port, on_accepted=printer) as server:
        sys.stderr.write(f"listening on {server.url}\n")
        sys.stderr.flush()
        if options.steered:
            steer(sys.stdin, {desk.name: desk for desk in (server.telegram, server.twilio, server.meta)}, ended)
        while not stopped.wait(0.5):  # on Windows a wait without a limit cannot be interrupted
            pass
    printer.close()
    if wrong_orders:
        sys.stderr.write(f"an order could not be followed: {wrong_orders[0]!r}\n")
    return 2 if wrong_orders else 0


if __name__ == "__main__":
    sys.exit(main())
