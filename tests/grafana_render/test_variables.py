"""What Grafana would put in the place of a variable stands there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dashboards.asked import expressions
from tests.grafana_render.board import load
from tests.grafana_render.variables import UnknownVariableError, built_in, chosen, step_ms, substitute

_MINUTE_MS = 60_000


@pytest.mark.parametrize(
    ("minutes", "width", "least", "step"),
    [
        (6, 500, 1, 500),
        (6, 500, 5_000, 5_000),
        (360, 800, 15_000, 30_000),
        (7 * 24 * 60, 1_000, 15_000, 600_000),
        (365 * 24 * 60, 500, 15_000, 3_600_000),
    ],
)
def test_step_of_a_range_is_round_and_at_least_the_scrape(minutes: int, width: int, least: int, step: int) -> None:
    assert step_ms(minutes * _MINUTE_MS, width, least) == step


def test_built_in_rate_interval_is_four_scrapes_or_a_step_and_a_scrape() -> None:
    assert built_in(_MINUTE_MS, step=5_000, scrape_ms=5_000)["__rate_interval"] == "20s"
    assert built_in(_MINUTE_MS, step=60_000, scrape_ms=5_000)["__rate_interval"] == "65s"
    assert built_in(6 * _MINUTE_MS, step=5_000, scrape_ms=5_000)["__range"] == "360s"
    assert built_in(_MINUTE_MS, step=500, scrape_ms=500)["__interval"] == "500ms"


def test_chosen_all_is_its_all_value_and_a_choice_is_a_pattern() -> None:
    menus: list[dict[str, Any]] = [
        {"name": "datasource", "type": "datasource"},
        {"name": "job", "type": "query", "allValue": ".+", "current": {"value": ["$__all"]}},
        {"name": "instance", "type": "query", "allValue": ".+", "current": {"value": ["10.0.0.1:80", "b"]}},
    ]
    assert chosen(menus) == {"datasource": "prometheus", "job": ".+", "instance": "10\\.0\\.0\\.1:80|b"}


def test_substitute_replaces_whole_names_in_each_spelling() -> None:
    values = {"job": "a", "job_b": "b", "__range": "60s"}
    asked = 'x{job=~"$job", other="${job_b:regex}", third="$job_b"}[$__range]'
    assert substitute(asked, values) == 'x{job=~"a", other="b", third="b"}[60s]'


def test_substitute_a_name_without_a_value_is_refused() -> None:
    with pytest.raises(UnknownVariableError, match=r"\$unknown"):
        substitute("x[$unknown]", {"job": "a"})


def test_substitute_the_committed_dashboard_leaves_no_variable() -> None:
    values = {**chosen(load()["templating"]["list"]), **built_in(_MINUTE_MS, 5_000, 5_000)}
    asked = expressions()
    assert asked
    assert not [expression for expression in asked if "$" in substitute(expression, values)]
