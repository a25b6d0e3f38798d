"""Programs that some tests need and a machine may lack: a test without its tool is skipped, but fails in CI."""

from __future__ import annotations

import os
import shutil

import pytest


def needed(program: str, how: str, *other_names: str) -> str:
    """Return where a program is; skip the test where it is missing, or fail it under `CI=true`.

    Args:
        program: Its name.
        how: How to get it, as in `apt install prometheus`.
        other_names: What else it may be called.
    """
    for name in (program, *other_names):
        found = shutil.which(name)
        if found is not None:
            return found
    problem = f"{program} is not installed: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(problem)
    pytest.skip(problem)
