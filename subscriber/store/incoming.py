"""What is to be stored: an alert with what is planned for it, and the rows that it becomes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from bus.alerts import Alert, Severity
from subscriber.deliveries import (
    OPEN_STATES,
    PLAIN,
    DeliveryState,
    Mark,
    PlannedDelivery,
    Step,
    Why,
    event_of,
    priority_of,
    severity_of,
)
from subscriber.store import schema
from subscriber.store.bulk import Row
from subscriber.store.handling import handling_text
from subscriber.store.part import storable

_NOT_TOLD: Final = {"state"}  # the agent's observation: large, and no part of a message
_NUL_IN_JSON: Final = "\\u0000"
_DIGEST_BYTES: Final = 16
#: The plain text of each word: a lookup costs a third of `.value`, and the drivers would convert a StrEnum again.
_WORDS: Final[dict[str, str]] = {word: word.value for words in (Severity, DeliveryState, Step, Why) for word in words}
_NOT_ROUTED: Final = Mark.NOT_ROUTED.value

_LATER: Final = frozenset({"number", "resolved_by"})  # set by the database, and when it is over
ALERT_COLUMNS: Final = tuple(column.name for column in schema.alert.c if column.name not in _LATER)
DELIVERY_COLUMNS: Final = (
    "payload",
    "status",
    "retries",
    "created_at",
    "alert_id",
    "channel",
    "step",
    "why",
    "priority",
    "due_at",
    "published_us",
    "possible_repeat",
    "finished_at",
    "handling",
    "expires_at",
    "batch",
    "more",
    "more_since",
    "told_by",
)
#: How the batches begin of what is held until a time that people chose.
HELD_BATCHES: Final = ("quiet:", "silence:")


@dataclass(frozen=True, slots=True)
class Incoming:
    """An alert as it came from the bus, or from the daemon itself, with what is planned for it."""

    alert: Alert
    body: bytes  #: msgpack, byte by byte as it came
    topic: str
    stream: bytes | None  #: None for a daemon's own SystemEvent
    sequence: int | None
    published_us: int
    planned: tuple[PlannedDelivery, ...] = ()
    not_routed: bool = False  #: no route wanted it, which is legal for anything but CRITICAL
    shift_us: int = 0  #: `bus.clock.shift_of` our clock when its times were read

    def rebased(self, shift_us: int) -> Incoming:
        """Return it with its times by our clock as it is now: that may have been set since they were read."""
        moved = shift_us - self.shift_us
        if not moved:
            return self
        return replace(
            self,
            published_us=self.published_us + moved,
            planned=tuple(
                each if is_held(each.batch) else replace(each, due_at_us=each.due_at_us + moved)
                for each in self.planned
            ),
            shift_us=shift_us,
        )


class Placement(NamedTuple):
    """What dedup and grouping make of a planned delivery, instead of what was planned."""

    due_at_us: int
    more: int | None = None  #: how many it tells of beside its own alert; None where it ends no window
    more_since_us: int | None = None  #: when the first of these was published
    told_by: bytes | None = None  #: the alert that tells of it instead: it is suppressed


#: By the 16 bytes of the alert's id, and the channel; of first steps only.
Placements = Mapping[tuple[bytes, str], Placement]


def is_held(batch: str | None) -> bool:
    """Whether a delivery of this batch is held until a time that people chose, whatever happens to the clock."""
    return batch is not None and batch.startswith(HELD_BATCHES)


def digest_of(body: bytes) -> bytes:
    """Return what proves later that a stored body is the one that came: 16 bytes of BLAKE2b."""
    return blake2b(body, digest_size=_DIGEST_BYTES).digest()


def alert_row(key: bytes, item: Incoming, now_us: int) -> Row:
    """Return the values of `ALERT_COLUMNS`; ten thousand times a second, so nothing here is general."""
    alert = item.alert
    return (
        key,
        item.stream,
        item.sequence,
        item.published_us,
        now_us,
        storable(item.topic),
        alert.kind,
        storable(event_of(alert)),
        _WORDS[severity_of(alert)],
        None if alert.symbol is None else storable(alert.symbol),
        None if alert.agent_name is None else storable(alert.agent_name),
        storable(alert.source),
        item.body,
        _NOT_ROUTED if item.not_routed else "",
        planned_text(tuple([(planned.channel, planned.step) for planned in item.planned])),
        digest_of(item.body),
    )


def delivery_rows(item: Incoming, now_us: int, placements: Placements) -> Iterator[Row]:
    """Return the values of `DELIVERY_COLUMNS` for everything that is planned."""
    payload = payload_of(item.alert)
    priority = priority_of(item.alert)
    key = item.alert.id.bytes
    for planned in item.planned if len(item.planned) < 2 else planned_once(item.planned):
        state, due_us, age_us = planned.state, planned.due_at_us, planned.max_age_us
        why, finished_us = planned.why, None if state in OPEN_STATES else now_us
        more = more_since_us = told_by = None
        placed = placements.get((key, planned.channel)) if placements and planned.step is Step.FIRST else None
        if placed is not None:
            due_us, more, more_since_us, told_by = placed
            if age_us is not None:  # as where people chose the time: what is held on purpose grows no older meanwhile
                age_us += max(due_us - planned.due_at_us, 0)
            if told_by is not None:
                state, why, finished_us = DeliveryState.SUPPRESSED, Why.DEDUP, now_us
        yield (
            payload,
            _WORDS[state],
            0,
            now_us,
            key,
            planned.channel,
            _WORDS[planned.step],
            None if why is None else _WORDS[why],
            priority,
            due_us,
            item.published_us,
            False,
            finished_us,
            None if planned.handling is PLAIN else handling_text(planned.handling),
            None if age_us is None else item.published_us + age_us,
            None if planned.batch is None else storable(planned.batch),
            more,
            more_since_us,
            told_by,
        )


def planned_once(planned: tuple[PlannedDelivery, ...]) -> Collection[PlannedDelivery]:
    """Return one planned delivery for each channel and step: the last that was asked for."""
    return {(each.channel, each.step): each for each in planned}.values()


@lru_cache(maxsize=256)
def planned_text(planned: tuple[tuple[str, str], ...]) -> str:
    """Return channels and steps as the column `planned` holds them."""
    return json.dumps(list(dict.fromkeys(planned)), separators=(",", ":"), ensure_ascii=False)


def payload_of(alert: Alert) -> str:
    """Return an alert as compact JSON for people and SQL: without the agent's state, and without NUL characters."""
    text = alert.model_dump_json(exclude=_NOT_TOLD, exclude_none=True)
    if _NUL_IN_JSON not in text:
        return text
    return json.dumps(_without_nul(json.loads(text)), separators=(",", ":"), ensure_ascii=False)


def _without_nul(value: object) -> object:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): _without_nul(item) for key, item in value.items()}
    return value
