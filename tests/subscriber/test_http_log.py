"""What strangers who can connect bring into the log: next to nothing."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from tests.support.running_service import PATIENCE_SECONDS, running_service

UPGRADE: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
NO_HTTP: Final = b"\xff\xfe\r\n\r\n"


@pytest.mark.parametrize(("sent", "warned"), [(UPGRADE, 0), (NO_HTTP, 1)], ids=["upgrade", "no HTTP"])
def test_stranger_does_not_fill_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sent: bytes, warned: int
) -> None:
    """Neither is refused without an answer."""
    with running_service({}, tmp_path) as daemon:
        for _ in range(20):
            place = ("127.0.0.1", int(daemon.environ["ALERTBUS_HTTP_PORT"]))
            with socket.create_connection(place, PATIENCE_SECONDS) as stranger, suppress(ConnectionResetError):
                stranger.sendall(sent)
                assert stranger.recv(65536).startswith(b"HTTP/1.1 ")
        said = [record for record in caplog.records if record.name == "uvicorn.error"]
    assert [vars(record)["held_back"] for record in said] == [0] * warned
    assert logging.getLogger("uvicorn.error").filters == []
