"""The publisher's own errors: one for a mistake in the calling code, the others never leave the background thread."""

from __future__ import annotations

from bus.errors import AlertBusError


class PublisherClosed(AlertBusError):
    """This publisher was closed; make a new one to publish again."""

    def __init__(self) -> None:
        """Say the class's sentence."""
        super().__init__(type(self).__doc__)


class JournalError(AlertBusError):
    """The journal's file can't be used now; alerts go on from memory until a new one can be made."""


class JournalBusy(JournalError):
    """Another program holds the journal's file locked; nothing is wrong with what is in it."""


class JournalDamaged(JournalError):
    """The journal's file is damaged, and will never be readable as a whole; it has to be set aside."""


class JournalNewer(JournalError):
    """The journal was written by a newer version of alertbus, which can still send it."""

    def __init__(self, file: str, version: int, supported: int) -> None:
        """Name both formats, so that the reader knows which side to upgrade."""
        super().__init__(f"{file} has format {version}; this version reads {supported}. Upgrade alertbus.")
        self.version = version
