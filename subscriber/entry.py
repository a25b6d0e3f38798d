"""The command's entry point: where only the publisher is installed, it says how to install the daemon."""

from __future__ import annotations

import sys

#: The exit code of a configuration that has to be changed.
_EXIT_CONFIGURATION = 2


def main() -> None:
    """Run `alertbus-subscriber`, or say what is missing."""
    try:
        from subscriber.__main__ import main as run  # noqa: PLC0415 - it needs what only the daemon's extra installs
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"bus", "subscriber", "publisher", "dashboards"}:
            raise
        sys.stderr.write(
            f"alertbus-subscriber: {error.name} is missing: this installation has the publisher only. Install the "
            "daemon with: pip install 'alertbus[subscriber]'\n"
        )
        sys.exit(_EXIT_CONFIGURATION)
    run()
