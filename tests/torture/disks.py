"""The disks of a run: two small file systems that can be filled, or folders and a limit on the size of files.

Mounting needs root and Linux. Elsewhere a quota (RLIMIT_FSIZE, which Windows lacks) makes the daemon's writes fail,
with another error than a full disk; the verdict says which it was.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

_DATABASE_BYTES: Final = 256 << 20
_JOURNAL_BYTES: Final = 32 << 20
_FILLER: Final = "filler"
_CHUNK_BYTES: Final = 1 << 20
_LEAST_BYTES: Final = 4096

Kind = Literal["small file systems", "quota", "none"]


class Disks:
    """Opens two places, for the daemon's database and for the journals."""

    def __init__(self, folder: Path, *, mount: bool) -> None:
        """Choose the folders, and whether to mount where that is possible; nothing is made."""
        self._mount = mount
        self.database = folder / "database"
        self.journal = folder / "journal"
        self.kind: Kind = "none" if sys.platform == "win32" else "quota"
        self._mounted: list[Path] = []

    def __enter__(self) -> Self:
        """Make the folders, and mount small file systems where that is possible."""
        for place, size_bytes in ((self.database, _DATABASE_BYTES), (self.journal, _JOURNAL_BYTES)):
            place.mkdir()
            if self._mount and _mount(place, size_bytes):
                self._mounted.append(place)
        if len(self._mounted) == 2:
            self.kind = "small file systems"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Unmount."""
        for place in self._mounted:
            subprocess.run(["umount", "-l", str(place)], check=False)

    def fill(self, place: Path) -> None:
        """Leave no free byte on a small file system."""
        with (place / _FILLER).open("wb", buffering=0) as file:
            size = _CHUNK_BYTES
            while size >= _LEAST_BYTES:
                try:
                    file.write(b"\0" * size)
                except OSError:
                    size //= 2

    def keep(self, folder: Path) -> None:
        """Copy the database and the journals to where they outlive the run."""
        for place in (self.database, self.journal):
            shutil.copytree(place, folder / place.name, dirs_exist_ok=True)

    def free(self, place: Path) -> None:
        """Take the filler away."""
        with suppress(FileNotFoundError):
            (place / _FILLER).unlink()


def _mount(place: Path, size_bytes: int) -> bool:
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(place)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
