"""docs/wire.md says what the code does: limits, names and reasons are compared, and its listener is run."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

import pytest

from bus.sockets import DEFAULT_CONTROL_ENDPOINT, DEFAULT_DATA_ENDPOINT, bound_endpoint, open_publisher_data
from bus.topics import KNOWN_LEVELS, TOPIC_LIMIT_BYTES, topic_of
from bus.wire import (
    BODY_LIMIT_BYTES,
    FRAME_LIMIT_BYTES,
    INVALID_REASONS,
    VERSION,
    Ack,
    Control,
    Goodbye,
    Header,
    Heartbeat,
    Replay,
    Replayed,
    Unavailable,
    Welcome,
    encode_alert,
    encode_frames,
)
from tests.bus.conftest import Keep
from tests.bus.documents import code, document, rows, section, words
from tests.bus.polling import LOOPBACK, Context, Socket, attempts
from tests.bus.strategies import SAMPLES
from tests.bus.test_vectors import VECTORS

WIRE = document("wire.md")


def test_wire_document_endpoints_are_the_defaults() -> None:
    endpoints = [words(row[-1])[0] for row in rows(section(WIRE, "Connections"))]
    assert endpoints == [DEFAULT_DATA_ENDPOINT, DEFAULT_CONTROL_ENDPOINT]


def test_wire_document_frame_limits_are_the_limits() -> None:
    limits = {row[0]: row[-1] for row in rows(section(WIRE, "Data: an alert")) if row[-1].endswith(" bytes")}
    assert limits == {
        "topic": f"{TOPIC_LIMIT_BYTES:,} bytes",
        "header": f"{TOPIC_LIMIT_BYTES:,} bytes",
        "body": f"{BODY_LIMIT_BYTES:,} bytes",
    }
    assert f"{FRAME_LIMIT_BYTES:,} bytes" in section(WIRE, "Control")


def test_wire_document_example_is_the_test_vector() -> None:
    example = code(WIRE, "hex").split()
    frames: list[str] = []
    for word in example:
        if word in {"topic", "header", "body"}:
            frames.append("")
        else:
            frames[-1] += word
    assert frames == VECTORS["risk_event_smallest"]["frames"]


def test_wire_document_topics_are_all_there_are() -> None:
    text = section(WIRE, "Topics")
    for levels in KNOWN_LEVELS:
        kind, level = levels.split(".")
        assert kind in text
        assert level in text


def test_wire_document_unescaped_characters_are_those_of_the_code() -> None:
    alert = SAMPLES[0]
    kept = "".join(
        character
        for character in map(chr, range(33, 127))
        if topic_of(alert.model_copy(update={"symbol": character})) == f"severity.CRITICAL.{character}."
    )
    assert set(kept) == {character for character in map(chr, range(33, 127)) if character.isalnum()} | set("-_~^=:")
    assert "`A-Z a-z 0-9 - _ ~ ^ = :`" in section(WIRE, "Topics")


@pytest.mark.parametrize("kind", [Heartbeat, Goodbye, Welcome, Ack, Replay, Unavailable, Replayed])
def test_wire_document_control_fields_are_those_of_the_message(kind: type[Control]) -> None:
    table = {words(row[0])[0]: words(row[2]) for row in rows(section(WIRE, "Control"))}
    name = kind.model_fields["type"].default
    named = [word for word in table[name] if word != "closed"]  # a default, and no field
    assert named == [field for field in kind.model_fields if field != "type"]


def test_wire_document_reasons_are_the_closed_set() -> None:
    reasons = [words(row[0])[0] for row in rows(section(WIRE, "What is refused"))]
    assert sorted(reasons) == sorted(INVALID_REASONS)


def test_wire_document_version_is_the_version() -> None:
    assert f"`version` is {VERSION}," in section(WIRE, "Versions")


def test_wire_document_listener_hears_what_it_subscribed_to(context: Context, keep: Keep, tmp_path: Path) -> None:
    script = tmp_path / "listener.py"
    script.write_text(code(section(WIRE, "A listener"), "python"), encoding="utf-8")
    publisher = keep(open_publisher_data(context, [DEFAULT_DATA_ENDPOINT], bind=LOOPBACK))
    lines: queue.Queue[str] = queue.Queue()
    command = [sys.executable, str(script), bound_endpoint(publisher), "severity.CRITICAL."]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as listener:
        assert listener.stdout is not None
        reader = threading.Thread(target=pass_on, args=(listener.stdout, lines))
        reader.start()
        try:
            heard = first_line(publisher, lines)
        finally:
            listener.terminate()
            reader.join()
    assert heard == "severity.CRITICAL.TNA. 7 risk_event DRAWDOWN_BREACH Drawdown passed its limit\n"


def pass_on(output: IO[str], lines: queue.Queue[str]) -> None:
    for line in output:
        lines.put(line)


def first_line(publisher: Socket, lines: queue.Queue[str]) -> str:
    """Publish until the listener has connected and said something."""
    header = Header(bytes(range(16)), 7, 0)
    for milliseconds in attempts(poll_milliseconds=50):
        for alert in reversed(SAMPLES):
            publisher.send_multipart(encode_frames(topic_of(alert), header, encode_alert(alert)))
        try:
            return lines.get(timeout=milliseconds / 1000)
        except queue.Empty:
            continue
    raise AssertionError
