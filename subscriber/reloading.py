"""Reads the configuration again while the daemon runs: routes, quiet hours and templates follow the file.

A file with a fault changes nothing: what was in force stays in force, and every fault is told. What can't change in a
running daemon (channels, credentials, endpoints, any setting of the environment) is named, and waits for a restart.

A file that is just being written looks like a good one that says less. So a change is taken up when it was the same at
two looks; and a file that became empty, or is gone, is refused until a person asks for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from bus.clock import Clock
from bus.errors import AlertBusError, ConfigurationError
from subscriber.config_file import CONFIG_NAME
from subscriber.monitoring.metrics import Metrics
from subscriber.settings import SubscriberSettings
from subscriber.store.changes import ChangeKind
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

#: How often the file is looked at.
_LOOK_SECONDS: Final = 2.0
_DIGEST_BYTES: Final = 6
#: What is named where the file itself changed, and where the daemon began with it.
FILE_CHANGED: Final = "file"
STARTED: Final = "start"


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What became of one reload."""

    loaded: bool
    at_us: int
    via: str
    problems: tuple[str, ...] = ()  #: why it was refused
    waiting: tuple[str, ...] = ()  #: what it says and only a restart brings into force

    def fields(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "loaded": self.loaded,
            "at_us": self.at_us,
            "via": self.via,
            "problems": list(self.problems),
            "waits_for_restart": list(self.waiting),
        }


class Reloader:
    """Reloads on change, on request and by signal, one at a time."""

    def __init__(
        self,
        settings: SubscriberSettings,
        read: Callable[[], SubscriberSettings],
        apply: Callable[[SubscriberSettings], Sequence[str]],
        *,
        store: Store,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        """Keep what is needed; what the daemon started with is in force.

        Args:
            settings: What the daemon started with.
            read: Reads all settings again; raises ConfigurationError with every fault.
            apply: Brings what may change into force, and returns what has to wait; raises ConfigurationError.
            store: Where changes are recorded.
            metrics: Counts.
            clock: The daemon's.
        """
        self._file = settings.general.config.expanduser()
        self._read = read
        self._apply = apply
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._requested = threading.Event()
        self._has_policy = bool(settings.rules_document.tables)
        self._seen = self._looked = self._in_force = _digest(self._file)
        self._loaded_us = clock.now_us()
        self._waiting: tuple[str, ...] = ()
        self._refused: Reloaded | None = None
        self._look_at = clock.monotonic() + _LOOK_SECONDS
        metrics.config_loaded(self._loaded_us)

    def begin(self) -> None:
        """Record the file that the daemon started with, unless it is the one that was loaded last."""
        try:
            last = self._store.last_change(ChangeKind.CONFIG_LOADED)
        except AlertBusError as error:
            logger.warning("what was loaded before is not known: %s", error)
            return
        if self._in_force != ("" if last is None else last["detail"].get("digest")):
            result = Reloaded(loaded=True, at_us=self._loaded_us, via=STARTED)
            self._record(result, "", self._in_force)

    def request(self) -> None:
        """Reload at the next look: all that a signal's handler may do."""
        self._requested.set()

    def look(self) -> None:
        """Reload where it was requested or where the file is another; called by the housekeeping thread."""
        if self._requested.is_set():
            self._requested.clear()
            self.reload("signal", "")
            return
        if self._clock.monotonic() < self._look_at:
            return
        self._look_at = self._clock.monotonic() + _LOOK_SECONDS
        before, self._looked = self._looked, _digest(self._file)
        if before == self._looked != self._seen:
            self.reload(FILE_CHANGED, "")

    def reload(self, via: str, author: str) -> Reloaded:
        """Read the configuration and bring it into force, or say why not.

        Args:
            via: How it was asked for: `file`, `signal`, `api` or `cli`. By `file` nobody asked for it, and a file that
                is empty or gone does not take the place of one with routes, quiet hours or templates.
            author: By whom, where that is known.
        """
        with self._lock:
            digest = _digest(self._file)
            self._seen = digest
            try:
                if via == FILE_CHANGED and self._has_policy:
                    _check_there(self._file)
                settings = self._read()
                waiting = tuple(self._apply(settings))
            except ConfigurationError as error:
                result = Reloaded(loaded=False, at_us=self._clock.now_us(), via=via, problems=tuple(error.problems))
                self._refused = result
            else:
                result = Reloaded(loaded=True, at_us=self._clock.now_us(), via=via, waiting=waiting)
                self._has_policy = bool(settings.rules_document.tables)
                self._in_force, self._loaded_us, self._waiting = digest, result.at_us, waiting
                self._refused = None
                self._metrics.config_loaded(result.at_us)
            self._metrics.config_refused(refused=self._refused is not None)
        self._metrics.config_reloaded(loaded=result.loaded)
        self._tell(result)
        self._record(result, author, digest)
        return result

    def state(self) -> dict[str, Any]:
        """Say which file is in force, since when, and what was refused since."""
        with self._lock:
            return {
                "file": self._file.name,
                "digest": self._in_force,
                "loaded_us": self._loaded_us,
                "waits_for_restart": list(self._waiting),
                "refused": None if self._refused is None else self._refused.fields(),
            }

    def _tell(self, result: Reloaded) -> None:
        if result.loaded:
            logger.info("the configuration is loaded again", extra={"via": result.via})
            for sentence in result.waiting:
                logger.warning("%s", sentence)
        else:
            logger.error("the configuration was refused; what was in force stays in force", extra={"via": result.via})
            for problem in result.problems:
                logger.error("%s", problem)

    def _record(self, result: Reloaded, author: str, digest: str) -> None:
        kind = ChangeKind.CONFIG_LOADED if result.loaded else ChangeKind.CONFIG_REFUSED
        detail = {"digest": digest, "problems": list(result.problems), "waits_for_restart": list(result.waiting)}
        try:
            self._store.record_change(kind, author, result.via, detail)
        except AlertBusError as error:  # the reload stands; its record is a matter of the books
            logger.warning("a change of the configuration could not be recorded: %s", error)


def _check_there(file: Path) -> None:
    """Check that a file says anything.

    Raises:
        ConfigurationError: It is empty or gone; a file that can't be read is told by whoever reads it.
    """
    try:
        if file.read_bytes().strip():
            return
        state = "is empty now"
    except FileNotFoundError:
        state = "is gone"
    except OSError:
        return
    raise ConfigurationError(
        f"{CONFIG_NAME}: the file {state}; what it said before stays in force. If that is meant, ask for it: "
        "alertbus-subscriber reload."
    )


def _digest(file: Path) -> str:
    """Tell one content of the file from another, and from none."""
    try:
        return blake2b(file.read_bytes(), digest_size=_DIGEST_BYTES).hexdigest()
    except OSError:
        return ""
