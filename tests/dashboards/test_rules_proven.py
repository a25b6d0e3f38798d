"""Each rule is proven by promtool: when it fires, with which words, when it does not, and when it stops."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dashboards.places import RULES
from tests.dashboards.rules_read import FOLDER, WATCHDOG, alerts, records, test_files, unit_tests
from tests.support.tools import needed


def test_promtool_agrees_with_every_test(record_property: Callable[[str, object], None]) -> None:
    promtool = needed("promtool", "apt install prometheus")

    def run(path: Path) -> subprocess.CompletedProcess[str]:
        command = [promtool, "test", "rules", path.name]
        return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(max_workers=2) as pool:
        runs = list(pool.map(run, test_files()))
    assert all(done.returncode == 0 for done in runs), "\n".join(done.stdout + done.stderr for done in runs)
    assert all("SUCCESS" in done.stdout for done in runs)
    looks = [fires for test in unit_tests() for _alert, fires in test.expectations()]
    firing = sum(bool(fires) for fires in looks)
    asked = sum(1 for test in unit_tests() for _ in test.answers())
    line = (
        f"promtool test rules: {len(unit_tests())} tests of {len(alerts())} alerts and {len(records())} records "
        f"({firing} times firing, {len(looks) - firing} times not, {asked} values), ok"
    )
    record_property("ci_line", line)


def test_the_tests_are_of_the_rules_that_are_shipped() -> None:
    assert test_files()
    for path, found in test_files().items():
        assert [(path.parent / name).resolve() for name in found["rule_files"]] == [RULES.resolve()]


def test_the_tests_have_names_of_their_own() -> None:
    names = [(test.path, test.name) for test in unit_tests()]
    assert len(set(names)) == len(names)


def test_no_test_looks_at_an_alert_that_there_is_not() -> None:
    assert {alert for test in unit_tests() for alert, _fires in test.expectations()} <= alerts().keys()


@pytest.mark.parametrize("name", alerts())
def test_an_alert_is_expected_with_all_its_words_and_elsewhere_not_at_all(name: str) -> None:
    looks = [fires for test in unit_tests() for alert, fires in test.expectations() if alert == name]
    expected = [alert for fires in looks for alert in fires]
    assert expected
    for alert in expected:
        assert alert["exp_labels"]["severity"] == alerts()[name]["labels"]["severity"]
        assert alert["exp_annotations"].keys() == alerts()[name]["annotations"].keys()
    if name != WATCHDOG:
        assert [] in looks


@pytest.mark.parametrize("name", [name for name in alerts() if name != WATCHDOG])
def test_an_alert_is_seen_to_stop_in_a_test_in_which_it_fired(name: str) -> None:
    def stops(looks: list[bool]) -> bool:
        return any(fires for fires in looks[:-1]) and not looks[-1]

    seen = [[bool(fires) for alert, fires in test.expectations() if alert == name] for test in unit_tests()]
    assert any(stops(looks) for looks in seen)


@pytest.mark.parametrize("name", records())
def test_the_value_of_a_recorded_series_is_proven(name: str) -> None:
    values = [samples for test in unit_tests() for asked, samples in test.answers() if asked == name]
    assert any(sample["value"] > 0 for samples in values for sample in samples)
