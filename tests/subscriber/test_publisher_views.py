"""How publishers stand, for the status: which of a source's publishers are shown, and in which order."""

from __future__ import annotations

from subscriber.intake.publisher_views import PublisherView, told_apart


def view(
    source: str, silent: float, *, up: bool = False, goodbye: str | None = None, hung: bool = False
) -> PublisherView:
    return {"source": source, "up": up, "last_heard_seconds_ago": silent, "goodbye": goodbye, "hung": hung}


def test_told_apart_source_that_was_started_again_shows_what_runs() -> None:
    dead = [view("live_trader", 1500.0), view("live_trader", 60.0)]
    running = view("live_trader", 0.4, up=True)
    assert told_apart([*dead, running]) == [running]


def test_told_apart_source_with_two_that_run_shows_both() -> None:
    first, second = view("live_trader", 0.2, up=True), view("live_trader", 0.9, up=True)
    assert told_apart([second, view("live_trader", 99.0), first]) == [first, second]


def test_told_apart_source_without_one_that_runs_shows_the_last_heard() -> None:
    last = view("alertbus-publish", 5.0, goodbye="closed")
    assert told_apart([view("alertbus-publish", 700.0, goodbye="closed"), last]) == [last]


def test_told_apart_puts_first_what_somebody_has_to_look_at() -> None:
    left, lives = view("a", 9.0, goodbye="closed"), view("b", 0.1, up=True)
    hung, silent = view("c", 0.1, up=True, hung=True), view("d", 60.0)
    assert told_apart([left, lives, hung, silent]) == [hung, silent, lives, left]
