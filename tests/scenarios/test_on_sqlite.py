"""Every scenario, played on SQLite: what arrives at each channel and when, and the states that are left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.table import scenarios_on
from tests.support.scenario import Scenario
from tests.support.scenario_run import differences, play

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize("scenario", scenarios_on("sqlite"), ids=lambda scenario: scenario.name)
def test_scenario_tells_what_its_table_says(scenario: Scenario, store_url: str, tmp_path: Path) -> None:
    """Every message at its time, none besides, the states, and an audit that balances."""
    assert differences(scenario, play(scenario, tmp_path, store_url)) == []
