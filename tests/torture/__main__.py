"""`python -m tests.torture`: the kill test. docs/torture.md says how to read what it prints."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.torture.breaks import BREAKS
from tests.torture.nemesis import NEMESES
from tests.torture.run import Plan, run
from tests.torture.steps import StepMissing, chosen
from tests.torture.tables import told

EXIT_GOOD: Final = 0
EXIT_BAD: Final = 1
EXIT_USAGE: Final = 2


def main(arguments: list[str] | None = None) -> int:
    """Run it, print what was done and found, and return the exit code."""
    options = _parser().parse_args(arguments)
    folder: Path = options.folder or Path(tempfile.mkdtemp(prefix="alertbus-torture-"))
    try:
        steps = chosen(options.steps)
        plan = Plan(
            seconds=options.seconds,
            seed=options.seed,
            steps=steps,
            nemeses=options.nemeses,
            broken=options.broken,
            mount=not options.no_mount,
        )
        report = run(plan, folder)
    except StepMissing as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_USAGE
    if not report.good:
        sys.stderr.write(f"what happened is in {folder}\n")
    sys.stdout.write("\n".join(told(report)) + "\n")
    if report.good and options.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    return EXIT_GOOD if report.good else EXIT_BAD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description="Kill everything; lose nothing.")
    parser.add_argument("--seconds", type=float, default=60, help="how long things go wrong (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="what decides the order of what goes wrong (default 1)")
    parser.add_argument("--steps", default="all", help="a comma list of steps to die at, `all` (default) or `none`")
    parser.add_argument(
        "--nemeses",
        type=_nemeses,
        default=NEMESES,
        metavar="NAMES",
        help=f"a comma list of {', '.join(NEMESES)}; `all` (default) or `none`",
    )
    parser.add_argument("--break", dest="broken", choices=sorted(BREAKS), help="break the daemon; the verdict tells")
    parser.add_argument("--no-mount", action="store_true", help="limit the size of files instead of filling a disk")
    parser.add_argument("--folder", type=Path, help="an empty folder to run in, which is kept")
    return parser


def _nemeses(text: str) -> tuple[str, ...]:
    if text in {"all", "none"}:
        return NEMESES if text == "all" else ()
    names = tuple(text.split(","))
    if not set(names) <= set(NEMESES):
        raise argparse.ArgumentTypeError(f"there are: {', '.join(NEMESES)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
