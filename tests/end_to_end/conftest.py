"""Fixtures of the end-to-end tests: real processes, real sockets, providers on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.rig import CREDENTIALS, Rig
from tests.support.provider_server import ProviderServer


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    """Telegram, Twilio and Meta on loopback."""
    with ProviderServer() as server:
        yield server


@pytest.fixture
def rig(tmp_path: Path, provider: ProviderServer) -> Iterator[Rig]:
    """A machine with credentials of both built-in channels, whose providers are on loopback."""
    addresses = {f"ALERTBUS_{name}_URL": provider.url for name in ("TELEGRAM", "TWILIO", "META")}
    with Rig(tmp_path, {**CREDENTIALS, **addresses}) as machine:
        yield machine


@pytest.fixture
def bare_rig(tmp_path: Path) -> Iterator[Rig]:
    """A machine without credentials."""
    with Rig(tmp_path, {}) as machine:
        yield machine
