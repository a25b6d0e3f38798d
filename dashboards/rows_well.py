"""The row that a person looks at first: is it well?"""

from __future__ import annotations

from typing import Final

from dashboards.panels import (
    AGO,
    COUNT,
    SECONDS,
    SHARE,
    Figure,
    Panel,
    at_end,
    colours,
    figure,
    named_if_several,
    none_is_well,
    one_below_the_other,
    value_only,
    word,
)
from dashboards.promql import CHANNEL, counted, first_of, highest, lowest, moment, quantile_in_all, select

_DELIVERIES: Final = "alertbus_deliveries_total"
_GIVEN_UP: Final = 'state=~"dead|expired"'
_ENDED: Final = 'state=~"accepted|dead|expired"'
_END_TO_END: Final = "alertbus_end_to_end_seconds"
#: What people are promised: the share of the deliveries that end accepted, and the share that is taken in time.
_PROMISED: Final = 0.99
_PROMISED_IN_TIME: Final = 0.95
#: Seconds from publish() to the provider's acceptance: a CRITICAL is late from here on, and a WARNING.
CRITICAL_LATE: Final = 10
WARNING_LATE: Final = 60


def is_it_well() -> tuple[Panel, ...]:
    """Return the figures that a person looks at first."""
    channels = (_channels(), _accepted(), _usual_time(), _last_success())
    alerts = (_in_time(), _budget(), _criticals(), _given_up())
    return (*channels, *alerts, _lost(), _ledger(), _sending(), _daemons())


def _channels() -> Figure:
    state = first_of(
        f"5 * (max by (channel) (1 - {select('alertbus_channel_enabled', CHANNEL)}) == 1)",
        f"4 * ({highest('alertbus_channel_paused', CHANNEL, by='channel')} == 1)",
        f"3 * (max by (channel) (1 - {select('alertbus_channel_up', CHANNEL)}) == 1)",
        f"2 * ({highest('alertbus_breaker_open', CHANNEL, by='channel')} == 1)",
        lowest("alertbus_channel_up", CHANNEL, by="channel"),
    )
    channels = figure(
        "Channels",
        "Whether each channel delivers. Paused: its credential or target was refused, and it waits until a person "
        "mends that and resumes it. Error: three failures in a row; it is tried again. Probing: it failed often, so "
        "that single messages try it out. Off: a person switched it off, and what comes for it is suppressed.",
        at_end(state, "{{channel}}"),
        unit=COUNT,
        width=6,
        alarms=("AlertbusChannelDown", "AlertbusChannelSwitchedOff"),
    )
    return channels.mappings(
        [
            word(1, "OK", "green"),
            word(2, "Probing", "orange"),
            word(3, "Error", "red"),
            word(4, "Paused", "red"),
            word(5, "Off", "orange"),
        ]
    )


def _accepted() -> Figure:
    accepted = counted(_DELIVERIES, CHANNEL, 'state="accepted"', by="channel")
    ended = counted(_DELIVERIES, CHANNEL, _ENDED, by="channel")
    return (
        figure(
            "Deliveries accepted",
            "Of the deliveries that ended in the time shown, the share that the provider took; the others are dead or "
            "expired. Promised are 99 %. A channel where none ended is not shown.",
            at_end(f"{accepted} / ({ended} > 0)", "{{channel}}"),
            unit=SHARE,
            width=6,
            alarms=("AlertbusSuccessBurningFast", "AlertbusSuccessBurningSlow"),
        )
        .thresholds(colours("red", (_PROMISED_IN_TIME, "orange"), (_PROMISED, "green")))
        .no_value("None ended")
    )


def _usual_time() -> Figure:
    return (
        figure(
            "From publish to the provider, 95 %",
            "The provider took 95 of 100 alerts within this time after publish(), in the time shown; estimated from "
            "buckets. A channel that sent nothing is not shown.",
            at_end(quantile_in_all(0.95, _END_TO_END, CHANNEL), "{{channel}}"),
            unit=SECONDS,
            width=6,
            alarms=("AlertbusCriticalLate", "AlertbusWarningLate"),
        )
        .thresholds(colours("green", (CRITICAL_LATE, "orange"), (WARNING_LATE, "red")))
        .no_value("None sent")
    )


def _last_success() -> Figure:
    taken = figure(
        "Last message taken",
        "When each channel's provider last took a message. Long ago is well where there was nothing to tell: send a "
        "test message where you doubt it.",
        at_end(moment("alertbus_channel_last_success_timestamp_seconds", CHANNEL, by="channel"), "{{channel}}"),
        unit=AGO,
        width=6,
        alarms=("AlertbusChannelDown",),
    ).mappings([word(0, "Never", "orange")])
    return one_below_the_other(taken)


def _in_time() -> Figure:
    return (
        figure(
            "Taken in time",
            "Of the alerts that providers took in the time shown, the share taken within 10 seconds after publish() "
            "(CRITICAL) and within a minute (WARNING). Promised are 95 %. Not shown where there was none.",
            at_end(_share_within(CRITICAL_LATE, "CRITICAL"), "CRITICAL"),
            at_end(_share_within(WARNING_LATE, "WARNING"), "WARNING"),
            unit=SHARE,
            width=6,
            alarms=("AlertbusCriticalLate", "AlertbusWarningLate"),
        )
        .thresholds(colours("red", (_PROMISED_IN_TIME, "green")))
        .no_value("None sent")
    )


def _share_within(seconds: float, severity: str) -> str:
    of_severity = f'severity="{severity}"'
    within = counted(f"{_END_TO_END}_bucket", CHANNEL, of_severity, f'le="{float(seconds)}"')
    return f"{within} / ({counted(f'{_END_TO_END}_count', CHANNEL, of_severity)} > 0)"


def _budget() -> Figure:
    given_up = counted(_DELIVERIES, CHANNEL, _GIVEN_UP)
    ended = counted(_DELIVERIES, CHANNEL, _ENDED)
    return value_only(
        figure(
            "Error budget spent",
            "Of the failures that the promise allows (one delivery of a hundred that end), how much the time shown "
            "has spent. Over 100 % the promise is broken; where few messages are sent, one dead letter does that.",
            at_end(f"{given_up} / ({ended} > 0) / {1 - _PROMISED:.2g}", "spent"),
            unit=SHARE,
            width=6,
            alarms=("AlertbusSuccessBurningFast", "AlertbusSuccessBurningSlow"),
        )
        .thresholds(colours("green", (0.5, "orange"), (1, "red")))
        .no_value("None ended")
    )


def _criticals() -> Figure:
    return figure(
        "CRITICALs that need a person",
        "unacknowledged: CRITICALs of the last day that nobody acknowledged yet. uncovered: CRITICAL deliveries that "
        "wait because no channel is switched on for them; switch one on.",
        at_end(highest("alertbus_unacknowledged_critical_alerts"), "unacknowledged"),
        at_end(highest("alertbus_uncovered_critical_deliveries"), "uncovered"),
        unit=COUNT,
        width=6,
        alarms=("AlertbusCriticalUnacknowledged", "AlertbusCriticalUncovered"),
    ).thresholds(colours("green", (1, "red")))


def _given_up() -> Figure:
    return none_is_well(
        figure(
            "Deliveries given up",
            "Deliveries that became dead (refused for good) or expired (older than their route allows) in the time "
            "shown. Dead ones are kept and can be sent again.",
            at_end(counted(_DELIVERIES, CHANNEL, _GIVEN_UP, by="channel"), "{{channel}}"),
            unit=COUNT,
            width=6,
            alarms=("AlertbusDeadLetters", "AlertbusExpired"),
        )
    )


def _lost() -> Figure:
    lost = figure(
        "Alerts lost",
        "Alerts that no publisher holds any more, noticed in the time shown by the numbers missing in a stream. They "
        "are told as CRITICAL too.",
        at_end(counted("alertbus_alerts_lost_total"), "lost"),
        unit=COUNT,
        width=6,
        alarms=("AlertbusAlertsLost",),
    )
    return none_is_well(value_only(lost))


def _ledger() -> Figure:
    # Minus one before the first audit: no fault was found then, and none was looked for.
    audited = f"{select('alertbus_audit_timestamp_seconds')} > bool 0"
    faults = f"max by (instance) ({select('alertbus_audit_faults')} + ({audited}) - 1)"
    return named_if_several(
        figure(
            "Faults in the ledger",
            "What the last audit found of alerts, deliveries and numbers that do not balance; `alertbus-subscriber "
            "audit` lists them. A daemon audits itself half a minute after its start, and then each hour.",
            at_end(faults, "{{instance}}"),
            unit=COUNT,
            width=6,
            alarms=("AlertbusLedgerOutOfBalance",),
        )
        .thresholds(colours("green", (1, "red")))
        .mappings([word(0, "It balances", "green"), word(-1, "Not audited yet", "blue")])
    )


def _sending() -> Figure:
    sending = figure(
        "Sending",
        "In a dry run everything happens but the sending: there are no credentials, or --dry-run was given.",
        at_end(highest("alertbus_dry_run"), "sending"),
        unit=COUNT,
        width=6,
        alarms=("AlertbusDryRun",),
    )
    return value_only(sending).mappings([word(0, "For real", "green"), word(1, "Dry run", "orange")])


def _daemons() -> Figure:
    daemons = figure(
        "Daemons that answer",
        "How many daemons Prometheus could read at the end of the time shown.",
        at_end(f"count ({select('alertbus_build_info')})", "daemons"),
        unit=COUNT,
        width=6,
        alarms=("AlertbusDown",),
    )
    return value_only(daemons).thresholds(colours("red", (1, "green"))).no_value("None")
