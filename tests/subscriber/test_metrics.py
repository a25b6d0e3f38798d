"""The daemon's metrics: the names of the contract, children from the start, both formats, and bounds."""

from __future__ import annotations

import threading
from importlib.metadata import PackageNotFoundError

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_classic

from bus.alerts import Severity
from bus.topics import KNOWN_LEVELS, OTHER_LEVELS
from bus.wire import INVALID_REASONS
from subscriber.deliveries import DeliveryState, Reason, Why
from subscriber.monitoring.metrics import MOST_SOURCES, OTHER_PROVIDER, OTHER_SOURCE, Metrics, WebhookResult
from subscriber.receipts import Receipt, ReceiptState

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
CLASSIC = "text/plain; version=0.0.4"
CHANNELS = ("telegram", "whatsapp")

#: docs/design.md, *Outer contract*: each metric with its type and the names of its labels.
CONTRACT: dict[str, tuple[str, set[str]]] = {
    "alertbus_attempts_total": ("counter", {"channel", "outcome"}),
    "alertbus_deliveries_total": ("counter", {"channel", "state"}),
    "alertbus_attempt_seconds": ("histogram", {"channel"}),
    "alertbus_end_to_end_seconds": ("histogram", {"channel", "severity"}),
    "alertbus_queue_deliveries": ("gauge", {"channel"}),
    "alertbus_queue_oldest_timestamp_seconds": ("gauge", {"channel"}),
    "alertbus_channel_up": ("gauge", {"channel"}),
    "alertbus_channel_enabled": ("gauge", {"channel"}),
    "alertbus_channel_held_until_timestamp_seconds": ("gauge", {"channel"}),
    "alertbus_breaker_open": ("gauge", {"channel"}),
    "alertbus_receipts_total": ("counter", {"channel", "state"}),
    "alertbus_receipt_seconds": ("histogram", {"channel"}),
    "alertbus_receipts_waiting": ("gauge", {"channel"}),
    "alertbus_webhook_requests_total": ("counter", {"provider", "result"}),
    "alertbus_alerts_received_total": ("counter", {"topic"}),
    "alertbus_alerts_duplicate_total": ("counter", set()),
    "alertbus_alerts_replayed_total": ("counter", set()),
    "alertbus_alerts_lost_total": ("counter", set()),
    "alertbus_messages_invalid_total": ("counter", {"reason"}),
    "alertbus_publisher_up": ("gauge", {"source"}),
    "alertbus_publisher_journal_alerts": ("gauge", {"source"}),
    "alertbus_dry_run": ("gauge", set()),
    "alertbus_build_info": ("gauge", {"version", "python"}),
}


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics()
    for channel in CHANNELS:
        made.add_channel(channel, enabled=True, receipts=channel == "whatsapp")
    made.add_webhook("twilio")
    return made


def classic(metrics: Metrics) -> dict[str, Metric]:
    """Read what a scraper reads; counters are listed under the names of their samples."""
    content, _ = metrics.exposition("")
    families = parse_classic(content.decode())
    return {f"{each.name}_total" if each.type == "counter" else each.name: each for each in families}


def openmetrics(content: bytes) -> list[Metric]:
    return list(parse_openmetrics(content.decode()))  # type: ignore[no-untyped-call]


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name.startswith("alertbus_")
    }


@pytest.mark.parametrize("name", CONTRACT)
def test_metrics_at_start_have_the_contracts_name_type_and_labels(metrics: Metrics, name: str) -> None:
    """What a dashboard asks for exists before anything has happened; only publishers have to be heard first."""
    kind, labels = CONTRACT[name]
    if "source" in labels:
        metrics.publisher("trader-1", up=True, journal_alerts=0)
    family = classic(metrics)[name]
    assert family.type == kind
    assert family.documentation
    assert family.samples
    for sample in family.samples:
        assert set(sample.labels) - {"le"} == labels


def test_metrics_at_start_have_all_children_at_zero(metrics: Metrics) -> None:
    """A rate over a counter that appears with its first failure would start from nothing."""
    found = samples(metrics)

    def value(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    for channel in CHANNELS:
        for reason in Reason:
            assert value("alertbus_attempts_total", channel=channel, outcome=reason.value) == 0
        for state in DeliveryState:
            assert value("alertbus_deliveries_total", channel=channel, state=state.value) == 0
        for severity in Severity:
            assert value("alertbus_end_to_end_seconds_count", channel=channel, severity=severity.value) == 0
        assert value("alertbus_attempt_seconds_count", channel=channel) == 0
        assert value("alertbus_queue_deliveries", channel=channel) == 0
        assert value("alertbus_queue_oldest_timestamp_seconds", channel=channel) == 0
        assert value("alertbus_channel_up", channel=channel) == 1
        assert value("alertbus_channel_enabled", channel=channel) == 1
        assert value("alertbus_channel_held_until_timestamp_seconds", channel=channel) == 0
        assert value("alertbus_breaker_open", channel=channel) == 0
    for topic in (*KNOWN_LEVELS, OTHER_LEVELS):
        assert value("alertbus_alerts_received_total", topic=topic) == 0
    for word in INVALID_REASONS:
        assert value("alertbus_messages_invalid_total", reason=word) == 0
    for name in ("alerts_duplicate", "alerts_replayed", "alerts_lost", "store_errors", "leases_lost"):
        assert value(f"alertbus_{name}_total") == 0
    assert value("alertbus_dry_run") == 0


def test_metrics_of_receipts_and_webhooks_at_start_are_all_at_zero(metrics: Metrics) -> None:
    found = samples(metrics)
    for state in ReceiptState:
        labels = frozenset({"channel": "whatsapp", "state": state.value}.items())
        assert found["alertbus_receipts_total", labels] == 0
    for name in ("alertbus_receipt_seconds_count", "alertbus_receipts_waiting"):
        assert found[name, frozenset({("channel", "whatsapp")})] == 0
    for result in WebhookResult:
        for provider in ("twilio", OTHER_PROVIDER):
            labels = frozenset({"provider": provider, "result": result.value}.items())
            assert found["alertbus_webhook_requests_total", labels] == 0


def test_metrics_of_a_channel_without_receipts_has_no_series_of_them(metrics: Metrics) -> None:
    """A zero would say that none came, where none can come."""
    of_receipts = [(name, labels) for name, labels in samples(metrics) if "_receipt" in name]
    assert of_receipts
    assert not any(("channel", "telegram") in labels for _, labels in of_receipts)


def test_metrics_of_receipts_tell_accepted_from_delivered(metrics: Metrics) -> None:
    metrics.entered("whatsapp", DeliveryState.ACCEPTED)
    for state, delivered in ((ReceiptState.SENT, 0), (ReceiptState.DELIVERED, 1), (ReceiptState.READ, 0)):
        metrics.receipt("whatsapp", Receipt("SM1", state, at_us=3_500_000), delivered, 1_000_000, 9_000_000)
    metrics.receipts_waiting("whatsapp", 4)
    metrics.held("whatsapp", 1_760_000_000_500_000)
    metrics.breaker("whatsapp", is_open=True)
    metrics.webhook("twilio", WebhookResult.REFUSED)
    found = {(name, *sorted(value for _, value in labels)): each for (name, labels), each in samples(metrics).items()}
    assert [found["alertbus_receipts_total", *sorted((state, "whatsapp"))] for state in ReceiptState] == [0, 1, 1, 1, 0]
    assert found["alertbus_receipt_seconds_count", "whatsapp"] == 1
    assert found["alertbus_receipt_seconds_bucket", "3.0", "whatsapp"] == 1
    assert found["alertbus_receipt_seconds_bucket", "2.0", "whatsapp"] == 0
    assert found["alertbus_deliveries_total", "accepted", "whatsapp"] == 1
    assert found["alertbus_deliveries_total", "delivered", "whatsapp"] == 1
    assert found["alertbus_receipts_waiting", "whatsapp"] == 4
    assert found["alertbus_channel_held_until_timestamp_seconds", "whatsapp"] == 1_760_000_000.5
    assert found["alertbus_breaker_open", "whatsapp"] == 1
    assert found["alertbus_webhook_requests_total", "refused", "twilio"] == 1


@pytest.mark.parametrize(
    ("at_us", "seconds"), [(None, 8.0), (500_000, 0.0), (99_000_000, 8.0)], ids=["not told", "behind", "ahead"]
)
def test_metrics_receipt_goes_by_our_clock_where_the_providers_can_not_be(
    metrics: Metrics, at_us: int | None, seconds: float
) -> None:
    receipt = Receipt("SM1", ReceiptState.DELIVERED, at_us)
    metrics.receipt("whatsapp", receipt, 1, accepted_us=1_000_000, now_us=9_000_000)
    assert metrics.registry.get_sample_value("alertbus_receipt_seconds_sum", {"channel": "whatsapp"}) == seconds


def test_metrics_methods_move_what_they_name(metrics: Metrics) -> None:
    metrics.attempt_finished("telegram", Reason.TIMEOUT, 15.2, "an id")
    metrics.entered("telegram", DeliveryState.IN_DOUBT, 2)
    metrics.accepted("telegram", Severity.CRITICAL, 1.4, "id")
    metrics.queue("whatsapp", 3, 1_760_000_000_500_000, None)
    metrics.channel_up("whatsapp", up=False)
    metrics.received(["severity.CRITICAL", "other"])
    metrics.duplicate()
    metrics.replayed(4)
    metrics.lost(5)
    metrics.invalid(INVALID_REASONS[0])
    metrics.publisher("trader-1", up=False, journal_alerts=6)
    metrics.publisher_counted("trader-1", refused=7, timed=8, publish_seconds=0.5, longest_seconds=0.25)
    metrics.suppressed("telegram", Why.SILENCE, 9)
    metrics.store_error()
    metrics.lease_lost()
    metrics.dry_run(on=True)
    found = {(name, *sorted(value for _, value in labels)): each for (name, labels), each in samples(metrics).items()}
    assert found["alertbus_attempts_total", "telegram", "timeout"] == 1
    assert found["alertbus_attempt_seconds_sum", "telegram"] == 15.2
    assert found["alertbus_deliveries_total", "in_doubt", "telegram"] == 2
    assert found["alertbus_end_to_end_seconds_bucket", "1.5", "CRITICAL", "telegram"] == 1
    assert found["alertbus_end_to_end_seconds_bucket", "1.0", "CRITICAL", "telegram"] == 0
    assert found["alertbus_queue_deliveries", "whatsapp"] == 3
    assert found["alertbus_queue_oldest_timestamp_seconds", "whatsapp"] == 1_760_000_000.5
    assert found["alertbus_channel_up", "whatsapp"] == 0
    assert found["alertbus_alerts_received_total", "severity.CRITICAL"] == 1
    assert [found[f"alertbus_alerts_{name}_total",] for name in ("duplicate", "replayed", "lost")] == [1, 4, 5]
    assert found["alertbus_messages_invalid_total", INVALID_REASONS[0]] == 1
    assert found["alertbus_publisher_up", "trader-1"] == 0
    assert found["alertbus_publisher_journal_alerts", "trader-1"] == 6
    assert found["alertbus_publisher_refused_alerts_total", "trader-1"] == 7
    assert found["alertbus_publisher_timed_publishes_total", "trader-1"] == 8
    assert found["alertbus_publisher_publish_seconds_total", "trader-1"] == 0.5
    assert found["alertbus_publisher_publish_longest_seconds", "trader-1"] == 0.25
    assert found["alertbus_deliveries_suppressed_total", "silence", "telegram"] == 9
    assert found["alertbus_deliveries_total", "suppressed", "telegram"] == 9
    assert found["alertbus_store_errors_total",] == found["alertbus_leases_lost_total",] == 1
    assert found["alertbus_dry_run",] == 1


def test_metrics_queue_empty_again_has_no_oldest(metrics: Metrics) -> None:
    metrics.queue("telegram", 1, 1_760_000_000_000_000, None)
    metrics.queue("telegram", 0, None, None)
    assert metrics.registry.get_sample_value("alertbus_queue_oldest_timestamp_seconds", {"channel": "telegram"}) == 0


def test_metrics_clock_of_the_trader_ahead_observes_zero(metrics: Metrics) -> None:
    """A histogram of negative latencies would be nonsense."""
    metrics.accepted("telegram", Severity.INFO, -3.0, "id")
    labels = {"channel": "telegram", "severity": "INFO"}
    assert metrics.registry.get_sample_value("alertbus_end_to_end_seconds_sum", labels) == 0


def test_exposition_openmetrics_carries_the_alerts_id_as_exemplar(metrics: Metrics) -> None:
    metrics.accepted("telegram", Severity.CRITICAL, 1.4, "01a2073d-f118-7d31-b649-d533945df020")
    content, content_type = metrics.exposition(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    families = {family.name: family for family in openmetrics(content)}
    exemplars = [
        sample.exemplar.labels for sample in families["alertbus_end_to_end_seconds"].samples if sample.exemplar
    ]
    assert exemplars == [{"alert_id": "01a2073d-f118-7d31-b649-d533945df020"}]


@pytest.mark.parametrize("accept", ["", CLASSIC, "*/*", "nonsense;;;q=x", f"{CLASSIC};q=0.5,*/*;q=0.1"])
def test_exposition_by_default_is_the_classic_format_without_created_series(metrics: Metrics, accept: str) -> None:
    content, content_type = metrics.exposition(accept)
    assert content_type.startswith("text/plain; version=0.0.4")
    assert b"_created" not in content
    assert b"process_resident_memory_bytes" in content
    assert list(parse_classic(content.decode()))


def test_sources_beyond_the_bound_share_one_label(metrics: Metrics) -> None:
    """Nobody can fill the memory of the daemon, or of Prometheus, with names."""
    for number in range(MOST_SOURCES + 50):
        metrics.publisher(f"trader-{number}", up=True, journal_alerts=number)
    metrics.publisher("trader-0", up=False)
    sources = {sample.labels["source"] for sample in classic(metrics)["alertbus_publisher_up"].samples}
    assert len(sources) == MOST_SOURCES + 1
    assert OTHER_SOURCE in sources
    assert metrics.registry.get_sample_value("alertbus_publisher_up", {"source": "trader-0"}) == 0


def test_sources_of_any_text_leave_the_exposition_readable(metrics: Metrics) -> None:
    """A publisher names itself; quotes, newlines and braces can't forge a series."""
    odd = 'a"} 1\nalertbus_dry_run 1\n# {\\'
    metrics.publisher(odd, up=True)
    (sample,) = classic(metrics)["alertbus_publisher_up"].samples
    assert sample.labels == {"source": odd}
    content, _ = metrics.exposition(OPENMETRICS)
    assert openmetrics(content)


def test_metrics_from_many_threads_lose_no_count(metrics: Metrics) -> None:
    def count() -> None:
        for _ in range(500):
            metrics.entered("telegram", DeliveryState.ACCEPTED)
            metrics.publisher("trader-1", up=True)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    labels = {"channel": "telegram", "state": "accepted"}
    assert metrics.registry.get_sample_value("alertbus_deliveries_total", labels) == 2000


def test_metrics_of_two_daemons_in_one_process_are_apart() -> None:
    """Nothing is kept on the library's global registry."""
    first, second = Metrics(), Metrics()
    first.duplicate()
    assert second.registry.get_sample_value("alertbus_alerts_duplicate_total") == 0


def test_build_info_in_a_tree_that_was_never_installed_says_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("subscriber.monitoring.metrics.daemon.version", missing)
    (sample,) = classic(Metrics())["alertbus_build_info"].samples
    assert sample.labels["version"] == "unknown"
