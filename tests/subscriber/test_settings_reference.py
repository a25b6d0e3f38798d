"""What people read about the settings is what the settings are."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.settings import PUBLISHER_NAMES
from publisher.settings import PublisherSettings
from subscriber.settings import SubscriberSettings, effective
from tests.support.settings_reference import (
    BEGIN,
    END,
    ROOT,
    env_example,
    main,
    readme_with_table,
    settings,
    settings_table,
)

STALE = "is stale: run `python -m tests.support.settings_reference`"


def test_env_example_is_fresh() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_example(), f".env.example {STALE}"


def test_readme_has_the_table_fresh() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == readme_with_table(text), f"README.md {STALE}"


def test_settings_are_all_that_either_side_reads() -> None:
    names = [setting.name for setting in settings()]
    daemons = {name for name, _ in effective(SubscriberSettings())}
    assert len(names) == len(set(names))
    assert set(names) == daemons | set(PUBLISHER_NAMES)


def test_every_setting_is_described_in_one_sentence_or_two() -> None:
    for setting in settings():
        assert setting.description.endswith("."), setting.name
        assert f"`{setting.name}`" in settings_table()
        assert f"# {setting.name}=" in env_example()


def test_env_example_as_it_is_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    copy = tmp_path / ".env"
    copy.write_text(env_example(), encoding="utf-8")
    assert SubscriberSettings.from_environment({"TZ": "UTC"}, copy) == SubscriberSettings()
    assert PublisherSettings.from_environment({}, copy).queue_limit == PublisherSettings().queue_limit
    assert all(not line or line.startswith("#") for line in env_example().splitlines())


def test_env_example_with_every_default_taken_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the file shows as a default is one: taking every ALERTBUS_ line that has a default changes nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alertbus.toml").write_text("")
    told = {"ALERTBUS_TIMEZONE", "ALERTBUS_JOURNAL", "ALERTBUS_SOURCE"}
    environ = {setting.name: setting.default for setting in settings() if setting.default and setting.name not in told}
    assert SubscriberSettings.from_environment({**environ, "TZ": "UTC"}, None) == SubscriberSettings()


def test_readme_without_its_markers_is_refused() -> None:
    for text in ("", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}"):
        with pytest.raises(ValueError, match=r"README\.md needs"):
            readme_with_table(text)
    assert readme_with_table(f"a\n{BEGIN}old{END}\nb") == f"a\n{BEGIN}\n{settings_table()}\n{END}\nb"


def test_main_rewrites_both_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.support.settings_reference.ROOT", tmp_path)
    (tmp_path / "README.md").write_text("nothing")
    assert main() == 1
    assert "README.md needs" in capsys.readouterr().err
    (tmp_path / "README.md").write_text(f"{BEGIN}{END}")
    assert main() == 0
    assert (tmp_path / ".env.example").read_text(encoding="utf-8") == env_example()
    assert settings_table() in (tmp_path / "README.md").read_text(encoding="utf-8")
