"""What is planned for each channel: age, counting, groups, escalation, silences and quiet hours, and why."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from typing import Any

import pytest

from bus.alerts import Action, AgentAction, Alert, OpaqueAlert, RiskEvent, Severity, SystemEvent
from bus.clock import to_us
from bus.errors import ConfigurationError
from subscriber.deliveries import DeliveryState, Escalation, Grouping, Handling, Hold, PlannedDelivery, Why
from subscriber.policy.fingerprints import DEFAULT_FIELDS, fingerprint_of
from subscriber.policy.hours_file import Zones
from subscriber.policy.reading import PolicyDocument
from subscriber.policy.routing import Defaults
from subscriber.policy.rules import Rules
from subscriber.policy.rules_file import rules_of
from subscriber.policy.silences import ActiveSilence
from subscriber.setting_groups import zone_of

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
NOON = to_us(datetime(2026, 1, 7, 12, tzinfo=UTC))
MIDNIGHT = NOON + 12 * HOUR
ALL = ("telegram", "whatsapp", "desk")
DEFAULTS = Defaults.of_seconds(86_400, 60, 10)
NIGHT = '[quiet_hours.night]\nwindows = ["22:00-07:00"]\n'
SEVEN = NOON + 19 * HOUR


def rules(toml: str, defaults: Defaults = DEFAULTS) -> Rules:
    document = PolicyDocument(tomllib.loads(toml))
    return rules_of(document, ALL, defaults=defaults, zones=Zones(UTC, zone_of))


def risk(severity: Severity = Severity.WARNING, **fields: Any) -> RiskEvent:
    return RiskEvent(event_type="DRAWDOWN_BREACH", severity=severity, **{"symbol": "TNA", "source": "t", **fields})


def plan(
    found: Rules,
    alert: Alert,
    now_us: int = NOON,
    *silences: ActiveSilence,
    enabled: tuple[str, ...] = ALL,
    dry_run: bool = False,
) -> PlannedDelivery:
    """Return what is planned for the only channel that is."""
    (planned,) = found.plan(alert, now_us, enabled=enabled, dry_run=dry_run, silences=silences)
    return planned


def to_telegram(lines: str = "", rest: str = "") -> Rules:
    return rules(f'[[routes]]\nname = "r"\nchannels = ["telegram"]\n{lines}\n{rest}')


WARNING, CRITICAL = risk(), risk(Severity.CRITICAL)
TRADE = AgentAction(action=Action.BUY, quantity=1.0, symbol="TNA")

# --- age, counting, groups ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "alert", "age"),
    [
        ("", WARNING, DAY),
        ("", TRADE, DAY),
        ("", CRITICAL, None),
        ('max_age = "2h"', WARNING, 2 * HOUR),
        ('max_age = "2h"', CRITICAL, 2 * HOUR),
        ('max_age = "never"', WARNING, None),
    ],
)
def test_max_age_is_the_routes_or_the_default_which_critical_has_not(lines: str, alert: Alert, age: int | None) -> None:
    assert plan(to_telegram(lines), alert).max_age_us == age


@pytest.mark.parametrize(
    ("lines", "alert", "window"),
    [
        ("", WARNING, 60 * SECOND),
        ("", CRITICAL, 10 * SECOND),
        ("", OpaqueAlert(original_kind="x", event_type="X"), 60 * SECOND),
        ("", TRADE, None),
        ("", SystemEvent(event_type="X", severity=Severity.WARNING), None),
        ("dedup = false", WARNING, None),
        ('dedup = { window = "5min" }', WARNING, 300 * SECOND),
        ('dedup = { window = "5min" }', TRADE, 300 * SECOND),
        ('dedup = { window = "5min" }', CRITICAL, 10 * SECOND),
        ('dedup = { critical = "1min" }', CRITICAL, 60 * SECOND),
        ("dedup = { critical = false }", CRITICAL, None),
        ("dedup = { critical = false }", WARNING, 60 * SECOND),
    ],
)
def test_dedup_is_of_risk_events_unless_the_route_says_otherwise(lines: str, alert: Alert, window: int | None) -> None:
    """Each trade is a fact of its own."""
    dedup = plan(to_telegram(lines), alert).dedup
    assert (None if dedup is None else dedup.window_us) == window


def test_dedup_is_by_the_routes_fields() -> None:
    by_default, by_symbol = plan(to_telegram(), WARNING), plan(to_telegram('dedup = { by = ["symbol"] }'), WARNING)
    assert by_default.dedup is not None
    assert by_default.dedup.fingerprint == fingerprint_of(WARNING, DEFAULT_FIELDS, critical=False)
    assert by_symbol.dedup is not None
    assert by_symbol.dedup.fingerprint == fingerprint_of(WARNING, ("symbol",), critical=False)


def test_dedup_that_the_settings_switch_off_is_off_until_a_route_says_otherwise() -> None:
    toml = '[[routes]]\nchannels = ["telegram"]\n'
    assert plan(rules(toml, Defaults()), WARNING).dedup is None
    assert plan(rules(toml + 'dedup = { window = "1min" }', Defaults()), WARNING).dedup is not None
    assert plan(rules(toml + 'dedup = { window = "1min" }', Defaults()), CRITICAL).dedup is None


def test_group_is_of_all_but_critical() -> None:
    found = to_telegram('group = { by = ["symbol"], wait = "5s", interval = "2min" }')
    planned = plan(found, WARNING)
    assert (planned.batch, planned.grouping) == ("group:r:TNA", Grouping(5 * SECOND, 120 * SECOND))
    assert planned.due_at_us == NOON
    assert (plan(found, CRITICAL).batch, plan(found, CRITICAL).grouping) == (None, None)
    assert plan(to_telegram("group = {}"), WARNING).grouping == Grouping(10 * SECOND, 60 * SECOND)


def test_handling_is_what_the_route_says() -> None:
    found = rules(
        '[[routes]]\nname = "r"\nchannels = { telegram = "silent" }\ntemplate = "short"\nfallback = ["desk"]\n'
        '[templates.short]\ntext = "{{ event }}"\n'
    )
    assert plan(found, WARNING).handling == Handling("r", silent=True, template="short", fallbacks=("desk",))
    assert plan(to_telegram("fallback = []"), WARNING).handling.fallbacks == ()
    assert plan(to_telegram(), WARNING).handling.fallbacks is None


def test_escalation_is_carried_by_the_first_delivery_that_is_sent() -> None:
    """An alert has one; a second route's would only look as if it held."""
    found = rules(
        '[[routes]]\nname = "a"\nchannels = ["telegram", "whatsapp"]\nescalate = { to = ["desk"] }\ncontinue = true\n'
        '[[routes]]\nname = "b"\nchannels = ["desk"]\nescalate = { to = ["whatsapp"] }\n'
    )

    def carried(*enabled: str) -> dict[str, tuple[str, ...] | None]:
        planned = found.plan(CRITICAL, NOON, enabled=enabled, dry_run=False)
        return {each.channel: None if each.escalation is None else each.escalation.channels for each in planned}

    assert carried(*ALL) == {"telegram": ("desk",), "whatsapp": None, "desk": None}
    assert carried("desk") == {"telegram": None, "whatsapp": None, "desk": ("whatsapp",)}


def test_escalation_is_of_critical_and_in_turns() -> None:
    found = to_telegram('escalate = { ack_within = "5min", to = ["desk", "whatsapp"], rounds = 2 }')
    assert plan(found, CRITICAL).escalation == Escalation(300 * SECOND, ("desk", "whatsapp") * 2)
    assert plan(found, WARNING).escalation is None
    assert plan(found, CRITICAL, dry_run=True).escalation is None


def test_route_below_another_has_all_from_it_but_what_it_says() -> None:
    found = to_telegram(
        'max_age = "2h"\ngroup = { by = ["symbol"] }\ndedup = { window = "5min" }\nfallback = ["desk"]\n'
        'escalate = { to = ["desk"] }\ntemplate = "short"\nquiet_hours = ["night"]',
        '[[routes.routes]]\nname = "below"\nmatch = { symbol = "TNA" }\nchannels = { telegram = "silent" }\n'
        '[[routes.routes.routes]]\nname = "deep"\nmatch = { source = "t" }\nmax_age = "never"\ngroup = false\n'
        "dedup = false\nfallback = []\nescalate = false\ntemplate = false\nquiet_hours = []\n"
        f'[templates.short]\ntext = "x"\n{NIGHT}',
    )
    below = plan(found, risk(source="other"))
    assert below.handling == Handling("below", silent=True, template="short", fallbacks=("desk",))
    assert below.batch == "group:below:TNA"
    assert (below.max_age_us, below.dedup is None) == (2 * HOUR, False)
    deep = plan(found, CRITICAL, MIDNIGHT)
    assert deep == PlannedDelivery("telegram", MIDNIGHT, handling=Handling("deep", silent=True, fallbacks=()))


# --- quiet hours and silences ------------------------------------------------------------------------------------


def test_what_falls_in_quiet_hours_is_held_until_they_end() -> None:
    """It grows no older meanwhile, is not counted and in no group: it is told with all that was held."""
    found = to_telegram('quiet_hours = ["night"]\nmax_age = "2h"\ngroup = {}', NIGHT)
    held = plan(found, WARNING, MIDNIGHT)
    assert held == PlannedDelivery("telegram", SEVEN, handling=Handling("r"), max_age_us=9 * HOUR, batch="quiet:night")
    assert plan(found, WARNING, SEVEN).due_at_us == SEVEN
    assert plan(found, WARNING, SEVEN).batch == "group:r:"


def test_quiet_hours_of_a_channel_hold_for_every_route() -> None:
    found = to_telegram("", NIGHT + 'channels = ["telegram"]')
    assert plan(found, WARNING, MIDNIGHT).batch == "quiet:night"
    other = rules(f'[[routes]]\nchannels = ["desk"]\n{NIGHT}channels = ["telegram"]\n')
    assert plan(other, WARNING, MIDNIGHT).batch is None
    built_in = rules(NIGHT + 'channels = ["telegram"]')
    assert built_in.built_in
    assert plan(built_in, TRADE, MIDNIGHT).batch == "quiet:night"


def test_quiet_hours_that_drop_suppress_what_is_not_critical() -> None:
    found = to_telegram('quiet_hours = ["night"]', NIGHT + 'others = "dropped"\ncritical = "held"')
    dropped = plan(found, WARNING, MIDNIGHT)
    assert (dropped.state, dropped.why, dropped.batch) == (DeliveryState.SUPPRESSED, Why.SILENCE, "quiet:night")
    assert plan(found, CRITICAL, MIDNIGHT).due_at_us == SEVEN


def test_critical_passes_quiet_hours_with_its_escalation_and_has_none_while_held() -> None:
    lines = 'quiet_hours = ["night"]\nescalate = { to = ["desk"] }'
    through = plan(to_telegram(lines, NIGHT), CRITICAL, MIDNIGHT)
    assert (through.due_at_us, through.batch, through.escalation is None) == (MIDNIGHT, None, False)
    held = plan(to_telegram(lines, NIGHT + 'critical = "held"'), CRITICAL, MIDNIGHT)
    assert (held.due_at_us, held.batch, held.escalation) == (SEVEN, "quiet:night", None)
    assert held.max_age_us is None


def silence(number: int = 1, hours: float = 1, **fields: Any) -> ActiveSilence:
    given = {"starts_us": NOON - HOUR, "ends_us": NOON + round(hours * HOUR), **fields}
    return ActiveSilence.of(number, given.pop("matchers", {"symbol": "TNA"}), **given)


def test_what_a_silence_takes_is_held_until_its_end() -> None:
    held = plan(to_telegram(), WARNING, NOON, silence(7))
    assert held == PlannedDelivery(
        "telegram", NOON + HOUR, handling=Handling("r"), max_age_us=DAY + HOUR, batch="silence:7"
    )


@pytest.mark.parametrize(
    "passes",
    [
        silence(matchers={"symbol": "UPRO"}),
        silence(starts_us=NOON + 1),
        silence(hours=0),
    ],
)
def test_silence_of_others_or_of_another_time_holds_nothing(passes: ActiveSilence) -> None:
    assert plan(to_telegram(), WARNING, NOON, passes).batch is None


def test_silence_that_drops_suppresses() -> None:
    dropped = plan(to_telegram(), WARNING, NOON, silence(3, drops=True))
    assert (dropped.state, dropped.why, dropped.batch) == (DeliveryState.SUPPRESSED, Why.SILENCE, "silence:3")
    assert dropped.due_at_us == NOON


def test_of_several_silences_the_one_that_ends_last_holds() -> None:
    assert plan(to_telegram(), WARNING, NOON, silence(1, 1), silence(2, 3), silence(3, 2)).batch == "silence:2"


def test_critical_passes_a_silence_unless_told_otherwise() -> None:
    found = to_telegram('escalate = { to = ["desk"] }')
    assert plan(found, CRITICAL, NOON, silence()).escalation is not None
    held = plan(found, CRITICAL, NOON, silence(lets_critical=False))
    assert (held.due_at_us, held.batch, held.escalation) == (NOON + HOUR, "silence:1", None)


def test_what_a_silence_holds_into_quiet_hours_is_due_at_their_end() -> None:
    found = to_telegram('quiet_hours = ["night"]', NIGHT)
    held = plan(found, WARNING, NOON, silence(hours=11))
    assert (held.due_at_us, held.batch) == (SEVEN, "silence:1")
    assert held.max_age_us == DAY + 19 * HOUR
    assert plan(found, CRITICAL, NOON, silence(hours=11, lets_critical=False)).due_at_us == NOON + 11 * HOUR


def test_silence_goes_before_quiet_hours_and_after_the_switches() -> None:
    found = to_telegram('quiet_hours = ["night"]', NIGHT)
    here = silence(hours=13)
    assert plan(found, WARNING, MIDNIGHT, here).batch == "silence:1"
    assert plan(found, WARNING, MIDNIGHT, here, enabled=()).why is Why.DISABLED
    assert plan(found, WARNING, MIDNIGHT, here, dry_run=True).why is Why.DRY_RUN
    off = rules('[[routes]]\nchannels = { telegram = "off" }\n[[routes]]\nchannels = ["desk"]\n', DEFAULTS)
    assert plan(off, WARNING, NOON, silence()).why is Why.OFF


def test_silence_with_faulty_matchers_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"match\.colour is not known"):
        silence(matchers={"colour": "red"})


# --- what is let go -------------------------------------------------------------------------------------------------


def test_is_quiet_for_what_a_route_sends_while_its_hours_are_in_force() -> None:
    found = to_telegram('quiet_hours = ["night"]', NIGHT)
    assert found.is_quiet("telegram", "r", MIDNIGHT, critical=False)
    assert not found.is_quiet("telegram", "r", MIDNIGHT, critical=True)
    assert not found.is_quiet("telegram", "r", NOON, critical=False)
    assert not found.is_quiet("telegram", "gone", MIDNIGHT, critical=False)
    by_channel = to_telegram("", NIGHT + 'channels = ["telegram"]\n')
    assert by_channel.is_quiet("telegram", "gone", MIDNIGHT, critical=False)


def test_hold_is_by_a_silence_and_then_by_quiet_hours() -> None:
    found = to_telegram('quiet_hours = ["night"]', NIGHT + 'others = "dropped"\n')
    assert found.hold(WARNING, "telegram", "r", NOON) is None
    assert found.hold(WARNING, "telegram", "r", MIDNIGHT) == Hold("quiet:night", SEVEN)
    assert found.hold(WARNING, "telegram", "gone", MIDNIGHT) is None
    into_the_night = silence(hours=11)
    assert found.hold(WARNING, "telegram", "r", NOON, silences=[into_the_night]) == Hold("silence:1", SEVEN)
    assert found.hold(CRITICAL, "telegram", "r", NOON, silences=[into_the_night]) is None
    assert found.hold(WARNING, "desk", "", NOON, silences=[silence(drops=True)]) == Hold(
        "silence:1", NOON + HOUR, drops=True
    )
