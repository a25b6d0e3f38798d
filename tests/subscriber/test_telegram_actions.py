"""What commands and buttons do, and what people are answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone
from uuid import UUID

import pytest

from bus.alerts import RiskEvent, Severity
from bus.errors import ConfigurationError
from subscriber.channels.telegram_updates import Command, Place, Pressed, command_of
from subscriber.policy.buttons import ButtonAction, button_of
from subscriber.policy.silences import ActiveSilence
from subscriber.telegram_actions import HELP, Described, Person, exactly
from tests.support.alerts import risk_event
from tests.support.telegram_bench import ALERT, CRITICAL, OTHER_ALERT, Notebook

ZONE = timezone(timedelta(hours=2), "CEST")


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def person(notebook: Notebook) -> Person:
    return Person(notebook.actions(), ZONE)


def asked(person: Person, text: str, age_seconds: float = 0.0) -> str | None:
    """Write a command."""
    command = command_of(text)
    assert command is not None
    return person.command(command, "Ada", "telegram", age_seconds)


def pressed(person: Person, action: ButtonAction, alert: UUID = ALERT) -> str:
    """Press a button, and return what is seen at once."""
    return person.press(Pressed(1, Place(5), "Ada", "1", 1, button_of(action, alert).data)).text


# --- /ack --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", ["deadbeef", "DEADBEEF", ALERT.hex, str(ALERT)])
def test_ack_takes_an_id_as_it_is_read_or_copied(person: Person, notebook: Notebook, digits: str) -> None:
    told = asked(person, f"/ack {digits}")
    assert told == "Acknowledged: DRAWDOWN TNA (id deadbeef). Nobody further is woken for it."
    assert notebook.acknowledged == {ALERT: "Ada"}


def test_ack_a_second_time_says_who_did(person: Person, notebook: Notebook) -> None:
    notebook.acknowledged[ALERT] = "Bob"
    assert asked(person, "/ack deadbeef") == "DRAWDOWN TNA (id deadbeef) was acknowledged before, by Bob."


def test_ack_of_an_end_that_several_ids_have_asks_which(person: Person, notebook: Notebook) -> None:
    notebook.alerts[OTHER_ALERT] = CRITICAL
    told = asked(person, "/ack deadbeef")
    assert told == f"deadbeef is the end of several ids. Which one do you mean?\n{ALERT.hex}\n{OTHER_ALERT.hex}"
    assert notebook.done == []


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("/ack 12345678", "There is no alert 12345678."),
        ("/ack", "No CRITICAL alert waits for you."),
        ("/ack 1234567", "/ack takes the id below a message"),
        ("/ack drawdown", "/ack takes the id below a message"),
        ("/ack " + "a" * 33, "/ack takes the id below a message"),
        ("/ack %", "/ack takes the id below a message"),
    ],
)
def test_ack_of_nothing_says_so(person: Person, notebook: Notebook, text: str, reply: str) -> None:
    told = asked(person, text)
    assert told is not None
    assert told.startswith(reply)
    assert notebook.done == []


# --- /mute -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "matchers", "seconds"),
    [
        ("/mute", {}, 3600),
        ("/mute 30min", {}, 1800),
        ("/mute 1h30min TNA", {"symbol": "TNA"}, 5400),
        ("/mute tna", {"symbol": "TNA"}, 3600),
        ("/mute drawdown TNA", {"event_type": "DRAWDOWN", "symbol": "TNA"}, 3600),
        ("/mute never", None, None),
        ("/mute 2d symbol=U* agent=!backtest-*", {"symbol": "U*", "agent_name": "!backtest-*"}, 172_800),
        ("/mute event=NEVER_SEEN", {"event_type": "NEVER_SEEN"}, 3600),
        ("/mute buy", {"action": "BUY"}, 3600),
        ("/mute event=SELL TNA", {"action": "SELL", "symbol": "TNA"}, 3600),
        ("/mute action=!HOLD", {"action": "!HOLD"}, 3600),
        ("/mute 8d", None, None),
        ("/mute 0s", None, None),
        ("/mute 5", None, None),
        ("/mute 5 apples", None, None),
        ("/mute TNA TNA", None, None),
        ("/mute UNKNOWN", None, None),
        ("/mute description=x", None, None),
        ("/mute TNA 1h", None, None),
    ],
)
def test_mute_means_a_silence_or_says_what_it_does_not_understand(
    person: Person, notebook: Notebook, text: str, matchers: dict[str, str] | None, seconds: float | None
) -> None:
    """A typing error must not mute something else, or for another time; CRITICAL is never held by it."""
    told = asked(person, text)
    assert told is not None
    if matchers is None:
        assert notebook.done == []
        assert not told.startswith("Muted")
    else:
        assert notebook.done == [("mute", matchers, seconds, "Ada", "/mute", "telegram", False)]
        assert told.startswith("Muted: ")
        assert told.endswith("CRITICAL is told all the same. /unmute ends it.")


def test_mute_says_until_when_by_the_readers_clock(person: Person) -> None:
    told = asked(person, "/mute 1h TNA")
    assert told == "Muted: symbol TNA, until Thu 11:53 CEST. CRITICAL is told all the same. /unmute ends it."


def test_mute_with_a_pattern_that_is_none_says_why(person: Person, notebook: Notebook) -> None:
    def fail() -> None:
        raise ConfigurationError("match.symbol must be a text.")

    notebook.fail = fail
    assert asked(person, "/mute symbol=") == "That can't be muted. match.symbol must be a text."


def test_unmute_says_how_many_ended(person: Person) -> None:
    asked(person, "/mute")
    assert asked(person, "/unmute") == "Ended: 1 silence. What was held is told now."
    assert asked(person, "/unmute") == "Nothing is muted."


def test_mute_button_holds_what_is_like_the_alert_and_nothing_else(person: Person, notebook: Notebook) -> None:
    """Nothing of an alert's own text is a pattern; below a WARNING a CRITICAL is still told."""
    notebook.alerts[ALERT] = Described("LIMIT[1]*", None, "!desk?", Severity.WARNING)
    assert pressed(person, ButtonAction.MUTE) == "Muted until Thu 11:53 CEST by Ada. /unmute ends it."
    [(_, matchers, *_, critical)] = notebook.done
    assert critical is False
    assert isinstance(matchers, dict)
    silence = ActiveSilence.of(1, matchers, starts_us=0, ends_us=2)

    def holds(event_type: str, source: str) -> bool:
        alert: RiskEvent = risk_event(event_type=event_type, source=source, symbol=None)
        return silence.holds(alert, 1, critical=False)

    assert holds("LIMIT[1]*", "!desk?")
    assert not holds("LIMIT1x", "!desk?")
    assert not holds("LIMIT[1]*", "!desks")


def test_mute_button_below_an_alert_without_symbol_holds_none_of_a_symbol(person: Person, notebook: Notebook) -> None:
    """A CRITICAL that the person has not seen is not muted with the one that they have."""
    notebook.alerts[ALERT] = Described("MARGIN_CALL", None, "trader-1", Severity.CRITICAL)
    pressed(person, ButtonAction.MUTE)
    [(_, matchers, *_, critical)] = notebook.done
    assert critical is True
    assert isinstance(matchers, dict)
    silence = ActiveSilence.of(1, matchers, starts_us=0, ends_us=2, lets_critical=False)
    like = {"event_type": "MARGIN_CALL", "source": "trader-1", "severity": "CRITICAL"}
    assert silence.holds(risk_event(**like, symbol=None), 1, critical=True)
    assert not silence.holds(risk_event(**like, symbol="TNA"), 1, critical=True)


def test_mute_button_below_an_own_event_is_refused(person: Person, notebook: Notebook) -> None:
    """One that an older version put there; what stands below the message stays."""
    notebook.alerts[ALERT] = replace(CRITICAL, can_be_muted=False)
    told = person.press(Pressed(1, Place(5), "Ada", "1", 1, button_of(ButtonAction.MUTE, ALERT).data))
    assert (told.text.endswith("Nothing is muted."), told.buttons) == (True, None)
    assert len(told.text) <= 200
    assert notebook.done == []


@pytest.mark.parametrize("value", ["TNA", "BRK.B", "a*b", "[x]", "?", "!x", "x!", "]", "[!a]"])
def test_exactly_is_a_matcher_that_takes_the_value(value: str) -> None:
    silence = ActiveSilence.of(1, {"event_type": exactly(value)}, starts_us=0, ends_us=2)
    assert silence.holds(risk_event(event_type=value), 1, critical=False)
    assert not silence.holds(risk_event(event_type=f"{value}z"), 1, critical=False)


# --- the rest ----------------------------------------------------------------------------------------------------


def test_help_names_every_command(person: Person, notebook: Notebook) -> None:
    """Each of them is one; `/start` is what Telegram's own button sends."""
    assert asked(person, "/start") == asked(person, "/help") == HELP
    for line in HELP.splitlines():
        assert asked(person, line.partition(":")[0].partition(" ")[0]) is not None
    assert asked(person, "/weather") is None


@pytest.mark.parametrize(("name", "done"), [("mute", 0), ("unmute", 0), ("test", 0), ("status", 1)])
def test_command_that_comes_late_is_done_only_where_it_means_the_same(
    person: Person, notebook: Notebook, name: str, done: int
) -> None:
    told = person.command(Command(name, None, ()), "Ada", "telegram", 601)
    assert len(notebook.done) == done
    assert told is not None
    assert ("10 minutes ago" in told) is not bool(done)
