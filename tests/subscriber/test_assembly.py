"""How a daemon's parts are wired: plans, rings, gauges, and what each worker is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from bus.errors import ConfigurationError
from subscriber.assembly import Assembly
from subscriber.deliveries import PlannedDelivery
from subscriber.policy.routing import plan_deliveries
from subscriber.policy.rules import Rules
from subscriber.settings import SubscriberSettings, channel_configs
from subscriber.store import Store
from tests.support.alerts import agent_action, incoming, risk_event, system_event
from tests.support.clock import FakeClock
from tests.support.provider_server import ProviderServer
from tests.support.running_service import daemon_environ, provider_environ

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

CONFIG = """
[channels.desk]
url = "json://127.0.0.1:9/"
pace = "20/s"
concurrency = 3
"""


def assemble(environ: dict[str, str], tmp_path: Path, store: Store, clock: FakeClock) -> Assembly:
    settings = SubscriberSettings.from_environment(daemon_environ(environ, tmp_path), env_file=None)
    configs = channel_configs(settings)
    names = [config.name for config in configs]
    return Assembly(
        settings,
        configs,
        Rules.of_defaults(names),
        store,
        clock=clock,
        rng=Random(1),
        dry_run=False,
        interval_seconds=0.5,
        show_rehearsal=lambda *_shown: None,
    )


@pytest.fixture
def assembly(tmp_path: Path, store: Store, clock: FakeClock) -> Iterator[Assembly]:
    """Telegram, WhatsApp and a desk of three threads; nothing of it is started."""
    config = tmp_path / "desk.toml"
    config.write_text(CONFIG)
    with ProviderServer() as server:
        environ = provider_environ(server) | {"ALERTBUS_CONFIG": str(config), "ALERTBUS_DELIVERY_MAX_AGE": "3600"}
        made = assemble(environ, tmp_path, store, clock)
        yield made
        made.close()


def test_assembly_makes_a_worker_for_each_thread_of_a_channel(assembly: Assembly) -> None:
    """Each has a name of its own, under which a restarted daemon finds its leases."""
    channels = [worker.name.split("/")[-2] for worker in assembly.workers]
    assert sorted(channels) == ["desk", "desk", "desk", "telegram", "whatsapp"]
    assert len({worker.name for worker in assembly.workers}) == 5


def test_assembly_tells_every_worker_the_settings(assembly: Assembly) -> None:
    settings = assembly.workers[0]._settings
    assert (settings.interval_seconds, settings.lease_seconds, settings.dry_run) == (0.5, 60.0, False)
    assert settings.max_delay_seconds is None


def test_assembly_reconfigured_goes_by_other_rules_and_names_what_waits(assembly: Assembly, tmp_path: Path) -> None:
    """What the channels of a running daemon are can't change; a route to a new one is refused as a whole."""
    config = Path(assembly.settings.general.config)
    config.write_text(CONFIG.replace("20/s", "30/s") + '[[routes]]\nname = "one"\nchannels = ["desk"]\n')
    environ = {"ALERTBUS_CONFIG": str(config)}
    changed = SubscriberSettings.from_environment(daemon_environ(environ, tmp_path), env_file=None)
    waiting = assembly.reconfigure(changed)
    assert any("[channels.desk]" in sentence for sentence in waiting)
    assert [each.channel for each in assembly.plan(risk_event())] == ["desk"]
    config.write_text(CONFIG.replace("desk", "pager") + '[[routes]]\nname = "two"\nchannels = ["pager"]\n')
    with pytest.raises(ConfigurationError, match="restart"):
        assembly.reconfigure(SubscriberSettings.from_environment(daemon_environ(environ, tmp_path), env_file=None))
    assert [each.channel for each in assembly.plan(risk_event())] == ["desk"]


def test_assembly_reconfigured_lets_its_duties_free_what_hours_hold_that_are_no_more(
    assembly: Assembly, store: Store, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later_us = clock.now_us() + 3_600_000_000
    planned = (PlannedDelivery("telegram", later_us, batch="quiet:night"),)
    store.accept([incoming(risk_event(), 1, planned=planned, published_us=clock.now_us())])
    environ = {"ALERTBUS_CONFIG": str(assembly.settings.general.config)}
    duties = assembly.duties()
    with monkeypatch.context() as patched:
        patched.setattr(store.database, "writing", lambda: pytest.fail("a reload needs no database"))
        assembly.reconfigure(SubscriberSettings.from_environment(daemon_environ(environ, tmp_path), env_file=None))
    duties.turn()
    assert store.next_due_us("telegram") == clock.now_us()


def test_assembly_plans_by_the_routes_for_enabled_channels(assembly: Assembly, clock: FakeClock) -> None:
    planned = assembly.plan(risk_event())
    assert [(each.channel, each.state.value, each.due_at_us) for each in planned] == [
        ("whatsapp", "pending", clock.now_us()),
        ("telegram", "pending", clock.now_us()),
    ]
    assert [each.channel for each in assembly.plan(agent_action())] == ["telegram"]
    assembly.desks["telegram"].enabled = False
    assert assembly.enabled() == {"whatsapp", "desk"}
    assert [each.state.value for each in assembly.plan(agent_action())] == ["suppressed"]


def test_assembly_wakes_the_named_channels_alone(assembly: Assembly) -> None:
    assembly.wake(["telegram", "nobody"])
    assert {name: desk.wake.rings for name, desk in assembly.desks.items()} == {"whatsapp": 0, "telegram": 1, "desk": 0}


def test_assembly_measures_what_waits(assembly: Assembly, store: Store, clock: FakeClock) -> None:
    """The oldest is the one published first, whatever its priority; nothing waits is 0."""

    def gauges(channel: str) -> tuple[float | None, float | None]:
        registry = assembly.metrics.registry
        return tuple(  # type: ignore[return-value]
            registry.get_sample_value(f"alertbus_queue_{name}", {"channel": channel})
            for name in ("deliveries", "oldest_timestamp_seconds")
        )

    first_us = clock.now_us()
    store.accept([incoming(risk_event(severity="WARNING"), 1, "telegram", published_us=first_us)])
    clock.advance(5)
    store.accept([incoming(risk_event(), 2, "telegram", "forgotten", published_us=clock.now_us())])
    assembly.measure()
    assert gauges("telegram") == (2, first_us / 1e6)
    assert gauges("forgotten") == (1, clock.now_us() / 1e6)
    assert gauges("whatsapp") == (0, 0)
    for waiting in store.fetch_pending_notifications():
        store.mark_notification_sent(waiting["id"], "sent")
    assembly.measure()
    assert gauges("telegram") == gauges("forgotten") == (0, 0)


def test_assembly_with_an_unusable_channel_is_refused(tmp_path: Path, store: Store, clock: FakeClock) -> None:
    config = tmp_path / "bad.toml"
    config.write_text('[channels.desk]\nurl = "nosuchservice://canary-4711/"\n')
    with pytest.raises(ConfigurationError) as caught:
        assemble({"ALERTBUS_CONFIG": str(config)}, tmp_path, store, clock)
    assert "desk" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_assembly_is_not_ready_for_a_while_after_the_database_failed(assembly: Assembly, clock: FakeClock) -> None:
    """A locked database looks well between two failures, and alerts still wait."""
    assert assembly.not_ready() == []
    assembly.metrics.store_error()
    assert assembly.not_ready() == ["The database could not be used a moment ago."]
    clock.advance(4)
    assert assembly.not_ready()
    assembly.metrics.store_error()
    assembly.measure()  # housekeeping looks every second, whether anybody asks or not
    clock.advance(11)
    assembly.ingest.last_turn = clock.monotonic()
    assert assembly.not_ready() == []


def test_assembly_tells_of_a_channel_by_the_others(assembly: Assembly, store: Store) -> None:
    """A channel that may not send can't tell that itself."""
    event = system_event(event_type="CHANNEL_UNAUTHORIZED")
    assembly.tell_elsewhere("telegram", event)
    story = store.story(event.id)
    assert story is not None
    assert [delivery["channel"] for delivery in story["deliveries"]] == ["whatsapp"]


def test_assembly_tells_of_the_only_channel_by_itself(assembly: Assembly, store: Store) -> None:
    """Then it is told when the channel works again; the log, the status and the metric say it before."""
    assembly.plan = lambda alert: plan_deliveries(  # type: ignore[method-assign]
        alert, ["telegram"], 0, enabled=["telegram"], dry_run=False
    )
    event = system_event(event_type="CHANNEL_UNAUTHORIZED")
    assembly.tell_elsewhere("telegram", event)
    story = store.story(event.id)
    assert story is not None
    assert [delivery["channel"] for delivery in story["deliveries"]] == ["telegram"]
