"""The clock and the whole microseconds in which every time is kept."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.clock import MICROSECONDS, Clock, Moment, SteadyClock, SystemClock, boot_id, from_us, to_us
from tests.support.clock import START_US, FakeClock


def test_system_clock_now_is_utc_in_microseconds() -> None:
    clock: Clock = SystemClock()
    before = time.time_ns() // 1000
    assert before <= clock.now_us() <= time.time_ns() // 1000


def test_system_clock_monotonic_never_goes_back() -> None:
    clock = SystemClock()
    moments = [clock.monotonic() for _ in range(100)]
    assert moments == sorted(moments)


@pytest.mark.parametrize(
    ("moment", "microseconds"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), -1),
        (datetime(2026, 3, 2, 14, 30, 15, 250_001, UTC), 1_772_461_815_250_001),
        (datetime(2026, 3, 2, 9, 30, 15, 250_001, timezone(timedelta(hours=-5))), 1_772_461_815_250_001),
    ],
)
def test_to_us_of_aware_moment_is_exact(moment: datetime, microseconds: int) -> None:
    assert to_us(moment) == microseconds


@given(st.datetimes(timezones=st.just(UTC)))
def test_from_us_of_to_us_is_the_moment(moment: datetime) -> None:
    assert from_us(to_us(moment)) == moment


def test_from_us_result_is_in_utc() -> None:
    assert from_us(MICROSECONDS).tzinfo is UTC


@pytest.mark.parametrize("microseconds", [2**63 - 1, -(2**63), 2**64 - 1, 253_402_300_800_000_000])
def test_from_us_outside_years_1_to_9999_raises_overflow(microseconds: int) -> None:
    with pytest.raises(OverflowError):
        from_us(microseconds)


def test_to_us_of_naive_moment_raises() -> None:
    with pytest.raises(TypeError):
        to_us(datetime(2026, 3, 2))  # noqa: DTZ001 - this is the point


def test_steady_clock_goes_on_when_the_wall_clock_is_set() -> None:
    """Whoever set it may have been wrong: the owner decides, and learns by how much."""
    wall = FakeClock()
    clock = SteadyClock(wall)
    wall.advance(5.0)
    wall.step(-3600.0)
    assert clock.now_us() == START_US + 5 * MICROSECONDS
    assert clock.step_us() == -3600 * MICROSECONDS
    assert clock.monotonic() == wall.monotonic()
    clock.anchor()
    assert clock.step_us() == 0
    wall.advance(1.0)
    assert clock.now_us() == START_US - 3594 * MICROSECONDS


def test_moment_says_what_the_clock_would_show_if_nobody_had_set_it() -> None:
    wall = FakeClock()
    before = Moment.now(wall, "this start")
    wall.advance(60.0)
    wall.step(-3600.0)
    assert before.unset_us(Moment.now(wall, "this start")) == START_US + 60 * MICROSECONDS
    assert before.unset_us(Moment.now(wall, "another start")) is None
    assert Moment.now(wall, "").unset_us(Moment.now(wall, "")) is None


def test_moment_is_kept_as_text() -> None:
    moment = Moment.now(SystemClock())
    assert Moment.of(moment.text()) == moment


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[1, 2, 3]", '["1", 2, "x"]'])
def test_moment_of_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Moment.of(text)


def test_boot_id_of_a_machine_is_the_same_as_long_as_it_runs(tmp_path: Path) -> None:
    assert boot_id() == boot_id()
    assert boot_id(tmp_path / "nothing") == ""
