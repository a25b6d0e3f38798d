"""The TOML file: further channels, market hours, and faults that name line and place and never quote the file."""

from __future__ import annotations

from datetime import UTC, date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bus.errors import ConfigurationError
from bus.settings import SettingsReader
from subscriber.channels.channel import AppriseConfig
from subscriber.config_file import ConfigFile, read_config_file
from subscriber.deliveries import Limit
from subscriber.policy.market_hours import MarketHours, parse_window

CANARY = "canary4711"
ZONE = ZoneInfo("Europe/Berlin")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "alertbus.toml"


def read(file: Path, text: str | bytes, environ: dict[str, str] | None = None) -> ConfigFile:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    reader = SettingsReader(environ or {}, None)
    return reader.complete(read_config_file(file, reader, explicit=True, deadline_seconds=7, zone=ZONE))


def problems_of(file: Path, text: str | bytes, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(file, text, environ)
    assert CANARY not in str(caught.value)
    return list(caught.value.problems)


def text_lines(lines: str) -> int:
    """Return the number of the last of some lines below a table's header."""
    return len(f"[table]\n{lines}".rstrip().splitlines())


def test_empty_file_says_nothing(file: Path) -> None:
    assert read(file, "") == ConfigFile()


def test_channel_with_everything(file: Path) -> None:
    found = read(
        file, '\ufeff[channels.desk]\r\nurl = "json://127.0.0.1:9000/"\r\npace = "20/s"\r\nconcurrency = 64\r\n'
    )
    assert found.channels == (AppriseConfig("desk", "json://127.0.0.1:9000/", (Limit(20, 1),), 64, 7),)


def test_channel_with_a_url_only(file: Path) -> None:
    (channel,) = read(file, '[channels."e-mail_1"]\nurl = " mailtos://u:p@example.org "\n').channels
    assert channel == AppriseConfig("e-mail_1", "mailtos://u:p@example.org", (), 1, 7)
    assert "u:p" not in repr(channel)


def test_url_from_the_environment(file: Path) -> None:
    found = read(file, '[channels.desk]\nurl = "env:DESK_URL"\n', {"DESK_URL": "json://127.0.0.1:9000/ "})
    assert found.channels[0].url == "json://127.0.0.1:9000/"
    assert found.variables == {"DESK_URL"}


def test_url_from_a_file_beside_the_toml_or_elsewhere(file: Path) -> None:
    secret = file.with_name("desk.url")
    secret.write_text("json://127.0.0.1:9000/\n")
    for url in ("file:desk.url", f"file:{secret.as_posix()}", f"file://{secret.as_posix()}"):
        assert read(file, f'[channels.desk]\nurl = "{url}"\n').channels[0].url == "json://127.0.0.1:9000/"


def test_policy_is_handed_on_as_written_with_its_lines(file: Path) -> None:
    found = read(
        file,
        '[channels]\n[[routes]]\nmatch = { severity = "x" }\n[quiet_hours.night]\nwindows = 1\n[templates.a]\n',
    )
    assert found.policy.tables == {
        "routes": [{"match": {"severity": "x"}}],
        "quiet_hours": {"night": {"windows": 1}},
        "templates": {"a": {}},
    }
    place = found.policy.place(("routes", 0, "match", "severity"))
    assert place == "ALERTBUS_CONFIG line 3: routes[0].match.severity"
    assert found.policy.place(("quiet_hours", "night", "windows", 0)).startswith("ALERTBUS_CONFIG line 5: [quiet_hours")


@pytest.mark.parametrize(
    ("line", "place", "words"),
    [
        ("", "url", "must be an Apprise URL in quotes"),
        ("url = 1", "url", "must be an Apprise URL in quotes"),
        (f'url = "{CANARY}"', "url", "must come to an Apprise URL"),
        (f'url = "json://{CANARY} x"', "url", "must come to an Apprise URL"),
        ('url = "env:DESK_URL"', "url", "names the variable DESK_URL by env:, which is not set"),
        (f'url = "file:{CANARY}"', "url", "the file can't be read (No such file or directory)"),
        (f'url = "file:~{CANARY}/x"', "url", "that can't be the path of a file"),
        (f'url = "json://h/"\npace = "{CANARY}"', "pace", 'must be messages per time, such as "20/s"'),
        ('url = "json://h/"\npace = 20', "pace", "must be messages per time"),
        ('url = "json://h/"\nconcurrency = 0', "concurrency", "must be a whole number from 1 to 64"),
        ('url = "json://h/"\nconcurrency = 65', "concurrency", "must be a whole number from 1 to 64"),
        ('url = "json://h/"\nconcurrency = true', "concurrency", "must be a whole number from 1 to 64"),
        (f'url = "json://h/"\nconcurrency = "{CANARY}"', "concurrency", "must be a whole number from 1 to 64"),
        ('url = "json://h/"\nconcurency = 1', "concurency", "is no key of a channel; did you mean concurrency?"),
    ],
)
def test_fault_of_a_channel_names_table_and_key(file: Path, line: str, place: str, words: str) -> None:
    (problem,) = problems_of(file, f"[channels.desk]\n{line}\n")
    number = f"line {text_lines(line)}: "
    assert problem.startswith(f"ALERTBUS_CONFIG {number}[channels.desk] {place}")
    assert words in problem


def test_every_fault_is_told_at_once(file: Path) -> None:
    text = "[channels.a]\nurl = 1\npace = 1\nconcurrency = 0\nx = 1\n[channels.b]\nurl = 1\n[paths]\n"
    assert len(problems_of(file, text)) == 6


@pytest.mark.parametrize("name", ["whatsapp", "telegram", "all"])
def test_channel_by_a_name_of_alertbus_is_refused(file: Path, name: str) -> None:
    (problem,) = problems_of(file, f'[channels.{name}]\nurl = "json://h/"\n')
    assert (
        problem == f"ALERTBUS_CONFIG line 1: [channels.{name}] is a name that alertbus uses itself; choose another one."
    )


@pytest.mark.parametrize("name", ["Desk", "-a", "a b", "a" * 33, "ä"])
def test_channel_by_an_odd_name_is_refused(file: Path, name: str) -> None:
    (problem,) = problems_of(file, f'[channels."{name}"]\nurl = "json://h/"\n')
    assert "must have a name of 1 to 32 lower-case letters" in problem


@pytest.mark.parametrize("text", ["channels = 1\n", "[[channels]]\n"])
def test_channels_that_are_no_tables_are_refused(file: Path, text: str) -> None:
    assert problems_of(file, text) == ["ALERTBUS_CONFIG line 1: [channels] must be tables like [channels.desk]."]


def test_channel_that_is_no_table_is_refused(file: Path) -> None:
    assert problems_of(file, "[channels]\ndesk = 1\n") == [
        "ALERTBUS_CONFIG line 2: [channels.desk] must be a table with a url."
    ]


def test_unknown_table_is_named_with_what_was_meant(file: Path) -> None:
    assert problems_of(file, "[chanels]\n[weather]\n") == [
        "ALERTBUS_CONFIG line 1: [chanels] is no table of alertbus; did you mean channels?",
        "ALERTBUS_CONFIG line 2: [weather] is no table of alertbus.",
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [(f"a = 1\nb = {CANARY}\n", "line 2, column 5"), (f'a = "{CANARY}', "end of document"), ("=", "line 1, column 1")],
)
def test_syntax_fault_names_the_line_only(file: Path, text: str, place: str) -> None:
    assert problems_of(file, text) == [f"ALERTBUS_CONFIG: the file is no valid TOML at {place}; correct it."]


def test_file_that_is_no_text_is_refused(file: Path) -> None:
    assert problems_of(file, b"\xff" + CANARY.encode()) == ["ALERTBUS_CONFIG must name a UTF-8 text file."]


def test_missing_file_is_a_fault_only_when_it_was_named(file: Path) -> None:
    for explicit, count in ((False, 0), (True, 1)):
        reader = SettingsReader({}, None)
        assert read_config_file(file, reader, explicit=explicit, deadline_seconds=7, zone=ZONE) == ConfigFile()
        assert len(reader.problems) == count
    assert reader.problems == ["ALERTBUS_CONFIG names a file that does not exist; create it, or unset the variable."]


def test_file_that_is_a_folder_or_no_path_is_a_fault(tmp_path: Path) -> None:
    for path in (tmp_path, Path(f"{CANARY}\0"), Path(f"~{CANARY}/x.toml")):
        reader = SettingsReader({}, None)
        assert read_config_file(path, reader, explicit=False, deadline_seconds=7, zone=ZONE) == ConfigFile()
        assert len(reader.problems) == 1
        assert reader.problems[0].startswith("ALERTBUS_CONFIG")
        assert CANARY not in reader.problems[0]


# --- market hours ------------------------------------------------------------------------------------------------


def test_market_hours_with_everything(file: Path) -> None:
    found = read(
        file,
        '[market_hours]\ntimezone = "America/New_York"\nwindows = ["Mon-Fri 09:30-16:00", "Sat 10:00-12:00"]\n'
        "closed = [2026-12-25, 2026-07-03]\n",
    )
    spans = parse_window("Mon-Fri 09:30-16:00") + parse_window("Sat 10:00-12:00")
    closed = [date(2026, 7, 3), date(2026, 12, 25)]
    assert found.market_hours == MarketHours.of(ZoneInfo("America/New_York"), spans, closed)


def test_market_hours_with_windows_only_are_in_the_daemons_zone(file: Path) -> None:
    found = read(file, 'market_hours = { windows = ["22:00-02:00"] }\n').market_hours
    assert found == MarketHours.of(ZONE, parse_window("22:00-02:00"))


def test_market_hours_in_utc_need_no_zone_database(file: Path) -> None:
    found = read(file, '[market_hours]\ntimezone = "UTC"\nwindows = ["Mon 00:00-24:00"]\n').market_hours
    assert found is not None
    assert found.zone is UTC


def test_market_hours_that_the_file_has_not_are_none(file: Path) -> None:
    assert read(file, "[channels]\n").market_hours is None


@pytest.mark.parametrize(
    ("line", "place", "words"),
    [
        ("", "windows", 'must be a list of windows, such as ["Mon-Fri 09:30-16:00"]'),
        ("windows = []", "windows", "must be a list of windows"),
        (f'windows = "{CANARY}"', "windows", "must be a list of windows"),
        ("windows = [1]", "windows[0]", 'must be a window such as "Mon-Fri 09:30-16:00"'),
        (f'windows = ["{CANARY}"]', "windows[0]", "must be a window such as"),
        ('windows = ["Mon 9:00-10:00", "Mnday 9:00-10:00"]', "windows[1]", "did you mean Monday?"),
        ('windows = ["9:00-9:00"]', "windows[0]", "must not begin and end at the same time"),
        ('windows = ["9:00-10:00"]\ntimezone = 1', "timezone", "must be a time zone's name such as Europe/Berlin"),
        (f'windows = ["9:00-10:00"]\ntimezone = "{CANARY}"', "timezone", "must be a time zone's name"),
        ('windows = ["9:00-10:00"]\ntimezone = ""', "timezone", "must be a time zone's name"),
        (f'windows = ["9:00-10:00"]\nclosed = "{CANARY}"', "closed", "must be a list of dates without quotes"),
        (f'windows = ["9:00-10:00"]\nclosed = [2026-12-25, "{CANARY}"]', "closed", "must be a list of dates"),
        ('windows = ["9:00-10:00"]\nclosed = [2026-12-25T00:00:00]', "closed", "must be a list of dates"),
        ('windows = ["9:00-10:00"]\nclosed = 2026-12-25', "closed", "must be a list of dates"),
        ('windows = ["9:00-10:00"]\nwindow = []', "window", "is not known; did you mean windows?"),
    ],
)
def test_fault_of_the_market_hours_names_table_and_key(file: Path, line: str, place: str, words: str) -> None:
    (problem,) = problems_of(file, f"[market_hours]\n{line}\n")
    assert problem.startswith(f"ALERTBUS_CONFIG line {text_lines(line)}: [market_hours] {place}")
    assert words in problem


def test_every_fault_of_the_market_hours_is_told_at_once(file: Path) -> None:
    text = '[market_hours]\nzone = 1\ntimezone = "Mars"\nwindows = ["x", "Mon 9:00-10:00", 2]\nclosed = 1\n'
    places = [problem.split(" must ")[0].split(" is ")[0].split()[-1] for problem in problems_of(file, text)]
    assert places == ["zone", "timezone", "windows[0]", "windows[2]", "closed"]


@pytest.mark.parametrize("text", ["market_hours = 1\n", "[[market_hours]]\n", 'market_hours = ["Mon 9:00-10:00"]\n'])
def test_market_hours_that_are_no_table_are_refused(file: Path, text: str) -> None:
    assert problems_of(file, text) == ["ALERTBUS_CONFIG line 1: [market_hours] must be one table, with windows."]
