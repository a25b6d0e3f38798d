"""Listens to YoopRL's database manager: every risk event and agent action that is logged there is published too.

Nothing here ever raises into the trading loop. What can't be carried is replaced by its text, cut to the limit,
told in the alert's `altered`, and counted.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from pydantic import ValidationError

from bus.alerts import NAME_LIMIT, AgentAction, Alert, RiskEvent, Severity
from bus.conversion import ALTERED_TEXT_LIMIT, text_of

logger = logging.getLogger(__name__)

#: The parameters of YoopRL's `DatabaseManager.log_risk_event`, in their order.
RISK_EVENT_FIELDS: Final = (
    "event_type", "severity", "description", "agent_name", "symbol", "value", "threshold", "action_taken",
)  # fmt: skip
#: The parameters of YoopRL's `DatabaseManager.log_agent_action`, in their order.
AGENT_ACTION_FIELDS: Final = (
    "agent_name", "symbol", "action", "quantity", "price", "reward", "rationale", "confidence", "state",
)  # fmt: skip

#: What an alert carries beyond those; a call that gives them by name means these.
_OURS_TOO: Final = ("pnl", "position")

#: Words that other programs use for our three severities. What is not known is told as a WARNING: better seen once
#: too often than not at all.
_OTHER_SEVERITIES: Final = {
    "DEBUG": Severity.INFO, "NOTICE": Severity.INFO, "LOW": Severity.INFO,
    "WARN": Severity.WARNING, "MEDIUM": Severity.WARNING,
    "ERROR": Severity.CRITICAL, "HIGH": Severity.CRITICAL, "FATAL": Severity.CRITICAL, "EMERGENCY": Severity.CRITICAL,
}  # fmt: skip

_PLAIN: Final = frozenset({type(None), str, int, float, bool})
_LISTENERS: Final = "__alertbus_publishers__"


class Tap(Protocol):
    """What `attach` needs of a publisher."""

    def publish_made(self, make: Callable[[], Alert]) -> bool:
        """Make an alert and take it."""
        ...

    def attach_failed(self, error: Exception) -> None:
        """Count what could not be told."""
        ...


def attach(publisher: Tap, db_manager: object) -> int:
    """Publish whatever is logged through a database manager from now on.

    Returns:
        How many of its two methods are listened to: 2, or 0 for None and other objects, which is logged and counted.
    """
    tapped = 0
    for method, fields, build in (
        ("log_risk_event", RISK_EVENT_FIELDS, risk_event_of),
        ("log_agent_action", AGENT_ACTION_FIELDS, agent_action_of),
    ):
        try:
            original = getattr(db_manager, method)
            if not callable(original) or isinstance(db_manager, type):
                raise TypeError(f"{method} is no method of an instance")
            if publisher not in getattr(original, _LISTENERS, ()):
                setattr(db_manager, method, _tapped(publisher, original, fields, build))
            tapped += 1
        except Exception as error:  # noqa: BLE001 - an object of any kind may come in, and trading must go on
            _count(publisher, error, f"alerts can't be taken from {type(db_manager).__name__}.{method}")
    return tapped


def _tapped(
    publisher: Tap,
    original: Callable[..., Any],
    names: Sequence[str],
    build: Callable[[dict[str, Any]], Alert],
) -> Callable[..., Any]:
    @functools.wraps(original)
    def log_and_publish(*arguments: Any, **named: Any) -> Any:
        try:  # first, for the database may be locked for seconds
            publisher.publish_made(lambda: build(_fields(names, arguments, named)))
        except Exception as error:  # noqa: BLE001 - it is counted, and trading goes on
            _count(publisher, error, "an event could not be published")
        return original(*arguments, **named)

    setattr(log_and_publish, _LISTENERS, (*getattr(original, _LISTENERS, ()), publisher))
    return log_and_publish


def _count(publisher: Tap, error: Exception, what: str) -> None:
    with suppress(Exception):  # a log handler of the trader's may raise
        publisher.attach_failed(error)
        logger.warning("%s", what, exc_info=error)


def _fields(names: Sequence[str], arguments: Sequence[Any], named: dict[str, Any]) -> dict[str, Any]:
    """Sort a call's arguments into fields; what the method did not have when this was written goes to `extra`."""
    fields = dict(zip(names, arguments, strict=False))
    unknown: dict[str, Any] = {}
    if len(arguments) > len(names):
        unknown["arguments"] = list(arguments[len(names) :])
    for name, value in named.items():
        (fields if name in names or name in _OURS_TOO else unknown)[name] = value
    if unknown:
        fields["extra"] = unknown
    return fields


def risk_event_of(fields: dict[str, Any]) -> Alert:
    """Build a risk event of whatever the fields hold."""
    try:
        return _risk_event(fields)
    except Exception:  # noqa: BLE001 - a foreign object may raise at any touch; its text does not
        return _risk_event(_as_texts(fields))


def agent_action_of(fields: dict[str, Any]) -> Alert:
    """Build an agent action of whatever the fields hold; one whose action is not known is told as a warning."""
    try:
        return _agent_action(fields)
    except Exception:  # noqa: BLE001 - as above
        return _agent_action(_as_texts(fields))


def _risk_event(fields: dict[str, Any]) -> Alert:
    try:
        return RiskEvent(**fields)
    except ValidationError as error:
        return RiskEvent(**_replaced(fields, _faulty(error), RiskEvent.texts))


def _agent_action(fields: dict[str, Any]) -> Alert:
    try:
        return AgentAction(**fields)
    except ValidationError as error:
        faulty = _faulty(error)
    if "action" not in faulty:
        return AgentAction(**_replaced(fields, faulty, AgentAction.texts))
    action = text_of(fields.get("action"), NAME_LIMIT)
    told = {name: value for name, value in fields.items() if value is not None and name not in {"state", "altered"}}
    return _risk_event(
        {
            "event_type": "UNKNOWN_ACTION",
            "severity": Severity.WARNING,
            "description": f"An agent acted in a way that has no name here: {action}",
            "agent_name": fields.get("agent_name"),
            "symbol": fields.get("symbol"),
            "extra": told,
            "altered": fields.get("altered", {}),
        }
    )


def _as_texts(fields: dict[str, Any]) -> dict[str, Any]:
    """Copy the fields with each foreign object replaced by its text, and marked."""
    foreign = {
        name: text_of(value, ALTERED_TEXT_LIMIT)
        for name, value in fields.items()
        if type(value) not in _PLAIN and name not in AgentAction.structures
    }
    return {**fields, **foreign, "altered": foreign}


def _faulty(error: ValidationError) -> list[str]:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return [str(fault["loc"][0]) for fault in faults]


def _replaced(fields: dict[str, Any], faulty: Sequence[str], texts: dict[str, int]) -> dict[str, Any]:
    """Copy the fields with each refused one replaced by something that is not refused, and marked."""
    result = dict(fields)
    altered: dict[str, str] = {}
    for name in faulty:
        value = fields.get(name)
        was = text_of(value, ALTERED_TEXT_LIMIT)
        if name == "severity":
            result[name] = _OTHER_SEVERITIES.get(was.strip().upper(), Severity.WARNING)
        elif name == "event_type":
            result[name] = ("" if value is None else text_of(value, NAME_LIMIT)) or "UNKNOWN"
        elif name in texts:
            result[name] = text_of(value, texts[name])
        else:
            result.pop(name, None)
        altered[name] = was
    return {**result, "altered": {**result.get("altered", {}), **altered}}
