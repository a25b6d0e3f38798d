"""The switchboard of a daemon: desks follow the store, what is in flight ends as it ends, and nothing is half done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from subscriber.deliveries import DeliveryState, Message, Outcome, PlannedDelivery, Reason, Why
from subscriber.delivery.desk import ChannelDesk
from subscriber.errors import StoreError
from subscriber.store import Store
from subscriber.switchboard import Switchboard, settle_all
from tests.support.alerts import risk_event
from tests.support.clock import FakeClock
from tests.support.worker_bench import ACCEPTED, Bench, ScriptedChannel

CHANNELS = ("telegram", "desk")
UNAVAILABLE = Outcome(Reason.UNAVAILABLE, "bad gateway", status=502)
TIMEOUT = Outcome(Reason.TIMEOUT, "no answer", in_doubt=True)


class Switched:
    """A daemon's channels, its switchboard, and another daemon's view of the same database."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.channels = {name: ScriptedChannel(name) for name in CHANNELS}
        self.desks: dict[str, ChannelDesk] = {name: bench.desk(channel) for name, channel in self.channels.items()}
        self.woken: list[str] = []
        self.board = Switchboard(bench.store, self.desks, metrics=bench.metrics, clock=bench.clock, wake=self._wake)

    def _wake(self, channels: Iterable[str]) -> None:
        self.woken += channels

    def off(self, channel: str = "telegram") -> dict[str, object]:
        """Switch a channel off by this daemon."""
        return self.board.switch(channel, False, "kim", "api")

    def on(self, channel: str = "telegram") -> dict[str, object]:
        """Switch a channel on by this daemon."""
        return self.board.switch(channel, True, "kim", "api")

    def elsewhere(self, channel: str, *, enabled: bool) -> None:
        """Switch a channel by another daemon of the database, which dies before it draws what follows."""
        self.bench.store.switch_channel(channel, enabled=enabled, author="alex", via="cli")

    def others(self, channel: str) -> list[str]:
        """Return the other channels that are on, as workers ask for them."""
        return [name for name, desk in self.desks.items() if name != channel and desk.enabled]


@pytest.fixture
def switched(store: Store, clock: FakeClock) -> Iterator[Switched]:
    with Bench(store, clock) as bench:
        yield Switched(bench)


def test_switch_says_what_followed_and_shows_it(switched: Switched) -> None:
    bench = switched.bench
    bench.add(risk_event(severity="WARNING"))
    bench.add(risk_event())
    nothing = {"suppressed": 0, "handed_over": 0, "released": 0}
    off = {"channel": "telegram", "enabled": False}
    assert switched.off() == {**off, "changed": True, "suppressed": 2, "handed_over": 1, "released": 0}
    assert switched.off() == {**off, "changed": False, **nothing}
    assert (set(switched.board.enabled()), switched.woken) == ({"desk"}, ["desk"])
    assert bench.metric("channel_enabled", channel="telegram") == 0
    assert bench.metric("deliveries_total", channel="telegram", state="suppressed") == 2
    assert bench.metric("deliveries_total", channel="desk", state="pending") == 1
    assert switched.on() == {"channel": "telegram", "enabled": True, "changed": True, **nothing}
    assert bench.metric("channel_enabled", channel="telegram") == 1
    assert [change["detail"]["enabled"] for change in bench.store.changes(5)] == [True, False]


def test_switch_of_the_last_channel_leaves_a_critical_uncovered_until_one_is_switched_on(switched: Switched) -> None:
    bench = switched.bench
    switched.off("desk")
    critical = bench.add(risk_event())
    assert switched.off()["suppressed"] == 0
    switched.board.follow()
    assert bench.metric("uncovered_critical_deliveries") == 1
    assert switched.on()["released"] == 1
    switched.board.follow()
    assert bench.metric("uncovered_critical_deliveries") == 0
    bench.worker(switched.desks["telegram"]).turn()
    assert bench.delivery(critical)["status"] == "accepted"


def test_switch_while_the_database_is_away_changes_nothing(switched: Switched, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_given: object, **_named: object) -> None:
        raise StoreError("The database is away.")

    switched.bench.add(risk_event(severity="WARNING"))
    for name in ("switch_channel", "waiting_critical"):
        with monkeypatch.context() as failing:
            failing.setattr(switched.bench.store, name, away)
            with pytest.raises(StoreError):
                switched.off() if name == "switch_channel" else switched.on()
    assert switched.board.enabled() == set(CHANNELS)
    assert (switched.bench.store.channel_switches(), switched.bench.store.changes(5)) == ({}, [])


def test_switch_whose_effects_fail_is_made_and_settled_by_the_next_turn(
    switched: Switched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_given: object) -> None:
        raise StoreError("The database is away.")

    warning = switched.bench.add(risk_event(severity="WARNING"))
    with monkeypatch.context() as failing:
        failing.setattr(switched.bench.store, "settle_switched_off", away)
        result = switched.off()
    assert (result["changed"], result["suppressed"]) == (True, 0)
    assert (set(switched.board.enabled()), switched.bench.delivery(warning)["status"]) == ({"desk"}, "pending")
    switched.board.follow()
    assert switched.bench.delivery(warning)["why"] == "disabled"


def test_follow_takes_over_what_another_daemon_switched_and_did_not_live_to_settle(switched: Switched) -> None:
    warning = switched.bench.add(risk_event(severity="WARNING"))
    switched.elsewhere("telegram", enabled=False)
    switched.board.follow()
    assert switched.board.enabled() == {"desk"}
    assert switched.bench.delivery(warning)["why"] == "disabled"
    rings = switched.desks["telegram"].wake.rings
    switched.elsewhere("telegram", enabled=True)
    switched.board.follow()
    assert switched.board.enabled() == set(CHANNELS)
    assert switched.desks["telegram"].wake.rings > rings


def test_follow_while_the_database_is_away_leaves_the_desks_as_they_are(
    switched: Switched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise StoreError("The database is away.")

    switched.off()
    monkeypatch.setattr(switched.bench.store, "channel_switches", away)
    with pytest.raises(StoreError):
        switched.board.follow()
    assert switched.board.enabled() == {"desk"}


def test_what_is_settled_is_counted_also_where_the_rest_has_to_wait(
    switched: Switched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each turn settles a part of a large backlog, and the next one the rest."""
    bench = switched.bench
    bench.add_all([risk_event(severity="WARNING") for _ in range(5)])
    monkeypatch.setattr("subscriber.switchboard._CHUNK", 3)
    monkeypatch.setattr("subscriber.switchboard._MOST_SECONDS", 0.0)
    assert switched.off()["suppressed"] == 3
    switched.board.follow()
    assert bench.metric("deliveries_total", channel="telegram", state="suppressed") == 5


def test_settle_all_settles_the_whole_backlog(switched: Switched, monkeypatch: pytest.MonkeyPatch) -> None:
    switched.bench.add_all([risk_event(severity="WARNING") for _ in range(5)])
    switched.elsewhere("telegram", enabled=False)
    monkeypatch.setattr("subscriber.switchboard._CHUNK", 2)
    assert dict(settle_all(switched.bench.store, CHANNELS).suppressed) == {"telegram": 5}


# --- what is in flight --------------------------------------------------------------------------------------


def switching(switched: Switched, outcome: Outcome) -> Callable[[Message], Outcome]:
    """Return an answer during which a person switches the channel off."""

    def answer(_message: Message) -> Outcome:
        switched.off()
        return outcome

    return answer


@pytest.mark.parametrize(
    ("outcome", "left"),
    [
        (ACCEPTED, ("accepted", None, False)),
        (UNAVAILABLE, ("suppressed", "disabled", False)),
        (TIMEOUT, ("suppressed", "disabled", True)),
        (
            Outcome(Reason.RATE_LIMITED, "slower", status=429, retry_after_seconds=60.0),
            ("suppressed", "disabled", False),
        ),
        (Outcome(Reason.UNAUTHORIZED, "blocked", status=403), ("suppressed", "disabled", False)),
        (Outcome(Reason.REJECTED, "too long", status=400), ("dead", None, False)),
    ],
    ids=lambda given: given.reason.value if isinstance(given, Outcome) else "",
)
def test_attempt_in_flight_ends_as_it_ends_and_leaves_nothing_waiting(
    switched: Switched, outcome: Outcome, left: tuple[str, str | None, bool]
) -> None:
    bench = switched.bench
    switched.channels["telegram"].answers.append(switching(switched, outcome))
    warning = bench.add(risk_event(severity="WARNING"))
    worker = bench.worker(switched.desks["telegram"])
    worker.turn()
    row = bench.delivery(warning)
    assert (row["status"], row["why"], row["possible_repeat"]) == left
    worker.turn()
    assert len(switched.channels["telegram"].sent) == 1
    state = "suppressed" if left[0] == "suppressed" else left[0]
    assert bench.metric("deliveries_total", channel="telegram", state=state) == 1
    assert bench.store.audit().faults == ()


def test_critical_in_flight_that_is_in_doubt_is_told_by_another_as_a_possible_repeat(switched: Switched) -> None:
    bench = switched.bench
    switched.channels["telegram"].answers.append(switching(switched, TIMEOUT))
    critical = bench.add(risk_event())
    bench.worker(switched.desks["telegram"], fallbacks=switched.others).turn()
    bench.worker(switched.desks["desk"], fallbacks=switched.others).turn()
    told = bench.deliveries(critical)
    assert (told["telegram"]["why"], told["desk"]["status"]) == ("disabled", "accepted")
    (message,) = switched.channels["desk"].sent
    assert "Possible repeat" in message.text
    assert bench.metric("deliveries_total", channel="desk", state="pending") == 1
    assert bench.store.audit().faults == ()


def test_critical_in_flight_waits_where_no_channel_is_left(switched: Switched) -> None:
    bench = switched.bench
    switched.off("desk")
    switched.channels["telegram"].answers.append(switching(switched, TIMEOUT))
    critical = bench.add(risk_event())
    worker = bench.worker(switched.desks["telegram"], fallbacks=switched.others)
    worker.turn()
    assert bench.delivery(critical)["status"] == "in_doubt"
    switched.on("desk")
    bench.worker(switched.desks["desk"], fallbacks=switched.others).turn()
    assert bench.deliveries(critical)["desk"]["status"] == "accepted"
    assert bench.store.audit().faults == ()


def test_worker_of_another_daemon_that_does_not_know_of_the_switch_yet_sends_nothing(switched: Switched) -> None:
    switched.bench.add(risk_event(severity="WARNING"))
    switched.elsewhere("telegram", enabled=False)
    assert switched.desks["telegram"].enabled
    switched.bench.worker(switched.desks["telegram"]).turn()
    assert switched.channels["telegram"].sent == []


def test_rehearsal_of_a_channel_that_is_off_shows_nothing(switched: Switched) -> None:
    bench = switched.bench
    planned = (PlannedDelivery("telegram", bench.clock.now_us(), DeliveryState.SUPPRESSED, Why.DRY_RUN),)
    bench.add(risk_event(severity="WARNING"), planned=planned)
    switched.off()
    bench.worker(switched.desks["telegram"], dry_run=True).turn()
    assert bench.shown == []
