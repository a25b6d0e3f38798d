"""Texts that a person writes for alerts, filled in: what an alert gives to them, which one holds, what they make. Pure.

What a template makes is plain text: its first line takes the place of a message's first line, the others that of
what happened. It goes through the same cleaning, escaping and fitting as the built-in text, so that neither a template
nor an alert puts markup into a message. docs/templates.md tells it to those who write them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Final

from bus.alerts import AgentAction, Alert, OpaqueAlert, RiskEvent, SystemEvent
from subscriber.deliveries import event_of, severity_of
from subscriber.policy.cleaning import clean_line, clean_lines
from subscriber.policy.figures import money_text, number_text
from subscriber.policy.sandbox import Compiled, Sandbox, TemplateFault
from subscriber.policy.wording import Repeats, description_of, moment_text, plain_text, reader_time, short_id

#: What a template may use.
VARIABLES: Final = (
    *("action", "action_taken", "agent", "confidence", "description", "event", "extra", "id", "kind", "more", "pnl"),
    *("position", "price", "quantity", "repeat", "reward", "severity", "short_id", "source", "symbol", "threshold"),
    *("time", "value"),
)
_NUMBERS: Final = tuple(dict.fromkeys((*RiskEvent.numbers, *AgentAction.numbers)))
_LOCAL_FORMAT: Final = re.compile(r"(?:[^%]|%[YymdHIMSpZzaAbBj%])*")
_LOCAL_FORMAT_LIMIT: Final = 64
_COMPILED_KEPT: Final = 128
_SAMPLE: Final = {
    "source": "live_trader",
    "agent_name": "PPO_TNA",
    "symbol": "TNA",
    "extra": {"order_id": 1234567, "venue": "NASDAQ"},
}
_SAMPLE_EVENT: Final = {
    **_SAMPLE,
    "event_type": "DRAWDOWN_BREACH",
    "severity": "CRITICAL",
    "description": "Drawdown < -10 %: limit_A & limit_B are breached",
}
_SAMPLE_RISK: Final = {
    "value": -0.12,
    "threshold": -0.1,
    "pnl": -1234.5,
    "position": 120.0,
    "action_taken": "Trading halted",
}
_SAMPLE_ACTION: Final = {
    "action": "BUY",
    "quantity": 10.0,
    "price": 41.2,
    "reward": 0.1,
    "confidence": 0.87,
    "pnl": 12.5,
    "position": 130.0,
    "rationale": "Momentum above its 20-day mean",
}


@dataclass(frozen=True, slots=True)
class Template:
    """A text for alerts; it is compiled when it is first used."""

    name: str
    text: str
    kinds: frozenset[str] | None = None  #: of alerts that it is for; None for all
    channels: frozenset[str] = frozenset()  #: where it holds unless a route names another one

    def takes(self, kind: str) -> bool:
        """Say whether it is for alerts of this kind."""
        return self.kinds is None or kind in self.kinds

    def filled(self, alert: Alert, zone: tzinfo, repeats: Repeats) -> str:
        """Return what it makes of an alert: at least one line, none of them empty.

        Raises:
            TemplateFault: It can't be filled in for this alert; the message names the line.
        """
        text = clean_lines(_SANDBOX.filled(_compiled(self.text), _values_of(alert, zone, repeats)))
        if not text:
            raise TemplateFault("it makes an empty text")
        return text


class Templates:
    """All templates in force."""

    def __init__(self, templates: Iterable[Template]) -> None:
        """Keep them in this order, in which the first one holds."""
        self._all = {template.name: template for template in templates}

    def pick(self, name: str | None, channel: str, kind: str) -> Template | None:
        """Return the template for a message, or None for the built-in text.

        Args:
            name: What the route named; one that is gone, or not for this kind, counts as none.
            channel: Where the message goes.
            kind: Of the alert.
        """
        named = self._all.get(name) if name is not None else None
        if named is not None and named.takes(kind):
            return named
        own = (each for each in self._all.values() if channel in each.channels and each.takes(kind))
        return next(own, None)


def sample_alert(kind: str) -> Alert:
    """Return an alert with something in every field, to preview a template with.

    Args:
        kind: A word of `kind`; one that has no sample of its own is shown as an unknown one.
    """
    match kind:
        case "risk_event":
            return RiskEvent.model_validate({**_SAMPLE_EVENT, **_SAMPLE_RISK})
        case "agent_action":
            return AgentAction.model_validate({**_SAMPLE, **_SAMPLE_ACTION})
        case "system_event":
            return SystemEvent.model_validate({**_SAMPLE_EVENT, "event_type": "PUBLISHER_SILENT"})
        case _:
            fields = {"description": _SAMPLE_EVENT["description"], "deadline": "16:00"}
            return OpaqueAlert(original_kind=kind, event_type="MARGIN_CALL", symbol="TNA", fields=fields)


def check_template(text: str) -> str | None:
    """Return what is wrong with a template, with its line, or None."""
    try:
        _compiled(text)
    except TemplateFault as fault:
        return str(fault)
    return None


def _local(moment: datetime, form: str | None = None) -> str:
    if form is None:
        return moment_text(moment)
    if len(form) > _LOCAL_FORMAT_LIMIT or not _LOCAL_FORMAT.fullmatch(form):
        raise TemplateFault("a time's format may have %Y %y %m %d %H %I %M %S %p %Z %z %a %A %b %B %j alone")
    return moment.strftime(form)


def _number(value: object) -> str:
    return number_text(value) if isinstance(value, int | float) else _shown(value)


def _money(value: object) -> str:
    return money_text(value) if isinstance(value, int | float) else _shown(value)


def _shown(value: object) -> str:
    """Write a value as a person reads it; nothing as nothing."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return moment_text(value)
    return plain_text(value)


_SANDBOX: Final = Sandbox(VARIABLES, {"number": _number, "money": _money, "local": _local}, _shown)


@lru_cache(maxsize=_COMPILED_KEPT)
def _compiled(text: str) -> Compiled:
    return _SANDBOX.compiled(text)


def _values_of(alert: Alert, zone: tzinfo, repeats: Repeats) -> Mapping[str, object]:
    """Return what a template may use, cleaned: only a description has several lines. `state` is never told."""
    more_fields = alert.fields if isinstance(alert, OpaqueAlert) else {}
    return {
        **{name: _number_of(alert, name) for name in _NUMBERS},
        "kind": alert.kind,
        "severity": severity_of(alert).value,
        "event": clean_line(event_of(alert)),
        "symbol": clean_line(alert.symbol or ""),
        "agent": clean_line(alert.agent_name or ""),
        "source": clean_line(alert.source),
        "description": clean_lines(description_of(alert)),
        "action": alert.action.value if isinstance(alert, AgentAction) else "",
        "action_taken": clean_line((alert.action_taken if isinstance(alert, RiskEvent) else None) or ""),
        "extra": _cleaned({name: value for name, value in {**alert.extra, **more_fields}.items() if name != "state"}),
        "id": str(alert.id),
        "short_id": short_id(alert),
        "time": reader_time(alert.occurred_at, zone),
        "more": repeats.more,
        "repeat": repeats.possible,
    }


def _number_of(alert: Alert, name: str) -> float | str | None:
    """Return a number, or the text of what could not be carried in its place (nan), or nothing."""
    number: float | None = getattr(alert, name, None)
    if number is None and name in alert.altered:
        return clean_line(alert.altered[name])
    return number


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return clean_line(value)
    if isinstance(value, Mapping):
        return {clean_line(str(name)): _cleaned(item) for name, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list | tuple) else value
