"""A person's test of a channel that is paused, fails, or was asked to wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bus.alerts import SystemEvent
from subscriber.deliveries import Outcome, PlannedDelivery, Reason
from subscriber.delivery.desk import ChannelDesk
from subscriber.store import Store
from subscriber.trial import Trial
from tests.support.clock import FakeClock
from tests.support.worker_bench import Bench, ScriptedChannel

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

NETWORK = Outcome(Reason.NETWORK, "nothing was sent: ConnectionRefusedError")
UNAUTHORIZED = Outcome(Reason.UNAUTHORIZED, "Unauthorized", status=401, code="401")


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[Bench]:
    with Bench(store, clock) as made:
        yield made


def try_out(
    bench: Bench, desk: ChannelDesk, *, wait_seconds: float = 10.0, enabled: bool = True, dry_run: bool = False
) -> dict[str, Any]:
    """Test a desk's channel, and return what is told of it."""

    def announce(event: SystemEvent, planned: tuple[PlannedDelivery, ...]) -> bool:
        bench.add(event, planned=planned)
        return True

    trial = Trial(bench.store, announce, bench.clock, dry_run=dry_run, desks={desk.name: desk})
    (result,) = trial.run([desk.name], [desk.name] if enabled else [], "Is anybody there?", wait_seconds)["channels"]
    return result  # type: ignore[no-any-return]  # a result is plain data, and so Any


def paused(bench: Bench, *answers: Outcome) -> ChannelDesk:
    desk = bench.desk(ScriptedChannel("telegram", *answers))
    desk.note(UNAUTHORIZED)
    bench.start(desk)
    return desk


def test_trial_of_a_channel_that_is_well_resumes_nothing(bench: Bench) -> None:
    desk = bench.desk(ScriptedChannel())
    bench.start(desk)
    result = try_out(bench, desk)
    assert (result["accepted"], result["resumed"]) == (True, False)


def test_trial_of_a_paused_channel_resumes_it_and_says_so(bench: Bench) -> None:
    """Whoever tests has put something right; no restart is needed."""
    desk = paused(bench)
    result = try_out(bench, desk)
    assert (result["accepted"], result["resumed"], desk.paused) == (True, True, False)


def test_trial_of_a_channel_that_is_still_refused_says_so_at_once(bench: Bench) -> None:
    desk = paused(bench, UNAUTHORIZED)
    result = try_out(bench, desk)
    assert (result["accepted"], result["resumed"], result["outcome"]) == (False, True, "unauthorized")
    assert result["waiting_for"].startswith("a person")
    assert desk.paused


def test_trial_behind_what_waits_and_is_still_refused_says_so_at_once(bench: Bench) -> None:
    """A CRITICAL goes before the test, and pauses the channel again."""
    bench.add()
    desk = paused(bench, UNAUTHORIZED)
    result = try_out(bench, desk)
    assert (result["resumed"], result["outcome"]) == (True, None)
    assert result["waiting_for"].startswith("a person")


@pytest.mark.parametrize(("enabled", "dry_run"), [(False, False), (True, True)], ids=["disabled", "dry run"])
def test_trial_that_sends_nothing_resumes_nothing(bench: Bench, enabled: bool, dry_run: bool) -> None:
    desk = paused(bench)
    result = try_out(bench, desk, enabled=enabled, dry_run=dry_run)
    assert (result["state"], result["resumed"], desk.paused) == ("suppressed", False, True)


def test_trial_of_a_failing_channel_probes_at_once(bench: Bench) -> None:
    """A person need not wait for the breaker's turn."""
    channel = ScriptedChannel()
    desk = bench.desk(channel)
    for _ in range(3):
        desk.note(NETWORK)
    bench.start(desk)
    result = try_out(bench, desk)
    assert (result["accepted"], result["resumed"], channel.probed, desk.up) == (True, False, 1, True)


def test_trial_of_a_channel_that_fails_on_says_so(bench: Bench) -> None:
    desk = bench.desk(ScriptedChannel(probes=[NETWORK] * 100))
    for _ in range(3):
        desk.note(NETWORK)
    bench.start(desk)
    result = try_out(bench, desk, wait_seconds=0)
    assert (result["accepted"], result["outcome"]) == (False, None)
    assert result["waiting_for"] == "the provider, which fails and is asked again and again until it works"


def test_trial_of_a_channel_that_was_told_to_wait_says_for_how_long(bench: Bench) -> None:
    desk = bench.desk(ScriptedChannel())
    desk.hold(35)
    bench.start(desk)
    result = try_out(bench, desk, wait_seconds=0)
    assert result["waiting_for"] == "the provider, which asked to be left alone for 35 more seconds"
