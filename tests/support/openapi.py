"""The committed OpenAPI document: `python -m tests.support.openapi` writes it as a running daemon serves it."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.support.running_service import running_service

PAGE: Final = Path(__file__).parents[2] / "docs" / "openapi.json"
COMMAND: Final = "python -m tests.support.openapi"


def served() -> dict[str, Any]:
    """Return the document as a daemon in a dry run serves it."""
    with tempfile.TemporaryDirectory() as folder, running_service({}, Path(folder)) as daemon:
        document: dict[str, Any] = daemon.http.get("/openapi.json").json()
        return document


def text_of(document: dict[str, Any]) -> str:
    """Return the document as it stands in its file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the file."""
    PAGE.write_text(text_of(served()), encoding="utf-8", newline="\n")
    sys.stdout.write(f"{PAGE.name} is written.\n")


if __name__ == "__main__":
    main()
