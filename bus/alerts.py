"""The alert: what happened in a trading process, as one frozen value that both sides agree on.

`RiskEvent` and `AgentAction` carry the fields of YoopRL's `DatabaseManager.log_risk_event` and `log_agent_action`
by the same names; `SystemEvent` is what alertbus and logging have to say. Odd values are met by `bus.conversion`;
the limits on every field bound an encoded alert to 64 KiB (`bus.wire.BODY_LIMIT_BYTES`). Pure.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from bus.conversion import ALTERED_TEXT_LIMIT, DEPTH_LIMIT, ELLIPSIS, Plain, number_of, text_of

NAME_LIMIT: Final = 128
SYMBOL_LIMIT: Final = 64
DESCRIPTION_LIMIT: Final = 4000
ACTION_TAKEN_LIMIT: Final = 1000
STATE_LIMIT_BYTES: Final = 16 * 1024
EXTRA_LIMIT_BYTES: Final = 8 * 1024
#: Entries of `altered`, and characters of a field's name there: more than the fields that any kind has.
ALTERED_LIMIT: Final = 24
FIELD_NAME_LIMIT: Final = 64


class Severity(StrEnum):
    """How much an event matters; INFO < WARNING < CRITICAL by `rank`. Read without regard to case."""

    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"

    @property
    def rank(self) -> int:
        """0 for INFO, 1 for WARNING, 2 for CRITICAL."""
        return _SEVERITY_RANK[self]

    @classmethod
    def _missing_(cls, value: object) -> Severity | None:
        return cls.__members__.get(value.strip().upper()) if isinstance(value, str) else None


_SEVERITY_RANK: Final = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


class Action(StrEnum):
    """What an agent decided to do. Read without regard to case."""

    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"

    @classmethod
    def _missing_(cls, value: object) -> Action | None:
        return cls.__members__.get(value.strip().upper()) if isinstance(value, str) else None


def new_alert_id() -> UUID:
    """Make a UUIDv7 (RFC 9562): milliseconds of UTC, then 74 random bits, so ids sort by time."""
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80 | random_bits
    return UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("in UTC it lies outside the years 1 to 9999") from None


def _word(value: object) -> object:
    # An enum says in its error what it was given, and a foreign __repr__ may raise anything.
    if not issubclass(type(value), str | bytes):
        raise ValueError("it is no word")
    return value


Finite = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)]
OptionalName = Annotated[str, Field(max_length=NAME_LIMIT)] | None
Symbol = Annotated[str, Field(max_length=SYMBOL_LIMIT)] | None
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
SeverityWord = Annotated[Severity, BeforeValidator(_word)]
ActionWord = Annotated[Action, BeforeValidator(_word)]
Altered = Annotated[
    dict[
        Annotated[str, Field(max_length=FIELD_NAME_LIMIT)],
        Annotated[str, Field(max_length=ALTERED_TEXT_LIMIT)],
    ],
    Field(max_length=ALTERED_LIMIT),
]


class _AlertBase(BaseModel):
    """What every kind of alert has. Frozen: an alert never changes after it was built."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: How each field that may hold odd values is met; the numbers are the limits in characters or bytes.
    numbers: ClassVar[tuple[str, ...]] = ()
    texts: ClassVar[dict[str, int]] = {"source": NAME_LIMIT}
    structures: ClassVar[dict[str, int]] = {"extra": EXTRA_LIMIT_BYTES}

    id: UUID = Field(default_factory=new_alert_id, description="UUIDv7; the alert's identity everywhere.")
    source: Annotated[str, Field(max_length=NAME_LIMIT)] = Field(
        default="", description="The publishing process; the publisher fills in its own name."
    )
    occurred_at: Moment = Field(default_factory=_utc_now, description="When it happened; aware, kept in UTC.")
    extra: dict[str, Any] = Field(default_factory=dict, description="Anything else, as plain data up to 8 KiB.")
    altered: Altered = Field(
        default_factory=dict, description="Fields that could not be carried as given, and what they were."
    )

    @model_validator(mode="wrap")
    @classmethod
    def _meet_odd_values(cls, data: Any, handler: Callable[[Any], Self]) -> Self:
        if not isinstance(data, dict):
            return handler(data)
        for name in cls.structures:
            if data.get(name) is not None:
                data = _with_plain(data, name, cls.structures[name])
        try:
            return handler(data)
        except ValidationError:
            carried = _carried(data, cls.numbers, cls.texts)
            if carried is None:
                raise
        return handler(carried)

    def log_fields(self) -> dict[str, str]:
        """Return the keys under which every log line tells of this alert; never its text."""
        return {"alert_id": str(self.id), "source": self.source}


class RiskEvent(_AlertBase):
    """A risk rule fired. The fields are those of YoopRL's `log_risk_event`, and what a message may add."""

    numbers: ClassVar[tuple[str, ...]] = ("value", "threshold", "pnl", "position")
    texts: ClassVar[dict[str, int]] = {
        "source": NAME_LIMIT,
        "event_type": NAME_LIMIT,
        "description": DESCRIPTION_LIMIT,
        "agent_name": NAME_LIMIT,
        "symbol": SYMBOL_LIMIT,
        "action_taken": ACTION_TAKEN_LIMIT,
    }

    kind: Literal["risk_event"] = "risk_event"
    event_type: Name
    severity: SeverityWord
    description: Annotated[str, Field(max_length=DESCRIPTION_LIMIT)] = ""
    agent_name: OptionalName = None
    symbol: Symbol = None
    value: Finite | None = None
    threshold: Finite | None = None
    action_taken: Annotated[str, Field(max_length=ACTION_TAKEN_LIMIT)] | None = None
    pnl: Finite | None = None
    position: Finite | None = None


class AgentAction(_AlertBase):
    """An agent acted. The fields are those of YoopRL's `log_agent_action`, and what a message may add."""

    numbers: ClassVar[tuple[str, ...]] = (
        "quantity",
        "price",
        "reward",
        "confidence",
        "pnl",
        "position",
    )
    texts: ClassVar[dict[str, int]] = {
        "source": NAME_LIMIT,
        "agent_name": NAME_LIMIT,
        "symbol": SYMBOL_LIMIT,
        "rationale": DESCRIPTION_LIMIT,
    }
    structures: ClassVar[dict[str, int]] = {"extra": EXTRA_LIMIT_BYTES, "state": STATE_LIMIT_BYTES}

    kind: Literal["agent_action"] = "agent_action"
    agent_name: OptionalName = None
    symbol: Symbol = None
    action: ActionWord
    quantity: Finite | None = None
    price: Finite | None = None
    reward: Finite | None = None
    rationale: Annotated[str, Field(max_length=DESCRIPTION_LIMIT)] | None = None
    confidence: Finite | None = None
    state: Any = Field(default=None, description="The agent's observation; kept, never part of a message.")
    pnl: Finite | None = None
    position: Finite | None = None

    @property
    def executed(self) -> bool:
        """Whether something was traded: a BUY or SELL, unless its quantity is given as exactly 0."""
        return self.action is not Action.HOLD and self.quantity != 0


class SystemEvent(_AlertBase):
    """Something that alertbus itself, or a program's log, has to say."""

    texts: ClassVar[dict[str, int]] = {
        "source": NAME_LIMIT,
        "event_type": NAME_LIMIT,
        "description": DESCRIPTION_LIMIT,
        "symbol": SYMBOL_LIMIT,
        "agent_name": NAME_LIMIT,
    }

    kind: Literal["system_event"] = "system_event"
    event_type: Name
    severity: SeverityWord
    description: Annotated[str, Field(max_length=DESCRIPTION_LIMIT)] = ""
    agent_name: OptionalName = None
    symbol: Symbol = None
    resolves: UUID | None = Field(default=None, description="The alert that this one ends.")


class OpaqueAlert(_AlertBase):
    """An alert of a kind, or with fields, that this version does not know: kept raw and told as generic text."""

    structures: ClassVar[dict[str, int]] = {"extra": EXTRA_LIMIT_BYTES, "fields": EXTRA_LIMIT_BYTES}

    kind: Literal["opaque"] = "opaque"
    original_kind: Name
    event_type: Name
    severity: SeverityWord = Severity.WARNING
    symbol: Symbol = None
    agent_name: OptionalName = None
    fields: dict[str, Any] = Field(default_factory=dict)


Alert = RiskEvent | AgentAction | SystemEvent | OpaqueAlert


def _with_plain(data: dict[str, Any], name: str, budget_bytes: int) -> dict[str, Any]:
    """Copy the fields with one of them made plain data; say so in `altered` when some of it did not fit."""
    plain = Plain(budget_bytes)
    converted = plain.convert(data[name])
    if not plain.cut:
        return {**data, name: converted}
    was = f"not all could be carried: at most {budget_bytes // 1024} KiB and {DEPTH_LIMIT} levels"
    return {**data, name: converted, "altered": _told(data, {name: was})}


def _carried(data: dict[str, Any], numbers: tuple[str, ...], texts: dict[str, int]) -> dict[str, Any] | None:
    """Copy the fields with odd numbers and texts met by the rules, or None where there is nothing to meet."""
    changed: dict[str, object] = {}
    altered: dict[str, str] = {}
    for name in numbers:
        value = data.get(name)
        number, was = number_of(value)
        if number is not value:
            changed[name] = number
        if was is not None:
            altered[name] = was
    for name, limit in texts.items():
        value = data.get(name)
        if not issubclass(type(value), str | bytes | bytearray | BaseException):
            continue
        text = text_of(value, limit)
        if isinstance(value, BaseException):
            text = text or type(value).__name__
        was = _what_became_of(value, text, limit)
        if was is not None:
            changed[name] = text
            altered[name] = was
    if not changed:
        return None
    return {**data, **changed, "altered": _told(data, altered)}


def _told(data: dict[str, Any], altered: dict[str, str]) -> object:
    """Add to what the alert already says was altered; what is no mapping is left for validation to refuse."""
    given = data.get("altered") or {}
    return {**given, **altered} if isinstance(given, dict) else given


def _what_became_of(value: object, text: str, limit: int) -> str | None:
    """Say how a text differs from what was given, or None where it does not."""
    if isinstance(value, str | bytes | bytearray):
        if value == (text if isinstance(value, str) else text.encode()):
            return None
        if len(value) > limit == len(text) and text.endswith(ELLIPSIS):
            return f"cut from {len(value)} {'characters' if isinstance(value, str) else 'bytes'}"
        return "not valid Unicode"
    return f"text of {type(value).__name__}"[:ALTERED_TEXT_LIMIT]
