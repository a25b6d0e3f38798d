"""What one request tells: one delivery, or the members of a digest."""

from __future__ import annotations

from dataclasses import dataclass, replace

from subscriber.deliveries import Delivery, DigestKind, Message


@dataclass(frozen=True, slots=True)
class Parcel:
    """Deliveries that one worker holds, to be told in one message."""

    deliveries: tuple[Delivery, ...]  #: in the order in which the channel serves; the first one leads
    kind: DigestKind | None = None  #: why they are told together; None for one that is told by itself
    message: Message | None = None  #: what a digest says since its first attempt; None where it is still to be written

    @property
    def head(self) -> Delivery:
        """The delivery that leads."""
        return self.deliveries[0]

    @property
    def possible_repeat(self) -> bool:
        """Whether an earlier attempt may have reached the person."""
        return any(delivery.possible_repeat for delivery in self.deliveries)

    @property
    def judged(self) -> Delivery:
        """The delivery by which an attempt is judged; a digest has no age at which it expires."""
        if self.kind is None:
            return self.head
        return replace(self.head, expires_at_us=None, possible_repeat=self.possible_repeat)

    def log_fields(self) -> dict[str, str | int]:
        """Return the keys under which every log line tells of it."""
        fields: dict[str, str | int] = {**self.head.log_fields()}
        return fields if self.kind is None else fields | {"told_together": len(self.deliveries), "why": self.kind.value}
