"""Which publishers beat, and which fell silent. Pure: times are passed in, monotonic seconds all.

Nobody is accused for what was not heard: a daemon that was paused, stopped or kept from listening begins to wait anew,
and so does one whose market has just opened.
"""

from __future__ import annotations

from typing import Final

#: Between two looks at most this share of the timeout may pass, or the daemon itself was away.
_AWAY_SHARE: Final = 0.5


class Liveness:
    """Who was heard when, by this daemon or, as the store tells, by another one."""

    def __init__(self, timeout_seconds: float) -> None:
        """Begin to listen with the first `look`.

        Args:
            timeout_seconds: How long a publisher may be silent.
        """
        self._timeout = timeout_seconds
        self._looked_at = float("-inf")
        self._listening_since = float("-inf")
        self._beat_at: dict[bytes, float] = {}
        self._known_since: dict[bytes, float] = {}
        self._told: dict[bytes, int | None] = {}

    def look(self, now: float, *, judging: bool = True) -> None:
        """Note that the daemon has heard all there was to hear.

        Args:
            now: When.
            judging: False while the market is closed: silence counts from its opening on.
        """
        if not judging or now - self._looked_at > _AWAY_SHARE * self._timeout:
            self._listening_since = now
        self._looked_at = now

    def heard(self, stream: bytes, now: float) -> None:
        """Note a heartbeat of a stream's own publisher."""
        self._beat_at[stream] = now

    def told(self, stream: bytes, last_heard_us: int | None, now: float) -> None:
        """Note what the store tells of a stream: a time that moved is another daemon's heartbeat.

        The time itself, by the clock of another machine perhaps, is compared with nothing but its predecessor.
        """
        if stream in self._known_since and last_heard_us != self._told[stream]:
            self._beat_at[stream] = max(now, self._beat_at.get(stream, now))
        self._known_since.setdefault(stream, now)
        self._told[stream] = last_heard_us

    def beat_at(self, stream: bytes) -> float | None:
        """Return when a stream was last heard by this daemon, or None."""
        return self._beat_at.get(stream)

    def beats(self, stream: bytes, now: float) -> bool:
        """Whether a stream was heard within the timeout."""
        return now - self._beat_at.get(stream, float("-inf")) <= self._timeout

    def silent(self, stream: bytes, now: float) -> bool:
        """Whether a stream could have been heard for the whole timeout, and was not."""
        since = max(
            self._beat_at.get(stream, float("-inf")),
            self._known_since.get(stream, float("-inf")),
            self._listening_since,
        )
        return now - since > self._timeout

    def listening_seconds(self, now: float) -> float:
        """Return for how long the daemon has listened without a break."""
        return now - self._listening_since

    def keep(self, streams: set[bytes]) -> None:
        """Forget all other streams: they have ended and were told of."""
        for known in (self._beat_at, self._known_since, self._told):
            for stream in known.keys() - streams:
                del known[stream]
