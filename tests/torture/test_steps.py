"""The named steps exist; one that does not ends the run before it begins."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.torture import steps
from tests.torture.__main__ import EXIT_USAGE, main
from tests.torture.breaks import BREAKS
from tests.torture.nemesis import NEMESES
from tests.torture.orders import Orders
from tests.torture.slots import KillPlan
from tests.torture.steps import STEPS, StepMissing, check, chosen, resolve


def test_steps_are_all_found_in_the_product() -> None:
    check()


def test_steps_have_names_of_their_own() -> None:
    assert max(Counter(step.name for step in STEPS).values()) == 1


@pytest.mark.parametrize(
    "target",
    ["publisher.gone:Journal", "publisher.journal:Gone.append", "publisher.journal:Journal.gone", "publisher.journal:"],
)
def test_resolve_name_that_is_gone_raises(target: str) -> None:
    with pytest.raises(StepMissing, match="correct the table"):
        resolve(target)


def test_check_step_that_is_no_function_any_more_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "STEPS", (replace(STEPS[0], target="bus.clock:MICROSECONDS"),))
    with pytest.raises(StepMissing, match="No function"):
        check()


def test_run_with_a_step_that_is_gone_ends_at_once_and_loudly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "STEPS", (*STEPS, replace(STEPS[0], target="publisher.journal:Journal.gone")))
    assert main(["--folder", str(tmp_path)]) == EXIT_USAGE
    assert "publisher.journal:Journal.gone" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_run_with_a_step_of_an_unknown_name_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--steps", "claim.after,gone"]) == EXIT_USAGE
    err = capsys.readouterr().err
    assert "No step is called gone" in err
    assert "claim.after" in err


def test_chosen_takes_all_none_and_a_list() -> None:
    assert chosen("all") == STEPS
    assert chosen("none") == ()
    assert [step.name for step in chosen("claim.after,send.after")] == ["claim.after", "send.after"]


def test_plan_draws_the_same_steps_from_the_same_seed() -> None:
    first, second = (KillPlan(STEPS, Random("7/daemon")) for _ in range(2))
    drawn = [(first.next(), second.next()) for _ in range(50)]
    assert all(one == other for one, other in drawn)


def test_plan_comes_to_every_step_before_it_comes_to_one_again() -> None:
    plan = KillPlan(STEPS, Random(1))
    while len(plan.kills) < len(STEPS):
        step = plan.next()
        if step is not None:
            plan.kills[step.name] += 1
    assert set(plan.kills.values()) == {1}


def test_plan_without_steps_leaves_everything_to_chance() -> None:
    assert KillPlan((), Random(1)).next() is None


def test_orders_survive_the_pipe() -> None:
    orders = Orders(step="claim.after", passing=3, epoch=12, close_after=2)
    assert Orders.read(orders.line().decode()) == orders


@pytest.mark.parametrize("names", [*BREAKS, *NEMESES])
def test_names_are_in_the_documentation(names: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "torture.md"
    assert f"`{names}`" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_steps_are_in_the_documentation(step: steps.Step) -> None:
    page = Path(__file__).parents[2] / "docs" / "torture.md"
    assert f"`{step.name}`" in page.read_text(encoding="utf-8")
