"""Every stream that this publisher offers: its own, former ones, and those that dead publishers left in its folder.

A journal that turns out to be damaged, or that somebody removed or locked, is replaced by a new one; where none can be
made, by a stream in memory, until one can. All is told as CRITICAL alerts. Used by the sender's thread alone, except
what `stats()` asks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final
from uuid import UUID

from bus.alerts import Severity
from bus.clock import Clock, Moment
from publisher.adopting import Adopter, most_adopted
from publisher.errors import JournalBusy, JournalDamaged, JournalError
from publisher.handover import Counters
from publisher.journal import Journal
from publisher.keeping import Keeping, Stores
from publisher.known_stores import KnownStores
from publisher.notices import Notices
from publisher.outbox import Outbox, settled
from publisher.settings import PublisherSettings
from publisher.volatile import VolatileOutbox

#: Files that are adopted in one turn while alerts wait.
_ADOPTED_A_TURN: Final = 16
#: How often a new journal is tried while the publisher works from memory.
_RECOVERY_SECONDS: Final = 10.0
#: How often all streams are told of a store that goes on welcoming.
_WELCOME_SECONDS: Final = 10.0


class Outboxes:
    """The publisher's own stream and the others on offer."""

    own: Outbox

    def __init__(self, settings: PublisherSettings, counters: Counters, clock: Clock) -> None:
        """Store what is needed; `open` touches the disk."""
        self._settings = settings
        self._counters = counters
        self._clock = clock
        self._by_stream: dict[bytes, Outbox] = {}
        self._keepings: dict[bytes, Keeping] = {}
        self._stores = Stores(settings.journal_max_age_seconds)
        self._known = KnownStores(settings, counters, clock)
        #: Whether a store that nobody knows yet may still show up: then nothing that is acknowledged leaves.
        self._waits = False
        #: By store, when all streams were last told of it.
        self._welcomed_at: dict[str, float] = {}
        #: Streams that were this publisher's own, until they are settled.
        self._former: dict[bytes, Outbox] = {}
        self._failure_id: UUID | None = None
        self._recovery_due = 0.0
        self._told_damaged: set[bytes] = set()
        #: What happened to journals.
        self.notices = Notices(settings.source)
        self._adopter = Adopter(settings.journal_folder, settings.journal_sync, counters, self.notices, clock)

    def open(self) -> None:
        """Begin the publisher's own stream and adopt what lies in the folder."""
        self._known.open()
        self._waits = self._known.waiting()
        try:
            self._begin(self._create(with_room=False))
        except JournalError as error:
            self._go_volatile(error)
        self.adopt(most_adopted())

    def __iter__(self) -> Iterator[Outbox]:
        """All streams on offer."""
        return iter(list(self._by_stream.values()))

    def get(self, stream: bytes) -> Outbox | None:
        """Return the outbox of a stream, or None when it is not on offer here."""
        return self._by_stream.get(stream)

    @property
    def former(self) -> list[Outbox]:
        """The streams that were this publisher's own and are not settled."""
        return list(self._former.values())

    @property
    def volatile(self) -> bool:
        """Whether the own stream is held in memory only."""
        return isinstance(getattr(self, "own", None), VolatileOutbox)

    @property
    def waiting_journals(self) -> int:
        """How many files in the folder wait to be adopted until another one is settled."""
        return self._adopter.waiting

    @property
    def held_in_memory(self) -> int:
        """How many alerts are held in memory only, and would be lost with the process."""
        return sum(outbox.held() for outbox in self if isinstance(outbox, VolatileOutbox))

    def held(self) -> int:
        """Return how many alerts are held, adopted ones included."""
        return sum(outbox.held() for outbox in self)

    def lacking(self, store_ids: Collection[str]) -> int:
        """Return how many alerts are held that one of these stores lacks; all that are held where there is none."""
        if not store_ids:
            return self.held()
        return sum(
            max(outbox.last + 1 - max(outbox.first_held(), min(map(outbox.first_unacknowledged, store_ids))), 0)
            for outbox in self
        )

    def unheard(self, store_ids: Collection[str]) -> int:
        """Return how many streams of dead publishers have a goodbye that one of these stores did not answer.

        Where no store is given, all that wait for anybody.
        """
        return sum(
            outbox is not self.own
            and outbox.goodbye is not None
            and not (store_ids and outbox.goodbye_heard_by.issuperset(store_ids))
            for outbox in self
        )

    def append(self, batch: Sequence[tuple[int, str, bytes]]) -> int:
        """Keep a batch in the own stream, on disk as long as that works; return its first number."""
        if self.own.damaged:
            self.mend()
        held = self.own.held()
        try:
            first = self.own.append(batch)
        except JournalError as error:
            self._own_failed(error)
            held = self.own.held()
            try:
                first = self.own.append(batch)
            except JournalError as second:  # a journal that replaces another can fail as well; memory never does
                self._go_volatile(second)
                held, first = 0, self.own.append(batch)
        self._counters.dropped += held + len(batch) - self.own.held()  # memory holds only so many
        return first

    def store_seen(self, store_id: str) -> None:
        """Keep for a store, from now on, what it has not acknowledged: another one may be quicker."""
        now = self._clock.monotonic()
        self._stores.welcomed(store_id, now)
        if now < self._welcomed_at.get(store_id, float("-inf")) + _WELCOME_SECONDS:
            return  # it is told with each heartbeat of each stream
        self._welcomed_at[store_id] = now
        for outbox in self:
            self._note_store(outbox, store_id)

    def answered(self, endpoint: str, store_id: str) -> None:
        """Remember which store answers at an endpoint; `store_seen` comes first, so that all is kept for it."""
        self._known.answered(endpoint, store_id)
        self._wait_no_longer()

    def acknowledge(self, outbox: Outbox, store_id: str, up_to: int, *, goodbye_heard: bool) -> None:
        """Note an acknowledgement; a stream that is settled is let go, and its file removed."""
        held = outbox.held()
        try:
            outbox.acknowledge(store_id, up_to, self._clock.now_us())
        except JournalError as error:
            self._counters.failed(error)
        self._counters.acknowledged += held - outbox.held()
        if goodbye_heard:
            outbox.goodbye_heard_by.add(store_id)
        self._let_go_if_settled(outbox)

    def say_goodbye(self, reason: str) -> None:
        """Note in the own journal that it ends on purpose."""
        if self.own.goodbye is None:
            try:
                self.own.say_goodbye(reason)
            except JournalError as error:
                self._counters.failed(error)

    def prune(self) -> None:
        """Keep every stream within its bounds, and for no store that was gone too long; count what leaves."""
        for outbox in self:
            held = outbox.held()
            keeping = self._keepings[outbox.stream]
            try:
                keeping.forget_stores()
                self._counters.acknowledged += held - outbox.held()
                self._counters.dropped += keeping.prune(self._settings.journal_max_bytes)
            except JournalError as error:
                self._counters.failed(error)
            self._let_go_if_settled(outbox)
        counting = self._stores.counting(self._clock.monotonic())
        self._welcomed_at = {store: at for store, at in self._welcomed_at.items() if store in counting}

    def adopt(self, most: int = _ADOPTED_A_TURN) -> None:
        """Offer what publishers that died meanwhile left in the folder."""
        journals = [outbox for outbox in self if isinstance(outbox, Journal)]
        for journal in self._adopter.look(journals, self._by_stream.keys(), most):
            self._offer(journal)

    def mend(self) -> None:
        """Replace the own journal when it is damaged or gone, and memory as soon as a journal can be made.

        What was acknowledged leaves when no store is waited for any more.
        """
        self._wait_no_longer()
        gone = [outbox for outbox in self if isinstance(outbox, Journal) and not self._in_place(outbox)]
        for outbox in self:
            if outbox.damaged and outbox.stream not in self._told_damaged:
                self._told_damaged.add(outbox.stream)
                if outbox is not self.own:
                    self.notices.tell("JOURNAL_DAMAGED", f"{_about(outbox)} is damaged. {_STAYS}")
        if self.volatile:
            self._recover()
        elif self.own.damaged:
            self._own_failed(JournalDamaged(f"{_about(self.own)} is damaged."))
        elif self.own in gone:
            self._own_failed(JournalDamaged(f"{_about(self.own)} was removed by somebody."))

    def close(self) -> None:
        """Let go of every stream; what is not settled stays in its file, and what was in memory only is lost."""
        self._wait_no_longer(closing=True)
        self._known.close()
        for outbox in self:
            if isinstance(outbox, VolatileOutbox):
                self._counters.dropped += outbox.held()
            if not settled(outbox):
                try:
                    self._keepings[outbox.stream].write_seen()
                except JournalError as error:
                    self._counters.failed(error)
            outbox.close()

    @property
    def _sync(self) -> str:
        return self._settings.journal_sync

    def _offer(self, outbox: Outbox) -> None:
        self._by_stream[outbox.stream] = outbox
        self._keepings[outbox.stream] = Keeping(outbox, self._stores, self._clock)
        # Of more files than can be open at a time one has to go before the next can come.
        if self._waits and (outbox.own or not self._adopter.waiting):
            outbox.acknowledged.most = min(outbox.acknowledged.settled(), outbox.first_held() - 1)
        for store_id in self._stores.counting(self._clock.monotonic()):
            self._note_store(outbox, store_id)
        self._remove_settled(outbox)

    def _wait_no_longer(self, *, closing: bool = False) -> None:
        """Let go of what every known store has, once there is none to wait for that nobody knows."""
        if self._waits and (closing or not self._known.waiting()):
            self._waits = False
            for outbox in self:
                outbox.acknowledged.most = None
                self._remove_settled(outbox)
                if not closing:
                    self._let_go_if_settled(outbox)

    def _remove_settled(self, outbox: Outbox) -> None:
        """Remove what every store has, which a publisher kept that was waiting for another store."""
        held = outbox.held()
        if outbox.first_held() <= min(outbox.acknowledged.settled(), outbox.last):
            try:
                outbox.forget_stores(())
            except JournalError as error:
                self._counters.failed(error)
            self._counters.acknowledged += held - outbox.held()

    def _begin(self, outbox: Outbox) -> None:
        """Go on in a new stream; the one of before stays on offer as long as it can be read."""
        former = getattr(self, "own", None)
        if former is not None:
            former.own = False
            if former.goodbye is None:
                former.goodbye = "journal recovered" if isinstance(former, VolatileOutbox) else "journal failed"
            self._former[former.stream] = former  # that its beats end is no sign of the trader's death
        self.own = outbox
        self._offer(outbox)
        if former is not None:
            self._let_go_if_settled(former)

    def _note_store(self, outbox: Outbox, store_id: str) -> None:
        try:
            self._keepings[outbox.stream].note_store(store_id)
        except JournalError as error:
            self._counters.failed(error)

    def _let_go_if_settled(self, outbox: Outbox) -> None:
        if outbox is not self.own and settled(outbox):
            outbox.close()
            del self._by_stream[outbox.stream], self._keepings[outbox.stream]
            self._former.pop(outbox.stream, None)
            if self._adopter.waiting:
                self.adopt()

    def _in_place(self, journal: Journal) -> bool:
        try:
            return journal.in_place()
        except JournalError as error:  # whatever it is, the next append finds out
            self._counters.failed(error)
            return True

    def _own_failed(self, error: JournalError) -> None:
        """Go on in a new journal where the fault is of the file; where it is of the disk, in memory."""
        if not isinstance(error, JournalDamaged | JournalBusy):
            self._go_volatile(error)
            return
        self._told_damaged.add(self.own.stream)
        try:
            new = self._create(with_room=True)
        except JournalError as second:
            self._counters.failed(error)
            self._go_volatile(second)
            return
        self._counters.failed(error)
        self._begin(new)
        self.notices.tell("JOURNAL_REPLACED", f"{error} Alerts go on in a new journal. {_STAYS}")

    def _go_volatile(self, error: JournalError) -> None:
        self._counters.failed(error)
        volatile = VolatileOutbox(self._settings.source)
        volatile.inherit(self._known.inherited())
        self._begin(volatile)
        self._recovery_due = self._clock.monotonic() + _RECOVERY_SECONDS
        self._failure_id = self.notices.tell(
            "JOURNAL_FAILED", f"Alerts of this publisher are held in memory only until a journal works again. {error}"
        ).id

    def _recover(self) -> None:
        now = self._clock.monotonic()
        if now < self._recovery_due:
            return
        self._recovery_due = now + _RECOVERY_SECONDS
        try:
            journal = self._create(with_room=True)
        except JournalError as error:
            self._counters.failed(error)
            return
        self._begin(journal)
        self.notices.tell(
            "JOURNAL_RECOVERED",
            "Alerts of this publisher are kept in a journal again.",
            Severity.INFO,
            resolves=self._failure_id,
        )

    def _create(self, *, with_room: bool) -> Journal:
        settings = self._settings
        began = Moment.now(self._clock)
        return Journal.create(
            settings.journal_folder,
            settings.source,
            sync=self._sync,
            with_room=with_room,
            began=began,
            stores=self._known.inherited(),
        )


_STAYS: Final = "What it holds is offered as long as this publisher runs, as far as it can be read."


def _about(outbox: Outbox) -> str:
    return f"The journal {outbox.path}" if isinstance(outbox, Journal) else "A stream in memory"
