"""`python -m dashboards` as people and CI run it: real processes on a copy of the package."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from tests.dashboards.asked import DASHBOARD, ROOT


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with a copy of what a tree has of it."""
    tree = tmp_path / "tree"
    for name in ("dashboards", "deploy", "docs/runbooks"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tree


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


def exported(folder: Path) -> dict[str, str]:
    """Return the text of each file below a folder, by its path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in files}


def test_export_writes_the_files_with_nothing_installed(copy: Path, tmp_path: Path) -> None:
    """Who installed the package has no SDK."""
    target = tmp_path / "not" / "there" / "yet"
    result = command(copy, "export", str(target), bare=True)
    assert (result.returncode, result.stderr) == (0, "")
    files = exported(target)
    runbooks = {f"runbooks/{path.name}" for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    examples = {f"examples/{path.relative_to(ROOT / 'deploy').as_posix()}" for path in (ROOT / "deploy").rglob("*.yml")}
    assert len(runbooks) > 30
    assert len(examples) == 4
    assert files.keys() == {"grafana/alertbus.json", "prometheus/alertbus.rules.yml"} | runbooks | examples
    for name in files:
        assert f"{target.joinpath(*name.split('/'))} written" in result.stdout
    assert "\nNext (" in result.stdout


def test_export_names_the_folder_that_it_wrote(copy: Path, tmp_path: Path) -> None:
    """The files are usable as they are, in a folder whose name has a space, too."""
    target = tmp_path / "my alarms"
    assert command(copy, "export", str(target), bare=True).returncode == 0
    files = exported(target)
    assert not [name for name, text in files.items() if "/etc/alertbus" in text and not name.endswith(".md")]
    links = re.findall(r'runbook_url: "?([^"\n]+)', files["prometheus/alertbus.rules.yml"])
    assert len(links) > 30
    for link in links:
        written = Path(url2pathname(urlsplit(link).path))
        assert written.parent == target.resolve() / "runbooks"
        assert written.is_file()
    assert f'"{target.resolve().as_posix()}/prometheus/*.rules.yml"' in files["examples/prometheus/prometheus.yml"]
    assert f'"{target.resolve().as_posix()}/grafana"' in files["examples/grafana/provisioning/dashboards/alertbus.yml"]


def test_export_writes_runbooks_whose_links_lead_somewhere(copy: Path, tmp_path: Path) -> None:
    """The other pages of the tree are not there; what a link to one said still is."""
    target = tmp_path / "etc"
    assert command(copy, "export", str(target), bare=True).returncode == 0
    links = [
        (path, link.partition("#")[0])
        for path in (target / "runbooks").glob("*.md")
        for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
        if not link.startswith(("https://", "http://", "#"))
    ]
    assert len(links) > 30
    assert not [(path.name, link) for path, link in links if not (path.parent / link).exists()]


def test_export_with_an_address_links_the_runbooks_there(copy: Path, tmp_path: Path) -> None:
    result = command(
        copy, "export", str(tmp_path / "etc"), "--runbooks", "https://wiki.example.org/alertbus/", bare=True
    )
    assert result.returncode == 0
    files = exported(tmp_path / "etc")
    assert "https://wiki.example.org/alertbus/AlertbusDown.md" in files["prometheus/alertbus.rules.yml"]
    for name in ("prometheus/alertbus.rules.yml", "grafana/alertbus.json"):
        assert "file:///" not in files[name]
        assert "https://wiki.example.org/alertbus/Alertbus" in files[name]


@pytest.mark.parametrize(
    "address",
    ["wiki", "ftp://wiki.example.org/", "https://", "https://a/{{b}}", "https://a/ b", "https://a/?b", "https://a/#b"],
)
def test_export_with_an_address_that_can_not_stand_there_exits_2(copy: Path, tmp_path: Path, address: str) -> None:
    result = command(copy, "export", str(tmp_path / "etc"), "--runbooks", address, bare=True)
    assert result.returncode == 2
    assert address in result.stderr
    assert not (tmp_path / "etc").exists()


def test_export_over_an_older_copy_replaces_it(copy: Path, tmp_path: Path) -> None:
    older = tmp_path / "etc" / "grafana" / "alertbus.json"
    older.parent.mkdir(parents=True)
    older.write_text("{}", encoding="utf-8")
    (older.parent / "mine.json").write_text("mine", encoding="utf-8")
    assert command(copy, "export", str(tmp_path / "etc")).returncode == 0
    first = exported(tmp_path / "etc")
    assert json.loads(older.read_text(encoding="utf-8"))["uid"] == "alertbus"
    assert first["grafana/mine.json"] == "mine"
    assert command(copy, "export", str(tmp_path / "etc")).returncode == 0
    assert exported(tmp_path / "etc") == first


@pytest.mark.parametrize("missing", ["docs/runbooks", "deploy", "dashboards/prometheus/alertbus.rules.yml"])
def test_export_of_what_is_not_whole_exits_1_and_changes_nothing(copy: Path, tmp_path: Path, missing: str) -> None:
    gone = copy / missing
    gone.unlink() if gone.is_file() else shutil.rmtree(gone)
    result = command(copy, "export", str(tmp_path / "etc"), bare=True)
    assert result.returncode == 1
    assert missing.rsplit("/", 1)[-1] in result.stderr
    assert not (tmp_path / "etc").exists()


def test_export_with_an_address_that_holds_a_password_exits_2_and_never_shows_it(copy: Path, tmp_path: Path) -> None:
    result = command(copy, "export", str(tmp_path / "etc"), "--runbooks", "https://kim:hunter2@a/b", bare=True)
    assert result.returncode == 2
    assert "password" in result.stderr
    assert "hunter2" not in result.stderr + result.stdout


def test_export_into_no_folder_of_its_own_exits_2_and_names_it(copy: Path, tmp_path: Path) -> None:
    """An empty word is a variable that was not set."""
    occupied = tmp_path / "occupied"
    occupied.write_text("", encoding="utf-8")
    for directory in (str(occupied), ""):
        before = exported(copy)
        result = command(copy, "export", directory, bare=True)
        assert result.returncode == 2
        assert repr(directory or ".") in result.stderr
        assert exported(copy).keys() == before.keys()


def test_export_that_fails_half_way_leaves_no_half_file(copy: Path, tmp_path: Path) -> None:
    in_the_way = tmp_path / "etc" / "grafana" / "alertbus.json"
    in_the_way.mkdir(parents=True)
    result = command(copy, "export", str(tmp_path / "etc"), bare=True)
    assert result.returncode == 1
    assert "alertbus.json" in result.stderr
    assert [path.name for path in in_the_way.parent.iterdir()] == ["alertbus.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_export_is_readable_for_prometheus_whatever_the_umask(copy: Path, tmp_path: Path) -> None:
    """Where it can't read the rules, Prometheus starts without any, and says nothing; a stricter mode stays."""
    target = tmp_path / "etc"
    arguments = [sys.executable, "-S", "-m", "dashboards", "export", str(target)]
    for _ in range(2):
        subprocess.run(arguments, cwd=copy, check=True, capture_output=True, umask=0o077)
        modes = {path.relative_to(target).as_posix(): path.stat().st_mode & 0o777 for path in target.rglob("*")}
        assert modes.pop("runbooks/README.md") in {0o644, 0o600}
        assert set(modes.values()) == {0o755, 0o644}
        (target / "runbooks" / "README.md").chmod(0o600)
    assert (target / "runbooks" / "README.md").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("arguments", [(), ("export",), ("deploy",)])
def test_command_that_is_incomplete_or_unknown_exits_2(copy: Path, arguments: tuple[str, ...]) -> None:
    result = command(copy, *arguments, bare=True)
    assert result.returncode == 2
    assert "usage: python -m dashboards" in result.stderr
