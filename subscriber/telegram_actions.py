"""What people may ask of the daemon by Telegram, and what they are answered: commands and buttons.

It knows no HTTP and no thread: what is asked comes in, is done by the `Actions` that the service gave, and what is to
be answered comes out, as plain text of one language. An action that can't reach its database raises, so that whoever
calls can ask again; all of them may be done twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final, Protocol
from uuid import UUID

from bus.alerts import Action, Severity
from bus.clock import MICROSECONDS, from_us
from bus.errors import ConfigurationError
from subscriber.channels.telegram_updates import Command, Pressed
from subscriber.deliveries import Button
from subscriber.policy.buttons import MUTE_SECONDS, Asked, ButtonAction, asked_by, button_of
from subscriber.policy.cleaning import clean_line
from subscriber.policy.durations import parse_duration
from subscriber.policy.wording import SHORT_ID_DIGITS

VIA: Final = "telegram"
#: A person who mutes for longer is to use the page, where silences are seen.
LONGEST_MUTE_SECONDS: Final = 7 * 86_400.0
#: What was written while the daemon was away for longer is not done any more, but for an acknowledgement.
STALE_SECONDS: Final = 600.0
#: What the button has that stands in the place of those that were pressed.
DONE: Final = "done"
_LONGEST_WORD: Final = 64
#: A duration begins with a digit; no symbol of a stock or coin that people mute does.
_DURATION: Final = re.compile(r"[0-9].*", re.DOTALL)
_ID: Final = re.compile(r"[0-9a-f]{8,32}")
#: What may stand before a "=", by the field that it means.
_FIELDS: Final = {
    "symbol": "symbol",
    "event": "event_type",
    "event_type": "event_type",
    "agent": "agent_name",
    "agent_name": "agent_name",
    "source": "source",
    "action": "action",
}
#: Takes alerts without a value alone: it excludes every other.
_NONE: Final = "!*"
HELP: Final = (
    "/status: channels and publishers\n"
    "/ack [id]: you know of it, and nobody further is woken; without an id the newest unacknowledged CRITICAL\n"
    "/mute [duration] [symbol, event or action]: hold what is not CRITICAL, for 1h unless you say otherwise\n"
    "/unmute: end what was muted, and tell what it held\n"
    "/test: a test alert to this chat\n"
    "/help: this"
)


class Acknowledgement(Protocol):
    """That somebody knows of an alert."""

    @property
    def author(self) -> str:
        """Who said so first."""
        ...

    @property
    def new(self) -> bool:
        """Whether nobody had said so before."""
        ...


class Silence(Protocol):
    """Holds what matches for a time."""

    def __call__(
        self, matchers: Mapping[str, str], seconds: float, *, author: str, reason: str, via: str, critical: bool
    ) -> int:
        """Begin one now; with `critical` it holds CRITICAL, too. Returns when it ends, in microseconds since 1970.

        Raises:
            StoreError: The database can't be used at the moment.
            ConfigurationError: The matchers are none; the text says why.
        """
        ...


@dataclass(frozen=True, slots=True)
class Described:
    """What is to be known of an alert in order to mute what is like it."""

    event_type: str
    symbol: str | None
    source: str
    severity: Severity
    can_be_muted: bool = True  #: by the button: what is like it is told by its event, symbol and source


@dataclass(frozen=True, slots=True)
class Actions:
    """What the daemon does for a person; each raises StoreError where the database can't be used at the moment."""

    acknowledge: Callable[[UUID, str, str], Acknowledgement | None]  #: alert, author, via; None: there is none
    silence: Silence
    end_silences: Callable[[str, str], int]  #: author, via; returns how many ended
    status_text: Callable[[], str]
    test: Callable[[str], str]  #: a channel; tells what became of the test alert
    find: Callable[[str], Sequence[UUID]]  #: by a whole id or its last digits
    newest_critical: Callable[[], UUID | None]  #: that nobody acknowledged
    describe: Callable[[UUID], Described | None]
    field_of: Callable[[str], str | None]  #: whether a word is known as a `symbol` or as an `event_type`


@dataclass(frozen=True, slots=True)
class Answered:
    """What a button that was pressed is answered."""

    text: str
    buttons: tuple[Button, ...] | None = None  #: what stands below the message from now on; None leaves it as it is


class Person:
    """Does what is asked."""

    def __init__(self, actions: Actions, zone: tzinfo) -> None:
        """Do nothing yet.

        Args:
            actions: How it is done.
            zone: Where the people's clocks are.
        """
        self._actions = actions
        self._zone = zone

    def command(self, command: Command, author: str, channel: str, age_seconds: float) -> str | None:
        """Do a command and say what happened; None for one that there is not.

        Args:
            command: As it was written; a bare `/ack` with the alert that it means.
            author: Who wrote it.
            channel: The channel in whose chat it was written.
            age_seconds: How long ago.

        Raises:
            StoreError: The database can't be used at the moment; nothing was done.
        """
        if command.name in _MOMENTARY and age_seconds > STALE_SECONDS:
            return (
                f"/{command.name} was written {age_seconds / 60:.0f} minutes ago, when alertbus did not listen. "
                "It is not done; send it again if it is still to be."
            )
        match command.name:
            case "status":
                return self._actions.status_text()
            case "ack":
                return self._acknowledge(command.words, author)
            case "mute":
                return self._mute(command.words, author)
            case "unmute":
                return self._unmute(author)
            case "test":
                return self._actions.test(channel)
            case "help" | "start":
                return HELP
        return None

    def press(self, pressed: Pressed) -> Answered:
        """Do what a button asks for, and say what happened.

        Raises:
            StoreError: The database can't be used at the moment; nothing was done.
        """
        if pressed.data == DONE:
            return Answered("That is done already.")
        asked = asked_by(pressed.data)
        if asked is None:
            return Answered("alertbus does not know this button.")
        if asked.action is ButtonAction.ACKNOWLEDGE:
            return self._acknowledge_by_button(asked, pressed.author)
        return self._mute_by_button(asked, pressed.author)

    # --- acknowledging --------------------------------------------------------------------------------------

    def _acknowledge_by_button(self, asked: Asked, author: str) -> Answered:
        known = self._actions.acknowledge(asked.alert_id, author, VIA)
        if known is None:
            return Answered(_NO_SUCH_ALERT, ())
        label = f"Acknowledged by {clean_line(known.author, _LONGEST_WORD)}"
        return Answered(label if known.new else f"{label} before", (Button(label, DONE),))

    def _acknowledge(self, words: Sequence[str], author: str) -> str:
        if not words:  # a bare /ack was given the newest CRITICAL by whoever calls, where there is one
            return "No CRITICAL alert waits for you."
        digits = words[0].lower().replace("-", "")
        if not _ID.fullmatch(digits):
            return f"/ack takes the id below a message, {SHORT_ID_DIGITS} digits of 0 to 9 and a to f, or all of it."
        found = self._actions.find(digits)
        if len(found) > 1:
            ids = "\n".join(each.hex for each in found)
            return f"{digits} is the end of several ids. Which one do you mean?\n{ids}"
        return self._acknowledged(found[0], author) if found else f"There is no alert {digits}."

    def _acknowledged(self, alert_id: UUID, author: str) -> str:
        known = self._actions.acknowledge(alert_id, author, VIA)
        if known is None:
            return _NO_SUCH_ALERT
        described = self._actions.describe(alert_id)
        named = clean_line(" ".join(filter(None, (described.event_type, described.symbol)))) if described else "alert"
        told = f"{named} (id {alert_id.hex[-SHORT_ID_DIGITS:]})"
        if known.new:
            return f"Acknowledged: {told}. Nobody further is woken for it."
        return f"{told} was acknowledged before, by {clean_line(known.author, _LONGEST_WORD)}."

    # --- muting ---------------------------------------------------------------------------------------------

    def _mute_by_button(self, asked: Asked, author: str) -> Answered:
        described = self._actions.describe(asked.alert_id)
        if described is None:
            return Answered(_NO_SUCH_ALERT, ())
        if not described.can_be_muted:
            return Answered(_OWN_EVENT)
        fields = {"event_type": described.event_type, "symbol": described.symbol, "source": described.source}
        ends_us = self._actions.silence(
            {name: _NONE if value is None else exactly(value) for name, value in fields.items()},
            MUTE_SECONDS,
            author=author,
            reason=f"button below alert {asked.alert_id.hex[-SHORT_ID_DIGITS:]}",
            via=VIA,
            # Who mutes a CRITICAL means this one; below a WARNING nobody means a CRITICAL that is still to come.
            critical=described.severity is Severity.CRITICAL,
        )
        muted = f"Muted until {self._time(ends_us)} by {author}"
        return Answered(
            f"{muted}. /unmute ends it.",
            (button_of(ButtonAction.ACKNOWLEDGE, asked.alert_id), Button(muted, DONE)),
        )

    def _mute(self, words: Sequence[str], author: str) -> str:
        seconds = MUTE_SECONDS
        rest = list(words)
        if rest and _DURATION.fullmatch(rest[0]):
            try:
                length_us = parse_duration(rest[0])
            except ValueError as error:
                return f"{clean_line(rest[0], _LONGEST_WORD)} {clean_line(str(error), 200)}."
            seconds = (length_us or 0) / MICROSECONDS
            rest = rest[1:]
            if not 0 < seconds <= LONGEST_MUTE_SECONDS:
                return "/mute takes a duration up to 7d."
        matchers: dict[str, str] = {}
        for word in rest:
            field, value = self._meant(word)
            if field is None:
                return _UNKNOWN.format(word=clean_line(word, _LONGEST_WORD))
            if field in matchers:
                return f"/mute takes one {field}; send another /mute for the other."
            matchers[field] = value
        try:
            ends_us = self._actions.silence(matchers, seconds, author=author, reason="/mute", via=VIA, critical=False)
        except ConfigurationError as error:
            return f"That can't be muted. {clean_line(str(error), 300)}"
        shown = " and ".join(f"{name} {clean_line(value, _LONGEST_WORD)}" for name, value in matchers.items())
        until = self._time(ends_us)
        return f"Muted: {shown or 'everything'}, until {until}. CRITICAL is told all the same. /unmute ends it."

    def _meant(self, word: str) -> tuple[str | None, str]:
        """Return the field that a word is for, and the matcher of it; behind a "=" it may be a pattern."""
        name, equals, value = word.partition("=")
        if equals:
            field = _FIELDS.get(name.lower())
            return "action" if field == "event_type" and value in _ACTIONS else field, value
        if word.upper() in _ACTIONS:
            return "action", word.upper()
        for form in (word, word.upper()):  # a phone writes the first letter large and the others small
            field = self._actions.field_of(form)
            if field is not None:
                return field, exactly(form)
        return None, word

    def _unmute(self, author: str) -> str:
        ended = self._actions.end_silences(author, VIA)
        if not ended:
            return "Nothing is muted."
        return f"Ended: {ended} {'silence' if ended == 1 else 'silences'}. What was held is told now."

    def _time(self, moment_us: int) -> str:
        local: datetime = from_us(moment_us).astimezone(self._zone)
        return f"{local:%a %H:%M} {local.tzname()}"


def exactly(value: str) -> str:
    """Return a value as a matcher of which nothing is a pattern; a "!" in front, which excludes, is any character."""
    escaped = re.sub(r"([*?\[])", r"[\1]", value)
    return f"?{escaped[1:]}" if escaped.startswith("!") else escaped


#: A trade's event, in messages; matchers know it as an action.
_ACTIONS: Final = frozenset(map(str, Action))
#: Done late they do something else than what was meant.
_MOMENTARY: Final = frozenset({"mute", "unmute", "test"})
_UNKNOWN: Final = (
    "No alert so far has the symbol or the event {word}. Nothing is muted. To mute what never came yet, or a pattern, "
    "write symbol=…, event=…, action=…, agent=… or source=…"
)
_OWN_EVENT: Final = (
    "alertbus' own events can't be muted by a button: the next one may be about another publisher or channel. "
    "Nothing is muted."
)
_NO_SUCH_ALERT: Final = "That alert is no longer in the history."
