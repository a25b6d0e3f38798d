"""Who installs the package without a tree can export everything: the built wheel holds it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.dashboards.asked import ROOT

_BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-c", _BUILD, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(folder / built.stdout.strip().splitlines()[-1]) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def export(where: Path, target: Path) -> dict[str, bytes]:
    """Run `export` with nothing else installed."""
    arguments = [sys.executable, "-S", "-m", "dashboards", "export", str(target), "--runbooks", "https://example.org/r"]
    result = subprocess.run(arguments, cwd=where, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    files = (path for path in target.rglob("*") if path.is_file())
    return {path.relative_to(target).as_posix(): path.read_bytes() for path in files}


def test_export_of_an_installed_wheel_is_that_of_the_tree(installed: Path, tmp_path: Path) -> None:
    from_wheel = export(installed, tmp_path / "etc")
    assert len(from_wheel) > 30
    assert from_wheel == export(ROOT, tmp_path / "etc")


def test_wheel_holds_the_page_and_no_tests(installed: Path) -> None:
    assert (installed / "dashboards" / "static" / "index.html").is_file()
    assert not (installed / "tests").exists()
