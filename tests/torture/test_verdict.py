"""The judge: what it calls lost, marked, unmarked, recovered, unexpected and inverted."""

from __future__ import annotations

import pytest

from tests.torture.run import Plan, Report
from tests.torture.tables import told
from tests.torture.verdict import Acceptance, Verdict, judge

BOTH = frozenset({"telegram", "twilio"})
ONE = frozenset({"telegram"})
REPEAT = "Possible repeat: this may have reached you before."


def took(*texts: str, channel: str = "telegram") -> list[Acceptance]:
    return [Acceptance(channel, text) for text in texts]


def test_judge_token_that_arrived_once_on_each_channel_finds_nothing_wrong() -> None:
    accepted = took("Drawdown T1-1 passed") + took("*T1-1*", channel="twilio")
    verdict = judge({"T1-1": BOTH}, {"T1-1"}, accepted)
    assert verdict.good
    for channel in verdict.channels.values():
        assert (channel.attempted, channel.journaled, channel.accepted) == (1, 1, 1)


def test_judge_journaled_token_that_one_channel_never_took_is_lost_there() -> None:
    verdict = judge({"T1-1": BOTH}, {"T1-1"}, took("T1-1"))
    assert verdict.channels["twilio"].lost == ("T1-1",)
    assert not verdict.channels["telegram"].lost
    assert verdict.lost == 1
    assert not verdict.good


def test_judge_token_that_no_flush_covered_is_never_lost_and_counts_as_recovered_when_it_arrives() -> None:
    verdict = judge({"T1-1": ONE, "T1-2": ONE}, set(), took("T1-2"))
    channel = verdict.channels["telegram"]
    assert (channel.lost, channel.recovered, channel.journaled) == ((), 1, 0)
    assert verdict.good


def test_judge_token_that_is_not_meant_for_a_channel_is_not_missed_there() -> None:
    verdict = judge(
        {"T1-1": ONE, "T1-2": BOTH}, {"T1-1", "T1-2"}, took("T1-1", "T1-2") + took("T1-2", channel="twilio")
    )
    assert verdict.good
    assert verdict.channels["twilio"].attempted == 1


def test_judge_each_repeat_needs_the_mark_in_its_own_text() -> None:
    verdict = judge({"T1-1": ONE}, {"T1-1"}, took("T1-1", f"T1-1\n{REPEAT}", "T1-1"))
    channel = verdict.channels["telegram"]
    assert (channel.marked, channel.unmarked) == (1, ("T1-1",))
    assert verdict.unmarked == 1
    assert not verdict.good


def test_judge_mark_on_the_first_acceptance_is_no_repeat() -> None:
    """An earlier attempt may have failed after all."""
    verdict = judge({"T1-1": ONE}, {"T1-1"}, took(f"T1-1 {REPEAT}"))
    assert verdict.good
    assert verdict.channels["telegram"].marked == 0


@pytest.mark.parametrize("channel", ["telegram", "twilio"])
def test_judge_token_that_was_never_attempted_for_a_channel_is_unexpected(channel: str) -> None:
    verdict = judge({"T1-1": ONE}, {"T1-1"}, took("T1-1") + took("T9-9", channel=channel))
    assert verdict.channels[channel].unexpected == ("T9-9",)
    assert verdict.unexpected == 1
    assert not verdict.good


def test_judge_trade_that_reached_a_channel_without_a_route_is_unexpected() -> None:
    verdict = judge({"T1-1": ONE}, {"T1-1"}, took("T1-1") + took("T1-1", channel="twilio"))
    assert verdict.channels["twilio"].unexpected == ("T1-1",)


def test_judge_tokens_of_a_digest_all_count() -> None:
    assert judge({"T1-1": ONE, "T1-12": ONE}, {"T1-1", "T1-12"}, took("2 events: T1-1, T1-12")).good


def test_judge_token_that_is_the_beginning_of_another_is_told_from_it() -> None:
    verdict = judge({"T1-1": ONE, "T1-12": ONE}, {"T1-1", "T1-12"}, took("T1-12"))
    assert verdict.channels["telegram"].lost == ("T1-1",)


def test_judge_inversions_are_counted_within_an_epoch_and_for_first_acceptances_only() -> None:
    tokens = ["T1-1", "T1-2", "T1-3", "T2-1"]
    accepted = took("T1-3", "T2-1", "T1-1", "T1-2", f"T1-1 {REPEAT}")
    verdict = judge(dict.fromkeys(tokens, ONE), set(tokens), accepted)
    assert verdict.channels["telegram"].inversions == 2
    assert verdict.good


def loss_of(count: int, first: int = 1, stream: str = "0f" * 16) -> str:
    """Say a loss as the daemon does."""
    between = f"between the numbers {first} and {first + count - 1} of the stream {stream}."
    return f"CRITICAL ALERTS_LOST\n{count} alerts of a publisher are lost (not held any more), {between}"


def test_judge_loss_that_is_none_fails_the_run() -> None:
    verdict = judge({"T1-1": ONE}, {"T1-1"}, took("T1-1", loss_of(2)))
    assert verdict.false_losses == (loss_of(2),)
    assert (verdict.declared, verdict.missing) == (2, 0)
    assert not verdict.good


def test_judge_loss_of_what_was_never_journaled_and_never_came_is_true() -> None:
    """Held in memory only when its trader died: no promise was made, and people were told."""
    attempted = {"T1-1": ONE, "T1-2": ONE}
    verdict = judge(attempted, set(), took(loss_of(3), loss_of(3)) + took(loss_of(3), channel="twilio"))
    assert (verdict.declared, verdict.missing) == (3, 2)  # the third is alertbus's own, which says why
    assert verdict.good


def test_judge_losses_of_several_ranges_add_up() -> None:
    verdict = judge({"T1-1": ONE}, set(), took(loss_of(1), loss_of(1, first=7), loss_of(1, first=9)))
    assert (verdict.declared, verdict.missing) == (3, 1)
    assert len(verdict.false_losses) == 3


def test_judge_loss_that_it_cannot_read_fails_the_run() -> None:
    assert not judge({"T1-1": ONE, "T1-2": ONE}, set(), took("CRITICAL ALERTS_LOST\nsomething is lost")).good


def test_judge_system_event_without_a_token_is_no_finding() -> None:
    assert judge({"T1-1": ONE}, {"T1-1"}, took("T1-1", "CRITICAL JOURNAL_FAILED")).good


# --- the report ---------------------------------------------------------------------------------------------


def report_of(verdict: Verdict, **what: list[str]) -> Report:
    report = Report(plan=Plan(seconds=60, seed=7), disks="quota", kills={"claim.after": 3}, verdict=verdict)
    for name, value in what.items():
        setattr(report, name, value)
    return report


def test_report_ends_with_the_two_numbers_over_all_channels() -> None:
    verdict = judge({"T1-1": BOTH, "T1-2": ONE}, {"T1-1", "T1-2"}, took("T1-2", "T1-2"))
    assert told(report_of(verdict))[-2:] == ["lost 2", "duplicated (unmarked) 1"]


def test_report_names_seed_disks_kills_and_what_is_lost() -> None:
    text = "\n".join(told(report_of(judge({"T1-1": ONE}, {"T1-1"}, []))))
    for part in ("seed 7, 60 s, disks: quota", "claim.after  daemon      3", "LOST (telegram): T1-1"):
        assert part in text


@pytest.mark.parametrize("what", ["unreached", "unsettled"])
def test_report_without_a_loss_is_not_good_while_something_was_not_proven(what: str) -> None:
    clean = judge({"T1-1": ONE}, {"T1-1"}, took("T1-1"))
    assert report_of(clean).good
    assert not report_of(clean, **{what: ["something"]}).good
