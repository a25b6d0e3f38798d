"""Decides which of the alerts that are alike is told: the first at once, the newest of the others at a window's end.

What is told at the end of a window begins the next one, so a person gets one message in each, however many alerts come.
Windows go by the time of storing: when an alert was published decides only which one is the newest. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Carrier:
    """The delivery that tells of a window: the newest alert, and how many there were beside it."""

    alert: bytes
    published_us: int
    due_us: int
    row: int | None = None  #: the delivery's id; None while it is not stored
    leased: bool = False  #: by a lease that ran out
    waiting: bool = True  #: nobody sends it, or has tried to: a newer one may take its place
    finished_us: int | None = None
    more: int = 0
    more_since_us: int | None = None
    #: Alerts of this batch that it tells of; all of them point to the last carrier, so that no chain is long.
    counted: list[bytes] = field(default_factory=list)

    def over_us(self, now_us: int) -> int:
        """Return when it was told, or ended otherwise; it is being told now where nobody knows yet."""
        return max(now_us, self.due_us) if self.finished_us is None else self.finished_us

    def count(self, alert: bytes, published_us: int) -> None:
        """Tell of another alert, too."""
        self.counted.append(alert)
        self.add(published_us)

    def add(self, published_us: int) -> None:
        """Count one more."""
        self.more += 1
        if self.more_since_us is None or published_us < self.more_since_us:
            self.more_since_us = published_us


@dataclass(slots=True)
class Window:
    """How long alerts of one fingerprint are counted at one channel, while a batch is stored."""

    until_us: int  #: the end; one that lies behind us counts nothing
    carrier: Carrier | None = None
    replaced: Carrier | None = None  #: the stored carrier of which a newer alert of this batch tells

    def take(self, alert: bytes, published_us: int, window_us: int, now_us: int, group_us: int = 0) -> bool:
        """Take the next alert.

        Args:
            alert: Its id.
            published_us: When it was published.
            window_us: How long a window is.
            now_us: The time of storing.
            group_us: For how long, at most, its group holds what the end of a window lets go; 0 without one.

        Returns:
            Whether it is told at once; otherwise the carrier tells of it, which may be itself.
        """
        if self.carrier is not None and self.carrier.waiting:
            self._count(self.carrier, alert, published_us, now_us + window_us + group_us)
            return False
        # never later than a window from now: somebody may have set a clock back, or made the window shorter
        end_us = min(self._end_us(window_us, now_us), now_us + window_us)
        if now_us >= end_us:
            self.until_us, self.carrier = now_us + window_us, None
            return True
        self.until_us, self.carrier = end_us, Carrier(alert, published_us, end_us)
        return False

    def _count(self, carrier: Carrier, alert: bytes, published_us: int, latest_us: int) -> None:
        # one that came late is counted: people are told how things are now, unless somebody has set a clock back
        if published_us < carrier.published_us and carrier.due_us <= latest_us:
            carrier.count(alert, published_us)
            return
        if carrier.row is None:
            carrier.count(carrier.alert, carrier.published_us)
            carrier.alert, carrier.published_us = alert, published_us
            return
        self.replaced = carrier
        self.carrier = Carrier(
            alert,
            published_us,
            min(carrier.due_us, latest_us),
            more=carrier.more,
            more_since_us=carrier.more_since_us,
            counted=carrier.counted,
        )
        self.carrier.add(carrier.published_us)

    def _end_us(self, window_us: int, now_us: int) -> int:
        """Return the end of the window that goes on now, or of the last one.

        What was told at the end of a window began another. One that was told late, because its channel was down, may
        have been told several windows later: that one counts.
        """
        if self.carrier is None:
            return self.until_us
        late_us = self.carrier.over_us(now_us) - self.until_us
        return self.until_us if late_us < 0 else self.until_us + (late_us // window_us + 1) * window_us
