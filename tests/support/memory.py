"""How much memory a process took at most."""

from __future__ import annotations

from pathlib import Path


def peak_mebibytes(pid: int) -> float | None:
    """Return the peak of a running process's resident memory, or None where the system has no /proc to ask."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)
