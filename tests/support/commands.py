"""Runs `alertbus-subscriber` in this process, with an environment and a folder of the test's own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner, Result

from subscriber.__main__ import app
from tests.support.logged import restored_logging

_INHERITED = ("PATH", "HOME", "SYSTEMROOT", "TMP", "TEMP", "TMPDIR")


class Command:
    """How a command ended and what it printed."""

    def __init__(self, result: Result) -> None:
        self.code = result.exit_code
        self.out = result.stdout
        self.err = result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception  # no command may end with a traceback, whatever it is given

    @property
    def json(self) -> Any:
        """All of standard output, as JSON."""
        return json.loads(self.out)


def command(environ: Mapping[str, str], folder: Path, *arguments: str) -> Command:
    """Run one command to its end."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    before = Path.cwd()
    os.chdir(folder)
    try:
        with restored_logging(), patch.dict(os.environ, {"COLUMNS": "80", **inherited, **environ}, clear=True):
            return Command(CliRunner().invoke(app, list(arguments)))
    finally:
        os.chdir(before)
