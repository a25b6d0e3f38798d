"""The row about the bus: what comes from the publishers, what does not, and how they fare."""

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
    over_time,
    with_bounds,
    with_history,
    word,
)
from dashboards.promql import RATE_WINDOW, age, first_of, highest, per_minute, quantile, select

_NOBODY: Final = "No publisher was ever heard"
#: Seconds; a clock that is wrong by more raises an alarm.
_SKEW: Final = 30


def bus() -> tuple[Panel, ...]:
    """Return what comes from the publishers, and what does not."""
    alerts = (_stored(), _missing_numbers(), _missing_now())
    publishers = (_publishers(), _heartbeats(), _journals(), _refused(), _publish_cost(), _clocks())
    return (*alerts, *publishers, _invalid(), _batches())


def _stored() -> Graph:
    return graph(
        "Alerts stored by topic",
        "Alerts that came over the bus and were stored, by the first two levels of their topic. not routed: of these, "
        "those that no route sends anywhere.",
        over_time(per_minute("alertbus_alerts_received_total", by="topic"), "{{topic}}"),
        over_time(per_minute("alertbus_alerts_not_routed_total"), "not routed"),
        unit=PER_MINUTE,
        width=8,
    )


def _missing_numbers() -> Graph:
    return graph(
        "Missing and repeated alerts",
        "gaps: times that numbers of a stream were found to be missing. replayed: was missing, and its publisher sent "
        "it again. duplicate: came more than once and is kept once. lost: no publisher holds it any more.",
        over_time(per_minute("alertbus_sequence_gaps_total"), "gaps"),
        over_time(per_minute("alertbus_alerts_replayed_total"), "replayed"),
        over_time(per_minute("alertbus_alerts_duplicate_total"), "duplicate"),
        over_time(per_minute("alertbus_alerts_lost_total"), "lost"),
        unit=PER_MINUTE,
        width=8,
        alarms=("AlertbusAlertsLost",),
    )


def _missing_now() -> Graph:
    return graph(
        "Alerts missing now",
        "Alerts that publishers told of and that have not come yet; they are asked for. Back to 0 within seconds where "
        "the publisher lives.",
        over_time(highest("alertbus_alerts_missing", by="instance"), "{{instance}}"),
        unit=COUNT,
        width=8,
        alarms=("AlertbusAlertsLost",),
    )


def _publishers() -> Figure:
    state = first_of(
        f"4 * ({highest('alertbus_publisher_silent', by='source')} == 1)",
        f"3 * ({highest('alertbus_publisher_hung', by='source')} == 1)",
        f"2 * ({highest('alertbus_publisher_volatile', by='source')} == 1)",
        highest("alertbus_publisher_up", by="source"),
    )
    publishers = figure(
        "Publishers",
        "How each publisher is. Silent: it is not heard and said no goodbye; look at its process at once. Hung: it "
        "beats, and its trading loop stands still. Memory only: its disk fails, so what it has not sent dies with it. "
        "Away: it said goodbye.",
        over_time(state, "{{source}}"),
        unit=COUNT,
        width=8,
        alarms=("AlertbusPublisherSilent", "AlertbusPublisherHung", "AlertbusPublisherVolatile"),
    )
    publishers.mappings(
        [
            word(0, "Away", "blue"),
            word(1, "Heard", "green"),
            word(2, "Memory only", "red"),
            word(3, "Hung", "red"),
            word(4, "Silent", "red"),
        ]
    )
    return with_history(publishers.no_value(_NOBODY))


def _heartbeats() -> Graph:
    return graph(
        "Since the last heartbeat",
        "How long ago each publisher was last heard; it beats each second. It grows for one that said goodbye, too.",
        over_time(age("alertbus_publisher_last_heartbeat_timestamp_seconds", by="source"), "{{source}}"),
        unit=SECONDS,
        width=8,
        alarms=("AlertbusPublisherSilent",),
    ).no_value(_NOBODY)


def _journals() -> Graph:
    return graph(
        "Alerts in the publishers' journals",
        "Alerts that each publisher keeps until a daemon has stored them, by its last heartbeat. It grows while no "
        "daemon takes them.",
        over_time(highest("alertbus_publisher_journal_alerts", by="source"), "{{source}}"),
        unit=COUNT,
        width=8,
        alarms=("AlertbusJournalGrowing",),
    ).no_value(_NOBODY)


def _refused() -> Graph:
    # Each daemon counts what the same heartbeats tell, so that a sum would count an alert once for each daemon.
    refused = f"rate({select('alertbus_publisher_refused_alerts_total')}[{RATE_WINDOW}])"
    return graph(
        "Alerts refused by a full publisher",
        "Alerts that the publisher's own queue had no room for: they were never journaled, and nobody was told of "
        "them. The trader publishes faster than its disk takes it.",
        over_time(f"60 * max by (source) ({refused})", "{{source}}"),
        unit=PER_MINUTE,
        width=8,
        alarms=("AlertbusPublisherRefusing",),
    ).no_value(_NOBODY)


def _publish_cost() -> Graph:
    seconds = f"rate({select('alertbus_publisher_publish_seconds_total')}[{RATE_WINDOW}])"
    calls = f"rate({select('alertbus_publisher_timed_publishes_total')}[{RATE_WINDOW}])"
    return graph(
        "What publish() costs the trader",
        "Time that a call takes on the trading loop's own thread, of the calls that are measured. mean: of those in "
        "the window; none while nothing is published. longest: between the last two heartbeats.",
        over_time(f"max by (source) ({seconds} / ({calls} > 0))", "{{source}} mean"),
        over_time(highest("alertbus_publisher_publish_longest_seconds", by="source"), "{{source}} longest"),
        unit=SECONDS,
        width=8,
    ).no_value(_NOBODY)


def _clocks() -> Graph:
    clocks = graph(
        "Publishers' clocks",
        "How far each publisher's clock is ahead of the daemon's (below 0: behind). Ages are corrected by it, the "
        "times that alerts tell are not: set that machine's clock.",
        over_time(highest("alertbus_publisher_clock_offset_seconds", by="source"), "{{source}}"),
        unit=SECONDS,
        width=8,
        alarms=("AlertbusClockSkew",),
    )
    return with_bounds(clocks, (_SKEW, "red")).no_value(_NOBODY)


def _invalid() -> Graph:
    return graph(
        "Invalid messages by reason",
        "Messages that are not what a publisher of ours writes: counted and skipped. topic: the alert was believed "
        "and stored all the same. version: a publisher that is newer than this daemon.",
        over_time(per_minute("alertbus_messages_invalid_total", by="reason"), "{{reason}}"),
        unit=PER_MINUTE,
        width=12,
        alarms=("AlertbusMessagesInvalid",),
    )


def _batches() -> Graph:
    histogram = "alertbus_store_batch_seconds"
    return graph(
        "Duration of a batch in the database",
        "How long the transaction takes that stores what came in one turn: half of them, and 95 of 100; estimated "
        "from buckets. It bounds how many alerts a second can come.",
        over_time(quantile(0.5, histogram, by="instance"), "{{instance}} 50 %"),
        over_time(quantile(0.95, histogram, by="instance"), "{{instance}} 95 %"),
        unit=SECONDS,
        width=12,
        alarms=("AlertbusDatabaseFailing",),
    ).no_value("Nothing came")
