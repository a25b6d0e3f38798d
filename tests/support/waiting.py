"""Waiting for a condition instead of for a time: tests never sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

_POLL_SECONDS: Final = 0.002
_Value = TypeVar("_Value")


def wait_until(condition: Callable[[], _Value | None], timeout: float = 10.0) -> _Value:
    """Return what a condition returns, as soon as that is true.

    Args:
        condition: Asked again and again.
        timeout: Seconds after which it counts as failed; far longer than it should ever take.

    Raises:
        AssertionError: It did not become true in time.
    """
    limit = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > limit:
            raise AssertionError(f"did not become true within {timeout:g} s; it is {value!r}")
        time.sleep(_POLL_SECONDS)
