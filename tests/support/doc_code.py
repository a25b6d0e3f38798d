"""The code that documents show, so that tests run that very code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parents[2] / "docs"


def code_of(document: str, name: str) -> str:
    """Return the first block of code behind the place where a document names a new file.

    Args:
        document: Below docs/, such as `yooprl.md`.
        name: As it stands there between backquotes, such as `backend/alerting.py`.

    Raises:
        AssertionError: The document has no such name, or no code behind it.
    """
    _, named, rest = (DOCS / document).read_text(encoding="utf-8").partition(f"`{name}`")
    found = re.search(r"^```\w+\n(.*?)^```$", rest, re.DOTALL | re.MULTILINE)
    assert named, f"{document} does not name {name}"
    assert found, f"{document} has no code for {name}"
    return found[1]
