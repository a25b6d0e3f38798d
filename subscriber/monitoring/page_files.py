"""The files of the page, each read once: whoever asks for one, also a stranger, costs a look at its time and size.

Which files there are is found out when the daemon starts; what becomes of one of them is seen at once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

#: Bytes of an answer that wait for one client at a time: a thousand slow ones are to hold little of the memory.
PIECE: Final = 64 * 1024
_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it was read."""

    content: bytes
    etag: str
    changed: datetime  #: in whole seconds, as HTTP tells it


class PageFiles:
    """What a folder has. Any thread may ask."""

    def __init__(self, folder: Path) -> None:
        """Find out which files there are, and read none."""
        self._paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        self._read: dict[str, tuple[tuple[int, int], PageFile]] = {}

    def find(self, name: str) -> PageFile | None:
        """Return a file as it is now; None where there is none of this name, or it can't be read any more."""
        path = self._paths.get(name)
        if path is None:
            return None
        try:
            stat = path.stat()
            version = (stat.st_mtime_ns, stat.st_size)
            known = self._read.get(name)
            if known is None or known[0] != version:
                known = self._read[name] = version, _read(path, stat.st_mtime_ns)
        except OSError:
            return None
        return known[1]


class PieceByPiece(Response):
    """An answer of which the next piece is sent when the client has taken the one before it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - Starlette calls it so
        """Send it; a client that asks for the head alone is sent no more by the server."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = bytes(self.body)
        for start in range(0, max(len(body), 1), PIECE):
            more = start + PIECE < len(body)
            await send({"type": "http.response.body", "body": body[start : start + PIECE], "more_body": more})


def _read(path: Path, modified_ns: int) -> PageFile:
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return PageFile(content, tag, datetime.fromtimestamp(modified_ns // _NANOSECONDS, UTC))
