"""Whatever arrives on the two sockets: it is counted by its reason, logged once a minute, and the daemon goes on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import pytest

from bus.wire import (
    BODY_LIMIT_BYTES,
    FRAME_LIMIT_BYTES,
    INVALID_REASONS,
    Ack,
    Heartbeat,
    Replay,
    Replayed,
    Welcome,
    encode_control,
)
from subscriber.store import Store
from tests.support.alerts import OTHER_STREAM, STREAM
from tests.support.clock import START_US, FakeClock
from tests.support.running_intake import Intake, free_endpoints, on_sqlite, running_intake
from tests.support.scripted_publisher import ScriptedPublisher
from tests.support.waiting import wait_until

pytestmark = on_sqlite

_SAMPLE: Final = ScriptedPublisher(("", "")).frames(1)
TOPIC, HEADER, BODY = _SAMPLE
BEAT: Final = encode_control(
    Heartbeat(stream=STREAM, source="trader-1", first_held=1, first_unacknowledged=1, last=0, clock_us=START_US)
)
REPLAYED: Final = encode_control(Replayed())
#: Arrays within arrays; an array, and a map, of four thousand million entries.
BOMBS: Final = (b"\x91" * 60_000 + b"\xc0", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff\xa1k")


@pytest.fixture
def intake(store: Store, clock: FakeClock) -> Iterator[Intake]:
    with running_intake(store, clock) as running:
        yield running


def with_version(frame: bytes, version: int) -> bytes:
    """Return a header or a control message as another version of the bus would write it."""
    return frame[:1] + bytes([version]) + frame[2:]


def invalid_in_all(intake: Intake) -> float:
    return sum(intake.invalid(reason) for reason in INVALID_REASONS)


def assert_good_alert_is_stored(intake: Intake) -> None:
    with intake.publisher(stream=OTHER_STREAM, source="script") as good:
        good.publish(1)
        good.meet()
        good.wait_for_ack(1)
    assert intake.numbers(OTHER_STREAM) == [1]


def foreign_header(*, stream: bytes = STREAM, sequence: bytes = b"\x01", published: bytes = b"\x01") -> bytes:
    return b"\x94\x01\xc4" + bytes([len(stream)]) + stream + sequence + published


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        pytest.param([b""], "frame_count", id="one empty frame"),
        pytest.param([TOPIC, HEADER], "frame_count", id="no body"),
        pytest.param([TOPIC, HEADER, BODY, b""], "frame_count", id="a frame too many"),
        pytest.param([b"x"] * 500, "frame_count", id="hundreds of frames"),
        pytest.param([b"", b"", b""], "header", id="empty frames"),
        pytest.param([TOPIC, HEADER[:-1], BODY], "header", id="truncated header"),
        pytest.param([TOPIC, HEADER + b"\x00", BODY], "header", id="more than a header"),
        pytest.param([TOPIC, foreign_header(sequence=b"\x00"), BODY], "header", id="number 0"),
        pytest.param([TOPIC, foreign_header(sequence=b"\xff"), BODY], "header", id="number -1"),
        pytest.param([TOPIC, foreign_header(sequence=b"\xcf" + b"\xff" * 8), BODY], "header", id="number 2**64 - 1"),
        pytest.param([TOPIC, foreign_header(sequence=b"\xc3"), BODY], "header", id="number true"),
        pytest.param([TOPIC, foreign_header(stream=b"short"), BODY], "header", id="short stream"),
        pytest.param([TOPIC, foreign_header(published=b"\xff"), BODY], "header", id="before 1970"),
        pytest.param([TOPIC, HEADER, b""], "body", id="empty body"),
        pytest.param([TOPIC, HEADER, BODY[:-1]], "body", id="truncated body"),
        pytest.param([TOPIC, HEADER, b"\x90" + BODY[1:]], "body", id="no map"),
        pytest.param([TOPIC, HEADER, b"\x80"], "body", id="no id"),
        pytest.param([b"\xff\xfe", HEADER, BODY], "topic", id="topic is no text"),
        pytest.param([b"x" * 2000, HEADER, BODY], "oversized", id="long topic"),
        pytest.param([TOPIC, HEADER, bytes(BODY_LIMIT_BYTES + 1)], "oversized", id="long body"),
        pytest.param([TOPIC, with_version(HEADER, 2), BODY], "version", id="foreign version"),
        *[pytest.param([TOPIC, HEADER, bomb], "body", id=f"bomb {bomb[:1]!r}") for bomb in BOMBS],
        pytest.param([TOPIC, BOMBS[1], BODY], "header", id="bomb in the header"),
    ],
)
def test_data_garbage_is_counted_and_skipped(intake: Intake, frames: list[bytes], reason: str) -> None:
    """It costs nobody anything but a number in a metric."""
    with intake.publisher() as publisher:
        publisher.send_data(frames)
        wait_until(lambda: intake.invalid(reason) == 1)
        assert invalid_in_all(intake) == 1
    assert_good_alert_is_stored(intake)
    assert intake.numbers() == []


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        pytest.param([b""], "control", id="one empty frame"),
        pytest.param([b"", BEAT], "control", id="as a REQ writes"),
        pytest.param([BEAT[:-1]], "control", id="truncated"),
        pytest.param([b"\x93\x01\xa4junk\x80"], "control", id="unknown type"),
        pytest.param([b"\x93\x01\x90\x80"], "control", id="type is no word"),
        pytest.param([b"\x92\x01\xa9heartbeat"], "control", id="no fields"),
        pytest.param([b"\x93\x01\xa9heartbeat\x80"], "control", id="fields are missing"),
        pytest.param([BEAT.replace(STREAM, OTHER_STREAM[:15] + b"\xc1")[:-1]], "control", id="damaged"),
        pytest.param([BEAT, b"more"], "control", id="a frame too many"),
        pytest.param([encode_control(Welcome(store_id="x", version="y"))], "control", id="a welcome"),
        pytest.param([encode_control(Ack(stream=STREAM, up_to=5))], "control", id="an ack"),
        pytest.param([encode_control(Replay(stream=STREAM, first=1, last=5))], "control", id="a replay"),
        pytest.param([REPLAYED], "frame_count", id="nothing replayed"),
        pytest.param([REPLAYED, TOPIC, HEADER], "frame_count", id="replayed without body"),
        pytest.param([REPLAYED, TOPIC, b"", BODY], "header", id="replayed without header"),
        *[pytest.param([bomb], "control", id=f"bomb {bomb[:1]!r}") for bomb in BOMBS],
    ],
)
def test_control_garbage_is_counted_and_skipped(intake: Intake, frames: list[bytes], reason: str) -> None:
    """It is neither answered nor remembered."""
    with intake.publisher() as publisher:
        publisher.send_control(frames)
        wait_until(lambda: intake.invalid(reason) == 1)
        assert invalid_in_all(intake) == 1
        assert_good_alert_is_stored(intake)
        assert publisher.listen().heard == []
    assert {view["source"] for view in intake.correspondence.publishers()} == {"script"}


@pytest.mark.parametrize(("held", "unacknowledged", "last"), [(7, 1, 5), (1, 7, 5), (2, 1, 0), (2**63 - 1, 1, 5)])
def test_control_heartbeat_of_impossible_numbers_is_refused(
    intake: Intake, held: int, unacknowledged: int, last: int
) -> None:
    """A heartbeat that holds what it never gave out would have alerts declared lost that nobody lost."""
    with intake.publisher() as publisher:
        publisher.beat(first_held=held, first_unacknowledged=unacknowledged, last=last)
        wait_until(lambda: intake.invalid("control") == 1)
        assert publisher.listen().heard == []


def test_control_message_without_frames_is_counted(store: Store, clock: FakeClock) -> None:
    """No socket type that may connect can send one."""
    intake = Intake(store, clock, free_endpoints())
    intake.ingest._take_control(b"peer", [], {})
    assert intake.invalid("frame_count") == 1


@pytest.mark.parametrize("socket", ["data", "control"])
def test_oversized_frame_costs_only_its_connection(intake: Intake, socket: str) -> None:
    """ZeroMQ drops a peer that sends more than we would ever hold."""
    with intake.publisher() as publisher:
        send = publisher.send_data if socket == "data" else publisher.send_control
        send([bytes(FRAME_LIMIT_BYTES + 1)])
        assert_good_alert_is_stored(intake)


def test_random_bytes_are_all_counted(intake: Intake) -> None:
    """A thousand messages of noise on both sockets, and the next good alert is stored."""
    rng = random.Random(1)
    with intake.publisher() as publisher:
        for _ in range(500):
            publisher.send_data([rng.randbytes(rng.randrange(60)) for _ in range(rng.choice([1, 2, 3, 3, 3, 4]))])
            publisher.send_control([rng.randbytes(rng.randrange(60))])
        wait_until(lambda: invalid_in_all(intake) == 1000)
        assert_good_alert_is_stored(intake)
        assert publisher.listen().heard == []


@pytest.mark.parametrize("socket", ["data", "control"])
def test_each_flipped_bit_is_met(intake: Intake, socket: str) -> None:
    """A message with any one bit wrong may be read as another or not at all; the daemon goes on."""
    with intake.publisher() as publisher:
        frames = publisher.frames(1) if socket == "data" else [BEAT]
        send = publisher.send_data if socket == "data" else publisher.send_control
        for position, frame in enumerate(frames):
            number = int.from_bytes(frame, "big")
            for bit in range(8 * len(frame)):
                flipped = (number ^ 1 << bit).to_bytes(len(frame), "big")
                send([*frames[:position], flipped, *frames[position + 1 :]])
        publisher.publish(2)
        wait_until(lambda: 2 in intake.numbers())
        assert_good_alert_is_stored(intake)
    assert invalid_in_all(intake) > 100


def test_garbage_is_logged_once_per_reason_and_minute(
    intake: Intake, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The next line says how many were held back; no line says what was in them."""
    with intake.publisher() as publisher:
        for _ in range(4):
            publisher.send_data([TOPIC, HEADER, b"secret"])
            publisher.send_data([b"secret"])
        wait_until(lambda: invalid_in_all(intake) == 8)
        clock.advance(61.0)
        publisher.send_data([TOPIC, HEADER, b"secret"])
        wait_until(lambda: invalid_in_all(intake) == 9)
    lines = [(record.__dict__["reason"], record.__dict__["held_back"]) for record in caplog.records]
    assert lines == [("body", 0), ("frame_count", 0), ("body", 3)]
    assert "secret" not in caplog.text


# --- foreign versions -------------------------------------------------------------------------------------------


def test_foreign_version_is_told_once_and_left_alone(intake: Intake, store: Store) -> None:
    """A whole stream of it is neither stored nor acknowledged nor asked for: it waits in its journal."""
    with intake.publisher() as publisher:
        for number in (1, 2):
            topic, header, body = publisher.frames(number)
            publisher.send_data([topic, with_version(header, 2), body])
            publisher.send_control([with_version(BEAT, 2)])
        wait_until(lambda: intake.invalid("version") == 4)
        assert_good_alert_is_stored(intake)
        assert publisher.listen().heard == []
    (told,) = intake.told("UNSUPPORTED_VERSION")
    assert "A publisher speaks version 2 of the bus, this daemon speaks 1" in told
    assert intake.numbers() == []
    assert [state.stream for state in store.streams()] == [OTHER_STREAM]


def test_foreign_version_on_data_alone_is_only_counted(intake: Intake) -> None:
    """A single frame may be noise; nobody is woken for it."""
    with intake.publisher() as publisher:
        publisher.send_data([TOPIC, with_version(HEADER, 9), BODY])
        wait_until(lambda: intake.invalid("version") == 1)
        publisher.meet()
    assert intake.told("UNSUPPORTED_VERSION") == []


def test_foreign_versions_without_end_are_not_all_told(intake: Intake) -> None:
    """Noise can look like any version, and must not ring a phone for each."""
    with intake.publisher() as publisher:
        for version in range(2, 100):
            publisher.send_control([with_version(BEAT, version)])
        wait_until(lambda: intake.invalid("version") == 98)
        publisher.meet()
    assert len(intake.told("UNSUPPORTED_VERSION")) == 4
