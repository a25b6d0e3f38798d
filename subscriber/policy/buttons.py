"""The buttons below a message: which an alert has, and what one that was pressed asks for. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from bus.alerts import Alert, Severity, SystemEvent
from subscriber.deliveries import Button, severity_of

#: Whose events are the daemon's own.
_DAEMON_SOURCE: Final = "alertbus"
#: For how long the button mutes.
MUTE_SECONDS: Final = 3600.0
#: Telegram refuses a message of which a button holds more.
LONGEST_DATA_BYTES: Final = 64


class ButtonAction(StrEnum):
    """What a button asks for; a closed set."""

    ACKNOWLEDGE = "ack"
    MUTE = "mute"


_LABELS: Final = {ButtonAction.ACKNOWLEDGE: "Acknowledge", ButtonAction.MUTE: "Mute 1 h"}
_TOLD: Final = frozenset({Severity.CRITICAL, Severity.WARNING})
_DATA: Final = re.compile(rf"({'|'.join(ButtonAction)}):([0-9a-f]{{32}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a pressed button asks for, and of which alert."""

    action: ButtonAction
    alert_id: UUID


def buttons_for(alert: Alert) -> tuple[Button, ...]:
    """Return the buttons of an alert: *Acknowledge* and *Mute 1 h* for CRITICAL and WARNING, none for the rest.

    What `can_be_muted` says no to has no *Mute 1 h*.
    """
    if severity_of(alert) not in _TOLD:
        return ()
    actions = ButtonAction if can_be_muted(alert) else (ButtonAction.ACKNOWLEDGE,)
    return tuple(button_of(action, alert.id) for action in actions)


def can_be_muted(alert: Alert) -> bool:
    """Say whether a button may mute what is like an alert: not the daemon's own events.

    What they are about, a publisher or a channel, stands in their description alone: a silence of the one would hold
    those of all others.
    """
    return not (isinstance(alert, SystemEvent) and alert.source == _DAEMON_SOURCE)


def button_of(action: ButtonAction, alert_id: UUID) -> Button:
    """Return one button of an alert."""
    return Button(_LABELS[action], f"{action}:{alert_id.hex}")


def asked_by(data: str) -> Asked | None:
    """Return what the data of a pressed button asks for; None for data that none of ours has."""
    match = _DATA.fullmatch(data)
    return Asked(ButtonAction(match[1]), UUID(hex=match[2])) if match else None
