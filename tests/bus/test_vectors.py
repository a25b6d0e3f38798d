"""The test vectors of docs/wire.md: frozen files, read in both directions. Other implementations test against the same.

A file that changes is another wire format: raise `bus.wire.VERSION` instead, unless the new frames are only new files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import TypeAdapter

from bus.alerts import Alert
from bus.errors import UndecodableFrames, UnsupportedVersion, WireError
from bus.topics import topic_of
from bus.wire import (
    Control,
    Envelope,
    Header,
    Replayed,
    decode_control,
    decode_frames,
    encode_alert,
    encode_control,
    encode_frames,
)

FOLDER: Final = Path(__file__).parent / "vectors"
VECTORS: Final[dict[str, dict[str, Any]]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))
}
READABLE: Final = [name for name, vector in VECTORS.items() if "decoded" in vector]
CANONICAL: Final = [name for name in READABLE if VECTORS[name]["canonical"]]
REFUSED: Final = [name for name, vector in VECTORS.items() if "refused" in vector]

_ALERT: Final[TypeAdapter[Alert]] = TypeAdapter(Alert)
_CONTROL: Final[TypeAdapter[Control]] = TypeAdapter(Control)


def frames_of(vector: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(frame) for frame in vector["frames"]]


def decode(vector: dict[str, Any]) -> Envelope | Control:
    frames = frames_of(vector)
    if vector["message"] == "control":
        assert len(frames) == 1
        return decode_control(frames[0])
    if vector["message"] == "replayed":
        assert decode_control(frames.pop(0)) == Replayed()
    return decode_frames(frames)


def meaning_of(message: Envelope | Control) -> dict[str, Any]:
    """Say a message in JSON: bytes as hex, ids and moments as text, fields without a value left out."""
    if not isinstance(message, Envelope):
        fields = message.model_dump(exclude_none=True)
        return {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}
    alert = json.loads(message.alert.model_dump_json(exclude_none=True))
    return {
        "topic": message.topic,
        "header": meaning_of_header(message.header),
        "alert": {name: value for name, value in alert.items() if value != {}},
    }


def meaning_of_header(header: Header | None) -> dict[str, Any] | None:
    if header is None:
        return None
    return {"stream": header.stream.hex(), "sequence": header.sequence, "published_us": header.published_us}


def encode(vector: dict[str, Any]) -> list[bytes]:
    meaning = vector["decoded"]
    if vector["message"] == "control":
        fields = meaning | {name: bytes.fromhex(meaning[name]) for name in ("stream", "run") if name in meaning}
        return [encode_control(_CONTROL.validate_python(fields))]
    alert = _ALERT.validate_python(meaning["alert"])
    place = meaning["header"]
    header = Header(bytes.fromhex(place["stream"]), place["sequence"], place["published_us"])
    frames = encode_frames(topic_of(alert), header, encode_alert(alert))
    return [encode_control(Replayed()), *frames] if vector["message"] == "replayed" else frames


@pytest.mark.parametrize("name", READABLE)
def test_vector_decoded_is_its_meaning(name: str) -> None:
    assert meaning_of(decode(VECTORS[name])) == VECTORS[name]["decoded"]


@pytest.mark.parametrize("name", CANONICAL)
def test_vector_meaning_encoded_is_its_frames(name: str) -> None:
    assert [frame.hex() for frame in encode(VECTORS[name])] == VECTORS[name]["frames"]


@pytest.mark.parametrize("name", REFUSED)
def test_vector_refused_is_refused_for_its_reason(name: str) -> None:
    with pytest.raises((UndecodableFrames, UnsupportedVersion)) as error:
        decode(VECTORS[name])
    assert refusal_of(error.value) == VECTORS[name]["refused"]


def refusal_of(error: WireError) -> dict[str, Any]:
    refusal: dict[str, Any] = {"error": type(error).__name__}
    if isinstance(error, UnsupportedVersion):
        refusal["version"] = error.version
    if isinstance(error, UndecodableFrames):
        refusal |= {"reason": error.reason, "header": meaning_of_header(error.header)}
    return refusal


def test_vectors_show_every_kind_and_type() -> None:
    decoded = [VECTORS[name]["decoded"] for name in READABLE]
    kinds = {meaning["alert"]["kind"] for meaning in decoded if "alert" in meaning}
    types = {meaning["type"] for meaning in decoded if "type" in meaning}
    assert kinds == {"risk_event", "agent_action", "system_event", "opaque"}
    assert types == {"heartbeat", "goodbye", "welcome", "ack", "replay", "unavailable"}


@pytest.mark.parametrize("name", VECTORS)
def test_vector_has_a_description_and_is_readable_or_refused(name: str) -> None:
    vector = VECTORS[name]
    assert vector["description"].endswith(".")
    assert ("decoded" in vector) != ("refused" in vector)
