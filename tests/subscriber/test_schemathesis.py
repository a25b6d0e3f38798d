"""Schemathesis against a running daemon: every operation of its OpenAPI document, every check, the same each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from subscriber.monitoring.describing import NAMES
from tests.support.fuzz import Fuzzed, fuzzed

#: Kinds of requests that the schemas alone make, for each operation.
_FEWEST_CASES = 20


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Fuzzed:
    return fuzzed(tmp_path_factory.mktemp("fuzz"))


def test_schemathesis_finds_nothing_and_the_daemon_lives(found: Fuzzed) -> None:
    """Its output has a curl for each failure."""
    assert found.failures == 0, found.output
    assert found.alive, found.output


def test_schemathesis_tried_every_operation(found: Fuzzed) -> None:
    """A run that tries little finds nothing."""
    assert found.operations == len(NAMES)
    assert found.cases >= _FEWEST_CASES * found.operations
    assert found.report["complete"]
    phases = {name: phase["status"] for name, phase in found.report["phases"].items()}
    assert set(phases.values()) == {"success"}, phases


def test_schemathesis_tells_of_a_document_that_lies(tmp_path: Path) -> None:
    """The checks are on: an answer that differs from the document is a failure."""

    def lie(document: dict[str, Any]) -> None:
        document["components"]["schemas"]["Alive"]["properties"]["version"]["type"] = "integer"

    assert fuzzed(tmp_path, examples=1, only="isAlive", change=lie).failures > 0
