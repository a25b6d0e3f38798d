"""The command's entry point in an installation that has the publisher only."""

from __future__ import annotations

import subprocess
import sys

_WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
sys.argv = ["alertbus-subscriber", "--help"]
from subscriber.entry import main
main()
"""


def run_without(missing: str) -> subprocess.CompletedProcess[str]:
    code = _WITHOUT.format(missing=missing)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_entry_without_the_daemons_extra_says_how_to_install_it() -> None:
    for missing in ("typer", "sqlalchemy"):
        ended = run_without(missing)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert f"{missing} is missing" in ended.stderr
        assert "pip install 'alertbus[subscriber]'" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_entry_with_everything_runs_the_command() -> None:
    ended = run_without("nothing-of-ours")
    assert ended.returncode == 0, ended.stderr
    assert "check" in ended.stdout
