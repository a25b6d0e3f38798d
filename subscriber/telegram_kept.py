"""What listening to one bot keeps over restarts: how far it has heard, and which alert a bare `/ack` meant."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID


class Kept:
    """Two settings of the store; neither holds a secret."""

    def __init__(self, digest: str, setting: Callable[[str], str | None], remember: Callable[[str, str], None]) -> None:
        """Read nothing yet.

        Args:
            digest: Tells bots apart.
            setting: Reads a value by its name; None where there is none.
            remember: Sets one.
        """
        self._setting = setting
        self._remember = remember
        self._offset_name = f"telegram_offset {digest}"
        self._meant_name = f"telegram_ack {digest}"

    def offset(self) -> int | None:
        """Return the id of the first update that was not done; None where that is not known.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        text = self._setting(self._offset_name)
        return int(text) if text is not None and text.isascii() and text.isdigit() else None

    def keep_offset(self, offset: int) -> None:
        """Keep it.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        self._remember(self._offset_name, str(offset))

    def alert_meant(self, update_id: int, newest: Callable[[], UUID | None]) -> UUID | None:
        """Return the alert that a bare /ack means, the same one for good: done twice, it must not take the next.

        Args:
            update_id: Of the command.
            newest: Says which it is, the first time.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        known_id, _, digits = (self._setting(self._meant_name) or "").partition(" ")
        if known_id == str(update_id):
            return UUID(hex=digits)
        meant = newest()
        if meant is not None:
            self._remember(self._meant_name, f"{update_id} {meant.hex}")
        return meant
