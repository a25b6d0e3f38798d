"""The tests of the rules can fail: each alert that is broken on purpose, in each way, is found out by one of them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped] # has no types
from promql_parser import BinaryExpr, Expr, transform

from tests.dashboards.promql_read import nodes, parsed
from tests.dashboards.rules_read import WATCHDOG, alerts, records, test_files, unit_tests
from tests.support.tools import needed

_NEGATED: Final = {"==": "!=", "!=": "==", ">": "<=", "<": ">=", ">=": "<", "<=": ">"}
_COMPARISON: Final = re.compile(r" (==|!=|>=|<=|>|<) ")
#: How several daemons' words become one, and what would be wrong instead.
_AGGREGATED: Final = {"max by": "sum by", "min by": "max by", "sum by": "max by"}
_AGGREGATION: Final = re.compile(r"\b(?:max|min|sum) by\b")
#: What bridges a missed scrape, and a restart.
_BRIDGE: Final = re.compile(r"\b(?:max|min|avg|last)_over_time\((\w+)\[\w+\]\)")
_SETS: Final = frozenset({"and", "or", "unless"})
#: What changes nothing that anybody could see: the alert, the way, and why.
EQUIVALENT: Final = {
    ("AlertbusChannelSwitchedOff", "max by to sum by, no. 1"): "of 0 and 1 the sum is 0 where the largest is",
}


def broken(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each way of breaking an alert, in words, with the broken rule."""
    rule = alerts()[name]
    if "for" in rule:
        yield "no for", {key: value for key, value in rule.items() if key != "for"}
    for words, expression in _expressions(rule["expr"]):
        yield words, {**rule, "expr": expression}


def _expressions(expression: str) -> Iterator[tuple[str, str]]:
    for number, found in enumerate(_COMPARISON.finditer(expression), 1):
        other = _NEGATED[found[1]]
        yield f"{found[1]} to {other}, no. {number}", expression[: found.start(1)] + other + expression[found.end(1) :]
    for number, found in enumerate(_AGGREGATION.finditer(expression), 1):
        other = _AGGREGATED[found[0]]
        yield f"{found[0]} to {other}, no. {number}", expression[: found.start()] + other + expression[found.end() :]
    for number, found in enumerate(_BRIDGE.finditer(expression), 1):
        yield f"one scrape alone, no. {number}", expression[: found.start()] + found[1] + expression[found.end() :]
    yield from _without_a_side(parsed(expression))


def _without_a_side(tree: Expr) -> Iterator[tuple[str, str]]:
    """Yield a tree as text with each `and`, `or` and `unless` replaced by its left side, and by its right side."""
    joints = [node for node, _above in nodes(tree) if isinstance(node, BinaryExpr) and str(node.op) in _SETS]
    for number, joint in enumerate(joints, 1):
        for side, rest in (("left", joint.lhs), ("right", joint.rhs)):
            text = joint.prettify()

            def replaced(node: Expr, text: str = text, rest: Expr = rest) -> Expr | None:
                return rest if isinstance(node, BinaryExpr) and node.prettify() == text else None

            yield f"{joint.op} no. {number}, its {side} side alone", transform(tree, replaced).prettify()


def judged(promtool: str, folder: Path, name: str, rule: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run what looks at one alert with this rule in its place."""
    recorded = [
        {"record": record, "expr": expression} for record, expression in records().items() if record in used(rule)
    ]
    rules = {"groups": [{"name": "broken", "rules": [*recorded, rule]}]}
    (folder / "rules.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    written = []
    for path, found in test_files().items():
        tests = [test.about(name) for test in unit_tests() if test.path == path]
        looking = [test for test in tests if test is not None]
        if looking:
            head = {"rule_files": ["rules.yml"], "evaluation_interval": found["evaluation_interval"]}
            (folder / path.name).write_text(yaml.safe_dump({**head, "tests": looking}), encoding="utf-8")
            written.append(path.name)
    command = [promtool, "test", "rules", *written]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def used(rule: dict[str, Any]) -> frozenset[str]:
    """Return the recorded series that a rule needs, those of its own ones included."""
    found = {record for record in records() if record in rule["expr"]}
    return frozenset(found | {below for record in found for below in records() if below in records()[record]})


@pytest.mark.parametrize("name", alerts())
def test_an_alert_that_is_broken_in_any_way_fails_a_test(name: str, tmp_path: Path) -> None:
    promtool = needed("promtool", "apt install prometheus")
    whole = judged(promtool, tmp_path, name, alerts()[name])
    assert whole.returncode == 0, whole.stdout + whole.stderr
    ways = dict(broken(name))
    assert ways or name == WATCHDOG
    unnoticed = set()
    for words, rule in ways.items():
        done = judged(promtool, tmp_path, name, rule)
        if done.returncode == 0:
            unnoticed.add((name, words))
        else:
            assert "got:" in done.stdout + done.stderr, f"{words}: {done.stdout}{done.stderr}"
    assert unnoticed == {known for known in EQUIVALENT if known[0] == name}
