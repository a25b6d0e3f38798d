"""What the end of an attempt changes in its record and in its deliveries."""

from __future__ import annotations

from typing import Any, Final, assert_never

from sqlalchemy import BigInteger, Text, bindparam, func, update

from bus.clock import MICROSECONDS
from subscriber.deliveries import OPEN_STATES, Decision, DeliveryState, Done, GiveUp, Outcome, Reason, RetryAt
from subscriber.receipts import ReceiptMode, ReceiptState
from subscriber.store import schema
from subscriber.store.part import storable

_attempt: Final = schema.attempt

#: Outcomes that are the channel's fault and say nothing about the delivery: they do not count as a retry.
NOT_COUNTED: Final = frozenset({Reason.RATE_LIMITED, Reason.UNAUTHORIZED})
#: How long after its acceptance a message is first asked for.
_FIRST_ASKED_US: Final = 2 * MICROSECONDS
#: How long after its acceptance a message counts as one whose receipt is still to come.
WAITED_FOR_US: Final = 24 * 3600 * MICROSECONDS

#: Writes what `closing` returns, and `took`, the seconds, into the record of the attempt `which`.
end_attempt: Final = (
    update(_attempt)
    .where(_attempt.c.id == bindparam("which"))
    .values(
        closed_us=bindparam("at_us"),
        reason=bindparam("ended_as"),
        status=bindparam("http_status"),
        code=bindparam("provider_code"),
        detail=bindparam("said"),
        provider_message_id=bindparam("message_id"),
        in_doubt=bindparam("doubt"),
        seconds=bindparam("took"),
        by_template=bindparam("templated"),
    )
)
#: The same, and what `expecting` returns; what a receipt said before this is written stays.
end_told_later: Final = end_attempt.values(
    provider_message_id=func.coalesce(bindparam("message_id", type_=Text), _attempt.c.provider_message_id),
    receipt=func.coalesce(_attempt.c.receipt, bindparam("first_receipt", type_=Text)),
    receipt_us=func.coalesce(_attempt.c.receipt_us, bindparam("first_receipt_us", type_=BigInteger)),
    receipt_due=func.coalesce(bindparam("ask_us", type_=BigInteger), _attempt.c.receipt_due),
    receipt_until=func.coalesce(bindparam("wait_until_us", type_=BigInteger), _attempt.c.receipt_until),
)


def closing(outcome: Outcome, decision: Decision, now_us: int) -> dict[str, Any]:
    """Return what a closed attempt's record says."""
    return {
        "at_us": now_us,
        "ended_as": outcome.reason.value,
        "http_status": outcome.status,
        "provider_code": text_or_none(outcome.code),
        "said": storable(outcome.detail),
        "message_id": text_or_none(outcome.provider_message_id),
        "doubt": in_doubt_of(outcome, decision),
        "templated": outcome.by_template,
    }


def expecting(outcome: Outcome, receipts: ReceiptMode, now_us: int) -> dict[str, Any]:
    """Return what the record of a channel with receipts says of them: nothing where no message is known."""
    expected = outcome.accepted and outcome.provider_message_id is not None
    due_us, until_us = waiting(now_us, polling=receipts is ReceiptMode.POLLING) if expected else (None, None)
    return {
        "first_receipt": ReceiptState.QUEUED.value if expected else None,
        "first_receipt_us": now_us if expected else None,
        "ask_us": due_us,
        "wait_until_us": until_us,
    }


def waiting(now_us: int, *, polling: bool) -> tuple[int | None, int]:
    """Return when to ask first for a message that was just accepted, None for never, and until when to wait for it."""
    return now_us + _FIRST_ASKED_US if polling else None, now_us + WAITED_FOR_US


def changes_of(outcome: Outcome, decision: Decision, now_us: int) -> dict[str, Any]:
    """Return what a closed attempt changes in its deliveries; a state or due time that is None stays as it is.

    Raises:
        ValueError: The decision ends them in a state that a worker has something to do in.
    """
    in_doubt = in_doubt_of(outcome, decision)
    changes: dict[str, Any] = {
        "new_status": None,
        "new_due_us": None,
        "counted": int(outcome.reason not in NOT_COUNTED),
        "doubt": in_doubt,
        "ended_us": now_us,
        "ended_as": outcome.reason.value,
        "said": storable(outcome.detail),
        "provider_code": text_or_none(outcome.code),
    }
    match decision:
        case Done():
            return {**changes, "new_status": DeliveryState.ACCEPTED.value, "counted": 0}
        case RetryAt():
            # without a doubt of its own it leaves the state as it is: an older doubt stays
            state = DeliveryState.IN_DOUBT.value if in_doubt else None
            again = {"new_status": state, "new_due_us": decision.due_at_us, "ended_us": None}
            return {**changes, **again, "counted": int(decision.counts)}
        case GiveUp():
            check_final(decision.state)
            return {**changes, "new_status": decision.state.value}
        case _:
            assert_never(decision)


def check_final(state: DeliveryState) -> None:
    """Refuse a state that a worker has something to do in.

    Raises:
        ValueError: It is one.
    """
    if state in OPEN_STATES:
        raise ValueError(f"A delivery does not end as {state.value}.")


def in_doubt_of(outcome: Outcome, decision: Decision) -> bool:
    """Whether the provider may have taken the message although nobody knows."""
    return outcome.in_doubt or (isinstance(decision, RetryAt) and decision.in_doubt)


def text_or_none(text: str | None) -> str | None:
    """Return a text that both databases take, or None as it is."""
    return None if text is None else storable(text)
