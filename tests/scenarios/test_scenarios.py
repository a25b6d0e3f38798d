"""Every scenario, played on each database: what arrives at each channel and when, and the states that are left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.table import all_scenarios
from tests.support.scenario import Scenario
from tests.support.scenario_run import differences, play


@pytest.mark.parametrize(
    ("scenario", "store_url"),
    [
        pytest.param(scenario, database, id=f"{scenario.name}-{database}")
        for scenario in all_scenarios()
        for database in scenario.databases
    ],
    indirect=["store_url"],
)
def test_scenario_tells_what_its_table_says(scenario: Scenario, store_url: str, tmp_path: Path) -> None:
    """Every message at its time, none besides, the states, and an audit that balances."""
    assert differences(scenario, play(scenario, tmp_path, store_url)) == []
