"""What people do with the policy is in the store when it returns, and counted."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest

from bus.clock import MICROSECONDS
from subscriber.deliveries import DeliveryState, Escalation, PlannedDelivery, Why
from subscriber.policy_desk import PolicyDesk
from subscriber.reloading import Reloader
from subscriber.rulebook import RuleBook
from subscriber.setting_groups import GeneralSettings
from subscriber.settings import SubscriberSettings
from subscriber.store import Store
from tests.support.clock import FakeClock
from tests.support.holding import FREE
from tests.support.worker_bench import Bench, ScriptedChannel


class People:
    """A daemon's policy, and who looks after it."""

    def __init__(self, store: Store, clock: FakeClock, file: Path) -> None:
        self.bench = Bench(store, clock)
        self.woken: list[str] = []
        desks = {"telegram": self.bench.desk(ScriptedChannel("telegram"))}
        settings = SubscriberSettings(general=GeneralSettings(config=file))
        metrics = self.bench.metrics
        self.policy = PolicyDesk(
            RuleBook(FREE.rules, store=store, clock=clock, enabled=lambda: ["telegram"], dry_run=False),
            Reloader(settings, lambda: settings, lambda _settings: [], store=store, metrics=metrics, clock=clock),
            store=store,
            metrics=metrics,
            clock=clock,
            desks=desks,
            zone=UTC,
            wake=self.woken.extend,
        )

    def counted(self, channel: str, state: DeliveryState) -> float:
        return self.bench.metric("deliveries_total", channel=channel, state=state.value) or 0.0


@pytest.fixture
def people(store: Store, clock: FakeClock, tmp_path: Path) -> People:
    return People(store, clock, tmp_path / "alertbus.toml")


def test_end_of_a_silence_counts_what_is_told_again(people: People, clock: FakeClock) -> None:
    silence = people.policy.add_silence({"match": {}, "seconds": 600, "drops": True}, "api")
    dropped = PlannedDelivery(
        "telegram", clock.now_us(), DeliveryState.SUPPRESSED, Why.SILENCE, batch=f"silence:{silence.id}"
    )
    people.bench.add(planned=(dropped,))
    before = people.counted("telegram", DeliveryState.PENDING)
    ended = people.policy.end_silence(silence.id, "kim", "api")
    assert ended is not None
    assert (ended.id, ended.ended_by) == (silence.id, "kim")
    assert people.counted("telegram", DeliveryState.PENDING) == before + 1
    assert people.woken == ["telegram"]
    assert people.policy.end_silence(silence.id, "kim", "api") is None


def test_acknowledgement_counts_what_it_suppresses(people: People, clock: FakeClock) -> None:
    escalation = Escalation(60 * MICROSECONDS, ("telegram",))
    alert = people.bench.add(planned=(PlannedDelivery("desk", clock.now_us(), escalation=escalation),))
    clock.advance(60)
    (due,) = people.bench.store.due_escalations(10)
    assert people.bench.store.escalate(due, ["telegram"]) is not None
    for _ in range(2):
        acknowledged = people.policy.acknowledge(alert.id, "kim", "api")
        assert acknowledged is not None
        assert people.counted("telegram", DeliveryState.SUPPRESSED) == 1
    assert people.bench.metric("acknowledgements_total", via="api") == 1
