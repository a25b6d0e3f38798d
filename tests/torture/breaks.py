"""Faults that are put into the daemon on purpose, in its own process only: the verdict has to find them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from subscriber.intake.ingest import Ingest, Notes, _drained
from tests.torture.steps import resolve

#: Long enough for an acknowledgement to reach the publisher, and for its journal to forget what was acknowledged.
_ARRIVED_SECONDS: Final = 0.3
#: Within it every publisher has beaten.
_HEARD_SECONDS: Final = 3.0


def _ack_before_commit() -> None:
    """Acknowledge a batch before it is stored."""
    ingest, name = resolve("subscriber.intake.ingest:Ingest._commit")
    resolve("subscriber.intake.correspondence:Correspondence._acknowledge")
    commit: Callable[[Ingest], None] = getattr(ingest, name)

    def acknowledged_first(self: Ingest) -> None:
        limit = time.monotonic() + _HEARD_SECONDS
        while time.monotonic() < limit and not all(
            known.position.contiguous is not None and known.offers.identities() for known in self._touched.values()
        ):  # only who was heard can be answered
            if self._control.poll(100):
                notes: Notes = {}
                for identity, *frames in _drained(self._control):
                    self._take_control(identity, frames, notes)
                for (_, _, identity), message in notes.items():
                    self._hear(identity, message)
        for known in self._touched.values():
            self._correspondence._acknowledge(known)
        time.sleep(_ARRIVED_SECONDS)
        commit(self)

    setattr(ingest, name, acknowledged_first)


def _unmarked_repeat() -> None:
    """Leave the mark of a possible repeat out of the text."""
    teller, name = resolve("subscriber.delivery.telling:render")
    render: Callable[..., Any] = getattr(teller, name)

    def unmarked(*arguments: Any, possible_repeat: bool = False, **options: Any) -> Any:
        return render(*arguments, possible_repeat=False, **options)

    setattr(teller, name, unmarked)


BREAKS: Final[Mapping[str, Callable[[], None]]] = {
    "ack-before-commit": _ack_before_commit,
    "unmarked-repeat": _unmarked_repeat,
}
