"""The example configurations of Prometheus and Grafana fit the daemon, the dashboard and each other."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import yaml  # type: ignore[import-untyped]

from bus.alerts import Severity
from subscriber.http_settings import HttpSettings
from subscriber.monitoring.answers import PREFIX
from subscriber.monitoring.metrics import Metrics
from tests.dashboards.asked import DASHBOARD, ROOT

DEPLOY = ROOT / "deploy"


def prometheus() -> Any:
    return yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))


def data_source() -> Any:
    path = DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    (source,) = yaml.safe_load(path.read_text(encoding="utf-8"))["datasources"]
    return source


def provider() -> Any:
    path = DEPLOY / "grafana" / "provisioning" / "dashboards" / "alertbus.yml"
    (found,) = yaml.safe_load(path.read_text(encoding="utf-8"))["providers"]
    return found


def test_prometheus_reads_the_daemon_where_it_listens_by_default() -> None:
    (job,) = prometheus()["scrape_configs"]
    (targets,) = job["static_configs"]
    settings = HttpSettings()
    assert targets["targets"] == [f"{settings.host}:{settings.port}"]
    assert job["metrics_path"] == "/metrics"


def test_data_source_knows_how_often_prometheus_reads() -> None:
    """Grafana makes the window of every rate from it."""
    assert data_source()["type"] == "prometheus"
    assert data_source()["jsonData"]["timeInterval"] == prometheus()["global"]["scrape_interval"]


def test_data_source_leads_from_an_exemplar_to_the_story_of_its_alert() -> None:
    """The exemplar's label is the daemon's; a literal `$` is doubled in Grafana's provisioning."""
    (link,) = data_source()["jsonData"]["exemplarTraceIdDestinations"]
    settings = HttpSettings()
    assert link["url"] == f"http://{settings.host}:{settings.port}{PREFIX}/alerts/$${{__value.raw}}"
    metrics = Metrics()
    metrics.add_channel("telegram", enabled=True)
    metrics.accepted("telegram", Severity.INFO, 0.2, "an id")
    content, _content_type = metrics.exposition("application/openmetrics-text")
    assert f'# {{{link["name"]}="an id"}}' in content.decode()


def test_provider_reads_dashboards_from_where_export_writes_them() -> None:
    assert provider()["type"] == "file"
    assert PurePosixPath(provider()["options"]["path"]).name == DASHBOARD.parent.name
    assert provider()["allowUiUpdates"] is False
