"""The row about the queue: what waits, what was given up, and what is told otherwise."""

from __future__ import annotations

from typing import Final

from dashboards.panels import (
    COUNT,
    PER_MINUTE,
    SECONDS,
    Figure,
    Graph,
    Panel,
    figure,
    graph,
    none_is_well,
    over_time,
    with_bounds,
    with_history,
)
from dashboards.promql import CHANNEL, age, highest, per_minute

_DELIVERIES: Final = "alertbus_deliveries_total"
#: Seconds; what waits this long for nothing but its channel raises an alarm.
_OVERDUE: Final = 300
#: Seconds; a CRITICAL that nobody acknowledged for so long raises one too.
_UNACKNOWLEDGED: Final = 1800


def queue() -> tuple[Panel, ...]:
    """Return what waits, and what is not sent any more."""
    not_sent = (_dead_letters(), _given_up(), _suppressed(), _held())
    return (_waiting(), _oldest(), _overdue(), *not_sent, _digests(), _people(), _unacknowledged())


def _waiting() -> Graph:
    return graph(
        "Waiting deliveries",
        "Deliveries that wait to be sent or tried again. Daemons that share a database tell the same number; of "
        "several databases the fullest is shown.",
        over_time(highest("alertbus_queue_deliveries", CHANNEL, by="channel"), "{{channel}}"),
        unit=COUNT,
        width=8,
        alarms=("AlertbusQueueOverdue",),
    )


def _oldest() -> Graph:
    return graph(
        "Age of the oldest waiting",
        "How long ago the oldest waiting delivery was published, whatever it waits for; 0 while none waits.",
        over_time(age("alertbus_queue_oldest_timestamp_seconds", CHANNEL, by="channel"), "{{channel}}"),
        unit=SECONDS,
        width=8,
    )


def _overdue() -> Graph:
    overdue = graph(
        "Age of the oldest overdue",
        "How long ago the oldest delivery was published that waits for nothing but its channel: not for a digest, a "
        "silence or quiet hours. From 5 minutes on (the line) a person should look at the channel.",
        over_time(age("alertbus_queue_overdue_timestamp_seconds", CHANNEL, by="channel"), "{{channel}}"),
        unit=SECONDS,
        width=8,
        alarms=("AlertbusQueueOverdue",),
    )
    return with_bounds(overdue, (_OVERDUE, "red"))


def _dead_letters() -> Figure:
    letters = figure(
        "Dead letters",
        "Deliveries that are dead now: refused for good, and kept. `alertbus-subscriber dead-letters list` says why; "
        "`dead-letters retry` sends them again.",
        over_time(highest("alertbus_dead_letters", CHANNEL, by="channel"), "{{channel}}"),
        unit=COUNT,
        width=6,
        alarms=("AlertbusDeadLetters",),
    )
    return with_history(none_is_well(letters))


def _given_up() -> Graph:
    states = 'state=~"dead|expired"'
    return graph(
        "Given up",
        "dead: refused for good; kept, and can be sent again. expired: older than their route allows.",
        over_time(per_minute(_DELIVERIES, CHANNEL, states, by="channel, state"), "{{channel}} {{state}}"),
        unit=PER_MINUTE,
        width=6,
        alarms=("AlertbusDeadLetters", "AlertbusExpired"),
    )


def _suppressed() -> Graph:
    suppressed = per_minute("alertbus_deliveries_suppressed_total", CHANNEL, by="channel, why")
    return graph(
        "Not sent on purpose",
        "Deliveries that a silence, a repetition (dedup), a channel that is off (off, disabled), a dry run or an "
        "acknowledgement made superfluous.",
        over_time(suppressed, "{{channel}} {{why}}"),
        unit=PER_MINUTE,
        width=6,
        alarms=("AlertbusChannelSwitchedOff",),
    )


def _held() -> Graph:
    return graph(
        "Held, and silences",
        "held: deliveries that wait for the end of a silence or of quiet hours, and are told then. silences: how many "
        "hold or drop alerts now.",
        over_time(highest("alertbus_held_deliveries"), "held"),
        over_time(highest("alertbus_silences_active"), "silences"),
        unit=COUNT,
        width=6,
    )


def _digests() -> Graph:
    return graph(
        "Told in digests",
        "messages: those that told several alerts, by why they did. alerts: how many these told. folded: deliveries "
        "that ended in them.",
        over_time(per_minute("alertbus_digests_total", CHANNEL, by="channel, kind"), "{{channel}} {{kind}} messages"),
        over_time(
            per_minute("alertbus_digest_alerts_total", CHANNEL, by="channel, kind"), "{{channel}} {{kind}} alerts"
        ),
        over_time(per_minute(_DELIVERIES, CHANNEL, 'state="folded"', by="channel"), "{{channel}} folded"),
        unit=PER_MINUTE,
        width=8,
    )


def _people() -> Graph:
    return graph(
        "What people answer",
        "acknowledged: a person said that an alert is known, by which way. escalated to: nobody did in time. told the "
        "bot: what came of what people wrote to it or pressed.",
        over_time(per_minute("alertbus_acknowledgements_total", by="via"), "acknowledged by {{via}}"),
        over_time(per_minute("alertbus_escalations_total", CHANNEL, by="channel"), "escalated to {{channel}}"),
        over_time(
            per_minute("alertbus_telegram_updates_total", CHANNEL, by="channel, kind"),
            "{{channel}} told the bot: {{kind}}",
        ),
        unit=PER_MINUTE,
        width=8,
        alarms=("AlertbusCriticalUnacknowledged",),
    )


def _unacknowledged() -> Graph:
    unacknowledged = graph(
        "Age of the oldest unacknowledged CRITICAL",
        "How long ago the oldest CRITICAL of the last day was stored that nobody acknowledged; 0 where there is none. "
        "From half an hour on (the line) make sure that somebody reads them.",
        over_time(age("alertbus_unacknowledged_critical_oldest_timestamp_seconds"), "oldest"),
        unit=SECONDS,
        width=8,
        alarms=("AlertbusCriticalUnacknowledged",),
    )
    return with_bounds(unacknowledged, (_UNACKNOWLEDGED, "orange"))
