"""The queue between the trader's threads and the sender, and its counters."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import pytest

from bus.alerts import Severity
from publisher.handover import Counters, Flush, Given, Handover, Item, Receipt
from tests.publisher.builders import alert


def item(number: int = 1) -> Given:
    return number, alert(number), None


def urgent(number: int = 1) -> Given:
    return number, alert(number, Severity.CRITICAL), None


def test_put_below_the_limit_keeps_the_order() -> None:
    """First in, first out."""
    handover = Handover(1_000)
    assert all(handover.put(item(number)) for number in range(5))
    assert [entry[0] for entry in handover.take(3) if not isinstance(entry, Flush)] == [0, 1, 2]
    assert len(handover.take(100)) == 2
    assert handover.take(100) == []


def test_put_full_queue_refuses_and_counts() -> None:
    """Ordinary alerts leave the last tenth to urgent ones."""
    handover = Handover(1_000)
    taken = [handover.put(item()) for _ in range(950)]
    assert (taken.count(True), taken.count(False)) == (900, 50)
    assert handover.counters.refused == 50


def test_put_urgent_uses_the_reserved_room_and_no_more() -> None:
    """Even what is urgent can't fill the memory."""
    handover = Handover(1_000)
    for _ in range(1_000):
        handover.put(item())
    taken = [handover.put(urgent()) for _ in range(150)]
    assert (taken.count(True), taken.count(False)) == (100, 50)
    assert handover.counters.refused == 150


def test_put_after_room_was_made_is_taken_again() -> None:
    """A refusal is of the moment."""
    handover = Handover(1_000)
    while handover.put(item()):
        pass
    handover.take(1)
    assert handover.put(item())


def test_end_refuses_whatever_comes() -> None:
    """When the sender's thread has ended nothing may seem to be taken."""
    handover = Handover(1_000)
    handover.end()
    assert not handover.put(urgent())
    assert not handover.put(item())
    assert handover.counters.refused == 2


class Deque(deque[Item]):
    """Lets something happen at the very moment when an alert was appended."""

    def __init__(self, then: Callable[[], object]) -> None:
        super().__init__()
        self._then = then

    def append(self, appended: Item) -> None:
        super().append(appended)
        self._then()


def test_put_last_look_came_between_check_and_append_is_refused() -> None:
    """Else it would be lost in silence: nobody looks into the queue any more."""
    handover = Handover(1_000)
    handover.items = Deque(handover.end)
    assert handover.put(item()) is False
    assert (handover.counters.refused, list(handover.items)) == (1, [])


def test_put_taken_by_the_last_look_is_taken() -> None:
    """And is not counted as refused."""
    handover = Handover(1_000)

    def last_look() -> None:
        handover.end()
        handover.take(10)

    handover.items = Deque(last_look)
    assert handover.put(item()) is True
    assert handover.counters.refused == 0


def test_put_many_threads_against_the_end_takes_or_refuses_each() -> None:
    """What was promised is what was taken, whatever the threads do to each other."""
    for _ in range(20):
        handover = Handover(1_000_000)
        promised: list[int] = []
        start = threading.Barrier(5)

        def work(base: int, handover: Handover = handover, promised: list[int] = promised,
                 start: threading.Barrier = start) -> None:  # fmt: skip
            start.wait()
            promised.extend(base + n for n in range(300) if handover.put(urgent(base + n)))

        threads = [threading.Thread(target=work, args=(1_000 * thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        start.wait()
        taken = handover.take(200)
        handover.end()
        while handover.items:
            taken += handover.take(1_000)
        for thread in threads:
            thread.join()
        assert sorted(promised) == sorted(entry[0] for entry in taken if not isinstance(entry, Flush))
        assert handover.counters.refused == 1_200 - len(promised)


def test_put_flush_full_queue_is_never_refused() -> None:
    """Otherwise `flush` could not tell when there is room again."""
    handover = Handover(1_000)
    while handover.put(urgent()):
        pass
    mark = handover.put_flush()
    assert handover.items[-1] is mark
    assert not mark.done.is_set()


def test_refuse_many_threads_counts_each() -> None:
    """No refusal is lost, however many threads are refused at once."""
    handover = Handover(1_000)
    handover.end()
    threads = [threading.Thread(target=lambda: [handover.put(item()) for _ in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert handover.counters.refused == 4_000


def test_refuse_signal_handler_in_the_middle_does_not_wait_for_itself() -> None:
    """A signal handler that publishes runs in the very thread that may be counting."""
    counters = Counters()
    with counters._lock:
        counters.refuse()
        counters.failed(ValueError("from the handler"))
    assert (counters.refused, counters.errors) == (1, 1)


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("why"), "ValueError: why"),
        (SilentError(), "SilentError: <SilentError>"),
        (ValueError("x" * 9_999), f"ValueError: {'x' * 499}…"),
    ],
)
def test_failed_any_error_is_counted_and_told_in_short(error: Exception, text: str) -> None:
    """Whatever the error's text does, counting it never raises."""
    counters = Counters()
    counters.failed(error)
    counters.failed(error, attached=True)
    assert (counters.errors, counters.attach_failures, counters.last_error) == (2, 1, text)


def test_receipt_confirmed_by_another_thread_wakes_the_waiting_one() -> None:
    """And one that is never confirmed lets go in time."""
    receipt = Receipt()
    assert receipt.wait(0.0) is False
    threading.Thread(target=receipt.confirm).start()
    assert receipt.wait(10.0) is True
    assert receipt.wait(0.0) is True
