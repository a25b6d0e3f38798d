"""Audits alerts: is each as it came, and was each planned delivery made, once, and no other?

An alert and its deliveries are written in one transaction and removed in one, so a group of alerts, read in one
snapshot with its deliveries, balances at any time.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, LargeBinary, bindparam, cast, func, select

from bus.alerts import Severity
from bus.errors import UndecodableFrames
from bus.wire import decode_alert
from subscriber.deliveries import DeliveryState, Mark, severity_of
from subscriber.store import schema
from subscriber.store.incoming import digest_of, planned_text
from subscriber.store.ledger import ChannelLedger, FaultKind, Findings
from subscriber.store.part import BODY

#: Alerts of one snapshot: few, because each may take 64 KiB of memory.
GROUP: Final = 2_000
#: The words of `ledger_total` for a channel, beside those of DeliveryState.
CHANNEL: Final = "channel"
PLANNED: Final = "planned"

_alert: Final = schema.alert
_queue: Final = schema.notification_queue
_stream: Final = schema.stream
_total: Final = schema.ledger_total

_STATES: Final = frozenset(state.value for state in DeliveryState)
_CRITICAL: Final = Severity.CRITICAL.value
_NOT_ROUTED: Final = Mark.NOT_ROUTED.value
NOBODY: Final = planned_text(())  #: the plan of an alert that no route wanted

# How msgpack writes the field: its name, the length of a short text, the text. A body in which the name stands once,
# so written, needs no decoding, which would take longer than the rest of the audit.
_FIELD: Final = b"severity"
_SAID: Final = {word.value: _FIELD + bytes([0xA0 | len(word.value)]) + word.value.encode() for word in Severity}
#: Kinds that always have the field at the top; an action has none, and counts as INFO.
_WITH_SEVERITY: Final = frozenset({"risk_event", "system_event"})
_ACTION: Final = "agent_action"

Pair = tuple[str, str]  #: a channel and a step, or a channel and a state


class There(NamedTuple):
    """A delivery that is there."""

    id: int
    channel: str
    step: str
    status: str


@dataclass(slots=True)
class Counts:
    """What was counted over all alerts so far."""

    alerts: int = 0
    deliveries: int = 0
    planned: Counter[str] = field(default_factory=Counter)  #: by channel
    states: Counter[Pair] = field(default_factory=Counter)  #: by channel and state

    def add(self, alerts: int, plans: Mapping[str, int], there: Iterable[Sequence[There]]) -> None:
        """Count a group: so many alerts, how often each plan, and their deliveries."""
        self.alerts += alerts
        for plan, count in plans.items():
            for channel, _step in plan_of(plan) or ():
                self.planned[channel] += count
        found = [(delivery.channel, delivery.status) for deliveries in there for delivery in deliveries]
        self.deliveries += len(found)
        self.states.update(found)


def highest_number(connection: Connection) -> int:
    """Return the number of the newest alert, 0 where there is none."""
    return connection.scalar(select(func.max(_alert.c.number))) or 0


def audit_group(connection: Connection, after: int, until: int, counts: Counts, findings: Findings) -> int | None:
    """Audit the next alerts by their numbers.

    Args:
        connection: Sees one state of the database, whatever is asked of it.
        after: The last number of the group before.
        until: The last number of all: what comes during the audit is left to the next one.
        counts: Where they are counted.
        findings: Where faults go.

    Returns:
        The last number of the group; None where there are no more.
    """
    rows = connection.execute(_alerts, {"after": after, "until": until}).all()
    if not rows:
        return None
    last: int = rows[-1].number
    there: defaultdict[bytes, list[There]] = defaultdict(list)
    for key, *delivery in connection.execute(_deliveries, {"after": after, "until": last}).all():
        there[key].append(There(*delivery))
    plans: Counter[str] = Counter()
    streams: Counter[bytes] = Counter()
    # a million times: rows are unpacked, and nearly every alert needs no more than a few comparisons
    for _number, key, stream, kind, severity, marks, body, is_blob, digest, planned in rows:
        plans[planned] += 1
        if stream is not None:
            streams[stream] += 1
        if not is_blob or digest != digest_of(body):
            findings.add(FaultKind.CHANGED_BODY, alert_named(key), "Its body is not the one that came.")
        else:
            _judge_severity(key, kind, severity, body, findings)
        if planned == NOBODY and marks == _NOT_ROUTED and severity != _CRITICAL and key not in there:
            continue
        _judge_plan(key, severity, marks, planned, there.get(key, ()), findings)
    counts.add(len(rows), plans, there.values())
    known = set(connection.scalars(_known, {"streams": list(streams)}))
    for stream in streams.keys() - known:
        where = f"stream {stream.hex()}"
        findings.add(FaultKind.UNKNOWN_STREAM, where, f"{streams[stream]} alerts are of a stream that has no row.")
    return last


def channel_ledgers(connection: Connection, counts: Counts, findings: Findings) -> tuple[ChannelLedger, ...]:
    """Return the ledger of each channel: what was counted, and what retention wrote down."""
    removed: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in connection.execute(_totals):
        removed[row.name][row.word] = row.total
    here: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (name, state), count in counts.states.items():
        here[name][state] = count
    ledgers = []
    for name in sorted(counts.planned.keys() | here.keys() | removed.keys()):
        words = removed.get(name, {})
        planned = words.get(PLANNED, 0)
        states = {word: total for word, total in words.items() if word != PLANNED}
        ledgers.append(ChannelLedger(name, counts.planned[name], here.get(name, {}), planned, states))
        unknown = sorted(states.keys() - _STATES)
        if planned != sum(states.values()) or unknown or min(words.values(), default=0) < 0:
            findings.add(
                FaultKind.WRONG_TOTAL,
                f"channel {name}",
                f"Of what retention removed, {planned} deliveries were planned, and the states sum up to "
                f"{sum(states.values())}" + (f"; unknown words: {', '.join(unknown)}." if unknown else "."),
            )
    return tuple(ledgers)


def alert_named(key: bytes) -> str:
    """Return how faults name an alert."""
    try:
        return f"alert {UUID(bytes=key)}"
    except ValueError:
        return f"alert {key.hex()}"


@lru_cache(maxsize=256)
def plan_of(text: str) -> tuple[Pair, ...] | None:
    """Read the column `planned`; None where it can't be read."""
    try:
        return tuple([(str(channel), str(step)) for channel, step in json.loads(text)])
    except (ValueError, TypeError):
        return None


def _judge_severity(key: bytes, kind: str, severity: str, body: bytes, findings: Findings) -> None:
    named = body.count(_FIELD)
    if named == 1 and kind in _WITH_SEVERITY and _SAID.get(severity, _FIELD * 2) in body:
        return
    if not named and kind == _ACTION and severity == Severity.INFO.value:
        return
    try:
        said = severity_of(decode_alert(body)).value
    except UndecodableFrames:
        findings.add(FaultKind.CHANGED_BODY, alert_named(key), "Its body can't be read.")
        return
    if said != severity:
        findings.add(FaultKind.WRONG_SEVERITY, alert_named(key), f"It is {said}, and stored as {severity}.")


def _judge_plan(key: bytes, severity: str, marks: str, text: str, there: Sequence[There], findings: Findings) -> None:
    planned = plan_of(text)
    if planned is None:
        findings.add(FaultKind.UNREADABLE_PLAN, alert_named(key), "Its plan is no list of channels and steps.")
        planned = ()
    else:
        _judge_routing(key, severity, marks, planned, findings)
    if tuple([(delivery.channel, delivery.step) for delivery in there]) != planned:  # nearly always in this order
        _judge_pairs(key, planned, there, findings)
    for delivery in there:
        if delivery.status not in _STATES:
            findings.add(
                FaultKind.UNKNOWN_STATE,
                f"{alert_named(key)}, channel {delivery.channel}",
                f"The delivery {delivery.id} has a state that is none.",
            )


def _judge_routing(key: bytes, severity: str, marks: str, planned: tuple[Pair, ...], findings: Findings) -> None:
    if not planned and severity == _CRITICAL:
        findings.add(FaultKind.NOT_ROUTED, alert_named(key), "It is CRITICAL, and was planned for nobody.")
    marked = _NOT_ROUTED in marks.split(",")
    if marked and planned:
        findings.add(FaultKind.WRONG_MARK, alert_named(key), "It is marked as planned for nobody, and has a plan.")
    elif not marked and not planned:
        findings.add(FaultKind.WRONG_MARK, alert_named(key), "It has no plan, and is not marked as planned for nobody.")


def _judge_pairs(key: bytes, planned: tuple[Pair, ...], deliveries: Sequence[There], findings: Findings) -> None:
    there: defaultdict[Pair, list[str]] = defaultdict(list)
    for delivery in deliveries:
        there[delivery.channel, delivery.step].append(delivery.status)
    for channel, step in dict.fromkeys((*planned, *there)):
        where = f"{alert_named(key)}, channel {channel}"
        states = there.get((channel, step), [])
        wanted = planned.count((channel, step))
        if len(states) < wanted:
            findings.add(FaultKind.MISSING_DELIVERY, where, f"Its delivery ({step}) was planned and is not there.")
        elif states and not wanted:
            findings.add(FaultKind.UNPLANNED_DELIVERY, where, f"It has a delivery ({step}) that was not planned.")
        elif len(states) > wanted:
            text = f"It has {len(states)} deliveries ({step}): {', '.join(states)}."
            findings.add(FaultKind.TWO_STATES, where, text)


_alerts: Final = (
    select(
        _alert.c.number,
        _alert.c.id,
        _alert.c.stream,
        _alert.c.kind,
        _alert.c.severity,
        _alert.c.marks,
        BODY,
        # SQLite: what is no BLOB differs from itself as one; PostgreSQL keeps nothing else
        _alert.c.body == BODY.element,
        cast(_alert.c.digest, LargeBinary),
        _alert.c.planned,
    )
    .where(_alert.c.number > bindparam("after"), _alert.c.number <= bindparam("until"))
    .order_by(_alert.c.number)
    .limit(GROUP)
)
_deliveries: Final = (
    select(_queue.c.alert_id, *(_queue.c[name] for name in There._fields))
    .join(_alert, _alert.c.id == _queue.c.alert_id)
    .where(_alert.c.number > bindparam("after"), _alert.c.number <= bindparam("until"))
    .order_by(_queue.c.id)
)
_known: Final = select(_stream.c.stream).where(_stream.c.stream.in_(bindparam("streams", expanding=True)))
_totals: Final = select(_total.c.name, _total.c.word, _total.c.total).where(_total.c.scope == CHANNEL)
