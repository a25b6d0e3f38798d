"""Telegram's limits to the letter: what passes, what is refused, and for how long."""

from __future__ import annotations

import requests

from tests.support.clock import FakeClock
from tests.support.provider_server import TELEGRAM_CHAT, TELEGRAM_GROUP, TELEGRAM_TOKEN, ProviderServer
from tests.support.strict_limits import (
    BOT_MESSAGES,
    CHAT_BURST,
    GROUP_MESSAGES,
    PAIR_BURST,
    PAIR_SECONDS,
    PairLimits,
    StrictLimits,
)
from tests.support.telegram_rules import TelegramRules


def sent_each(limits: StrictLimits, clock: FakeClock, chat: str, seconds: float, count: int) -> list[int | None]:
    """Send so often, so many seconds apart, and return what was asked."""
    asked = []
    for _ in range(count):
        asked.append(limits.wait_asked(chat))
        clock.advance(seconds)
    return asked


def test_chat_takes_one_message_a_second_for_ever() -> None:
    clock = FakeClock()
    limits = StrictLimits(clock)
    assert sent_each(limits, clock, TELEGRAM_CHAT, 1.0, 200) == [None] * 200
    assert limits.refusals == []


def test_chat_takes_a_short_burst_and_no_longer_one() -> None:
    clock = FakeClock()
    limits = StrictLimits(clock)
    assert sent_each(limits, clock, TELEGRAM_CHAT, 0.0, CHAT_BURST + 1) == [None] * CHAT_BURST + [1]
    assert [(one.chat, one.rule) for one in limits.refusals] == [(TELEGRAM_CHAT, "chat")]


def test_chat_that_is_sent_slightly_too_much_is_refused_in_the_end() -> None:
    clock = FakeClock()
    limits = StrictLimits(clock)
    assert any(sent_each(limits, clock, TELEGRAM_CHAT, 0.9, 60))


def test_group_takes_twenty_in_any_minute() -> None:
    clock = FakeClock()
    limits = StrictLimits(clock)
    assert sent_each(limits, clock, TELEGRAM_GROUP, 1.5, GROUP_MESSAGES) == [None] * GROUP_MESSAGES
    assert limits.wait_asked(TELEGRAM_GROUP) == 30
    assert limits.refusals[0].rule == "group"
    clock.advance(30)
    assert limits.wait_asked(TELEGRAM_GROUP) is None


def test_chat_that_was_told_to_wait_is_refused_until_it_has() -> None:
    clock = FakeClock()
    limits = StrictLimits(clock)
    asked = sent_each(limits, clock, TELEGRAM_GROUP, 1.0, GROUP_MESSAGES + 2)
    assert asked[GROUP_MESSAGES:] == [40, 39]
    assert [one.rule for one in limits.refusals] == ["group", "waiting"]
    assert limits.wait_asked(TELEGRAM_CHAT) is None


def test_bot_takes_thirty_a_second_over_all_its_chats() -> None:
    clock = FakeClock()
    limits = StrictLimits(clock)
    assert [limits.wait_asked(f"555{chat}") for chat in range(BOT_MESSAGES + 1)] == [None] * BOT_MESSAGES + [1]
    assert limits.refusals[0].rule == "bot"
    clock.advance(1.0)
    assert limits.wait_asked("555999") is None


def test_pair_takes_a_burst_of_which_each_message_is_paid_back_in_six_seconds() -> None:
    clock = FakeClock()
    limits = PairLimits(clock)
    assert [limits.takes("us", "a") for _ in range(PAIR_BURST + 1)] == [True] * PAIR_BURST + [False]
    assert limits.takes("us", "b")
    clock.advance(PAIR_SECONDS)
    assert [limits.takes("us", "a"), limits.takes("us", "a")] == [True, False]
    clock.advance(PAIR_BURST * PAIR_SECONDS)
    assert all(limits.takes("us", "a") for _ in range(PAIR_BURST))
    assert limits.refusals == ["a", "a"]


def test_rules_with_limits_answer_429_and_accept_nothing() -> None:
    clock = FakeClock()
    with ProviderServer(telegram=TelegramRules(limits=StrictLimits(clock))) as server:
        url = f"{server.url}/bot{TELEGRAM_TOKEN}/sendMessage"
        message = {"chat_id": TELEGRAM_CHAT, "text": "Drawdown"}
        answers = [requests.post(url, json=message, timeout=60) for _ in range(CHAT_BURST + 1)]
        assert [answer.status_code for answer in answers] == [200] * CHAT_BURST + [429]
        assert answers[-1].json()["parameters"] == {"retry_after": 1}
        assert len(server.telegram.accepted) == CHAT_BURST
