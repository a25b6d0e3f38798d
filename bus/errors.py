"""Every error of alertbus that more than one package knows; a docstring is the sentence that a person reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bus.wire import Header


class AlertBusError(Exception):
    """Something in alertbus went wrong."""


class ConfigurationError(AlertBusError):
    """The configuration has to be changed before this can start."""

    def __init__(self, *problems: str) -> None:
        """Keep each fault apart, so that all of them are told at once.

        Args:
            problems: One sentence per fault; each names the setting and what to do, and never shows a value.
        """
        super().__init__("\n".join(problems) or (type(self).__doc__ or ""))
        self.problems: Sequence[str] = problems


class EndpointTaken(AlertBusError):
    """An address is in use by another program; that may pass, so a service manager should try again."""


class WireError(AlertBusError):
    """A message from the bus was odd; it was counted and skipped."""


class UndecodableFrames(WireError):
    """A message from the bus could not be read; it was counted and skipped."""

    def __init__(self, reason: str, frame_sizes: tuple[int, ...], header: Header | None = None) -> None:
        """Describe the message by its shape only, never by what it holds.

        Args:
            reason: One of `bus.wire.INVALID_REASONS`, safe as a metric's label.
            frame_sizes: The bytes in each frame.
            header: What the header said, where at least that could be read: its number has to be settled.
        """
        super().__init__(f"{type(self).__doc__} Reason: {reason}. Frame sizes in bytes: {frame_sizes}.")
        self.reason = reason
        self.frame_sizes = frame_sizes
        self.header = header


class UnsupportedVersion(WireError):
    """A message was written in a version of the bus protocol that this program does not speak."""

    def __init__(self, version: int, supported: int) -> None:
        """Name both versions, so that the reader knows which side to upgrade."""
        super().__init__(f"{type(self).__doc__} It has version {version}; this program speaks {supported}.")
        self.version = version
        self.supported = supported
