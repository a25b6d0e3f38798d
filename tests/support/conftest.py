"""Fixtures of the tests of the test support itself."""

from collections.abc import Iterator

import pytest

from tests.support.provider_server import ProviderServer


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep `requests` from taking the machine's own proxy to loopback."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A provider server on a free port; what went wrong inside it fails the test."""
    with ProviderServer() as running:
        yield running
