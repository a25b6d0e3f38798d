"""What makes two alerts alike: the same values in some fields. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final
from urllib.parse import quote

from bus.alerts import Alert
from subscriber.deliveries import event_of, severity_of

#: Fields by which alerts are counted together, or told together.
FIELDS: Final = ("source", "event_type", "symbol", "agent_name", "severity", "kind")
#: What makes alerts alike where nobody says otherwise.
DEFAULT_FIELDS: Final = ("source", "event_type", "symbol", "agent_name")

_BYTES: Final = 16
#: Characters of the values in a batch's word; what is longer ends in a digest.
_LONGEST: Final = 160
_NONE: Final = "\x1e"
_BETWEEN: Final = "\x1f"


def fingerprint_of(alert: Alert, fields: tuple[str, ...], *, critical: bool) -> bytes:
    """Return 16 bytes that alerts with the same values have in common; a CRITICAL is like no other alert."""
    texts = ["C" if critical else "-"]
    for name in fields:
        value = _value(alert, name)
        texts.append(_NONE if value is None else value)
    return blake2b(_BETWEEN.join(texts).encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()


def group_of(route: str, alert: Alert, fields: tuple[str, ...]) -> str:
    """Return the word of the batch that an alert belongs to: `group:ROUTE:VALUES`; values never hold a colon."""
    values = ",".join(quote(_value(alert, name) or "", safe=" /", errors="replace") for name in fields)
    if len(values) > _LONGEST:
        digest = fingerprint_of(alert, fields, critical=False).hex()
        values = f"{values[: _LONGEST - len(digest) - 1]}~{digest}"
    return f"group:{route}:{values}"


def _value(alert: Alert, name: str) -> str | None:
    if name == "event_type":
        return event_of(alert)
    if name == "severity":
        return severity_of(alert).value
    value: str | None = getattr(alert, name)
    return value
