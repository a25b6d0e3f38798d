"""Which buttons an alert has, and what one that was pressed asks for."""

from __future__ import annotations

from uuid import UUID

import pytest

from bus.alerts import Action, Severity
from subscriber.policy.buttons import LONGEST_DATA_BYTES, Asked, ButtonAction, asked_by, buttons_for
from tests.support.alerts import agent_action, risk_event, system_event


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.WARNING])
def test_buttons_of_what_is_told_to_people_name_the_alert(severity: Severity) -> None:
    alert = risk_event(severity=severity)
    acknowledge, mute = buttons_for(alert)
    assert (acknowledge.label, acknowledge.data) == ("Acknowledge", f"ack:{alert.id.hex}")
    assert (mute.label, mute.data) == ("Mute 1 h", f"mute:{alert.id.hex}")
    assert all(len(button.data.encode()) <= LONGEST_DATA_BYTES for button in buttons_for(alert))


def test_buttons_of_the_rest_are_none() -> None:
    """Nobody is woken by a trade, or by what is worth knowing."""
    assert buttons_for(risk_event(severity=Severity.INFO)) == ()
    assert buttons_for(agent_action(action=Action.BUY)) == ()


def test_buttons_of_the_daemons_own_event_mute_nothing() -> None:
    """Its next event of that name may be about another publisher; a program's own system event is like any other."""
    own = system_event(severity=Severity.CRITICAL, source="alertbus")
    assert [button.label for button in buttons_for(own)] == ["Acknowledge"]
    assert len(buttons_for(system_event(severity=Severity.CRITICAL, source="trader-1"))) == 2


def test_asked_by_of_our_own_buttons_is_what_they_were_made_from() -> None:
    alert = risk_event(severity=Severity.CRITICAL)
    assert [asked_by(button.data) for button in buttons_for(alert)] == [
        Asked(ButtonAction.ACKNOWLEDGE, alert.id),
        Asked(ButtonAction.MUTE, alert.id),
    ]


@pytest.mark.parametrize(
    "data",
    [
        "",
        "ack",
        "ack:",
        "done",
        f"ack:{'0' * 31}",
        f"ack:{'0' * 33}",
        f"ack:{'0' * 32}\n",
        f" ack:{'0' * 32}",
        f"ack:{'A' * 32}",
        "ack:" + "\u0660" * 32,
        f"ack:{UUID(int=0)}",
        f"delete:{'0' * 32}",
    ],
)
def test_asked_by_of_anything_else_is_nothing(data: str) -> None:
    assert asked_by(data) is None
