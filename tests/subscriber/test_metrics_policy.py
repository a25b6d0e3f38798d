"""The metrics of digests, escalations, acknowledgements, silences, templates and reloads."""

from __future__ import annotations

import pytest

from subscriber.deliveries import DigestKind
from subscriber.monitoring.metrics import ACKNOWLEDGED_VIA, Metrics


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics()
    made.add_channel("telegram", enabled=True)
    made.add_template("short")
    return made


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"alertbus_{name}", labels)


def test_policy_metrics_at_start_are_all_at_zero(metrics: Metrics) -> None:
    """A rate over a counter that appears with its first event would start from nothing."""
    for kind in DigestKind:
        assert value(metrics, "digests_total", channel="telegram", kind=kind.value) == 0
        assert value(metrics, "digest_alerts_total", channel="telegram", kind=kind.value) == 0
    for via in ACKNOWLEDGED_VIA:
        assert value(metrics, "acknowledgements_total", via=via) == 0
    for result in ("loaded", "refused"):
        assert value(metrics, "config_reloads_total", result=result) == 0
    assert value(metrics, "escalations_total", channel="telegram") == 0
    assert value(metrics, "template_failures_total", template="short") == 0
    assert value(metrics, "silences_active") == value(metrics, "config_loaded_timestamp_seconds") == 0


def test_policy_metrics_methods_move_what_they_name(metrics: Metrics) -> None:
    metrics.digest_told("telegram", DigestKind.CRITICALS, 12)
    metrics.digest_told("telegram", DigestKind.CRITICALS, 3)
    metrics.escalated("telegram")
    metrics.acknowledged("page")
    metrics.silences_active(4)
    metrics.template_failed("short")
    metrics.config_reloaded(loaded=False)
    metrics.config_loaded(1_760_000_000_500_000)
    assert value(metrics, "digests_total", channel="telegram", kind="criticals") == 2
    assert value(metrics, "digest_alerts_total", channel="telegram", kind="criticals") == 15
    assert value(metrics, "digests_total", channel="telegram", kind="storm") == 0
    assert value(metrics, "escalations_total", channel="telegram") == 1
    assert value(metrics, "acknowledgements_total", via="page") == 1
    assert value(metrics, "silences_active") == 4
    assert value(metrics, "template_failures_total", template="short") == 1
    assert value(metrics, "config_reloads_total", result="refused") == 1
    assert value(metrics, "config_reloads_total", result="loaded") == 0
    assert value(metrics, "config_loaded_timestamp_seconds") == 1_760_000_000.5
