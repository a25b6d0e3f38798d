"""What the system itself says of the daemon, of its files and of what it wrote, at the end of the day."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.dashboards.live.town import Town

LEVELS = ("warning", "error", "critical")


def look_around(town: Town) -> None:
    """Note it in the ledger."""
    levels = town.ledger.levels
    process = Path(f"/proc/{town.daemon.process.pid}")
    pages = int((process / "statm").read_text(encoding="ascii").split()[1])
    levels["end", "memory"] = pages * os.sysconf("SC_PAGE_SIZE")
    levels["end", "files"] = len(list((process / "fd").iterdir())) / _most_files(process)
    levels["end", "database"] = sum(path.stat().st_size for path in town.folder.glob("alertbus.db*"))
    levels["end", "disk_size"], _used, levels["end", "disk_free"] = shutil.disk_usage(town.folder)
    levels["end", "pinged"] = town.pinged.taken_at
    count_log(town, 1)


def count_log(town: Town, times: int) -> None:
    """Add to the ledger how many records of each level were written so far, so many times."""
    for level in LEVELS:
        lines = sum(f" {level.upper()} " in line[:40] for line in town.daemon_logs())
        town.ledger.counts[f"logged_{level}"] += times * lines


def _most_files(process: Path) -> int:
    line = next(line for line in (process / "limits").read_text(encoding="ascii").splitlines() if "open files" in line)
    return int(line.split()[3])
