"""What became of sends after their deadline, until it is recorded."""

from __future__ import annotations

import pytest

from subscriber.deliveries import Dialect, Message, Outcome, Reason
from subscriber.delivery.late import MOST_LATE, LateAnswer, LateAnswers
from subscriber.errors import StoreError
from tests.support.worker_bench import ACCEPTED


def sent(reference: str) -> Message:
    return Message("text", "text", Dialect.PLAIN, reference=reference)


@pytest.fixture
def rung() -> list[bool]:
    return []


@pytest.fixture
def late(rung: list[bool]) -> LateAnswers:
    return LateAnswers("telegram", lambda: rung.append(True))


@pytest.fixture
def told() -> list[LateAnswer]:
    return []


def test_record_takes_each_once_the_oldest_first(late: LateAnswers, told: list[LateAnswer], rung: list[bool]) -> None:
    refused = Outcome(Reason.REJECTED, status=400)
    late.add(sent("a.1"), ACCEPTED)
    late.add(sent("a.2"), refused)
    late.record(told.append)
    late.record(told.append)
    assert told == [LateAnswer("a.1", ACCEPTED), LateAnswer("a.2", refused)]
    assert len(rung) == 2


def test_add_of_a_probe_or_of_a_send_without_reference_is_nothing_to_record(
    late: LateAnswers, told: list[LateAnswer], rung: list[bool]
) -> None:
    late.add(None, ACCEPTED)
    late.add(sent(""), ACCEPTED)
    late.record(told.append)
    assert (told, rung) == ([], [])


def test_record_leaves_one_whose_attempt_is_under_way(late: LateAnswers, told: list[LateAnswer]) -> None:
    """The worker that gave it up is still writing down that it did."""
    late.begins("a.1")
    late.add(sent("a.1"), ACCEPTED)
    late.add(sent("a.2"), ACCEPTED)
    late.record(told.append)
    assert [each.reference for each in told] == ["a.2"]
    late.ended("a.1")
    late.record(told.append)
    assert [each.reference for each in told] == ["a.2", "a.1"]


def test_record_while_the_database_is_away_keeps_it(late: LateAnswers, told: list[LateAnswer]) -> None:
    def away(_late: LateAnswer) -> None:
        raise StoreError("The database is away.")

    late.add(sent("a.1"), ACCEPTED)
    for _ in range(3):
        with pytest.raises(StoreError):
            late.record(away)
    late.record(told.append)
    assert [each.reference for each in told] == ["a.1"]


def test_record_meets_a_bug_of_ours_goes_on_with_the_next(
    late: LateAnswers, told: list[LateAnswer], caplog: pytest.LogCaptureFixture
) -> None:
    def fragile(each: LateAnswer) -> None:
        if each.reference == "a.1":
            raise ZeroDivisionError
        told.append(each)

    late.add(sent("a.1"), ACCEPTED)
    late.add(sent("a.2"), ACCEPTED)
    late.record(fragile)
    assert [each.reference for each in told] == ["a.2"]
    assert "a late answer could not be recorded" in caplog.text


def test_add_beyond_the_bound_drops_the_oldest_and_says_so(
    late: LateAnswers, told: list[LateAnswer], caplog: pytest.LogCaptureFixture
) -> None:
    """A night without a database must not fill the memory."""
    for number in range(MOST_LATE + 2):
        late.add(sent(f"a.{number}"), ACCEPTED)
    late.record(told.append)
    assert [each.reference for each in told] == [f"a.{number}" for number in range(2, MOST_LATE + 2)]
    assert caplog.text.count("too many wait") == 2
