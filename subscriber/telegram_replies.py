"""What a bot still has to write to people who asked it something, at the pace of the chat's channel.

An alert never runs into a limit because of a reply: each takes its turn at the channel's desk like a message does, and
a wait that Telegram asks for holds the channel. Nothing here blocks: what has no turn yet is looked at again, and what
waited for too long is given up, since whoever asked has long asked again. One thread uses it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bus.clock import Clock
from subscriber.channels.telegram_bot import Said, TelegramBot
from subscriber.channels.telegram_updates import Place
from subscriber.delivery.desk import ChannelDesk
from subscriber.policy.cleaning import cut

#: Half of Telegram's 4096 UTF-16 units: whatever the characters are, they fit.
LONGEST_REPLY: Final = 2048
#: How many wait at most; of a flood of commands each is done, and the last ones are answered.
MOST_WAITING: Final = 20
#: Seconds after which a reply is given up.
GIVEN_UP_SECONDS: Final = 60.0
#: How long the channel leaves its pace alone when Telegram asks for patience and does not say how much.
_DEFAULT_HOLD_SECONDS: Final = 5.0
_RATE_LIMITED: Final = 429
_NOT_MODIFIED: Final = "message is not modified"


@dataclass(frozen=True, slots=True)
class _Reply:
    desk: ChannelDesk
    method: str
    arguments: Mapping[str, Any]
    since: float


class Replies:
    """Those that wait."""

    def __init__(self, bot: TelegramBot, clock: Clock, unanswered: Callable[[str], None]) -> None:
        """Begin without any.

        Args:
            bot: Writes them.
            clock: The daemon's.
            unanswered: Hears why one is given up, in words without secrets.
        """
        self._bot = bot
        self._clock = clock
        self._unanswered = unanswered
        self._waiting: deque[_Reply] = deque()

    def say(self, desk: ChannelDesk, place: Place, text: str) -> None:
        """Write a text, without a sound: it is no alert."""
        arguments: dict[str, Any] = {
            "chat_id": place.chat_id,
            "text": cut(text, LONGEST_REPLY),
            "disable_notification": True,
            "link_preview_options": {"is_disabled": True},
        }
        if place.topic is not None:
            arguments["message_thread_id"] = place.topic
        self._add(desk, "sendMessage", arguments)

    def put_keyboard(self, desk: ChannelDesk, place: Place, message_id: int, keyboard: Mapping[str, Any]) -> None:
        """Replace the buttons below a message."""
        arguments = {"chat_id": place.chat_id, "message_id": message_id, "reply_markup": keyboard}
        self._add(desk, "editMessageReplyMarkup", arguments)

    def send(self) -> float | None:
        """Send those whose turn it is.

        Returns:
            The seconds until the next may go; None where none waits.
        """
        soonest: float | None = None
        blocked: set[str] = set()  # what waits for one chat stays in order
        for reply in list(self._waiting):
            if self._clock.monotonic() - reply.since > GIVEN_UP_SECONDS:
                self._end(reply, "its channel was busy, or Telegram away, for too long")
                continue
            if reply.desk.name in blocked:
                continue
            wait = self._try(reply)
            if wait is not None:
                blocked.add(reply.desk.name)
                soonest = wait if soonest is None else min(soonest, wait)
        return soonest

    def _try(self, reply: _Reply) -> float | None:
        """Send one; return the seconds to wait where it could not go, and None where it has ended."""
        now = self._clock.monotonic()
        wait = reply.desk.turn(now)
        if wait > 0:
            return wait
        said = self._bot.ask(reply.method, dict(reply.arguments))
        reply.desk.answered(now)
        if said.failure is None or _NOT_MODIFIED in said.failure:  # pressed twice: the keyboard is there already
            self._end(reply)
        elif said.code == _RATE_LIMITED:
            hold_seconds = said.retry_after_seconds or _DEFAULT_HOLD_SECONDS
            reply.desk.hold(hold_seconds)
            return hold_seconds
        elif _passes(said):
            return 1.0
        else:
            self._end(reply, said.failure)
        return None

    def _add(self, desk: ChannelDesk, method: str, arguments: Mapping[str, Any]) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._end(self._waiting[0], "too many were asked for at once")
        self._waiting.append(_Reply(desk, method, arguments, self._clock.monotonic()))

    def _end(self, reply: _Reply, why: str | None = None) -> None:
        self._waiting.remove(reply)
        if why is not None:
            self._unanswered(why)


def _passes(said: Said) -> bool:
    """Whether it may work in a moment: nobody answered, or with an error of the server's own."""
    return said.code is None or said.code >= 500
