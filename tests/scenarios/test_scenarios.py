"""Every scenario, played on each database: what arrives at each channel and when, and the states that are left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.table import all_scenarios
from tests.support.scenario import Scenario
from tests.support.scenario_run import differences, play

_ALONE = [scenario for scenario in all_scenarios() if scenario.daemons == 1]
_TOGETHER = [scenario for scenario in all_scenarios() if scenario.daemons > 1]


@pytest.mark.parametrize("scenario", _ALONE, ids=lambda scenario: scenario.name)
def test_scenario_tells_what_its_table_says(scenario: Scenario, store_url: str, tmp_path: Path) -> None:
    """Every message at its time, none besides, the states, and an audit that balances."""
    assert differences(scenario, play(scenario, tmp_path, store_url)) == []


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("scenario", _TOGETHER, ids=lambda scenario: scenario.name)
def test_scenario_of_daemons_on_one_database_tells_what_its_table_says(
    scenario: Scenario, store_url: str, tmp_path: Path
) -> None:
    """The same with several daemons, which share the database and know nothing else of each other."""
    assert differences(scenario, play(scenario, tmp_path, store_url)) == []
