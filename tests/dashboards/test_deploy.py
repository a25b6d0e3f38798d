"""The example configurations of Prometheus and Grafana fit the daemon, the dashboard and each other."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from bus.alerts import Severity
from dashboards.export import export
from dashboards.places import RULES
from subscriber.http_settings import HttpSettings
from subscriber.monitoring.answers import PREFIX
from subscriber.monitoring.metrics import Metrics
from tests.dashboards.asked import DASHBOARD, ROOT
from tests.support.tools import needed

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


def alertmanager() -> Any:
    return yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))


def rules() -> Any:
    return yaml.safe_load(RULES.read_text(encoding="utf-8"))


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


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("etc")
    export(folder)
    return folder


def test_prometheus_takes_the_exported_configuration_and_rules(exported: Path) -> None:
    promtool = needed("promtool", "apt install prometheus")
    path = exported / "examples" / "prometheus" / "prometheus.yml"
    told = subprocess.run([promtool, "check", "config", str(path)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "1 rule files found" in told.stdout
    (where,) = yaml.safe_load(path.read_text(encoding="utf-8"))["rule_files"]
    assert where == f"{exported.resolve().as_posix()}/prometheus/*.rules.yml"


def test_prometheus_tells_an_alertmanager_where_it_listens() -> None:
    (manager,) = prometheus()["alerting"]["alertmanagers"]
    assert manager["static_configs"] == [{"targets": ["127.0.0.1:9093"]}]


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=AlertbusDown severity=critical", "page-and-mail"),
        ("alertname=AlertbusDeadLetters severity=warning channel=telegram", "mail"),
        ("alertname=AlertbusWatchdog severity=none", "dead-mans-switch"),
        ("alertname=SomethingElse severity=critical", "mail"),
    ],
)
def test_alertmanager_tells_each_alarm_to_whom_it_is_for(exported: Path, labels: str, receiver: str) -> None:
    amtool = needed("amtool", "apt install prometheus-alertmanager")
    path = exported / "examples" / "alertmanager" / "alertmanager.yml"
    arguments = [amtool, "config", "routes", "test", f"--config.file={path}", *labels.split()]
    told = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout.strip()) == (0, receiver)


def test_alertmanager_takes_the_example(exported: Path) -> None:
    amtool = needed("amtool", "apt install prometheus-alertmanager")
    path = exported / "examples" / "alertmanager" / "alertmanager.yml"
    told = subprocess.run([amtool, "check-config", str(path)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def test_alarms_never_go_through_alertbus_alone() -> None:
    """No receiver leads to the daemon, and each is told by something else."""
    settings = HttpSettings()
    for receiver in alertmanager()["receivers"]:
        told_by = [each for kind, several in receiver.items() if kind.endswith("_configs") for each in several]
        assert told_by
        assert not [each for each in told_by if str(settings.port) in str(each.get("url", ""))]
    assert [each["to"] for receiver in alertmanager()["receivers"] for each in receiver.get("email_configs", ())]


def test_alarms_that_are_inhibited_exist_in_the_rules() -> None:
    names = {rule["alert"] for group in rules()["groups"] for rule in group["rules"] if "alert" in rule}
    named = {
        name
        for rule in alertmanager()["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
        for name in re.findall(r"Alertbus\w+", matcher)
    }
    assert named
    assert named <= names


def test_secrets_of_the_examples_are_in_files() -> None:
    for path in DEPLOY.rglob("*.yml"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?:password|token|secret|credentials): *\S", text)


def test_provider_reads_dashboards_from_where_export_writes_them() -> None:
    assert provider()["type"] == "file"
    assert PurePosixPath(provider()["options"]["path"]).name == DASHBOARD.parent.name
    assert provider()["allowUiUpdates"] is False
