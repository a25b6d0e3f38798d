"""What an audit finds, as frozen values: what balances, stream by stream and channel by channel, and what does not.

Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from bus.errors import AlertBusError
from subscriber.deliveries import DeliveryState

Fields = dict[str, Any]  #: plain data for JSON

#: Faults that are told in full; of more than these only the count is known.
MOST_FAULTS: Final = 200
#: Streams, and journals, that are listed one by one; those that do not balance go first.
MOST_LISTED: Final = 500


class AuditStopped(AlertBusError):
    """The audit was stopped before its end, so it says nothing."""


class FaultKind(StrEnum):
    """What can be wrong with the ledger; a closed set."""

    HOLE = "hole"  #: a number that came and is neither stored nor marked any more
    NEVER_STORED = "never_stored"  #: a number that was acknowledged and never came
    UNTOLD_LOSS = "untold_loss"  #: a stream with lost numbers, of which no stored alert tells
    STORED_AND_LOST = "stored_and_lost"  #: a number that is there and still counts as lost
    DUPLICATE_OF_NOTHING = "duplicate_of_nothing"  #: a duplicate's mark whose alert is not stored
    NO_START = "no_start"  #: a stream with a position, of which nobody noted where it starts
    UNKNOWN_STREAM = "unknown_stream"  #: alerts of a stream that has no row
    MISSING_DELIVERY = "missing_delivery"  #: planned, and not there
    UNPLANNED_DELIVERY = "unplanned_delivery"  #: there, and not planned
    TWO_STATES = "two_states"  #: a delivery of which two records say different things
    LOST_RECEIPT = "lost_receipt"  #: a receipt from which nothing followed, or not what it says
    UNKNOWN_STATE = "unknown_state"  #: a delivery or a receipt whose state is none
    NOT_ROUTED = "not_routed"  #: a CRITICAL that was planned for nobody
    WRONG_MARK = "wrong_mark"  #: an alert that is marked as planned for nobody and was not, or the other way round
    WRONG_SEVERITY = "wrong_severity"  #: an alert whose column says another severity than its body
    CHANGED_BODY = "changed_body"  #: an alert that is not as it came
    UNREADABLE_PLAN = "unreadable_plan"  #: an alert whose plan is no list of channels and steps
    WRONG_TOTAL = "wrong_total"  #: what retention wrote down does not fit what is there
    UNREADABLE_JOURNAL = "unreadable_journal"  #: a publisher's file that can't be read
    UNTOLD_COUNT = "untold_count"  #: a delivery that was counted instead of sent, and of which nobody tells
    WRONG_COUNT = "wrong_count"  #: a delivery that tells of more, or fewer, others than were counted
    WRONG_DIGEST = "wrong_digest"  #: a digest whose members do not stand where it does, or that nobody was sent
    UNTOLD_EXPIRY = "untold_expiry"  #: what expired, and counts as told by an event that is not there


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that does not balance."""

    kind: FaultKind
    where: str  #: the stream, alert, delivery, channel or file
    text: str  #: what is wrong there, in one sentence


@dataclass(frozen=True, slots=True)
class StreamLedger:
    """One stream's numbers: stored + lost + duplicate + pruned are all from `first` to `up_to`."""

    stream: str  #: in hex
    source: str
    first: int | None  #: where it starts for this store
    up_to: int | None  #: the acknowledged number; None until the start is known
    stored: int = 0
    lost: int = 0
    duplicate: int = 0
    pruned: int = 0  #: settled, and removed by retention since
    ahead: int = 0  #: settled above `up_to`, and not acknowledged yet
    below: int = 0  #: stored although they are below `first`
    balanced: bool = True

    @property
    def span(self) -> int:
        """How many numbers have to be settled."""
        return 0 if self.first is None or self.up_to is None else max(self.up_to - self.first + 1, 0)


@dataclass(slots=True)
class SourceLedger:
    """The sums over all streams of one source."""

    source: str
    streams: int = 0
    span: int = 0
    stored: int = 0
    lost: int = 0
    duplicate: int = 0
    pruned: int = 0
    ahead: int = 0
    below: int = 0
    unbalanced: int = 0

    def add(self, ledger: StreamLedger) -> None:
        """Count one more stream."""
        self.streams += 1
        self.unbalanced += not ledger.balanced
        for name in ("span", "stored", "lost", "duplicate", "pruned", "ahead", "below"):
            setattr(self, name, getattr(self, name) + getattr(ledger, name))


@dataclass(frozen=True, slots=True)
class ChannelLedger:
    """One channel: planned deliveries are the sum over the states, among what is there and among what was pruned."""

    channel: str
    planned: int  #: by the plans of the alerts that are there
    states: Mapping[str, int]  #: what is there, by state
    pruned_planned: int = 0
    pruned_states: Mapping[str, int] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        """Whether both sums are right; the faults say which alerts are wrong where they are not."""
        here = self.planned == sum(self.states.values())
        return here and self.pruned_planned == sum(self.pruned_states.values())


@dataclass(frozen=True, slots=True)
class JournalLedger:
    """One publisher's journal beside the store."""

    file: str
    stream: str  #: in hex
    source: str
    acknowledged: int | None  #: how far this store has it, as the publisher knows; None: it never said so
    held: int  #: alerts in the journal
    outstanding: int  #: those that this store has not settled yet


@dataclass(frozen=True, slots=True)
class Audit:
    """The whole ledger at one time."""

    began_us: int
    seconds: float
    alerts: int
    deliveries: int
    stream_count: int
    streams: tuple[StreamLedger, ...]  #: at most MOST_LISTED
    sources: tuple[SourceLedger, ...]
    channels: tuple[ChannelLedger, ...]
    faults: tuple[Fault, ...]  #: at most MOST_FAULTS
    fault_counts: Mapping[FaultKind, int]
    journal_count: int = 0
    journals: tuple[JournalLedger, ...] = ()  #: at most MOST_LISTED

    @property
    def fault_count(self) -> int:
        """How many faults there are, told or not."""
        return sum(self.fault_counts.values())

    @property
    def balanced(self) -> bool:
        """Whether everything is accounted for."""
        return not self.fault_count

    def fields(self) -> Fields:
        """Return all of it as plain data."""
        return {
            "balanced": self.balanced,
            "began_us": self.began_us,
            "seconds": round(self.seconds, 3),
            "alerts": self.alerts,
            "deliveries": self.deliveries,
            "streams": [{**asdict(stream), "span": stream.span} for stream in self.streams],
            "stream_count": self.stream_count,
            "sources": [asdict(source) for source in self.sources],
            "channels": [_channel_fields(channel) for channel in self.channels],
            "journals": [asdict(journal) for journal in self.journals],
            "journal_count": self.journal_count,
            "faults": [asdict(fault) for fault in self.faults],
            "fault_count": self.fault_count,
            "fault_kinds": {kind.value: count for kind, count in self.fault_counts.items()},
        }


class Findings:
    """Collects faults: the first ones in full, all of them by kind."""

    def __init__(self) -> None:
        """Begin without any."""
        self._told: list[Fault] = []
        self._counts: Counter[FaultKind] = Counter()

    def add(self, kind: FaultKind, where: str, text: str, count: int = 1) -> None:
        """Note a fault, which may stand for several, such as a range of numbers."""
        self._counts[kind] += count
        if len(self._told) < MOST_FAULTS:
            self._told.append(Fault(kind, where, text))

    @property
    def count(self) -> int:
        """How many there are so far."""
        return self._counts.total()

    @property
    def counts(self) -> Mapping[FaultKind, int]:
        """How many of each kind, in the order of the kinds."""
        return {kind: self._counts[kind] for kind in FaultKind if self._counts[kind]}

    @property
    def told(self) -> tuple[Fault, ...]:
        """Those that are told in full."""
        return tuple(self._told)


def listed(streams: Iterable[StreamLedger]) -> tuple[StreamLedger, ...]:
    """Return the streams that are listed one by one: those that do not balance, then as they come."""
    return tuple(sorted(streams, key=lambda stream: stream.balanced)[:MOST_LISTED])


def _channel_fields(channel: ChannelLedger) -> Fields:
    return {
        "channel": channel.channel,
        "planned": channel.planned,
        "states": _every_state(channel.states),
        "pruned": {"planned": channel.pruned_planned, "states": _every_state(channel.pruned_states)},
        "balanced": channel.balanced,
    }


def _every_state(counts: Mapping[str, int]) -> dict[str, int]:
    """Return all states in their order, then words that are none."""
    return {**{state.value: counts.get(state.value, 0) for state in DeliveryState}, **counts}
