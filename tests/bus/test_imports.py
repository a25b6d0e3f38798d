"""The import rules hold in every module, and the checker finds what breaks them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.bus.import_rules import FLOORS, OUTSIDE, ROOT, UNITS, imports, sources, violations

#: What a trader's process must never load through `import publisher`.
HEAVY = {
    "apprise", "fastapi", "prometheus_client", "pydantic_settings", "requests",
    "rich", "sqlalchemy", "typer", "uvicorn",
}  # fmt: skip


def broken(module: str, source: str) -> list[str]:
    return [violation.rule for violation in violations({module: source})]


def test_imports_of_every_module_follow_the_rules() -> None:
    found = violations(sources())
    assert not found, "\n" + "\n".join(map(str, found))


def test_import_publisher_in_fresh_interpreter_loads_nothing_heavy() -> None:
    script = "import json, sys, publisher; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    loaded = {name.partition(".")[0] for name in json.loads(run.stdout)}
    assert loaded.isdisjoint(HEAVY), loaded.intersection(HEAVY)
    assert {"zmq", "msgpack", "pydantic"} <= loaded


def test_violation_text_names_file_line_and_rule() -> None:
    (violation,) = violations({"bus/clock": "import time\n\n\nimport publisher\n"})
    assert str(violation) == "bus/clock.py:4: imports publisher: bus/clock may import of our packages only its own"


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bus/clock", "import publisher"),
        ("bus/clock", "from subscriber.deliveries import Outcome"),
        ("bus/clock", "from dashboards import static_folder"),
        ("publisher/sender", "import subscriber.errors"),
        ("publisher/sender", "from dashboards import static_folder"),
        ("subscriber/deliveries", "from publisher import Publisher"),
        ("subscriber/monitoring/api", "from dashboards import static_folder"),
        ("dashboards/grafana", "from bus import Alert"),
        ("dashboards/__main__", "import subscriber"),
    ],
)
def test_import_across_packages_is_found(module: str, source: str) -> None:
    (rule,) = broken(module, source)
    assert "our packages" in rule


@pytest.mark.parametrize(
    "source",
    [
        "import publisher",
        "import publisher as p, sys",
        "from publisher import sender",
        "from publisher.sender import Sender",
        "def late():\n    import publisher",
        "class Late:\n    def method(self):\n        from publisher import Publisher",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import publisher",
        "try:\n    import publisher\nexcept ImportError:\n    pass",
        "import importlib\nimportlib.import_module('publisher')",
        "from importlib import import_module\nimport_module('publisher.sender')",
        "__import__('publisher')",
    ],
)
def test_import_in_any_form_is_found(source: str) -> None:
    assert broken("bus/clock", source)


@pytest.mark.parametrize(
    ("module", "source", "word"),
    [
        ("subscriber/policy/retry", "from subscriber.store import schema", "above"),
        ("subscriber/deliveries", "from subscriber.policy.retry import decide", "above"),
        ("subscriber/store/asking", "from subscriber.channels.channel import Channel", "beside"),
        ("subscriber/channels/telegram", "from subscriber.monitoring.metrics import Metrics", "beside"),
        ("subscriber/logs", "from subscriber.store.store import Store", "beside"),
        ("subscriber/monitoring/metrics", "from subscriber.monitoring.api import routes", "above"),
        ("subscriber/intake/ingest", "from subscriber.delivery.worker import Worker", "beside"),
        ("subscriber/delivery/worker", "from subscriber.settings import DeliverySettings", "beside"),
        ("subscriber/monitoring/api", "from subscriber import settings", "beside"),
        ("subscriber/monitoring/api", "from ..intake import ingest", "beside"),
        ("subscriber/intake/ingest", "from subscriber.service import Service", "above"),
        ("subscriber/service", "from subscriber.__main__ import main", "above"),
    ],
)
def test_import_of_floor_above_or_beside_is_found(module: str, source: str, word: str) -> None:
    (rule,) = broken(module, source)
    assert word in rule


def test_import_of_module_on_no_floor_is_found() -> None:
    assert "on no floor" in broken("subscriber/service", "from subscriber.novelty import thing")[0]


def test_import_by_module_on_no_floor_is_found() -> None:
    assert "on no floor" in broken("subscriber/novelty", "from subscriber.errors import StoreError")[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bus/topics", "import zmq"),
        ("bus/sockets", "import msgpack"),
        ("bus/conversion", "import numpy"),
        ("publisher/journal", "import sqlalchemy"),
        ("publisher/sender", "import sqlite3"),
        ("publisher/attaching", "from pydantic import BaseModel"),
        ("publisher/attaching", "import pydantic"),
        ("publisher/publisher", "import pydantic_settings"),
        ("subscriber/store/asking", "import fastapi"),
        ("subscriber/channels/telegram", "import requests"),
        ("subscriber/monitoring/api", "import uvicorn"),
        ("subscriber/monitoring/api", "import starlette.requests"),
        ("subscriber/service", "import typer"),
        ("subscriber/policy/retry", "import jinja2"),
        ("subscriber/policy/rendering", "import markupsafe"),
        ("dashboards/__main__", "import grafana_foundation_sdk"),
    ],
)
def test_import_of_foreign_package_in_wrong_place_is_found(module: str, source: str) -> None:
    (rule,) = broken(module, source)
    assert "allowed" in rule or "table" in rule


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("subscriber/policy/retry", "import time"),
        ("subscriber/policy/retry", "from threading import Lock"),
        ("subscriber/deliveries", "import socket"),
        ("subscriber/policy/routing", "from bus.wire import Envelope"),
        ("subscriber/policy/routing", "from bus import sockets"),
    ],
)
def test_import_that_makes_a_pure_module_impure_is_found(module: str, source: str) -> None:
    (rule,) = broken(module, source)
    assert "pure" in rule


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bus/wire", "from bus.alerts import Alert\nimport msgpack\nfrom pydantic import BaseModel"),
        ("publisher/attaching", "from pydantic import ValidationError\nfrom bus.alerts import Alert"),
        ("publisher/sender", "from . import errors\nfrom .journal import Journal\nimport zmq"),
        ("subscriber/policy/sandbox", "import jinja2\nfrom subscriber.deliveries import Message"),
        ("subscriber/policy/routing", "from bus.alerts import Alert\nfrom subscriber.errors import RoutingError"),
        ("subscriber/store/store", "import sqlalchemy.orm\nfrom subscriber.policy.retry import decide"),
        ("subscriber/store/asking", "from ..policy.retry import decide\nfrom . import schema"),
        ("subscriber/monitoring/api", "from subscriber.monitoring.metrics import Metrics\nimport fastapi"),
        ("subscriber/service", "from dashboards import static_folder\nimport uvicorn"),
        ("subscriber/__main__", "import typer\nfrom subscriber.service import Service\nimport rich.console"),
        ("bus/clock", "import importlib\nimportlib.import_module(name)"),
    ],
)
def test_import_that_is_allowed_is_not_found(module: str, source: str) -> None:
    assert broken(module, source) == []


def test_imports_of_relative_forms_are_resolved() -> None:
    source = "from . import schema\nfrom .schema import table\nfrom ..policy import retry"
    assert [name for _line, name in imports("subscriber/store/asking", source)] == [
        "subscriber.store.schema",
        "subscriber.store.schema.table",
        "subscriber.policy.retry",
    ]


def test_sources_are_all_four_packages() -> None:
    assert {module.partition("/")[0] for module in sources()} == {"bus", "publisher", "subscriber", "dashboards"}


def test_units_that_are_no_folder_are_on_a_floor() -> None:
    assert {unit for floor in FLOORS for unit in floor} >= UNITS.keys()


def test_table_of_foreign_packages_names_only_packages_of_ours() -> None:
    places = {place for allowed in OUTSIDE.values() for place in allowed}
    assert all(place.split("/")[0] in {"bus", "publisher", "subscriber", "dashboards"} for place in places)
