"""An alert in a template's parameters: nothing that WhatsApp refuses, within the limit, the first and the id kept."""

from __future__ import annotations

import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.alerts import Alert, RiskEvent
from subscriber.deliveries import Dialect, LengthUnit, MessageLimits, TemplateLimits
from subscriber.policy.rendering import render
from subscriber.policy.wording import short_id
from tests.subscriber.test_rendering import ALERTS, risk, trade

ZONE = ZoneInfo("Europe/Berlin")
#: What WhatsApp refuses in a parameter (netflie/whatsapp-cloud-api#201).
UNFIT = re.compile(r"[\n\r\t]| {5}")


def parameters(alert: Alert, count: int, length: int = 824, **options: Any) -> tuple[str, ...]:
    limits = MessageLimits(Dialect.WHATSAPP, 1600, LengthUnit.UTF16, TemplateLimits(count, length))
    return render(alert, limits, ZONE, **options).parameters


def full() -> RiskEvent:
    return risk(description="Drawdown\nbreached", value=-0.12, threshold=-0.1, agent_name="ppo", action_taken="halt")


def test_channel_without_template_has_no_parameters() -> None:
    """Its messages are text alone."""
    assert render(full(), MessageLimits(Dialect.WHATSAPP, 1600), ZONE).parameters == ()


def test_one_parameter_holds_all_lines_parted_by_dots() -> None:
    """No line break is left."""
    (text,) = parameters(full(), 1)
    assert text.split(" · ")[1:3] == ["Drawdown", "breached"]
    assert text.startswith("🔴 CRITICAL ")
    assert short_id(full()) in text


def test_two_parameters_tell_what_happened_and_the_rest() -> None:
    """The id is the end of the rest."""
    head, rest = parameters(full(), 2)
    assert head.startswith("🔴 CRITICAL ")
    assert rest.startswith("Drawdown · breached · ")
    assert f"id {short_id(full())}" in rest


def test_three_parameters_end_with_the_id() -> None:
    """The default: what happened, the lines between in one, the id and the time."""
    head, middle, foot = parameters(full(), 3)
    assert head.startswith("🔴 CRITICAL ")
    assert "action taken: halt" in middle
    assert foot.startswith(f"id {short_id(full())} · ")


def test_many_parameters_get_a_line_each_and_the_last_place_the_rest() -> None:
    """A list becomes one parameter each."""
    texts = parameters(full(), 5)
    assert texts[1] == "Drawdown · breached"
    assert "12" in texts[2]
    assert texts[3].startswith("action taken: halt · ")


def test_parameters_beyond_the_lines_are_filled() -> None:
    """An empty one would be refused."""
    texts = parameters(trade(rationale=None), 9)
    assert len(texts) == 9
    assert texts[5:8] == ("-", "-", "-")


def test_possible_repeat_is_told_in_a_template_too() -> None:
    """It is no less a repeat."""
    assert "Possible repeat" in parameters(full(), 3, possible_repeat=True)[1]


def test_long_text_is_cut_at_a_word_with_its_id_kept() -> None:
    """And says that it was."""
    _, middle, foot = parameters(risk(description="word " * 2000), 3)
    assert "word…" in middle
    assert foot.endswith("· shortened")


def test_text_of_line_breaks_alone_leaves_room_for_the_rest() -> None:
    """Each break becomes a dot, and is counted as one."""
    head, middle, _ = parameters(risk(description="a\n" * 5000), 3)
    assert head.startswith("🔴 CRITICAL ")
    assert middle.startswith("a · a · a")


@settings(max_examples=300, deadline=None)
@given(alert=ALERTS, count=st.integers(1, 10), length=st.integers(100, 824), repeat=st.booleans())
def test_any_alert_gives_parameters_that_whatsapp_takes(alert: Alert, count: int, length: int, repeat: bool) -> None:
    """As many as the template has, none empty, none with a break, all together within the limit."""
    texts = parameters(alert, count, length, possible_repeat=repeat)
    assert len(texts) == count
    assert all(text.strip() and not UNFIT.search(text) for text in texts)
    assert sum(len(text.encode("utf-16-le")) // 2 for text in texts) <= length


@pytest.mark.parametrize("length", [1, 5, 30])
def test_hardly_any_room_still_gives_parameters(length: int) -> None:
    """A limit that nobody has must not end a worker."""
    assert all(parameters(full(), 3, length))
