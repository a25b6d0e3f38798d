"""The kill test itself: a short run proves that nothing is lost, and a broken daemon is found out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.torture.__main__ import EXIT_BAD, EXIT_GOOD

ROOT = Path(__file__).parents[2]
_LIMIT_SECONDS = 300


def torture(folder: Path, *arguments: str) -> tuple[int, int, int, str]:
    """Run it, and return the exit code, how many are lost, how many are unmarked repeats, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture", "--folder", str(folder), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
        check=False,
    )
    found = re.search(r"^lost (\d+)\nduplicated \(unmarked\) (\d+)\n\Z", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout + done.stderr
    return done.returncode, int(found[1]), int(found[2]), done.stdout


def aimed(folder: Path, flaw: str, step: str) -> tuple[int, int, int, str]:
    """Break the daemon on purpose and kill it at one step; a slow machine gets longer to be found out."""
    result = EXIT_GOOD, 0, 0, ""
    for seconds in ("6", "20", "60"):
        (folder / seconds).mkdir()
        result = torture(folder / seconds, "--seconds", seconds, "--break", flaw, "--steps", step, "--nemeses", "none")
        if result[1] or result[2]:
            break
    return result


def test_short_run_with_kills_and_faults_loses_nothing_and_repeats_nothing_unmarked(tmp_path: Path) -> None:
    code, lost, unmarked, told = torture(tmp_path, "--seconds", "8", "--seed", "3", "--nemeses", "all")
    assert (lost, unmarked, code) == (0, 0, EXIT_GOOD), told


def test_acknowledgement_before_the_commit_is_found_as_a_loss(tmp_path: Path) -> None:
    """Each daemon dies with a batch that it acknowledged and never stored."""
    code, lost, _, told = aimed(tmp_path, "ack-before-commit", "ingest.before-commit")
    assert lost > 0, told
    assert code == EXIT_BAD


def test_repeat_without_its_mark_is_found_as_an_unmarked_duplicate(tmp_path: Path) -> None:
    """Each daemon dies when the provider has taken a message and the answer is not written down."""
    code, lost, unmarked, told = aimed(tmp_path, "unmarked-repeat", "close.before")
    assert (lost, unmarked > 0) == (0, True), told
    assert code == EXIT_BAD
