"""The publisher's own errors: one for a mistake in the calling code, one that never leaves the background thread."""

from __future__ import annotations

from bus.errors import AlertBusError


class PublisherClosed(AlertBusError):
    """This publisher was closed; make a new one to publish again."""

    def __init__(self) -> None:
        """Say the class's sentence."""
        super().__init__(type(self).__doc__)


class JournalError(AlertBusError):
    """The journal's file can't be used; alerts go on from memory until the publisher is started again."""


class JournalDamaged(JournalError):
    """The journal's file is damaged, and will never be readable; it has to be set aside."""
