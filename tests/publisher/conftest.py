"""What the tests of the publisher share: folders, daemons, and publishers that are always closed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from publisher import Publisher, PublisherSettings
from publisher.handover import Counters
from publisher.outboxes import Outboxes
from tests.publisher.builders import HandClock
from tests.support.scripted_daemon import ScriptedDaemon


class MakePublisher(Protocol):
    """Starts a publisher that the fixture closes."""

    def __call__(self, daemon: ScriptedDaemon | None = None, **settings: Any) -> Publisher:
        """Connect it to a daemon, or to nothing."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of journals that does not exist yet."""
    return tmp_path / "journal"


@pytest.fixture
def daemon() -> Iterator[ScriptedDaemon]:
    """A daemon that behaves."""
    with ScriptedDaemon() as running:
        yield running


@pytest.fixture
def nowhere() -> Iterator[tuple[str, str]]:
    """Two endpoints that are taken, so that nobody else gets them, but where nobody listens."""
    with socket.socket() as data, socket.socket() as control:
        data.bind(("127.0.0.1", 0))
        control.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{data.getsockname()[1]}", f"tcp://127.0.0.1:{control.getsockname()[1]}"


@pytest.fixture
def settings(folder: Path, nowhere: tuple[str, str]) -> PublisherSettings:
    """Settings without a daemon, with heartbeats that are quick enough for tests."""
    return settings_for(folder, nowhere)


@pytest.fixture
def make_publisher(settings: PublisherSettings) -> Iterator[MakePublisher]:
    """A factory of started publishers in one folder; each is closed at the end without waiting for a daemon."""
    made: list[Publisher] = []

    def make(daemon: ScriptedDaemon | None = None, **changes: Any) -> Publisher:
        if daemon is not None:
            data, control = daemon.endpoints
            changes = {"data_endpoints": data, "control_endpoints": control, **changes}
        publisher = Publisher(PublisherSettings(**{**settings.model_dump(exclude_unset=True), **changes}))
        made.append(publisher)
        return publisher.start()

    yield make
    for publisher in made:
        publisher.close(timeout=0.0)


@pytest.fixture
def counters() -> Counters:
    """What is counted."""
    return Counters()


@pytest.fixture
def clock() -> HandClock:
    """A clock that stands still until it is moved."""
    return HandClock()


@pytest.fixture
def unopened(settings: PublisherSettings, counters: Counters, clock: HandClock) -> Outboxes:
    """The streams of a publisher that has not started."""
    return Outboxes(settings, counters, clock)


@pytest.fixture
def outboxes(unopened: Outboxes) -> Iterator[Outboxes]:
    """The streams of a publisher that has."""
    unopened.open()
    yield unopened
    unopened.close()


def settings_for(folder: Path, endpoints: tuple[str, str], **changes: Any) -> PublisherSettings:
    """Return settings for a daemon's endpoints."""
    values: dict[str, Any] = {
        "journal": folder,
        "data_endpoints": endpoints[0],
        "control_endpoints": endpoints[1],
        "source": "trader",
        "heartbeat_interval_seconds": 0.1,
    }
    return PublisherSettings(**{**values, **changes})
