"""Picks ports that nobody uses, for what has to know its port before it binds it."""

from __future__ import annotations

import random
import socket

#: Below the range from which systems take the ports of outgoing connections, so none of these is taken meanwhile.
_FIRST = 10_000
_LAST = 32_000
_TRIES = 200
_given: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now and that this process has not given away before."""
    chance = random.SystemRandom()
    for _ in range(_TRIES):
        port = chance.randint(_FIRST, _LAST)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise AssertionError(f"no free port in {_TRIES} tries")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
