"""The settings of the HTTP server: where it listens, its tokens, whose pages may use it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from bus.errors import ConfigurationError
from subscriber.http_settings import HttpSettings
from subscriber.settings import SubscriberSettings, effective, secret_values

TOKENS: Final = {
    "ALERTBUS_API_TOKEN": "canary-operate",
    "ALERTBUS_API_READ_TOKEN": "canary-read",
    "ALERTBUS_METRICS_TOKEN": "canary-metrics",
}


def read(environ: dict[str, str]) -> SubscriberSettings:
    return SubscriberSettings.from_environment(environ, env_file=None)


def problems_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(environ)
    problems = list(caught.value.problems)
    assert not any(value in problem for value in TOKENS.values() for problem in problems)
    return problems


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "::",
        "0",
        "192.168.1.2",
        "alerts.example.org",
        "127.0.0.1.nip.io",
        "localhost.example.org",
        "::ffff:0.0.0.0",
        "fe80::1%eth0",
        "*",
    ],
)
def test_host_for_other_machines_without_a_token_is_refused(host: str) -> None:
    (problem,) = problems_of({"ALERTBUS_HTTP_HOST": host})
    assert problem.startswith("ALERTBUS_API_TOKEN must be set, because ALERTBUS_HTTP_HOST lets other machines in")


def test_host_for_other_machines_with_a_read_token_alone_is_refused() -> None:
    problems = problems_of({"ALERTBUS_HTTP_HOST": "0.0.0.0", "ALERTBUS_API_READ_TOKEN": "canary-read"})
    assert [problem.partition(" ")[0] for problem in problems] == ["ALERTBUS_API_TOKEN"]


def test_host_for_other_machines_with_a_token_is_taken() -> None:
    assert read({"ALERTBUS_HTTP_HOST": "0.0.0.0", "ALERTBUS_API_TOKEN": "word"}).http.host == "0.0.0.0"


def test_tokens_are_read_kept_from_logs_and_never_shown() -> None:
    settings = read(TOKENS)
    shown = dict(effective(settings))
    assert {shown[name] for name in TOKENS} == {"***"}
    assert set(TOKENS.values()) <= secret_values(settings)
    assert not any(value in repr(settings) for value in TOKENS.values())


@pytest.mark.parametrize("name", TOKENS)
def test_token_can_stand_in_a_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "token"
    path.write_text("from-a-file\n")
    settings = read({**{other: value for other, value in TOKENS.items() if other != name}, f"{name}_FILE": str(path)})
    assert "from-a-file" in secret_values(settings)


def test_read_token_needs_the_other_beside_it() -> None:
    (problem,) = problems_of({"ALERTBUS_API_READ_TOKEN": "canary-read"})
    assert problem.startswith("ALERTBUS_API_READ_TOKEN: needs ALERTBUS_API_TOKEN beside it")


def test_metrics_token_needs_no_other() -> None:
    token = read({"ALERTBUS_METRICS_TOKEN": "canary-metrics"}).http.metrics_token
    assert token is not None
    assert token.get_secret_value() == "canary-metrics"


@pytest.mark.parametrize(
    ("name", "greater"),
    [
        ("ALERTBUS_API_READ_TOKEN", "ALERTBUS_API_TOKEN"),
        ("ALERTBUS_METRICS_TOKEN", "ALERTBUS_API_TOKEN"),
        ("ALERTBUS_METRICS_TOKEN", "ALERTBUS_API_READ_TOKEN"),
    ],
)
def test_token_that_equals_a_greater_one_is_refused(name: str, greater: str) -> None:
    (problem,) = problems_of(TOKENS | {name: TOKENS[greater]})
    assert problem.startswith(f"{name} must differ from {greater}")


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("value", ["two words", "sch\u00f6n", "tab\there", "line\nbreak"])
def test_token_that_can_not_travel_in_a_header_is_refused(name: str, value: str) -> None:
    (problem,) = problems_of(TOKENS | {name: value})
    assert problem.startswith(f"{name} must be one word of ASCII")
    assert value not in problem


def test_origins_are_kept_as_browsers_write_them() -> None:
    given = "http://LocalHost:3000, https://desk.example.org:443 ,http://[::1]:80,https://a.b,http://localhost:3000"
    assert read({"ALERTBUS_CORS_ORIGINS": given}).http.cors_origins == (
        "http://localhost:3000",
        "https://desk.example.org",
        "http://[::1]",
        "https://a.b",
    )


def test_origins_are_none_by_default() -> None:
    assert HttpSettings().cors_origins == ()


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "localhost:3000",
        "http://localhost:3000/",
        "http://localhost:3000/path",
        "http://localhost:3000?a",
        "http://*.example.org",
        "http://canary:word@localhost",
        "ftp://localhost",
        "http://",
        "http://localhost:0",
        "http://localhost:65536",
        "http://localhost:http",
        "http://local host",
    ],
)
def test_origin_that_is_none_is_refused_and_not_repeated(origin: str) -> None:
    (problem,) = problems_of({"ALERTBUS_CORS_ORIGINS": origin})
    assert problem.startswith("ALERTBUS_CORS_ORIGINS: write each as scheme://host")
    assert "canary" not in problem
    (problem,) = problems_of({"ALERTBUS_CORS_ORIGINS": f"http://localhost:3000,{origin}"})
    assert problem.startswith("ALERTBUS_CORS_ORIGINS: number 2 of the list: write each")
