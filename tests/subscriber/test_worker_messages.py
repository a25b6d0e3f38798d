"""What a worker's messages of single alerts say beside the alert: templates, buttons, and what dedup counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bus.clock import MICROSECONDS
from subscriber.deliveries import Button, Dedup, Handling, Message, Outcome, PlannedDelivery, Reason
from subscriber.policy.buttons import buttons_for
from subscriber.policy.templates import Template, Templates
from subscriber.store import Store
from tests.support.alerts import risk_event
from tests.support.clock import FakeClock
from tests.support.worker_bench import Bench, ScriptedChannel, drive

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

SHORT = Template("short", "{{ event }} on {{ symbol }}")
BROKEN = Template("broken", "{{ event.no_such.thing }}")
OWN = Template("own", "everything here: {{ event }}", channels=frozenset({"telegram"}))


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[Bench]:
    with Bench(store, clock) as made:
        yield made


def told(bench: Bench, clock: FakeClock, templates: Templates, named: str | None) -> Message:
    channel = ScriptedChannel()
    worker = bench.worker(bench.desk(channel), template_for=templates.pick)
    handling = Handling(route="desk", template=named)
    bench.add(planned=(PlannedDelivery("telegram", clock.now_us(), handling=handling),))
    worker.turn()
    (message,) = channel.sent
    return message


@pytest.mark.parametrize(
    ("named", "first"),
    [("short", "DRAWDOWN_BREACHED on TNA"), (None, "everything here: DRAWDOWN_BREACHED"), ("gone", "everything here")],
)
def test_template_of_the_route_or_the_channel_is_what_is_sent(
    bench: Bench, clock: FakeClock, named: str | None, first: str
) -> None:
    message = told(bench, clock, Templates([SHORT, OWN]), named)
    assert message.text.startswith(first)
    assert bench.metric("template_failures_total", template="short") is None


def test_template_that_fails_is_counted_and_the_alert_told_all_the_same(
    bench: Bench, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    message = told(bench, clock, Templates([BROKEN]), "broken")
    assert "CRITICAL DRAWDOWN_BREACHED TNA" in message.text
    assert "template broken failed" in message.text
    assert bench.metric("template_failures_total", template="broken") == 1
    assert "a template failed" in caplog.text


def test_buttons_are_those_of_the_alert_and_its_channel(bench: Bench) -> None:
    channel, other = ScriptedChannel(), ScriptedChannel("whatsapp")
    asked: list[str] = []

    def pick(name: str, alert: object) -> tuple[Button, ...]:
        asked.append(name)
        return buttons_for(stored) if name == "telegram" else ()

    stored = bench.add(None, "telegram", "whatsapp")
    for each in (channel, other):
        bench.worker(bench.desk(each), f"worker of {each.name}", buttons_for=pick).turn()
    assert [message.buttons for message in (*channel.sent, *other.sent)] == [buttons_for(stored), ()]
    assert asked == ["telegram", "whatsapp"]


def test_alerts_that_dedup_counted_are_told_with_the_last_of_them(bench: Bench, clock: FakeClock) -> None:
    """One at once, and one at the window's end that says how many there were."""
    channel = ScriptedChannel("telegram", Outcome(Reason.ACCEPTED, status=200))
    worker = bench.worker(bench.desk(channel), interval_seconds=1.0)
    for number in range(43):
        dedup = Dedup(b"fingerprint-of-t", 300 * MICROSECONDS)
        planned = (PlannedDelivery("telegram", clock.now_us(), dedup=dedup),)
        bench.add(risk_event(severity="WARNING", description=f"number {number}"), planned=planned)
        drive(worker, clock, 5)
    drive(worker, clock, 120)
    assert len(channel.sent) == 2
    assert ["number 0" in channel.sent[0].text, "number 42" in channel.sent[1].text] == [True, True]
    assert "41 more in 4 min" in channel.sent[1].text or "41 more in 3 min" in channel.sent[1].text
