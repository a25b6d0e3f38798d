"""The OpenAPI document of the API: names for generated clients, access, the errors that all share, real examples.

FastAPI writes it from the endpoints; what is the same for all of them, or is a name, is added here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from subscriber.monitoring.access import Access
from subscriber.monitoring.answers import PREFIX, ErrorCode
from subscriber.monitoring.documented import GUARDED, WITH_BODY, ErrorAnswer, problem_examples, problems

_REFERENCE: Final = "#/components/schemas/{model}"
_SCHEME: Final = "token"
_UNSHOWN: Final = ("HTTPValidationError", "ValidationError")
_SUMMARY: Final = "Sees and controls a daemon that delivers trading alerts."
_DESCRIPTION: Final = """\
Every answer is an envelope: `{"status": "success", "data": …}`, or `{"status": "error", "error": …, "code": …}` where
`error` is for people and `code` keeps its meaning. Times are ISO 8601 in UTC where they are texts, and microseconds
of UTC since 1970 where they are numbers: in every field that ends in `_us`, and in `created_at`, `due_at`, `expires_at`
and `finished_at` of a delivery and `receipt_at` of an attempt (`listAlerts`, `getAlert`, the event `alert` of
`followEvents`, `exportRecords`). Each field says which it is.

A name in the query that an operation does not know is refused.

Lists are paged by a cursor, `before`, and have no total: nothing is skipped or repeated whatever comes in meanwhile.

With `ALERTBUS_API_TOKEN` set, each call carries a bearer token: one of scope `read` may look, one of scope `operate`
may do everything. Without a token only this machine may ask."""

#: In the order of the document.
TAGS: Final[dict[str, str]] = {
    "channels": "How channels and publishers stand, and switching channels.",
    "alerts": "What became of alerts.",
    "dead letters": "What was refused for good, and sending it again.",
    "silences": "What is not to be told for a while.",
    "policy": "Routes, quiet hours and templates.",
    "tests": "Test alerts.",
    "events": "What happens, as it happens.",
    "records": "What people changed, and everything that is stored.",
    "health": "Whether the daemon runs and works; open to everybody.",
    "webhooks": "Where providers tell what became of messages; guarded by their signatures alone.",
}


@dataclass(frozen=True, slots=True)
class Named:
    """What an operation is called."""

    id: str
    tag: str
    summary: str


_API: Final[dict[tuple[str, str], Named]] = {
    ("get", "/status"): Named("getStatus", "channels", "How everything stands"),
    ("patch", "/channels/{name}"): Named("setChannelEnabled", "channels", "Switch a channel on or off"),
    ("post", "/channels/{name}/resume"): Named("resumeChannel", "channels", "Let a paused channel send again"),
    ("get", "/history"): Named("listAlerts", "alerts", "Alerts with their deliveries"),
    ("get", "/alerts/{alert_id}"): Named("getAlert", "alerts", "One alert's whole story"),
    ("post", "/alerts/{alert_id}/ack"): Named("acknowledgeAlert", "alerts", "Say that a person knows of an alert"),
    ("get", "/digests/{number}"): Named("getDigest", "alerts", "What a digest told"),
    ("get", "/dead-letters"): Named("listDeadLetters", "dead letters", "What was refused for good"),
    ("get", "/dead-letters/{letter_id}"): Named("previewDeadLetter", "dead letters", "What a retry would say"),
    ("post", "/dead-letters/{letter_id}/retry"): Named("retryDeadLetter", "dead letters", "Send one again"),
    ("post", "/dead-letters/retry"): Named("retryDeadLetters", "dead letters", "Send some, or all, again"),
    ("get", "/silences"): Named("listSilences", "silences", "Silences"),
    ("post", "/silences"): Named("addSilence", "silences", "Hold alerts, or drop them, for a while"),
    ("delete", "/silences/{number}"): Named("endSilence", "silences", "End a silence"),
    ("get", "/routes"): Named("getRoutes", "policy", "The delivery policy in force"),
    ("post", "/routes/explain"): Named("explainRoute", "policy", "Where an alert would go, and why"),
    ("post", "/reload"): Named("reloadConfiguration", "policy", "Read the configuration again"),
    ("post", "/templates/preview"): Named("previewTemplate", "policy", "What a template makes of an alert"),
    ("post", "/test"): Named("sendTest", "tests", "Send a test alert"),
    ("get", "/events"): Named("followEvents", "events", "Server-sent events"),
    ("get", "/changes"): Named("listChanges", "records", "What people changed"),
    ("get", "/export"): Named("exportRecords", "records", "Everything of one kind, as JSON lines or CSV"),
}
#: What the operations are called; a test fails where one is not here.
NAMES: Final[dict[tuple[str, str], Named]] = {
    **{(method, PREFIX + path): named for (method, path), named in _API.items()},
    ("get", "/healthz"): Named("isAlive", "health", "Whether the process answers"),
    ("get", "/readyz"): Named("isReady", "health", "Whether alerts are taken, stored and delivered"),
    ("get", "/webhooks/{provider}"): Named("greetProvider", "webhooks", "A provider asks whether this is the place"),
    ("post", "/webhooks/{provider}"): Named("receiveWebhook", "webhooks", "A provider tells what became of messages"),
}
#: Headers of answers, by status.
_HEADERS: Final[dict[str, tuple[str, str]]] = {
    "401": ("WWW-Authenticate", "The scheme that is asked for: Bearer."),
    "429": ("Retry-After", "When to try again, in seconds."),
}
#: What the parts of paths are, for example, and in words where the endpoint says none.
_PARAMETERS: Final[dict[str, tuple[Any, str]]] = {
    "alert_id": ("0198a1b2-c3d4-7000-8000-000000000001", "The alert's id."),
    "number": (1, "Its number."),
    "letter_id": (17, "The number of the dead delivery."),
    "name": ("telegram", "The channel's name."),
    "provider": ("twilio", "The provider's name."),
}
#: Which operations go on with what another one answered: the parameter, and where its value stands in the answer.
_LINKS: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {
    "listAlerts": (("getAlert", "alert_id", "/data/0/alert/id"), ("acknowledgeAlert", "alert_id", "/data/0/alert/id")),
    "sendTest": (("getAlert", "alert_id", "/data/alert_id"), ("acknowledgeAlert", "alert_id", "/data/alert_id")),
    "addSilence": (("endSilence", "number", "/data/id"),),
    "listSilences": (("endSilence", "number", "/data/0/id"),),
    "listDeadLetters": (
        ("previewDeadLetter", "letter_id", "/data/dead_letters/0/id"),
        ("retryDeadLetter", "letter_id", "/data/dead_letters/0/id"),
    ),
    "getStatus": (
        ("setChannelEnabled", "name", "/data/channels/0/name"),
        ("resumeChannel", "name", "/data/channels/0/name"),
    ),
}


def describe(app: FastAPI, access: Access) -> None:
    """Let the application answer `/openapi.json` with the whole document, which is made once it is asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, access)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _document(app: FastAPI, access: Access) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=_SUMMARY,
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        license_info={"name": "MIT", "identifier": "MIT"},
        servers=[{"url": "/", "description": "The daemon that serves this document."}],
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _UNSHOWN:
        schemas.pop(name, None)
    _, shared = models_json_schema([(ErrorAnswer, "serialization")], ref_template=_REFERENCE)
    schemas.update(shared["$defs"])
    components["examples"] = problem_examples()
    components["securitySchemes"] = {
        _SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": "ALERTBUS_API_TOKEN, of scope operate, or ALERTBUS_API_READ_TOKEN, of scope read.",
        }
    }
    operating = _operating(app.routes, access)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            scope = "operate" if (method, path) in operating else "read"
            _complete(operation, method, path, scope)
    return document


def _operating(routes: Iterable[Any], access: Access) -> set[tuple[str, str]]:
    """Return the operations that need the scope `operate`."""
    guard = [each.dependency for each in access.operate]
    return {
        (method.lower(), route.path_format)
        for route in routes
        if isinstance(route, APIRoute) and [each.dependency for each in route.dependencies] == guard
        for method in route.methods or ()
    }


def _complete(operation: dict[str, Any], method: str, path: str, scope: str) -> None:
    named = NAMES.get((method, path))
    if named is not None:
        operation.update(operationId=named.id, tags=[named.tag], summary=named.summary)
    responses: dict[str, Any] = operation["responses"]
    if _is_of_fastapi(responses.get("422")):
        del responses["422"]
    guarded = path.startswith(PREFIX)
    operation["security"] = [{_SCHEME: [scope]}] if guarded else []
    if guarded:
        _add_problems(operation, scope)
    for status, (header, text) in _HEADERS.items():
        if status in responses:
            responses[status]["headers"] = {header: {"description": text, "schema": {"type": "string"}}}
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path" and parameter["name"] in _PARAMETERS:
            example, text = _PARAMETERS[parameter["name"]]
            parameter.setdefault("example", example)
            parameter.setdefault("description", text)
    _complete_success(operation["operationId"], responses["200"])
    operation["responses"] = dict(sorted(responses.items()))


def _complete_success(name: str, success: dict[str, Any]) -> None:
    """Add the example of a success, and what goes on with it."""
    content = success.get("content", {}).get("application/json")
    shown = _examples().get(name)
    if content is not None and shown is not None and "example" not in content:
        content["example"] = {"status": "success", "data": shown}
    if content is not None and isinstance(content.get("example"), str):
        content["example"] = json.loads(content["example"])
    for target, parameter, place in _LINKS.get(name, ()):
        link = {"operationId": target, "parameters": {parameter: f"$response.body#{place}"}}
        success.setdefault("links", {})[target] = link


def _add_problems(operation: dict[str, Any], scope: str) -> None:
    """Add what every guarded operation may answer, beside what this one says itself."""
    codes = [code for code in GUARDED if scope == "operate" or code is not ErrorCode.FORBIDDEN_SCOPE]
    if "requestBody" in operation:
        codes += WITH_BODY
    for status, said in problems(codes).items():
        content = said["content"]["application/json"]
        found = operation["responses"].setdefault(
            str(status),
            {
                "description": "",
                "content": {"application/json": {"schema": {"$ref": _REFERENCE.format(model="ErrorAnswer")}}},
            },
        )
        examples = found["content"]["application/json"].setdefault("examples", {})
        for code, example in content["examples"].items():
            if code not in examples:
                found["description"] = ", ".join(filter(None, (found["description"], f"`{code}`")))
                examples[code] = example


def _is_of_fastapi(response: dict[str, Any] | None) -> bool:
    return response is not None and "HTTPValidationError" in json.dumps(response)


@cache
def _examples() -> dict[str, Any]:
    """Return the data of a success by operation, taken from a running daemon."""
    text = files(__package__).joinpath("examples.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
