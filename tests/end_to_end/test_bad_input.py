"""Malformed frames and faulty starts, against real processes: counted, skipped, told; the next good alert arrives."""

from __future__ import annotations

import msgpack
import zmq

from bus.wire import Header, encode_header
from tests.end_to_end.rig import Rig
from tests.support.ports import free_port
from tests.support.provider_server import ProviderServer
from tests.support.waiting import wait_until

STREAM = b"s" * 16
GOOD_HEADER = encode_header(Header(STREAM, 1, 1))


def nested(depth: int) -> bytes:
    """Return msgpack arrays in arrays."""
    return b"\x91" * depth + b"\xc0"


BAD = {
    "frame_count": [[b"one frame"], [b""], [b"a", b"b"], [b"t", GOOD_HEADER, b"\x80", b"more"]],
    "header": [[b"t", b"", b"\x80"], [b"t", b"\xff\xff", b"\x80"], [b"t", nested(2000), b"\x80"]],
    "body": [
        [b"t", GOOD_HEADER, b"\xc1"],
        [b"t", GOOD_HEADER, nested(3000)],
        [b"t", GOOD_HEADER, msgpack.packb({"id": 1})],
    ],
    "oversized": [[b"t" * 5000, GOOD_HEADER, b"\x80"], [b"t", GOOD_HEADER, b"\x80" * 100_000]],
    "topic": [[b"\xff\xfe", GOOD_HEADER, msgpack.packb({"kind": "x"})]],
    "version": [[b"t", msgpack.packb([99, STREAM, 1, 1]), b"\x80"]],
}


def test_malformed_frames_are_counted_by_reason_and_the_next_good_alert_arrives(
    rig: Rig, provider: ProviderServer
) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with rig.daemon() as daemon, context:
        socket = context.socket(zmq.PUB)
        socket.linger = 0
        socket.connect(rig.environ["ALERTBUS_DATA_ENDPOINT"])

        def counted() -> bool:
            for messages in BAD.values():
                for frames in messages:
                    socket.send_multipart(frames)
            return all(
                rig.metric(f'alertbus_messages_invalid_total{{reason="{reason}"}}') >= len(messages)
                for reason, messages in BAD.items()
            )

        wait_until(counted, 30.0)
        socket.send_multipart([b"t", GOOD_HEADER, b"\0" * 300_000])  # more than a frame may hold: the peer is dropped
        socket.close()
        assert rig.publish("still here", "--severity", "CRITICAL", "--wait", "20").returncode == 0
        provider.wait_for_accepted(2)
        assert daemon.process.poll() is None
        for reason in BAD:
            assert daemon.output.count(f"reason={reason} held_back=0") == 1, "logged once per reason and minute"
    assert "Traceback" not in daemon.output


def test_second_daemon_on_the_same_ports_says_which_and_what_to_do(rig: Rig) -> None:
    with rig.daemon():
        second = rig.run("subscriber", "run")
        assert second.returncode == 1, "a port may be free again: a service manager should try"
        assert "ALERTBUS_HTTP_PORT" in second.stderr
        assert "is taken by another program (another alertbus daemon?); stop that one" in second.stderr
        third = rig.run("subscriber", "run", environ={"ALERTBUS_HTTP_PORT": str(free_port())})
        assert third.returncode == 1
        assert "ALERTBUS_DATA_ENDPOINT" in third.stderr
        assert "Traceback" not in second.stderr + third.stderr


def test_configuration_with_many_faults_names_each_and_shows_no_value(rig: Rig) -> None:
    secret = "not-a-token-of-any-kind"
    done = rig.run(
        "subscriber",
        "check",
        environ={
            "TELEGRAM_BOT_TOKEN": secret,
            "WHATSAPP_TO": "call-me-maybe",
            "ALERTBUS_HTTP_PORT": "99999999",
            "ALERTBUS_DATA_ENDPONT": "tcp://127.0.0.1:1",
        },
    )
    assert done.returncode == 2
    for name in ("TELEGRAM_BOT_TOKEN", "WHATSAPP_TO", "ALERTBUS_HTTP_PORT", "ALERTBUS_DATA_ENDPONT"):
        assert name in done.stderr
    for value in (secret, "call-me-maybe", "99999999"):
        assert value not in done.stderr + done.stdout
