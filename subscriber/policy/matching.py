"""Which alerts a route takes: a conjunction of fields, each with the values that it allows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar, get_args

from bus.alerts import Action, AgentAction, Alert, OpaqueAlert, RiskEvent, Severity, SystemEvent
from subscriber.deliveries import severity_of

#: Every kind of alert by the word that it has in its own `kind`.
KINDS: Final = tuple(
    str(get_args(model.model_fields["kind"].annotation)[0])
    for model in (RiskEvent, AgentAction, SystemEvent, OpaqueAlert)
)
_ACTION_KIND: Final = "agent_action"

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Match:
    """What a route asks of an alert; a field that is None asks for nothing, so an empty match takes all."""

    severities: frozenset[Severity] | None = None  #: an action counts as INFO
    actions: frozenset[Action] | None = None  #: BUY and SELL only where something was traded
    kinds: frozenset[str] | None = None
    event_types: frozenset[str] | None = None
    symbols: frozenset[str] | None = None
    agent_names: frozenset[str] | None = None
    sources: frozenset[str] | None = None

    def takes(self, alert: Alert) -> bool:
        """Say whether the alert has one of the allowed values in every field that is asked for."""
        return (
            _allows(self.severities, severity_of(alert))
            and self._takes_action(alert)
            and _allows(self.kinds, alert.kind)
            and _allows(self.event_types, None if isinstance(alert, AgentAction) else alert.event_type)
            and _allows(self.symbols, alert.symbol)
            and _allows(self.agent_names, alert.agent_name)
            and _allows(self.sources, alert.source)
        )

    def may_take_critical(self) -> bool:
        """Say whether there can be a CRITICAL alert that this match takes."""
        return (
            _allows(self.severities, Severity.CRITICAL)
            and self.actions is None
            and (self.kinds is None or bool(self.kinds - {_ACTION_KIND}))
        )

    def _takes_action(self, alert: Alert) -> bool:
        if self.actions is None:
            return True
        if not isinstance(alert, AgentAction) or alert.action not in self.actions:
            return False
        # YoopRL writes a BUY row with quantity 0 in each cycle in which it bought nothing: that is no trade to tell.
        return alert.executed or alert.action is Action.HOLD


def at_least(severity: Severity) -> frozenset[Severity]:
    """Return this severity and all above it."""
    return frozenset(each for each in Severity if each.rank >= severity.rank)


def _allows(allowed: frozenset[_Value] | None, value: _Value | None) -> bool:
    return allowed is None or value in allowed
