"""Real answers of a running daemon: what OpenAPI shows as examples, and what its models are compared with.

`python -m tests.support.examples` writes the examples anew, shortened to what a reader needs.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from bus.alerts import Alert
from tests.support.daemon import PREFIX, Daemon
from tests.support.eventful import eventful_daemon

FILE: Final = Path(__file__).parents[2] / "subscriber" / "monitoring" / "examples.json"
COMMAND: Final = "python -m tests.support.examples"
#: Entries of a list in an example.
_MOST: Final = 2


@dataclass(frozen=True)
class Asked:
    """One answer."""

    operation: str
    answer: httpx2.Response

    @property
    def data(self) -> Any:
        """What a success says."""
        return self.answer.json()["data"]


@dataclass(frozen=True)
class Question:
    """One request; `operation` is its id in the document."""

    operation: str
    method: str
    path: str
    body: Any = None


def asked(daemon: Daemon, alerts: Mapping[str, Alert]) -> Iterator[Asked]:
    """Ask a daemon of `eventful_daemon` everything that its document describes; all of it succeeds."""
    document = daemon.http.get("/openapi.json").json()
    known = {operation["operationId"] for methods in document["paths"].values() for operation in methods.values()}
    for question in _questions(daemon, alerts):
        if question.operation in known:
            answer = daemon.http.request(question.method, question.path, json=question.body)
            assert answer.status_code == 200, (question, answer.text)
            yield Asked(question.operation, answer)


def _questions(daemon: Daemon, alerts: Mapping[str, Alert]) -> Iterator[Question]:
    """Yield one question after the other; a later one may depend on what was answered before."""
    yield Question("isAlive", "GET", "/healthz")
    yield Question("isReady", "GET", "/readyz")
    for operation, method, path, body in _looks(alerts):
        yield Question(operation, method, PREFIX + path, body)
    for operation, method, path, body in _deeds(daemon, alerts):
        yield Question(operation, method, PREFIX + path, body)


def _looks(alerts: Mapping[str, Alert]) -> Iterator[tuple[str, str, str, Any]]:
    yield "getStatus", "GET", "/status", None
    for query in ("limit=200", "state=delivered", "state=folded", "acknowledged=true", "acknowledged=false"):
        yield "listAlerts", "GET", f"/history?{query}", None
    for name in ("delivered", *alerts):
        yield "getAlert", "GET", f"/alerts/{alerts[name].id}", None
    yield "getDigest", "GET", "/digests/1", None
    yield "listSilences", "GET", "/silences", None
    yield "getRoutes", "GET", "/routes", None
    for body in (
        {"severity": "CRITICAL", "event_type": "DRAWDOWN_BREACHED", "symbol": "TNA"},
        {"severity": "WARNING", "symbol": "TNA"},
        {"severity": "WARNING", "symbol": "DROPPED"},
        {"action": "BUY", "symbol": "TNA", "quantity": 10},
        {"action": "HOLD"},
    ):
        yield "explainRoute", "POST", "/routes/explain", body
    yield (
        "previewTemplate",
        "POST",
        "/templates/preview",
        {"channel": "telegram", "text": "{{ severity }} {{ event }} {{ symbol }}"},
    )
    yield "previewTemplate", "POST", "/templates/preview", {"channel": "whatsapp", "alert_id": _id(alerts, "trade")}


def _deeds(daemon: Daemon, alerts: Mapping[str, Alert]) -> Iterator[tuple[str, str, str, Any]]:
    silence = {"match": {"symbol": "TNA"}, "seconds": 1800, "author": "Kim", "reason": "the reverse split is known"}
    yield "addSilence", "POST", "/silences", silence
    yield "endSilence", "DELETE", f"/silences/{daemon.get('/silences', limit=1)[0]['id']}?author=Kim", None
    yield "listSilences", "GET", "/silences?ended=true", None
    for author in ("Kim", "Lee"):
        yield "acknowledgeAlert", "POST", f"/alerts/{_id(alerts, 'escalated')}/ack", {"author": author, "via": "page"}
    yield "getAlert", "GET", f"/alerts/{_id(alerts, 'escalated')}", None
    yield "reloadConfiguration", "POST", "/reload", {"author": "Kim"}
    yield "sendTest", "POST", "/test", {"channel": "telegram", "text": "Does this arrive?"}
    yield "sendTest", "POST", "/test", {}
    yield "resumeChannel", "POST", "/channels/telegram/resume", None
    for enabled in (False, True):
        yield "setChannelEnabled", "PATCH", "/channels/whatsapp", {"enabled": enabled, "author": "Kim", "via": "page"}
    yield "listDeadLetters", "GET", "/dead-letters", None
    letters = _dead_letters(daemon)
    for number in letters:
        yield "previewDeadLetter", "GET", f"/dead-letters/{number}", None
    for number in letters[:1]:
        yield "retryDeadLetter", "POST", f"/dead-letters/{number}/retry", {"author": "Kim", "via": "page"}
        everything = {"all": True, "channel": None, "author": "Kim", "via": "page"}
        yield "retryDeadLetters", "POST", "/dead-letters/retry", everything
    yield "listChanges", "GET", "/changes", None
    yield "getStatus", "GET", "/status", None
    yield "listAlerts", "GET", "/history?limit=200", None


def _dead_letters(daemon: Daemon) -> list[int]:
    answer = daemon.http.get(f"{PREFIX}/dead-letters")
    if answer.status_code == 404:
        return []
    return [letter["id"] for letter in answer.json()["data"]["dead_letters"]]


def _id(alerts: Mapping[str, Alert], name: str) -> str:
    return str(alerts[name].id)


def shortened(value: Any) -> Any:
    """Return data with the first entries of its lists only."""
    if isinstance(value, list):
        return [shortened(each) for each in value[:_MOST]]
    if isinstance(value, dict):
        return {name: shortened(each) for name, each in value.items()}
    return value


def main() -> None:
    """Write the file."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, eventful_daemon(Path(folder)) as (daemon, alerts):
        for each in asked(daemon, alerts):
            found.setdefault(each.operation, shortened(each.data))
    FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    sys.stdout.write(f"{FILE.name} has {len(found)} answers; renew docs/openapi.json, too.\n")


if __name__ == "__main__":
    main()
