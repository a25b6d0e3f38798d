"""The reader of settings: where values come from, and that every fault is told at once, by name, without a value."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, SecretStr, field_validator

from bus.errors import ConfigurationError
from bus.settings import (
    SECRET_FILE_LIMIT_BYTES,
    Faults,
    SettingsGroup,
    SettingsReader,
    did_you_mean,
    is_secret,
    known_names,
    unknown_names,
    variables,
)

CANARY = "canary-4711"


class Sample(SettingsGroup):
    token: SecretStr | None = Field(default=None, validation_alias="ALERTBUS_TOKEN")
    count: int = Field(default=3, ge=1, le=9, validation_alias="ALERTBUS_COUNT")
    seconds: float = Field(default=0.5, ge=0.25, allow_inf_nan=False, validation_alias="ALERTBUS_SECONDS")
    mode: Literal["fast", "safe"] = Field(default="fast", validation_alias="ALERTBUS_MODE")
    name: Annotated[str, Field(max_length=12)] = Field(default="x", validation_alias="ALERTBUS_NAME")

    @field_validator("name")
    @classmethod
    def _check(cls, name: str) -> str:
        if name == CANARY:
            raise ValueError("must be another word")
        return name


class Needed(SettingsGroup):
    url: SecretStr = Field(validation_alias="ALERTBUS_URL")


def problems_of(reader: SettingsReader, settings: object = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        reader.complete(settings)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(caught.value)
    assert CANARY not in shown
    assert caught.value.__context__ is None
    return list(caught.value.problems)


def test_read_empty_environment_gives_the_defaults(tmp_path: Path) -> None:
    reader = SettingsReader({}, tmp_path / "absent.env")
    assert reader.complete(reader.read(Sample)) == Sample()


def test_read_environment_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# both sides\nALERTBUS_COUNT=4\nexport ALERTBUS_MODE='safe'\nOTHER_THING=1\nALERTBUS_NAME\n")
    sample = SettingsReader({"ALERTBUS_COUNT": "5"}, file).read(Sample)
    assert sample is not None
    assert (sample.count, sample.mode, sample.name) == (5, "safe", "x")


def test_read_without_a_mapping_takes_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTBUS_COUNT", "7")
    sample = SettingsReader(env_file=None).read(Sample)
    assert sample is not None
    assert sample.count == 7


def test_read_empty_and_blank_values_count_as_unset() -> None:
    sample = SettingsReader({"ALERTBUS_COUNT": "", "ALERTBUS_MODE": "  ", "ALERTBUS_NAME": " ab "}, None).read(Sample)
    assert sample == Sample(name="ab")


def test_read_empty_environment_value_hides_the_one_in_the_file(tmp_path: Path) -> None:
    """So one can switch off for one run what the file sets."""
    (tmp_path / ".env").write_text("ALERTBUS_COUNT=4\n")
    assert SettingsReader({"ALERTBUS_COUNT": ""}, tmp_path / ".env").read(Sample) == Sample()


def test_read_keep_empty_hands_an_empty_value_on() -> None:
    sample = SettingsReader({"ALERTBUS_NAME": ""}, None).read(Sample, keep_empty={"ALERTBUS_NAME"})
    assert sample == Sample(name="")


def test_read_defaults_stand_below_the_environment() -> None:
    reader = SettingsReader({"ALERTBUS_COUNT": "4"}, None)
    sample = reader.read(Sample, defaults={"ALERTBUS_COUNT": 2, "ALERTBUS_NAME": "told"})
    assert sample == Sample(count=4, name="told")


def test_read_every_fault_is_told_at_once_by_variable() -> None:
    reader = SettingsReader(
        {
            "ALERTBUS_COUNT": CANARY,
            "ALERTBUS_SECONDS": "nan",
            "ALERTBUS_MODE": CANARY,
            "ALERTBUS_NAME": CANARY,
        },
        None,
    )
    assert reader.read(Sample) is None
    assert reader.read(Needed) is None
    assert problems_of(reader) == [
        "ALERTBUS_COUNT must be a whole number.",
        "ALERTBUS_SECONDS must be a finite number.",
        "ALERTBUS_MODE must be 'fast' or 'safe'.",
        "ALERTBUS_NAME must be another word.",
        "ALERTBUS_URL is missing.",
    ]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("ALERTBUS_COUNT", "0", "must be 1 or more"),
        ("ALERTBUS_COUNT", "10", "must be 9 or less"),
        ("ALERTBUS_COUNT", "2.5", "must be a whole number"),
        ("ALERTBUS_SECONDS", "0.1", "must be 0.25 or more"),
        ("ALERTBUS_SECONDS", "soon", "must be a number"),
        ("ALERTBUS_NAME", "a" * 13, "must have at most 12 characters"),
    ],
)
def test_read_out_of_range_says_the_range(name: str, value: str, sentence: str) -> None:
    reader = SettingsReader({name: value}, None)
    reader.read(Sample)
    assert problems_of(reader) == [f"{name} {sentence}."]


def test_read_a_failing_default_is_told_by_variable() -> None:
    class Late(SettingsGroup):
        value: int = Field(default=1, ge=2, validate_default=True, validation_alias="ALERTBUS_LATE")

    reader = SettingsReader({}, None)
    reader.read(Late)
    assert problems_of(reader) == ["ALERTBUS_LATE must be 2 or more."]


def test_complete_without_settings_still_raises() -> None:
    with pytest.raises(ConfigurationError):
        Faults().complete(None)


# --- NAME_FILE ---------------------------------------------------------------------------------------------------


def test_read_secret_file_gives_the_secret_without_its_newline(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xef\xbb\xbf" + CANARY.encode() + b"\r\n")
    sample = SettingsReader({"ALERTBUS_TOKEN_FILE": str(file)}, None).read(Sample)
    assert sample is not None
    assert sample.token is not None
    assert sample.token.get_secret_value() == CANARY
    assert CANARY not in repr(sample)


def test_read_secret_and_its_file_both_set_is_a_fault(tmp_path: Path) -> None:
    reader = SettingsReader({"ALERTBUS_TOKEN": CANARY, "ALERTBUS_TOKEN_FILE": CANARY}, None)
    reader.read(Sample)
    assert problems_of(reader) == ["ALERTBUS_TOKEN is set, and so is ALERTBUS_TOKEN_FILE; unset one of them."]


def test_read_empty_secret_beside_its_file_takes_the_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc")
    sample = SettingsReader({"ALERTBUS_TOKEN": "", "ALERTBUS_TOKEN_FILE": str(tmp_path / "token")}, None).read(Sample)
    assert sample is not None
    assert sample.token == SecretStr("abc")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "the file can't be read (No such file or directory); name a readable file"),
        (b"", "the file is empty; write the secret into it"),
        (b" \n", "the file is empty; write the secret into it"),
        (b"\xff\xfe" + CANARY.encode("utf-16-le"), "the file holds no UTF-8 text; name a file with the secret only"),
        (
            b"x" * (SECRET_FILE_LIMIT_BYTES + 1),
            "the file is too large to be a secret; name a file with the secret only",
        ),
    ],
)
def test_read_secret_file_with_a_fault_names_the_variable(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    file = tmp_path / CANARY
    if content is not None:
        file.write_bytes(content)
    reader = SettingsReader({"ALERTBUS_TOKEN_FILE": str(file)}, None)
    reader.read(Sample)
    assert problems_of(reader) == [f"ALERTBUS_TOKEN_FILE: {sentence}."]
    assert reader.faulty == {"ALERTBUS_TOKEN", "ALERTBUS_TOKEN_FILE"}


def test_read_secret_file_that_is_a_folder_or_no_path_is_a_fault(tmp_path: Path) -> None:
    for path in (str(tmp_path), f"{CANARY}\0", f"~{CANARY}/token"):
        reader = SettingsReader({"ALERTBUS_TOKEN_FILE": path}, None)
        reader.read(Sample)
        assert problems_of(reader)[0].startswith("ALERTBUS_TOKEN_FILE: ")


def test_read_needed_secret_with_a_faulty_file_is_one_fault(tmp_path: Path) -> None:
    reader = SettingsReader({"ALERTBUS_URL_FILE": str(tmp_path / "absent")}, None)
    reader.read(Needed)
    assert len(problems_of(reader)) == 1


def test_read_file_of_a_setting_that_is_no_secret_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("4")
    assert SettingsReader({"ALERTBUS_COUNT_FILE": str(tmp_path / "count")}, None).read(Sample) == Sample()


# --- .env --------------------------------------------------------------------------------------------------------


def test_dotenv_that_is_no_text_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"ALERTBUS_NAME=\xff" + CANARY.encode())
    reader = SettingsReader({}, tmp_path / ".env")
    assert problems_of(reader) == [".env: it holds no UTF-8 text; save it as UTF-8."]


def test_dotenv_that_may_not_be_read_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("")

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", CANARY)

    monkeypatch.setattr("dotenv.main.open", refuse, raising=False)
    reader = SettingsReader({}, tmp_path / ".env")
    assert problems_of(reader) == [".env: it can't be read (Permission denied)."]


# --- names -------------------------------------------------------------------------------------------------------


def test_variables_says_name_attribute_and_secret() -> None:
    found = {name: (attribute, is_secret(field)) for name, attribute, field in variables(Sample)}
    assert found["ALERTBUS_TOKEN"] == ("token", True)
    assert found["ALERTBUS_COUNT"] == ("count", False)
    assert known_names(Sample) >= {"ALERTBUS_TOKEN", "ALERTBUS_TOKEN_FILE", "ALERTBUS_COUNT"}
    assert "ALERTBUS_COUNT_FILE" not in known_names(Sample)


def test_unknown_names_suggests_the_nearest_setting() -> None:
    environment = ["ALERTBUS_COUTN", "alertbus_mode", "ALERTBUS_WEATHER", "ALERTBUS_COUNT", "PATH"]
    assert unknown_names(environment, known_names(Sample)) == [
        ("ALERTBUS_COUTN", "is no setting of alertbus; did you mean ALERTBUS_COUNT?"),
        ("ALERTBUS_WEATHER", "is no setting of alertbus; unset it"),
        ("alertbus_mode", "is no setting of alertbus; did you mean ALERTBUS_MODE?"),
    ]


def test_did_you_mean_says_nothing_when_nothing_is_near() -> None:
    assert did_you_mean("conurrency", ["url", "concurrency"]) == "; did you mean concurrency?"
    assert did_you_mean("zzz", ["url"]) == ""


def test_reader_of_a_dotenv_with_lines_that_set_nothing_names_each(tmp_path: Path) -> None:
    """A habit from YAML must not become a dry run."""
    file = tmp_path / ".env"
    file.write_text("# a comment\nTELEGRAM_BOT_TOKEN: 123\n\nexport A=1\nB=2\nTELEGRAM_CHAT_ID: 5\n")
    reader = SettingsReader({}, file)
    assert reader.environment["B"] == "2"
    assert reader.problems == [
        ".env: line 2 can't be read; write NAME=value.",
        ".env: line 6 can't be read; write NAME=value.",
    ]


def test_reader_of_a_folder_as_dotenv_says_so(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert SettingsReader({}, tmp_path / ".env").problems == [".env: it can't be read (it is a folder)."]
