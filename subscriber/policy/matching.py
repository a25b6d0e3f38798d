"""Which alerts a route, or a silence, takes: a conjunction of fields, each with the values that it allows. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, get_args

from bus.alerts import Action, AgentAction, Alert, OpaqueAlert, RiskEvent, Severity, SystemEvent
from subscriber.deliveries import severity_of
from subscriber.policy.patterns import Texts, words_of

#: Every kind of alert by the word that it has in its own `kind`.
KINDS: Final = tuple(
    str(get_args(model.model_fields["kind"].annotation)[0])
    for model in (RiskEvent, AgentAction, SystemEvent, OpaqueAlert)
)
#: What a match may ask for, by the words of the file, and the attribute of `Match` that holds it.
MATCH_FIELDS: Final = {
    "severity": "severities",
    "action": "actions",
    "kind": "kinds",
    "event_type": "event_types",
    "symbol": "symbols",
    "agent_name": "agent_names",
    "source": "sources",
}
_ACTION_KIND: Final = "agent_action"


@dataclass(frozen=True, slots=True)
class Match:
    """What is asked of an alert; a field that is None asks for nothing, so an empty match takes all."""

    severities: frozenset[Severity] | None = None  #: an action counts as INFO
    actions: frozenset[Action] | None = None  #: BUY and SELL only where something was traded
    kinds: frozenset[str] | None = None
    event_types: Texts | None = None
    symbols: Texts | None = None
    agent_names: Texts | None = None
    sources: Texts | None = None

    def takes(self, alert: Alert) -> bool:
        """Say whether the alert has one of the allowed values in every field that is asked for."""
        if self.severities is not None and severity_of(alert) not in self.severities:
            return False
        if self.actions is not None and not _has_action(alert, self.actions):
            return False
        if self.kinds is not None and alert.kind not in self.kinds:
            return False
        if self.event_types is not None and _event_type(alert) not in self.event_types:
            return False
        if self.symbols is not None and alert.symbol not in self.symbols:
            return False
        if self.agent_names is not None and alert.agent_name not in self.agent_names:
            return False
        return self.sources is None or alert.source in self.sources

    def refusal(self, alert: Alert) -> tuple[str, str | None, list[str]] | None:
        """Return the first field that does not fit, the alert's value and the words it asks for; None where all fit."""
        for name, attribute in MATCH_FIELDS.items():
            allowed: Collection[str] | Texts | None = getattr(self, attribute)
            if allowed is None:
                continue
            value = _value(alert, name)
            if name == "action":
                fits = _has_action(alert, self.actions or frozenset())
                if value is not None and not fits and value in allowed:
                    value = f"{value} of nothing"
            else:
                fits = value in allowed
            if not fits:
                return name, value, _words(allowed)
        return None

    def may_take_critical(self) -> bool:
        """Say whether there can be a CRITICAL alert that this match takes."""
        return (
            (self.severities is None or Severity.CRITICAL in self.severities)
            and self.actions is None
            and (self.kinds is None or bool(self.kinds - {_ACTION_KIND}))
        )

    def covers(self, other: Match) -> bool:
        """Say whether this one surely takes all that another one takes; False where that can't be told."""
        return all(_covers(getattr(self, field), getattr(other, field)) for field in MATCH_FIELDS.values())

    def excludes(self, other: Match) -> bool:
        """Say whether surely no alert is taken by both; False where that can't be told."""
        return any(_excludes(getattr(self, field), getattr(other, field)) for field in MATCH_FIELDS.values())

    def fields(self) -> dict[str, list[str]]:
        """Return what is asked for as plain data, by the words of the file."""
        found = {name: getattr(self, attribute) for name, attribute in MATCH_FIELDS.items()}
        return {name: _words(allowed) for name, allowed in found.items() if allowed is not None}


def at_least(severity: Severity) -> frozenset[Severity]:
    """Return this severity and all above it."""
    return frozenset(each for each in Severity if each.rank >= severity.rank)


def _has_action(alert: Alert, actions: frozenset[Action]) -> bool:
    if not isinstance(alert, AgentAction) or alert.action not in actions:
        return False
    # YoopRL writes a BUY row with quantity 0 in each cycle in which it bought nothing: that is no trade to tell.
    return alert.executed or alert.action is Action.HOLD


def _event_type(alert: Alert) -> str | None:
    return None if isinstance(alert, AgentAction) else alert.event_type


def _value(alert: Alert, name: str) -> str | None:
    if name == "severity":
        return severity_of(alert).value
    if name == "event_type":
        return _event_type(alert)
    value = getattr(alert, name, None)
    return None if value is None else str(value)


def _words(allowed: Any) -> list[str]:
    if isinstance(allowed, frozenset):
        order = {word: number for number, word in enumerate((*Severity, *Action, *KINDS))}
        return sorted(map(str, allowed), key=lambda word: (order.get(word, len(order)), word))
    return words_of(allowed)


def _covers(allowed: Any, other: Any) -> bool:
    if allowed is None or allowed == other:
        return True
    if isinstance(other, frozenset):
        return all(value in allowed for value in other)
    return False


def _excludes(allowed: Any, other: Any) -> bool:
    if isinstance(allowed, frozenset) and other is not None:
        return not any(value in other for value in allowed)
    if isinstance(other, frozenset) and allowed is not None:
        return not any(value in allowed for value in other)
    return False
