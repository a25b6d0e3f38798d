"""Waiting for a condition instead of for a time: tests never sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

#: The pause after each look grows with the time that was waited: whoever asks a process keeps it from its work.
_POLL_SECONDS: Final = 0.002
_LONGEST_POLL_SECONDS: Final = 0.1
_POLL_SHARE: Final = 0.05
_Value = TypeVar("_Value")


def wait_until(
    condition: Callable[[], _Value | None], timeout: float = 60.0, *, longest_pause: float = _LONGEST_POLL_SECONDS
) -> _Value:
    """Return what a condition returns, as soon as that is true.

    Args:
        condition: Asked again and again.
        timeout: Seconds after which it counts as failed; far longer than it should ever take.
        longest_pause: Seconds between two looks at most; less where the looks themselves bring it about.

    Raises:
        AssertionError: It did not become true in time.
    """
    began = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - began
        if waited > timeout:
            raise AssertionError(f"did not become true within {timeout:g} s; it is {value!r}")
        time.sleep(min(max(_POLL_SECONDS, waited * _POLL_SHARE), longest_pause))
