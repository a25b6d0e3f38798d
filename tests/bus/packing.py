"""Packs data messages that our own encoder would never write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgpack
import pytest

from bus.alerts import OpaqueAlert
from bus.errors import UndecodableFrames
from bus.wire import (
    INVALID_REASONS,
    Header,
    decode_alert,
    decode_frames,
)

HEADER = Header(bytes(range(16)), 7, 1_772_461_815_250_001)
IDENTITY = UUID("01890a5d-ac96-774b-bcce-b302099a8057")  # its first 48 bits are milliseconds
MADE_AT = datetime(2023, 6, 30, 3, 34, 18, 518_000, UTC)


def body(**changes: Any) -> bytes:
    """Pack a risk event with some fields changed; `...` leaves one out."""
    fields = {
        "id": IDENTITY.bytes,
        "kind": "risk_event",
        "event_type": "X",
        "severity": "CRITICAL",
        "occurred_at": 0,
        **changes,
    }
    packed: bytes = msgpack.packb({name: value for name, value in fields.items() if value is not ...})
    return packed


def header(*parts: Any) -> bytes:
    packed: bytes = msgpack.packb(list(parts))
    return packed


def refused(frames: list[bytes]) -> UndecodableFrames:
    with pytest.raises(UndecodableFrames) as error:
        decode_frames(frames)
    assert error.value.reason in INVALID_REASONS
    return error.value


def opaque(packed: bytes) -> OpaqueAlert:
    alert = decode_alert(packed)
    assert isinstance(alert, OpaqueAlert)
    return alert
