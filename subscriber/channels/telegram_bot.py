"""A bot's other side: asks Telegram what people wrote to it, and answers them.

It has a connection, lanes and deadlines of its own, so that a question that lasts half a minute never takes anything
from a message. One thread uses it; any thread may end what it waits for. Nothing here logs; what it returns holds no
secret. Sources: core.telegram.org/bots/api#getupdates and #making-requests.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from hashlib import blake2b
from typing import Any, Final

from subscriber.channels.calls import Call, Exchange, calling
from subscriber.channels.channel import TelegramConfig
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.channels.lanes import Lanes, NoLaneFree, StillRunning
from subscriber.channels.provider_http import ProviderHttp, quieten
from subscriber.channels.redaction import Redaction
from subscriber.channels.telegram_updates import ALLOWED_UPDATES
from subscriber.channels.verdicts import Answer, mapping

#: The wall clock that a question may take beyond the time for which Telegram was asked to hold it.
DEADLINE_SECONDS: Final = 15.0
#: How many updates one answer may have: twenty long ones are below what is read of an answer.
MOST_UPDATES: Final = 20
#: One for the request, one for the next while a name server keeps the first.
_LANES: Final = 2
_ORIGIN: Final = "https://api.telegram.org"
_HEADERS: Final = {"User-Agent": "alertbus", "Content-Type": "application/json"}
_FIRST_UPDATE: Final = re.compile(rb'"update_id"\s*:\s*([0-9]{1,10})\b')


@dataclass(frozen=True, slots=True)
class Said:
    """What Telegram answered."""

    result: Any = None
    failure: str | None = None  #: why there is no result, without secrets
    code: int | None = None  #: Telegram's own `error_code`
    retry_after_seconds: float | None = None
    at_seconds: float | None = None  #: when, by Telegram's clock, since 1970
    too_long: bool = False  #: the answer was longer than what is read of one
    first_update: int | None = None  #: of an answer that was too long


class TelegramBot:
    """One bot."""

    def __init__(
        self,
        token: str,
        environment: HttpEnvironment,
        *,
        base_url: str = _ORIGIN,
        secrets: Iterable[str] = (),
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        """Open nothing yet.

        Args:
            token: The bot's.
            environment: Proxies and trust.
            base_url: Where the Bot API is.
            secrets: What nobody may read beside the token: the ids of the bot's chats.
            deadline_seconds: The wall clock that a question may take beyond the time for which it is to be held.
        """
        self._url = f"{_ORIGIN}/bot{token}"
        self._deadline_seconds = deadline_seconds
        self._redaction = Redaction((token, token.partition(":")[2], *secrets), show_paths=True)
        origins = {_ORIGIN: base_url}
        self._http = ProviderHttp(environment, self._redaction, connections=_LANES, origins=origins)
        self._lanes = Lanes("telegram-commands", count=_LANES)
        self._lock = threading.Lock()
        self._call: Call | None = None
        self._ended = False
        #: Tells bots and their servers apart without telling which they are: update ids are the server's own.
        self.digest = blake2b(base_url.encode(), key=blake2b(token.encode()).digest(), digest_size=8).hexdigest()

    @classmethod
    def of(cls, configs: Iterable[TelegramConfig], environment: HttpEnvironment) -> TelegramBot:
        """Return the bot of some chats, at least one, that all have the same token and base URL."""
        known = list(configs)
        chats = [form for config in known for form in (config.chat_id, config.chat_id.removeprefix("-"))]
        return cls(known[0].token, environment, base_url=known[0].base_url, secrets=chats)

    def prepare(self) -> None:
        """Read the CA bundle, so that a fault is told at the start.

        Raises:
            ConfigurationError: It can't be read.
        """
        quieten()  # urllib3 logs each path at DEBUG
        self._http.prepare()

    def updates(self, offset: int | None, *, hold_seconds: int, limit: int = MOST_UPDATES) -> Said:
        """Ask what people did; the result is a list of what may be updates.

        Args:
            offset: The id of the first that is wanted: all before it are confirmed, and gone; None for all there are.
            hold_seconds: For how long Telegram may wait for one.
            limit: How many at most.
        """
        arguments: dict[str, Any] = {"timeout": hold_seconds, "limit": limit, "allowed_updates": list(ALLOWED_UPDATES)}
        if offset is not None:
            arguments["offset"] = offset
        said = self.ask("getUpdates", arguments, hold_seconds=hold_seconds)
        if said.failure is None and not isinstance(said.result, list):
            return Said(failure="an answer without updates")
        return said

    def ask(self, method: str, arguments: dict[str, Any] | None = None, *, hold_seconds: float = 0.0) -> Said:
        """Call a method of the Bot API.

        Args:
            method: Its name.
            arguments: What it takes.
            hold_seconds: For how long Telegram may wait before it answers.
        """
        seconds = hold_seconds + self._deadline_seconds
        call = Call(seconds)
        with self._lock:
            self._call = call
            if self._ended:
                call.give_up()
        try:
            return self._lanes.run(
                partial(self._asked, call, method, json.dumps(arguments or {})),
                seconds=seconds,
                give_up=call.give_up,
                late=_forget,
            )
        except NoLaneFree:
            return Said(failure="earlier requests still hang")
        except StillRunning:
            return Said(failure=f"no answer within {seconds:g} s")
        finally:
            with self._lock:
                self._call = None

    def end(self) -> None:
        """End what is waited for, and every question from now on, at once; may be called twice."""
        with self._lock:
            self._ended = True
            call = self._call
        if call is not None:
            call.give_up()

    def close(self) -> None:
        """Close the connections and let the lanes end."""
        self.end()
        self._lanes.close()
        self._http.close()

    def _asked(self, call: Call, method: str, arguments: str) -> Said:
        # Every exception of the request is an OSError, and may quote the token; the exchange says what happened.
        with calling(call), contextlib.suppress(OSError):
            self._http.request(call, "POST", f"{self._url}/{method}", data=arguments, headers=_HEADERS)
        exchange = call.last
        if exchange is None or exchange.status is None or not exchange.answered:
            failure = exchange.failure if exchange is not None else None
            return Said(failure=self._redaction.text(failure or "no request was made"))
        return self._said(exchange)

    def _said(self, exchange: Exchange) -> Said:
        answer = Answer(exchange, taken=True)
        at_seconds = _date(exchange.headers.get("date", ""))
        if answer.json.get("ok") is True:
            return Said(answer.json.get("result"), at_seconds=at_seconds)
        if exchange.truncated:
            found = _FIRST_UPDATE.search(exchange.body)
            first = int(found[1]) if found else None
            return Said(failure="an answer that is too long", too_long=True, first_update=first)
        if answer.json.get("ok") is not False:
            return Said(failure=self._redaction.text(answer.words()), code=answer.status)
        code = answer.json.get("error_code", answer.status)
        wait = answer.wait_seconds(mapping(answer.json.get("parameters")).get("retry_after"))
        return Said(
            failure=self._redaction.text(str(answer.json.get("description") or answer.words())),
            code=code if isinstance(code, int) else answer.status,
            retry_after_seconds=wait,
        )


def _date(header: str) -> float | None:
    try:
        return parsedate_to_datetime(header).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _forget(_said: Said) -> None:
    """Drop what comes after the deadline: whoever asks asks again."""
