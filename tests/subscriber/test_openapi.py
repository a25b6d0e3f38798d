"""The OpenAPI document: valid, committed as it is served, complete, and true of what a running daemon answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from bus.alerts import Alert
from subscriber.monitoring.answers import PREFIX, ErrorCode
from subscriber.monitoring.describing import NAMES, TAGS
from subscriber.monitoring.documented import CODES
from tests.support import examples, openapi
from tests.support.eventful import eventful_daemon
from tests.support.running_service import ServiceThread

TOKEN = "a-long-random-word"
Document = dict[str, Any]
Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServiceThread, Mapping[str, Alert]]]:
    with eventful_daemon(tmp_path_factory.mktemp("daemon"), {"ALERTBUS_API_TOKEN": TOKEN}) as running:
        yield running


@pytest.fixture(scope="module")
def document(eventful: tuple[ServiceThread, Mapping[str, Alert]]) -> Document:
    found: Document = eventful[0].http.get("/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def answers(eventful: tuple[ServiceThread, Mapping[str, Alert]]) -> list[examples.Asked]:
    return list(examples.asked(*eventful))


def operations(document: Document) -> list[Operation]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def faults(document: Document, schema: Any, value: Any) -> list[str]:
    """Return how a value differs from a schema of the document."""
    rooted = {**schema, "components": document["components"]}
    validator = jsonschema_rs.Draft202012Validator(rooted, validate_formats=True)
    return [f"{'.'.join(map(str, error.instance_path))}: {error.message}" for error in validator.iter_errors(value)]


def json_of(described: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the JSON content of a request or an answer."""
    found: dict[str, Any] | None = described.get("content", {}).get("application/json")
    return found


def examples_of(document: Document, content: Mapping[str, Any]) -> list[Any]:
    """Return every example of a content, wherever it stands."""
    named = [each.get("$ref", each) for each in content.get("examples", {}).values()]
    values = [_referred(document, each)["value"] if isinstance(each, str) else each["value"] for each in named]
    schema = content["schema"]
    for option in (schema, *schema.get("anyOf", ())):
        values += _referred(document, option["$ref"]).get("examples", []) if "$ref" in option else []
    return values + ([content["example"]] if "example" in content else [])


def _referred(document: Document, reference: str) -> dict[str, Any]:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def test_openapi_file_is_what_a_daemon_serves() -> None:
    """Whoever changes an endpoint renews the file."""
    committed = openapi.PAGE.read_text(encoding="utf-8")
    assert committed == openapi.text_of(openapi.served()), f"docs/openapi.json is stale: run {openapi.COMMAND}"


def test_openapi_is_valid(document: Document) -> None:
    assert document["openapi"].startswith("3.1.")
    jsonschema_rs.Draft202012Validator(OPENAPI_31).validate(document)


def test_openapi_is_of_no_host_and_names_its_licence(document: Document) -> None:
    assert [server["url"] for server in document["servers"]] == ["/"]
    assert document["info"]["license"] == {"name": "MIT", "identifier": "MIT"}
    assert "contact" not in document["info"]


def test_openapi_names_every_operation(document: Document) -> None:
    """Names that nothing has are mistakes, too."""
    assert {(method, path) for method, path, _ in operations(document)} == set(NAMES)
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[a-z][A-Za-z]+", each) for each in ids)
    tags = [tag for _, _, operation in operations(document) for tag in operation["tags"]]
    assert set(tags) == set(TAGS) == {tag["name"] for tag in document["tags"]}


def test_openapi_explains_every_operation_and_parameter(document: Document) -> None:
    for _, path, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (path, parameter["name"])


def test_openapi_explains_every_field(document: Document) -> None:
    """Whoever reads a field can tell what it is."""
    bare = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, said in schema.get("properties", {}).items()
        if not (said.get("description") or "$ref" in said)
    ]
    assert bare == []


def test_openapi_tells_the_unit_of_microseconds(document: Document) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, said in schema.get("properties", {}).items():
            text = said.get("description", "").lower()
            if field.endswith("_us"):
                assert "microseconds" in text, (name, field)


def test_openapi_guards_what_the_daemon_guards(document: Document, eventful: tuple[ServiceThread, Any]) -> None:
    """Each path of the API asks for the token, with a scope, and those of health and of the webhooks do not."""
    daemon, _ = eventful
    for method, path, operation in operations(document):
        scopes = [each["token"] for each in operation["security"]]
        assert scopes in ([["read"]], [["operate"]]) if path.startswith(PREFIX) else scopes == []
        if path.startswith("/webhooks"):
            continue
        bare = re.sub(r"\{\w+\}", "1", path)
        answer = daemon.http.request(method.upper(), bare, headers={"Authorization": "Bearer wrong"})
        assert (answer.status_code == 401) == bool(scopes), (method, path)


def test_openapi_gives_every_request_and_answer_an_example_that_is_one(document: Document) -> None:
    missing: list[str] = []
    for method, path, operation in operations(document):
        described = {"request": operation.get("requestBody"), **operation["responses"]}
        for where, each in described.items():
            content = None if each is None else json_of(each)
            if content is None:
                continue
            found = examples_of(document, content)
            if not found:
                missing.append(f"{method} {path} {where}")
            for example in found:
                assert faults(document, content["schema"], example) == [], (method, path, where)
    assert missing == []


def test_openapi_has_an_example_and_a_status_of_every_code(document: Document) -> None:
    assert set(CODES) == set(ErrorCode)
    shown = {name: each["value"] for name, each in document["components"]["examples"].items()}
    assert set(shown) == {code.value for code in ErrorCode}
    assert all(faults(document, {"$ref": "#/components/schemas/ErrorAnswer"}, value) == [] for value in shown.values())


def test_openapi_is_true_of_every_answer(document: Document, answers: list[examples.Asked]) -> None:
    """Every field that comes is described, and of the type that is described: `extra` is forbidden everywhere."""
    schemas = {
        operation["operationId"]: content["schema"]
        for _, _, operation in operations(document)
        if (content := json_of(operation["responses"]["200"])) is not None
    }
    for each in answers:
        wrong = faults(document, schemas[each.operation], each.answer.json())
        assert wrong == [], f"{each.operation}: {wrong[:5]}"


def test_openapi_is_asked_for_every_operation(document: Document, answers: list[examples.Asked]) -> None:
    """What nobody asks for is compared with nothing."""
    without_json = {"exportRecords", "followEvents", "greetProvider", "receiveWebhook"}
    described = {operation["operationId"] for _, _, operation in operations(document)}
    assert {each.operation for each in answers} == described - without_json


def test_openapi_answers_have_every_state_of_a_delivery(answers: list[examples.Asked]) -> None:
    """The comparison sees what it should: each state, each way to be suppressed, digests, receipts and escalations."""
    stories = [each.data for each in answers if each.operation == "getAlert"]
    told = json.dumps(stories)
    deliveries = [delivery for story in stories for delivery in story["deliveries"]]
    states = {delivery["status"] for delivery in deliveries}
    assert states >= {"pending", "accepted", "delivered", "dead", "expired", "suppressed", "folded"}
    assert {delivery["why"] for delivery in deliveries} >= {None, "silence", "dedup", "off"}
    assert {story["alert"]["kind"] for story in stories} == {"risk_event", "agent_action", "system_event", "opaque"}
    assert any(delivery["digest"] for delivery in deliveries)
    assert any(delivery["silence"] for delivery in deliveries)
    assert any(delivery["told_by"] for delivery in deliveries)
    assert any(attempt["receipts"] for delivery in deliveries for attempt in delivery["attempts"])
    assert any(story["acknowledgement"] for story in stories)
    assert any(story["escalation"] and story["escalation"]["ended_why"] == "acknowledged" for story in stories)
    assert "momentum" in told
    assert "41.2}" not in told  # the agent's state
