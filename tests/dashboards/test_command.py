"""`python -m dashboards` as people and CI run it: real processes on a copy of the package."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dashboards.asked import DASHBOARD, ROOT


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with a copy of the package."""
    shutil.copytree(ROOT / "dashboards", tmp_path / "dashboards", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def command(folder: Path, *arguments: str, bare: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the copy; `bare` without anything that was installed."""
    options = ["-S"] if bare else []
    return subprocess.run(
        [sys.executable, *options, "-m", "dashboards", *arguments],
        cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip


def committed(folder: Path) -> Path:
    return folder / DASHBOARD.relative_to(ROOT)


def test_check_of_fresh_json_exits_0(copy: Path) -> None:
    result = command(copy, "check")
    assert (result.returncode, result.stderr) == (0, "")
    assert "fresh" in result.stdout


def test_check_of_stale_json_exits_1_and_says_what_to_do(copy: Path) -> None:
    stale = json.loads(committed(copy).read_text(encoding="utf-8"))
    stale["title"] = "another"
    committed(copy).write_text(json.dumps(stale), encoding="utf-8")
    result = command(copy, "check")
    assert result.returncode == 1
    assert "python -m dashboards build" in result.stderr


def test_check_without_json_exits_1_and_names_the_file(copy: Path) -> None:
    committed(copy).unlink()
    result = command(copy, "check")
    assert result.returncode == 1
    assert "alertbus.json" in result.stderr
    assert "Traceback" not in result.stderr


def test_build_writes_what_is_committed(copy: Path) -> None:
    committed(copy).write_text("{}", encoding="utf-8")
    assert command(copy, "build").returncode == 0
    assert committed(copy).read_bytes() == DASHBOARD.read_bytes()


@pytest.mark.parametrize("name", ["build", "check"])
def test_command_that_needs_the_sdk_exits_2_without_it(copy: Path, name: str) -> None:
    result = command(copy, name, bare=True)
    assert result.returncode == 2
    assert "grafana_foundation_sdk is missing" in result.stderr
    assert committed(copy).read_bytes() == DASHBOARD.read_bytes()


def test_export_writes_the_files_with_nothing_installed(copy: Path, tmp_path: Path) -> None:
    """Who installed the package has no SDK."""
    target = tmp_path / "not" / "there" / "yet"
    result = command(copy, "export", str(target), bare=True)
    assert (result.returncode, result.stderr) == (0, "")
    (written,) = (path for path in target.rglob("*") if path.is_file())
    assert written == target / "grafana" / "alertbus.json"
    assert written.read_bytes() == DASHBOARD.read_bytes()
    assert str(written) in result.stdout


def test_export_over_an_older_copy_replaces_it(copy: Path, tmp_path: Path) -> None:
    older = tmp_path / "etc" / "grafana" / "alertbus.json"
    older.parent.mkdir(parents=True)
    older.write_text("{}", encoding="utf-8")
    assert command(copy, "export", str(tmp_path / "etc")).returncode == 0
    assert older.read_bytes() == DASHBOARD.read_bytes()


def test_export_into_a_file_exits_1_and_names_it(copy: Path, tmp_path: Path) -> None:
    occupied = tmp_path / "occupied"
    occupied.write_text("", encoding="utf-8")
    result = command(copy, "export", str(occupied))
    assert result.returncode == 1
    assert "occupied" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [(), ("export",), ("deploy",)])
def test_command_that_is_incomplete_or_unknown_exits_2(copy: Path, arguments: tuple[str, ...]) -> None:
    result = command(copy, *arguments, bare=True)
    assert result.returncode == 2
    assert "usage: python -m dashboards" in result.stderr
