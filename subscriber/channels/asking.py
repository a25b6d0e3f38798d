"""Questions to a provider: requests that send nothing to anybody, in lanes of their own.

A question that hangs, such as a look for a receipt, so never takes a lane from a message. Connections are shared.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from subscriber.channels import verdicts
from subscriber.channels.calls import Call
from subscriber.channels.lanes import SPARE_LANES, Lanes, NoLaneFree, StillRunning
from subscriber.channels.provider_http import ProviderHttp
from subscriber.channels.providers import Probe
from subscriber.channels.redaction import Redaction
from subscriber.channels.requests_seam import routed
from subscriber.channels.verdicts import Answer
from subscriber.deliveries import Outcome, Reason

Result = TypeVar("Result")

#: At most so many at once: one, and those that hang.
LANES: int = 1 + SPARE_LANES


class Questions:
    """Asks one channel's provider; safe for any thread."""

    def __init__(self, name: str, http: ProviderHttp, redaction: Redaction, *, deadline_seconds: float) -> None:
        """Open nothing yet.

        Args:
            name: The channel's name.
            http: The channel's way to its provider.
            redaction: Takes the channel's secrets out of what is told.
            deadline_seconds: The wall clock that a question may take.
        """
        self._http = http
        self._redaction = redaction
        self._deadline_seconds = deadline_seconds
        self._lanes = Lanes(f"{name}:ask", count=LANES)

    def ask(self, question: Probe, read: Callable[[Answer], Result]) -> Result | Outcome:
        """Ask, and return what `read` makes of the answer; without an answer an Outcome. In none is anything in doubt.

        Args:
            question: What to ask.
            read: Called with an answer, in the lane; it returns something and never None.
        """
        call = Call(self._deadline_seconds)
        try:
            return self._lanes.run(
                lambda: self._asked(call, question, read),
                seconds=self._deadline_seconds,
                give_up=call.give_up,
                late=lambda _: None,  # whoever asks asks again
            )
        except NoLaneFree:
            return Outcome(Reason.NETWORK, "nothing was asked: all threads still hang in earlier questions")
        except StillRunning:
            return self._unanswered(call)

    def close(self) -> None:
        """Let the lanes end."""
        self._lanes.close()

    def _asked(self, call: Call, question: Probe, read: Callable[[Answer], Result]) -> Result | Outcome:
        # Every exception of requests is an OSError; the exchange says what happened.
        with routed(self._http, call), contextlib.suppress(OSError):
            self._http.request(call, "GET", question.url, headers=question.headers, auth=question.auth)
        exchange = call.last
        if exchange is None or not exchange.answered:
            return self._unanswered(call)
        told = read(Answer(exchange, taken=True))
        return replace(told, in_doubt=False) if isinstance(told, Outcome) else told

    def _unanswered(self, call: Call) -> Outcome:
        return replace(verdicts.without_answer(call, call.last, self._redaction), in_doubt=False)
