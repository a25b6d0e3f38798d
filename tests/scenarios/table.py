"""All scenarios, by what they are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.scenarios import escalations, letters, quiet, repeats, routes, silences, storms, switches, troubles
from tests.support.scenario import Scenario

SCENARIOS: Final[Mapping[str, tuple[Scenario, ...]]] = {
    "Routes and reloads": routes.SCENARIOS,
    "Repeats and groups": repeats.SCENARIOS,
    "Storms": storms.SCENARIOS,
    "Quiet hours": quiet.SCENARIOS,
    "Silences": silences.SCENARIOS,
    "Escalation and acknowledgement": escalations.SCENARIOS,
    "Channels switched off and on": switches.SCENARIOS,
    "Providers in trouble": troubles.SCENARIOS,
    "Dead letters": letters.SCENARIOS,
}


def all_scenarios() -> list[Scenario]:
    """Return them in the order of the page."""
    return [scenario for some in SCENARIOS.values() for scenario in some]


def scenarios_on(database: str) -> list[Scenario]:
    """Return those that are played on a database, `sqlite` or `postgresql`."""
    return [scenario for scenario in all_scenarios() if database in scenario.databases]
