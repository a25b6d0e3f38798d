"""What hypothesis makes of alerts and control messages, and of values that nobody would put into them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from bus.alerts import Action, AgentAction, Alert, RiskEvent, Severity, SystemEvent
from bus.wire import Ack, Control, Goodbye, Header, Heartbeat, Replay, Replayed, Unavailable, Welcome
from tests.bus.odd_values import BrokenMapping, NAType, Nonsense, Raises, Side

_Test = TypeVar("_Test", bound=Callable[..., None])


def examples(count: int) -> Callable[[_Test], _Test]:
    """Try so many examples, without a limit on time: the machine may be busy with other tests."""
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def anything() -> st.SearchStrategy[Any]:
    """Nested data with every odd value in it."""
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(max_size=40),
        st.text(st.characters(), max_size=5),  # lone surrogates, too
        st.text("😀…é", max_size=60),
        st.binary(max_size=30),
        st.decimals(),
        st.complex_numbers(),
        st.datetimes(),
        st.sampled_from(
            [
                Raises(), Nonsense(), NAType(), BrokenMapping(), Side.LONG, np.float32("nan"), np.int64(2**60 + 1),
                np.bool_(True), np.arange(6).reshape(2, 3), Decimal("sNaN"), Fraction(10**400), 10**400,
            ]
        ),
    )  # fmt: skip
    keys = st.one_of(st.text(max_size=10), st.integers(), st.none(), st.binary(max_size=4), st.text("😀", max_size=140))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=6), st.dictionaries(keys, inner, max_size=6), st.tuples(inner, inner)
        ),
        max_leaves=30,
    )


_VALID = st.characters(exclude_categories=["Cs"])
_names = st.text(_VALID, max_size=20)
_filled = st.text(_VALID, min_size=1, max_size=20)
_numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
_moments = st.datetimes(timezones=st.just(UTC))
_extras = st.dictionaries(_names, anything(), max_size=4)
_COMMON: dict[str, st.SearchStrategy[Any]] = {
    "id": st.uuids(),
    "source": _names,
    "occurred_at": _moments,
    "extra": _extras,
    "symbol": st.none() | st.text(_VALID, max_size=64),
    "agent_name": st.none() | _names,
}
_risk_events = st.builds(
    RiskEvent,
    **_COMMON,
    event_type=_filled,
    severity=st.sampled_from(Severity),
    description=st.text(_VALID, max_size=60),
    value=_numbers,
    threshold=_numbers,
    pnl=_numbers,
    position=_numbers,
    action_taken=st.none() | _names,
)
_agent_actions = st.builds(
    AgentAction,
    **_COMMON,
    action=st.sampled_from(Action),
    quantity=_numbers,
    price=_numbers,
    reward=_numbers,
    confidence=_numbers,
    pnl=_numbers,
    position=_numbers,
    rationale=st.none() | _names,
    state=anything(),
)
_system_events = st.builds(
    SystemEvent,
    **_COMMON,
    event_type=_filled,
    severity=st.sampled_from(Severity),
    description=_names,
    resolves=st.none() | st.uuids(),
)
#: Alerts of every kind, with odd values wherever a field takes them.
alerts: st.SearchStrategy[Alert] = st.one_of(_risk_events, _agent_actions, _system_events)

_streams = st.binary(min_size=16, max_size=16)
_numbers_from_0 = st.integers(0, 2**63 - 1)
_numbers_from_1 = st.integers(1, 2**63 - 1)
headers: st.SearchStrategy[Header] = st.builds(Header, _streams, _numbers_from_1, _numbers_from_0)
_heartbeats = st.builds(
    Heartbeat,
    stream=_streams,
    source=_names,
    own=st.booleans(),
    first_held=_numbers_from_1,
    first_unacknowledged=_numbers_from_1,
    last=_numbers_from_0,
    clock_us=_numbers_from_0,
    journal_alerts=_numbers_from_0,
    refused=_numbers_from_0,
    volatile=st.booleans(),
    progressed_us=st.none() | _numbers_from_0,
    progress_limit_us=st.none() | _numbers_from_0,
    run=st.none() | _streams,
    timed_publishes=st.none() | _numbers_from_0,
    publish_ns=st.none() | _numbers_from_0,
    publish_longest_ns=st.none() | _numbers_from_0,
    store_id=st.none() | _names,
)


def _replay(stream: bytes, one: int, other: int) -> Replay:
    return Replay(stream=stream, first=min(one, other), last=max(one, other))


def _unavailable(stream: bytes, one: int, other: int, reason: str) -> Unavailable:
    return Unavailable(stream=stream, first=min(one, other), last=max(one, other), reason=reason)


#: Control messages of every type.
controls: st.SearchStrategy[Control] = st.one_of(
    _heartbeats,
    st.builds(Goodbye, stream=_streams, source=_names, last=_numbers_from_0, reason=_names),
    st.builds(Welcome, store_id=_names, version=_names),
    st.builds(Ack, stream=_streams, up_to=_numbers_from_0, goodbye=st.booleans()),
    st.builds(_replay, _streams, _numbers_from_1, _numbers_from_1),
    st.builds(_unavailable, _streams, _numbers_from_1, _numbers_from_1, _names),
    st.just(Replayed()),
)

#: One alert of each kind with every field filled in, for tests that change what is on the wire.
SAMPLES: tuple[Alert, ...] = (
    RiskEvent(
        id="01890a5d-ac96-774b-bcce-b302099a8057",
        source="live_trader",
        occurred_at=datetime(2026, 3, 2, 14, 30, 15, 250_000, UTC),
        event_type="DRAWDOWN_BREACH",
        severity=Severity.CRITICAL,
        description="Drawdown passed its limit",
        agent_name="ppo-7",
        symbol="TNA",
        value=-5.2,
        threshold=-5.0,
        action_taken="closed all",
        pnl=-1200.5,
        position=0.0,
        extra={"book": "alpha", "legs": [1, 2]},
    ),
    AgentAction(
        id="01890a5d-ac96-774b-bcce-b302099a8058",
        source="live_trader",
        occurred_at=datetime(2026, 3, 2, 14, 30, 16, 0, UTC),
        agent_name="ppo-7",
        symbol="BRK.B",
        action=Action.BUY,
        quantity=10.0,
        price=41.2,
        reward=0.01,
        rationale="trend",
        confidence=0.93,
        state={"window": [0.1, 0.2], "position": 0},
    ),
    SystemEvent(
        id="01890a5d-ac96-774b-bcce-b302099a8059",
        source="daemon",
        occurred_at=datetime(2026, 3, 2, 14, 30, 17, 0, UTC),
        event_type="PUBLISHER_BACK",
        severity=Severity.INFO,
        description="live_trader beats again",
        resolves="01890a5d-ac96-774b-bcce-b302099a8050",
    ),
)

_STREAM = bytes(range(16))
#: One control message of each type.
CONTROLS: tuple[Control, ...] = (
    Heartbeat(stream=_STREAM, source="trader", first_held=1, first_unacknowledged=1, last=9, clock_us=5),
    Goodbye(stream=_STREAM, source="trader", last=9),
    Welcome(store_id="store", version="0.1.0"),
    Ack(stream=_STREAM, up_to=7),
    Replay(stream=_STREAM, first=1, last=2),
    Unavailable(stream=_STREAM, first=1, last=2, reason="not held any more"),
    Replayed(),
)
