"""SIGKILL in the middle of a transaction: what was committed is there, what was not never was."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from subscriber.deliveries import DeliveryState
from subscriber.store import Closed, Store
from tests.support.alerts import incoming, risk_event
from tests.support.clock import FakeClock
from tests.support.receipted import DEAD, Sender

#: Stores one batch, begins a second one, and stops just before its commit until it is killed.
IN_MID_ACCEPT = """
import sys
from subscriber.store import Store, accepting
from tests.support.alerts import incoming, risk_event
store = Store(sys.argv[1]).open()
store.accept([incoming(risk_event(), 1, "telegram")], {b"stream-of-tests1": 1})
def stop(*arguments, **named):
    print("now", flush=True)
    sys.stdin.read()
accepting.move_streams = stop
store.accept([incoming(risk_event(), number, "telegram") for number in range(2, 500)], {b"stream-of-tests1": 499})
"""

#: Claims a delivery, opens its attempt, and is killed before the answer.
IN_MID_ATTEMPT = """
import sys
from subscriber.store import Store
store = Store(sys.argv[1]).open()
(delivery,) = store.claim("telegram", "a", 60, 1)
store.open_attempt([delivery])
print("now", flush=True)
sys.stdin.read()
"""


#: Folds three deliveries, opens their digest's attempt where it is told to, and is killed.
IN_MID_DIGEST = """
import sys
from subscriber.deliveries import DigestKind, Dialect, Message
from subscriber.store import NewDigest, Store
store = Store(sys.argv[1]).open()
(head,) = store.claim("telegram", "a", 60, 1)
members = store.fold(head, "a", 60, 100)
assert len(members) == 3
if sys.argv[2:] == ["opened"]:
    store.open_attempt(members, digest=NewDigest(DigestKind.STORM, Message("3 alerts", "3 alerts", Dialect.PLAIN)))
print("now", flush=True)
sys.stdin.read()
"""


@contextmanager
def stopped_process(program: str, url: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program until it says `now`, and leave it there; it is gone at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", program, url, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "now\n"
            yield process
        finally:
            process.kill()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def test_kill_in_mid_accept_keeps_what_was_committed(store: Store, store_url: str, clock: FakeClock) -> None:
    """The first batch is there, nothing of the second is, and its replay is stored."""
    with stopped_process(IN_MID_ACCEPT, store_url) as process:
        kill(process)
    with Store(store_url, clock) as reopened:
        assert reopened.channel_counts() == {"telegram": {"pending": 1}}
        assert [entry["sequence"] for entry in reopened.history(10)] == [1]
        assert reopened.position(b"stream-of-tests1").up_to == 1
        assert reopened.accept([incoming(risk_event(), 2, "telegram")]).deliveries == {"telegram": 1}


def test_kill_in_mid_attempt_leaves_evidence(store: Store, store_url: str, clock: FakeClock) -> None:
    """The worker that starts again under its name finds the delivery in doubt, a possible repeat."""
    store.accept([incoming(alert := risk_event(), 1, "telegram")])
    with stopped_process(IN_MID_ATTEMPT, store_url) as process:
        kill(process)
    assert store.claim("telegram", "b", 60, 1) == []  # its lease still runs
    assert store.release_worker("a") == 1
    (delivery,) = store.claim("telegram", "a", 60, 1)
    assert (delivery.state, delivery.possible_repeat) == (DeliveryState.IN_DOUBT, True)
    story = store.story(alert.id)
    assert story is not None
    assert [attempt["reason"] for attempt in story["deliveries"][0]["attempts"]] == ["timeout"]


def test_kill_leaves_no_lock(store: Store, store_url: str) -> None:
    """A killed writer holds nobody up: the next transaction goes through."""
    with stopped_process(IN_MID_ACCEPT, store_url) as process:
        kill(process)
    store.remember("after", "1")
    assert store.setting("after") == "1"


#: Notes that the message SM1 failed, and settles that, but stops at one of its steps until it is killed.
IN_MID_FAILURE = """
import sys
from subscriber.deliveries import DeliveryState, GiveUp, Outcome, Reason
from subscriber.receipts import Receipt, ReceiptState
from subscriber.store import Store, receiving, settling
url, _, step = sys.argv[1].partition(" ")
store = Store(url).open()
def stop(*arguments, **named):
    print("now", flush=True)
    sys.stdin.read()
if step == "noting":
    receiving.apply_receipts = stop
if step == "settling":
    settling.hand_over = stop
store.note_receipt("twilio", ["whatsapp"], Receipt("SM1", ReceiptState.FAILED))
if step == "noted":
    stop()
(failed,) = store.failed_receipts(["whatsapp"])
dead = GiveUp(DeliveryState.DEAD, fallback=True)
store.settle_failed(failed, Outcome(Reason.REJECTED), dead, fallbacks=["telegram"])
"""


@pytest.mark.parametrize("step", ["noting", "noted", "settling"])
def test_kill_between_a_receipt_and_its_consequences_leaves_it_to_be_found(
    store: Store, store_url: str, clock: FakeClock, step: str
) -> None:
    """Before its commit the provider tells it again, for it got no answer; after it, the next start settles it."""
    sender = Sender(store, clock)
    alert = sender.add()
    sender.send("SM1")
    with stopped_process(IN_MID_FAILURE, f"{store_url} {step}") as process:
        kill(process)
    assert sender.state(alert) == "accepted"
    assert store.audit().faults == ()
    assert sender.tell("failed").new is (step == "noting")
    assert sender.settle(DEAD, "telegram") == Closed(DeliveryState.DEAD, "telegram")
    assert store.channel_counts() == {"whatsapp": {"dead": 1}, "telegram": {"pending": 1}}
    assert store.audit().faults == ()


#: Begins a send, of which a receipt comes before its answer is recorded, and is killed.
IN_MID_ACCEPTANCE = """
import sys
from subscriber.receipts import Receipt, ReceiptState
from subscriber.store import Store
store = Store(sys.argv[1]).open()
(delivery,) = store.claim("whatsapp", "a", 60, 1)
reference = store.reference_of(store.open_attempt([delivery]))
store.note_receipt("twilio", ["whatsapp"], Receipt("SM1", ReceiptState.DELIVERED, reference=reference))
print("now", flush=True)
sys.stdin.read()
"""


def test_kill_between_a_receipt_and_the_acceptance_sends_nothing_again(
    store: Store, store_url: str, clock: FakeClock
) -> None:
    """The worker that starts again under its name finds that the message arrived."""
    sender = Sender(store, clock)
    alert = sender.add()
    with stopped_process(IN_MID_ACCEPTANCE, store_url) as process:
        kill(process)
    assert store.release_worker("a") == 1
    assert store.claim("whatsapp", "a", 60, 1) == []
    assert sender.state(alert) == "delivered"
    assert store.audit().faults == ()


#: Opens a store and tells its id.
OPENING = """
import sys
from subscriber.store import Store
with Store(sys.argv[1]) as store:
    print(store.store_id)
"""


def test_processes_that_start_at_once_make_one_store(empty_url: str) -> None:
    """Daemons that find an empty database together migrate it once, and share its id."""
    processes = [
        subprocess.Popen([sys.executable, "-c", OPENING, empty_url], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    told = [process.communicate()[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert len(set(told)) == 1


def test_kill_after_a_fold_leaves_no_digest(store: Store, store_url: str) -> None:
    """Nothing was fixed: whoever comes next folds anew."""
    store.accept([incoming(risk_event(), number, "telegram") for number in (1, 2, 3)])
    with stopped_process(IN_MID_DIGEST, store_url) as process:
        kill(process)
    assert store.release_worker("a") == 3
    assert store.channel_counts() == {"telegram": {"pending": 3}}
    assert len(store.fold(store.claim("telegram", "b", 60, 1)[0], "b", 60, 100)) == 3


def test_kill_in_mid_digest_leaves_the_same_digest_in_doubt(store: Store, store_url: str) -> None:
    """The same members, the same text, told as a possible repeat; what came meanwhile is no part of it."""
    store.accept([incoming(risk_event(), number, "telegram") for number in (1, 2, 3)])
    with stopped_process(IN_MID_DIGEST, store_url, "opened") as process:
        kill(process)
    assert store.release_worker("a") == 3
    store.accept([incoming(risk_event(), 4, "telegram")])
    (head,) = store.claim("telegram", "b", 60, 1)
    held = store.claim_digest(head, "b", 60)
    assert held is not None
    assert [delivery.possible_repeat for delivery in held.deliveries] == [True] * 3
    assert held.message is not None
    assert held.message.body == "3 alerts"
    assert store.audit().faults == ()
