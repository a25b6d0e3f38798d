"""What a path does not know of its query is refused, whichever path of the API it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from subscriber.monitoring.answers import PREFIX
from tests.support.running_service import ServiceThread, running_service


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceThread]:
    with running_service({}, tmp_path_factory.mktemp("daemon")) as running:
        yield running


def test_query_with_a_misspelt_name_is_refused_and_told_what_was_meant(daemon: ServiceThread) -> None:
    answer = daemon.http.get(f"{PREFIX}/history?limit=1&severety=CRITICAL")
    told = answer.json()
    assert (answer.status_code, told["code"]) == (422, "invalid_request")
    assert "no query parameter 'severety'; did you mean 'severity'?" in told["error"]
    assert "before, channel" in told["error"]
    assert daemon.http.get(f"{PREFIX}/history?limit=1&severity=CRITICAL").status_code == 200


def test_query_with_an_unknown_name_is_refused_by_every_path_of_the_api(daemon: ServiceThread) -> None:
    paths = daemon.http.get("/openapi.json").json()["paths"]
    asked = 0
    for path, methods in paths.items():
        for method, operation in methods.items():
            if not path.startswith(PREFIX):
                continue
            named = re.sub(r"\{\w+\}", "1", path)
            answer = daemon.http.request(
                method.upper(), f"{named}?zzz=1", json={} if "requestBody" in operation else None
            )
            told = answer.json()
            assert (answer.status_code, told["code"]) == (422, "invalid_request"), path
            assert "no query parameter 'zzz'" in told["error"], path
            known = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
            assert all(name in told["error"] for name in known), path
            asked += 1
    assert asked > 20


def test_query_takes_a_parameter_by_its_alias(daemon: ServiceThread) -> None:
    assert daemon.http.get(f"{PREFIX}/export?what=changes&format=csv").status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/", "/docs", "/static/monitoring-api.js"])
def test_query_of_what_is_no_api_is_not_looked_at(daemon: ServiceThread, path: str) -> None:
    assert daemon.http.get(f"{path}?zzz=1").status_code == 200
