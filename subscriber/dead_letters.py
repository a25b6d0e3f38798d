"""Dead letters, for people: which there are, what another try would say, and having them sent again.

The HTTP API works with it in the daemon, and the commands work with it on the database where none runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final

from bus.clock import MICROSECONDS, from_us
from subscriber.deliveries import Delivery, MessageLimits, event_of, severity_of
from subscriber.policy.cleaning import clean_line
from subscriber.policy.rendering import render
from subscriber.policy.templates import Templates
from subscriber.policy.wording import description_of, head_of, reason_text
from subscriber.store.dead_letters import DeadLetter
from subscriber.store.retrying import Retried
from subscriber.store.store import Store

Fields = dict[str, Any]

#: Dead letters of one transaction, so that nobody who wants to write waits for long.
MOST_AT_ONCE: Final = 500
#: Ids that are looked up at once, where all are wanted: PostgreSQL sorts all that are left for each look.
_LOOKED_UP: Final = 20_000
#: Ids, and reasons, that an answer names; beyond it it counts.
MOST_NAMED: Final = 500
_TEXT_LIMIT: Final = 200


@dataclass(slots=True)
class RetriedAll:
    """What became of all dead letters that a person wanted to be sent again."""

    count: int = 0
    ids: list[int] = field(default_factory=list)  #: of those that wait now; the first MOST_NAMED
    skipped: dict[int, str] = field(default_factory=dict)  #: others, and why; the first MOST_NAMED

    def add(self, retried: Retried) -> None:
        """Add what became of some of them."""
        self.count += len(retried.retried)
        self.ids += list(retried.retried)[: MOST_NAMED - len(self.ids)]
        self.skipped.update(list(retried.skipped.items())[: MOST_NAMED - len(self.skipped)])

    def fields(self) -> Fields:
        """Return it as plain data."""
        return {"retried": self.ids, "count": self.count, "skipped": _skipped(self.skipped)}


class DeadLetterDesk:
    """Shows dead letters, and has them sent again. Any thread may call it."""

    def __init__(
        self,
        store: Store,
        *,
        channels: Collection[str],
        limits: Callable[[str], MessageLimits],
        templates: Callable[[], Templates],
        zone: tzinfo,
        dry_run: bool,
        on_retried: Callable[[Mapping[str, int]], None] = lambda _channels: None,
    ) -> None:
        """Keep what is needed.

        Args:
            store: Where they are.
            channels: Those that are configured.
            limits: What a message of one of these has to keep to.
            templates: Those in force.
            zone: Where the reader's clock is.
            dry_run: Whether nothing is ever sent.
            on_retried: Told how many wait again, by channel.
        """
        self._store = store
        self._channels = channels
        self._limits = limits
        self._templates = templates
        self._zone = zone
        self._dry_run = dry_run
        self._on_retried = on_retried

    def listed(self, limit: int, before: int | None = None, channel: str | None = None) -> Fields:
        """List dead letters, the newest delivery first, with how many there are.

        Args:
            limit: How many at most.
            before: The id of the last one of the page before.
            channel: Only this channel's.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        off = self._switched_off()
        letters = self._store.dead_letters(limit, before, channel)
        total = self._store.dead_letter_count(channel)
        return {"total": total, "dead_letters": [self._fields(letter, off) for letter in letters]}

    def one(self, delivery: int) -> Fields | None:
        """Show a dead letter with every attempt, and what another one would say; None where there is none.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        letter = self._store.dead_letter(delivery)
        if letter is None:
            return None
        story = self._store.story(letter.delivery.alert.id)
        told = [] if story is None else story["deliveries"]
        attempts: list[Fields] = next((each["attempts"] for each in told if each["id"] == delivery), [])
        return {
            **self._fields(letter, self._switched_off()),
            "message": self._message(letter.delivery),
            "attempts_made": attempts,
        }

    def retry(self, deliveries: Iterable[int], author: str, via: str) -> Retried:
        """Have dead letters sent again, in one transaction; what can't be is skipped, with why.

        Args:
            deliveries: Which, at most `MOST_AT_ONCE`.
            author: Who wants it, as far as that is known.
            via: By which way: api, page or cli.

        Raises:
            StoreError: The database can't be used at the moment; nothing changed.
        """
        retried = self._store.retry_dead_letters(deliveries, self.unsendable, author, via)
        if retried.retried:
            self._on_retried(retried.channels)
        return retried

    def retry_all(self, channel: str | None, author: str, via: str) -> RetriedAll:
        """Have all dead letters sent again, in transactions of `MOST_AT_ONCE`; each is looked at once.

        Args:
            channel: Only this channel's; None for every channel's.
            author: Who wants it, as far as that is known.
            via: By which way: api, page or cli.

        Raises:
            StoreError: The database can't be used at the moment; what was retried before waits to be sent, and calling
                it again goes on.
        """
        done, after = RetriedAll(), 0
        # None that dies again meanwhile is found again: the ids only rise.
        while ids := self._store.dead_letter_ids(_LOOKED_UP, after, channel):
            for start in range(0, len(ids), MOST_AT_ONCE):
                done.add(self.retry(ids[start : start + MOST_AT_ONCE], author, via))
            after = ids[-1]
        return done

    def unsendable(self, channel: str) -> str | None:
        """Say why nothing can be sent by a channel; None where it can. Its switch is the store's to know."""
        if channel not in self._channels:
            return f"its channel {channel} is not configured"
        return "this is a dry run: nothing is sent" if self._dry_run else None

    def _switched_off(self) -> set[str]:
        return {name for name, switch in self._store.channel_switches().items() if not switch.enabled}

    def _fields(self, letter: DeadLetter, off: Collection[str]) -> Fields:
        delivery, alert = letter.delivery, letter.delivery.alert
        switch = f"its channel {delivery.channel} is switched off" if delivery.channel in off else None
        why_not = switch or letter.why_not or self.unsendable(delivery.channel)
        return {
            "id": delivery.id,
            "channel": delivery.channel,
            "step": delivery.step,
            "alert_id": str(alert.id),
            "severity": severity_of(alert).value,
            "event_type": event_of(alert),
            "symbol": alert.symbol,
            "source": alert.source,
            "text": clean_line(description_of(alert), _TEXT_LIMIT) or head_of(alert),
            "published_at": _moment(delivery.published_us),
            "died_at": _moment(letter.died_us),
            "attempts": letter.attempts,
            "reason": letter.reason,
            "status": letter.status,
            "code": letter.code,
            "detail": letter.detail,
            "possible_repeat": delivery.possible_repeat,
            "told_elsewhere": list(letter.told_elsewhere),
            "retriable": why_not is None,
            "why_not": why_not,
        }

    def _message(self, delivery: Delivery) -> Fields | None:
        """Say what a worker would send for it, as `delivery.telling` does; None where its channel is not there."""
        if delivery.channel not in self._channels:
            return None
        alert, handling = delivery.alert, delivery.handling
        template = self._templates().pick(handling.template, delivery.channel, alert.kind)
        since_us = delivery.published_us if delivery.more_since_us is None else delivery.more_since_us
        message = render(
            alert,
            self._limits(delivery.channel),
            self._zone,
            possible_repeat=delivery.possible_repeat,
            silent=handling.silent,
            more=delivery.more,
            more_seconds=max(delivery.published_us - since_us, 0) / MICROSECONDS,
            reason=reason_text(delivery.step, delivery.batch),
            template=template,
        )
        return {
            "text": message.text,
            "dialect": message.dialect.value,
            "template": None if template is None else template.name,
        }


def retried_fields(retried: Retried) -> Fields:
    """Return as plain data what became of some dead letters."""
    return {
        "retried": list(retried.retried),
        "count": len(retried.retried),
        "skipped": _skipped(retried.skipped),
    }


def _skipped(skipped: Mapping[int, str]) -> list[Fields]:
    return [{"id": number, "why": why} for number, why in skipped.items()]


def _moment(us: int) -> str:
    return from_us(us).isoformat(timespec="milliseconds")
