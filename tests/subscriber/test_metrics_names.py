"""Every metric is named as Prometheus asks, and both formats of a daemon at work are read by their own parsers.

prometheus.io/docs/practices/naming and /instrumentation: a prefix, base units as suffixes, `_total` for what only
grows, timestamps instead of ages, and labels that are few and never an id.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Final
from uuid import UUID

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_classic

from subscriber.monitoring.metrics import Metrics
from tests.support.provider_server import ProviderServer
from tests.support.running_service import Daemon, provider_environ, running_service
from tests.support.tools import needed
from tests.support.waiting import wait_until

#: All labels that there are: what each says is one of a closed set, or a name that the operator or a trader chose.
LABELS: Final = frozenset(
    {
        "channel",
        "outcome",
        "state",
        "why",
        "severity",
        "kind",
        "via",
        "template",
        "topic",
        "reason",
        "source",
        "provider",
        "result",
        "class",
        "level",
        "disk",
        "version",
        "python",
    }
)
#: Words for units and for what is counted that a name may end with.
_UNIT: Final = re.compile(r"_(seconds|bytes)$")
#: Prometheus knows seconds and bytes only, and no name tells its own type or an aggregation.
_FORBIDDEN: Final = re.compile(
    r"(milli|micro|nano)seconds?|_(ms|us|ns|minutes|hours|days|kb|mb|gb|kilobytes|megabytes|percent|count|sum|bucket"
    r"|info_total|gauge|counter|histogram|age)(_|$)"
)
_SENTENCE: Final = re.compile(r"[A-Z0-9].*\.")


@pytest.fixture
def metrics() -> Metrics:
    """Of a daemon with everything that makes a child."""
    made = Metrics()
    made.add_channel("whatsapp", enabled=True, receipts=True, window=True)
    made.add_webhook("twilio")
    made.add_ears("whatsapp", ["command"])
    made.add_template("short")
    made.publisher("trader-1", up=True, journal_alerts=1)
    made.publisher_heard("trader-1", at_us=1, volatile=False, clock_offset_seconds=0.0)
    made.publisher_counted("trader-1", refused=1, timed=1, publish_seconds=1.0, longest_seconds=1.0)
    made.publisher_hung("trader-1", hung=False)
    made.publisher_silent("trader-1", silent=False)
    made.disk(1, 2)
    return made


def ours(metrics: Metrics) -> list[Metric]:
    """Return the families; the process's and the interpreter's are named by the library."""
    others = ("process_", "python_")
    return [family for family in metrics.registry.collect() if not family.name.startswith(others)]


def faults_of(family: Metric) -> list[str]:
    """Say what is wrong with a family's name, help and labels."""
    name, kind = family.name, family.type  # a counter's without its `_total`, as OpenMetrics has it
    timestamp = name.endswith("_timestamp_seconds")
    named = {label for sample in family.samples for label in sample.labels} - {"le"}
    checks = {
        "has another prefix": re.fullmatch(r"alertbus_[a-z]+(_[a-z]+)*", name) is None,
        "has a unit that is no base unit, or tells its type": _FORBIDDEN.search(name) is not None,
        "is a timestamp and no gauge": timestamp and kind != "gauge",
        "is a time and no timestamp": re.search(r"timestamp(?!_seconds$)", name) is not None,
        "is a histogram without a unit": kind == "histogram" and _UNIT.search(name) is None,
        "is no counter and ends with _total": kind != "counter" and name.endswith("_total"),
        "is of an unknown type": kind not in {"counter", "gauge", "histogram"},
        "is told by no sentence": _SENTENCE.fullmatch(family.documentation) is None,
        "has labels that nobody knows": not named <= LABELS,
        "has a sample that is no sample of it": any(
            sample.name.removeprefix(name) not in {"", "_total", "_bucket", "_sum", "_count"}
            for sample in family.samples
        ),
        "is a counter whose sample lacks _total": kind == "counter"
        and any(not sample.name.endswith("_total") for sample in family.samples),
    }
    return [f"{name} {fault}" for fault, found in checks.items() if found]


def test_families_are_named_by_the_rules(metrics: Metrics) -> None:
    families = ours(metrics)
    assert len(families) > 60
    assert [fault for family in families for fault in faults_of(family)] == []
    assert all(family.samples for family in families), "the fixture makes a child of each"


@pytest.mark.parametrize(
    ("name", "text", "kind", "labels", "fault"),
    [
        ("bus_alerts", "Alerts.", "gauge", (), "prefix"),
        ("alertbus_wait_milliseconds", "A wait.", "gauge", (), "base unit"),
        ("alertbus_queue_age_seconds", "An age.", "gauge", (), "base unit"),
        ("alertbus_queue_count", "Deliveries.", "gauge", (), "tells its type"),
        ("alertbus_last_timestamp", "When.", "gauge", (), "no timestamp"),
        ("alertbus_begun_timestamp_seconds", "When.", "counter", (), "no gauge"),
        ("alertbus_latency", "How long.", "histogram", (), "without a unit"),
        ("alertbus_alerts_total", "Alerts.", "gauge", (), "ends with _total"),
        ("alertbus_alerts", "how many", "gauge", (), "no sentence"),
        ("alertbus_alerts", "", "gauge", (), "no sentence"),
        ("alertbus_alerts", "Alerts.", "gauge", ("alert_id",), "nobody knows"),
    ],
)
def test_rules_of_names_find_what_breaks_them(
    name: str, text: str, kind: str, labels: tuple[str, ...], fault: str
) -> None:
    """A check that can't fail would prove nothing."""
    family = Metric(name, text, kind)
    suffix = {"counter": "_total", "histogram": "_sum"}.get(kind, "")
    family.add_sample(name + suffix, dict.fromkeys(labels, "x"), 1.0)
    assert any(fault in found for found in faults_of(family))


def test_labels_that_are_allowed_are_all_used(metrics: Metrics) -> None:
    """A name that is left on the list would let a new metric have it."""
    assert {label for family in ours(metrics) for sample in family.samples for label in sample.labels} == LABELS | {
        "le"
    }


# --- a daemon at work ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with two channels, each of which has told something."""
    folder = tmp_path_factory.mktemp("daemon")
    with ProviderServer() as providers, running_service(provider_environ(providers), folder) as running:
        for channel in ("telegram", "whatsapp"):
            running.post("/test", {"channel": channel})

            def taken(channel: str = channel) -> bool:
                return running.metric("alertbus_deliveries_total", channel=channel, state="accepted") == 1

            wait_until(taken)
        yield running


def scraped(daemon: Daemon, accept: str) -> str:
    answer = daemon.http.get("/metrics", headers={"accept": accept})
    assert answer.status_code == 200
    return answer.text


def test_promtool_finds_nothing_to_lint_in_a_daemons_scrape(
    daemon: Daemon, record_property: Callable[[str, object], None]
) -> None:
    """Prometheus' own linter reads what Prometheus scrapes."""
    promtool = needed("promtool", "apt install prometheus")
    scrape = scraped(daemon, "")
    linted = subprocess.run(
        [promtool, "check", "metrics"], input=scrape, capture_output=True, check=False, encoding="utf-8"
    )
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")
    families = len(list(parse_classic(scrape)))
    record_property("ci_line", f"promtool check metrics: {families} families of a daemon's scrape, nothing to say")


def test_promtool_finds_what_is_wrong(metrics: Metrics) -> None:
    """So the silence of the other test means something."""
    promtool = needed("promtool", "apt install prometheus")
    wrong = metrics.exposition("")[0].replace(b"alertbus_sequence_gaps_total", b"alertbus_sequence_gaps")
    linted = subprocess.run([promtool, "check", "metrics"], input=wrong, capture_output=True, check=False)
    assert linted.returncode != 0
    assert b"alertbus_sequence_gaps" in linted.stdout + linted.stderr


def test_openmetrics_of_a_daemon_has_exemplars_that_are_stored_alerts(daemon: Daemon) -> None:
    """From a slow bucket on a panel to the story of the alert that was slow."""
    text = scraped(daemon, "application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]
    stored = {UUID(entry["alert"]["id"]) for entry in daemon.history()}
    for name in ("alertbus_end_to_end_seconds", "alertbus_attempt_seconds"):
        exemplars = [
            (sample.labels["channel"], sample.exemplar) for sample in families[name].samples if sample.exemplar
        ]
        assert {channel for channel, _ in exemplars} == {"telegram", "whatsapp"}
        for _, exemplar in exemplars:
            assert set(exemplar.labels) == {"alert_id"}
            assert UUID(exemplar.labels["alert_id"]) in stored


def test_both_formats_of_a_daemon_tell_the_same_families(daemon: Daemon) -> None:
    classic = {family.name for family in parse_classic(scraped(daemon, "text/plain"))}
    openmetrics = scraped(daemon, "application/openmetrics-text; version=1.0.0")
    assert openmetrics.endswith("# EOF\n")
    assert {family.name for family in parse_openmetrics(openmetrics)} == classic  # type: ignore[no-untyped-call]


def test_no_label_of_a_daemon_has_an_id_or_an_address_in_it(daemon: Daemon) -> None:
    for family in parse_classic(scraped(daemon, "")):
        for sample in family.samples:
            for word in sample.labels.values():
                assert re.search(r"[0-9a-f]{8}-[0-9a-f]{4}|://|@|\d{7,}", word) is None, (sample.name, word)
