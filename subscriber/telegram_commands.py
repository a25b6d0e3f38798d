"""Hears what people write to a bot and which buttons they press, has it done, and answers: by long polling.

One thread for one bot, with a connection of its own: whatever happens here, alerts go on. Only the configured chats are
heard; what comes from anywhere else is counted and never answered, and neither is a chat that anybody may join. What
was heard is confirmed to Telegram only after it was done, so a command is done at least once, over restarts too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import tzinfo
from random import Random
from typing import Final

from bus.clock import MICROSECONDS, Clock
from subscriber.channels.telegram_bot import MOST_UPDATES, Said, TelegramBot
from subscriber.channels.telegram_updates import Pressed, Unread, Update, Written, keyboard_of, read_update
from subscriber.channels.verdicts import mapping
from subscriber.errors import StoreError
from subscriber.logs import OncePerMinute
from subscriber.policy.cleaning import cut
from subscriber.telegram_actions import Actions, Answered, Person
from subscriber.telegram_chats import Chat, Chats
from subscriber.telegram_kept import Kept
from subscriber.telegram_replies import Replies

logger = logging.getLogger(__name__)

#: What became of an update, or of a reply; a closed set, and a metric's label.
UPDATE_KINDS: Final = ("command", "button", "stranger", "other", "failed", "unanswered")
#: For how long Telegram may wait for something to tell.
HOLD_SECONDS: Final = 25
#: How often something is tried while the database is away, before the person is told that it was not done.
_TRIES: Final = 5
#: Between two polls that found nothing to confirm, or failed; it doubles up to the longest.
_WAIT_SECONDS: Final = 1.0
_LONGEST_WAIT_SECONDS: Final = 60.0
#: How long the stop waits for the thread; only a name server or a database that hangs makes it wait at all.
_JOIN_SECONDS: Final = 1.0
#: answerCallbackQuery takes 0-200 characters.
_LONGEST_ANSWER: Final = 200
_AWAY: Final = "alertbus can't reach its database at the moment, so this is not done. Try again."
_BROKEN: Final = "That failed, and alertbus's log says why. Nothing may have been done."
_UNKNOWN: Final = "alertbus does not know this command. /help says which there are."
_REASONS: Final = {401: "unauthorized", 404: "unauthorized", 409: "conflict", 429: "rate_limited"}
_PATIENT: Final = frozenset({"unauthorized", "conflict"})


class TelegramCommands:
    """One bot's ears."""

    def __init__(
        self,
        bot: TelegramBot,
        chats: Sequence[Chat],
        actions: Actions,
        *,
        clock: Clock,
        zone: tzinfo,
        setting: Callable[[str], str | None],
        remember: Callable[[str, str], None],
        count: Callable[[str, str], None] = lambda _channel, _kind: None,
        hold_seconds: int = HOLD_SECONDS,
        rng: Random | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            bot: Who is written to.
            chats: All that are heard, at least one.
            actions: What is done.
            clock: The daemon's.
            zone: Where the people's clocks are.
            setting: Reads what an earlier run kept, by its name.
            remember: Keeps it.
            count: Hears of each update: the channel, and one of `UPDATE_KINDS`.
            hold_seconds: For how long Telegram may wait for something to tell, 1 to 50.
            rng: For the waits after failures.
        """
        self._bot = bot
        self._chats = Chats(chats, self._refused)
        self._person = Person(actions, zone)
        self._newest_critical = actions.newest_critical
        self._clock = clock
        self._kept = Kept(bot.digest, setting, remember)
        self._count = count
        self._hold_seconds = hold_seconds
        self._rng = rng or Random()  # noqa: S311 - jitter of waits
        self._replies = Replies(bot, clock, self._unanswered)
        self._once = OncePerMinute(clock)
        self._thread = threading.Thread(target=self._run, name="telegram-commands", daemon=True)
        self._stopping = threading.Event()
        self._offset: int | None = None
        self._begun = False
        self._username: str | None = None
        self._limit = MOST_UPDATES
        self._failures = 0
        self._tried: tuple[int, int] = (0, 0)  # an update that could not be done yet, and how often

    def start(self) -> None:
        """Listen from now on."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Listen no more, and cut the poll in flight; returns at once and may be called twice."""
        self._stopping.set()
        self._bot.end()

    def stop(self) -> None:
        """Stop, and close what is open; a thread that a name server or a database holds is left to itself."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_SECONDS)
        self._bot.close()

    # --- the thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                wait = self._turn()
            except StoreError as error:
                wait = self._failed(Said(failure=str(error)))
            except Exception:
                logger.exception("listening to Telegram failed unexpectedly")
                wait = _LONGEST_WAIT_SECONDS
            self._stopping.wait(wait)

    def _turn(self) -> float:
        """Poll once and do what came; return the seconds to wait before the next."""
        if not self._begun:
            self._offset = self._kept.offset()
            self._begun = True
        if self._username is None:
            said = self._bot.ask("getMe")
            username = mapping(said.result).get("username")
            if said.failure is not None or not isinstance(username, str):
                return self._failed(said)
            self._username = username.lower()
        soonest = self._replies.send()
        hold_seconds = self._hold_seconds if soonest is None else max(1, min(round(soonest), self._hold_seconds))
        begun = self._clock.monotonic()
        said = self._bot.updates(self._offset, hold_seconds=hold_seconds, limit=self._limit)
        if said.too_long:
            return self._too_long(said)
        if said.failure is not None:
            return self._failed(said)
        self._heard()
        now_seconds = said.at_seconds or self._clock.now_us() / MICROSECONDS
        confirmed = self._do_all(map(read_update, said.result), now_seconds)
        self._replies.send()
        # Something in between that answers at once and empty must not be asked a thousand times a second.
        idle = not confirmed and self._clock.monotonic() - begun < _WAIT_SECONDS
        return _WAIT_SECONDS if idle else 0.0

    def _do_all(self, updates: Iterable[Update | None], now_seconds: float) -> bool:
        """Do what came, in order; return whether anything can be confirmed."""
        before = self._offset
        for update in updates:
            if self._stopping.is_set():
                break
            if update is None:
                self._count(self._chats.name, "other")
                continue
            if not self._do(update, now_seconds):
                break
            # Never the highest of all: another server, or a week of silence, begins anew with lower ids.
            self._offset = update.update_id + 1
        if self._offset == before or self._offset is None:
            return False
        self._kept.keep_offset(self._offset)
        return True

    def _do(self, update: Update, now_seconds: float) -> bool:
        """Do one thing; False where it is to be tried again later."""
        if isinstance(update, Unread):
            self._count(self._chats.name, "other")
            return True
        chat = self._chats.find(update.place)
        if chat is None:
            self._count(self._chats.name, "stranger")
            return True
        try:
            if isinstance(update, Pressed):
                self._pressed(chat, update)
            else:
                self._written(chat, update, now_seconds)
        except StoreError as error:
            if self._again(update.update_id):
                self._told("what was asked for waits for the database", str(error))
                return False
            self._not_done(chat, update, _AWAY)
        except Exception:
            logger.exception("what was asked for by Telegram failed", extra={"channel": chat.desk.name})
            self._not_done(chat, update, _BROKEN)
        return True

    def _written(self, chat: Chat, written: Written, now_seconds: float) -> None:
        command = written.command
        if command is None or command.addressee not in {None, self._username}:
            self._count(chat.desk.name, "other")
            return
        age_seconds = 0.0 if written.at_seconds is None else now_seconds - written.at_seconds
        if command.name == "ack" and not command.words:
            meant = self._kept.alert_meant(written.update_id, self._newest_critical)
            command = replace(command, words=() if meant is None else (meant.hex,))
        text = self._person.command(command, written.author, chat.desk.name, age_seconds)
        self._count(chat.desk.name, "other" if text is None else "command")
        if text is None and not written.place.private and command.addressee is None:
            return  # in a group it may be another bot's
        self._replies.say(chat.desk, written.place, text or _UNKNOWN)

    def _pressed(self, chat: Chat, pressed: Pressed) -> None:
        answered = self._person.press(pressed)
        self._count(chat.desk.name, "button")
        self._answer(pressed, answered)
        if answered.buttons is not None:
            self._replies.put_keyboard(chat.desk, pressed.place, pressed.message_id, keyboard_of(answered.buttons))

    def _answer(self, pressed: Pressed, answered: Answered) -> None:
        """Say on the person's screen what happened; this is no message, and has no pace."""
        arguments = {"callback_query_id": pressed.query_id, "text": cut(answered.text, _LONGEST_ANSWER)}
        said = self._bot.ask("answerCallbackQuery", arguments)
        if said.failure is not None:  # it was pressed long ago, or twice; what it asked for is done
            self._unanswered(said.failure)

    def _not_done(self, chat: Chat, update: Written | Pressed, text: str) -> None:
        self._count(chat.desk.name, "failed")
        if isinstance(update, Pressed):
            self._answer(update, Answered(text))
        else:
            self._replies.say(chat.desk, update.place, text)

    # --- failures -------------------------------------------------------------------------------------------

    def _again(self, update_id: int) -> bool:
        known, tries = self._tried
        tries = tries + 1 if known == update_id else 1
        self._tried = (update_id, tries)
        return tries < _TRIES

    def _too_long(self, said: Said) -> float:
        """Ask for one update at a time; pass over one that is too long by itself."""
        if self._limit > 1:
            self._limit = 1
            return 0.0
        self._count(self._chats.name, "other")
        if said.first_update is None:
            return self._failed(said)
        self._offset = said.first_update + 1
        self._kept.keep_offset(self._offset)
        return 0.0

    def _heard(self) -> None:
        self._limit = MOST_UPDATES
        if self._failures:
            self._failures = 0
            logger.info("Telegram's commands are heard again", extra={"channel": self._chats.name})

    def _failed(self, said: Said) -> float:
        """Say why nothing is heard, once a minute, and return the seconds to wait."""
        if self._stopping.is_set():
            return 0.0
        reason = _REASONS.get(said.code or 0, "unavailable")
        self._told(_HINTS[reason], said.failure or "an answer that is none")
        self._failures += 1
        if said.retry_after_seconds is not None:
            return max(said.retry_after_seconds, _WAIT_SECONDS)
        if reason in _PATIENT:
            return _LONGEST_WAIT_SECONDS * self._rng.uniform(0.25, 1.0)  # two daemons don't cut each other in step
        return min(_WAIT_SECONDS * (1 << min(self._failures - 1, 10)), _LONGEST_WAIT_SECONDS)

    def _unanswered(self, why: str) -> None:
        if self._stopping.is_set():  # it was cut here
            return
        self._count(self._chats.name, "unanswered")
        self._told("a person was not answered by Telegram", why)

    def _refused(self, chat: Chat) -> None:
        self._told("a chat that anybody may join is not heard", f"of channel {chat.desk.name}; make it private")

    def _told(self, message: str, why: str) -> None:
        held_back = self._once.held_back(message)
        if held_back is not None:
            logger.warning(message, extra={"channel": self._chats.name, "why": why, "held_back": held_back})


#: What stands in the log, by why nothing is heard.
_HINTS: Final = {
    "unauthorized": "Telegram's commands are not heard: the bot's token is refused",
    "conflict": "Telegram's commands are not heard: another program, or a webhook, takes the bot's updates",
    "rate_limited": "Telegram's commands are not heard: Telegram asks for a pause",
    "unavailable": "Telegram's commands are not heard at the moment",
}
