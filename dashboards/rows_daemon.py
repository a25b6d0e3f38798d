"""The rows about the daemon: what comes over the bus, and the process itself.

Counters are summed over the daemons. Every daemon hears the same publishers, so of their gauges the highest is shown.
"""

from __future__ import annotations

from dashboards.panels import (
    BYTES,
    COUNT,
    DURATION,
    PER_MINUTE,
    RATE_WINDOW,
    SHARE,
    Figure,
    Graph,
    Panel,
    at_end,
    colours,
    figure,
    graph,
    name_only,
    of_daemons,
    over_time,
    per_minute,
    select,
    with_history,
    word,
)


def bus() -> tuple[Panel, ...]:
    """Return what comes from the publishers, and what does not."""
    return (_stored(), _missing_numbers(), _invalid(), _publishers(), _journals(), _refused())


def process() -> tuple[Panel, ...]:
    """Return how the daemons themselves fare."""
    figures = (_versions(), _running_for(), _ledger())
    return (*figures, _processor(), _memory(), _open_files(), _store_troubles())


# --- bus ------------------------------------------------------------------------------------------------------


def _stored() -> Graph:
    return graph(
        "Alerts stored by topic",
        "Alerts that came over the bus and were stored, by the first two levels of their topic.",
        over_time(per_minute("alertbus_alerts_received_total", by="topic"), "{{topic}}"),
        unit=PER_MINUTE,
        width=8,
    )


def _missing_numbers() -> Graph:
    return graph(
        "Missing and repeated alerts",
        "replayed: was missing, and its publisher sent it again. duplicate: came more than once and is kept once. "
        "lost: no publisher holds it any more.",
        over_time(per_minute("alertbus_alerts_replayed_total"), "replayed"),
        over_time(per_minute("alertbus_alerts_duplicate_total"), "duplicate"),
        over_time(per_minute("alertbus_alerts_lost_total"), "lost"),
        unit=PER_MINUTE,
        width=8,
    )


def _invalid() -> Graph:
    return graph(
        "Invalid messages by reason",
        "Messages that are not what a publisher of ours writes: counted and skipped. topic: the alert was believed "
        "and stored all the same.",
        over_time(per_minute("alertbus_messages_invalid_total", by="reason"), "{{reason}}"),
        unit=PER_MINUTE,
        width=8,
    )


def _publishers() -> Figure:
    publishers = figure(
        "Publishers",
        "Whether a daemon hears the heartbeats of each publisher. Away: it said goodbye, or it fell silent, which is "
        "told as CRITICAL.",
        over_time(f"max by (source) ({select('alertbus_publisher_up')})", "{{source}}"),
        unit=COUNT,
        width=8,
    )
    publishers.mappings([word(1, "Heard", "green"), word(0, "Away", "orange")]).no_value("None was ever heard")
    return with_history(publishers)


def _journals() -> Graph:
    return graph(
        "Alerts in the publishers' journals",
        "Alerts that each publisher keeps until a daemon has stored them, by its last heartbeat.",
        over_time(f"max by (source) ({select('alertbus_publisher_journal_alerts')})", "{{source}}"),
        unit=COUNT,
        width=8,
    )


def _refused() -> Graph:
    return graph(
        "Alerts refused by a full publisher",
        "Alerts that the publisher's own queue had no room for since it started, by its last heartbeat: they were "
        "never journaled.",
        over_time(f"max by (source) ({select('alertbus_publisher_refused_alerts')})", "{{source}}"),
        unit=COUNT,
        width=8,
    )


# --- process --------------------------------------------------------------------------------------------------


def _versions() -> Figure:
    versions = f"max by (instance, version, python) ({select('alertbus_build_info')})"
    return name_only(
        figure(
            "Versions",
            "What runs, on which Python.",
            at_end(versions, "{{instance}}: alertbus {{version}}, Python {{python}}"),
            unit=COUNT,
            width=8,
        )
    )


def _running_for() -> Figure:
    return figure(
        "Running for",
        "Time since the daemon started. Linux only, like all figures of the process.",
        at_end(of_daemons(f"time() - {select('process_start_time_seconds')}"), "{{instance}}"),
        unit=DURATION,
        width=8,
    )


def _ledger() -> Figure:
    audited = f"{select('alertbus_audit_timestamp_seconds')} > 0"
    return (
        figure(
            "Faults in the ledger",
            "What the last audit found of alerts, deliveries and numbers that do not balance; `alertbus-subscriber "
            "audit` lists them. A daemon audits itself half a minute after its start, and then each hour.",
            at_end(f"max by (instance) ({select('alertbus_audit_faults')} and ({audited}))", "{{instance}}"),
            unit=COUNT,
            width=8,
        )
        .thresholds(colours("green", (1, "red")))
        .mappings([word(0, "It balances", "green")])
        .no_value("Not audited yet")
    )


def _processor() -> Graph:
    return graph(
        "Processor",
        "Share of one processor core that the daemon uses. Linux only.",
        over_time(of_daemons(f"rate({select('process_cpu_seconds_total')}[{RATE_WINDOW}])"), "{{instance}}"),
        unit=SHARE,
        width=6,
    )


def _memory() -> Graph:
    return graph(
        "Memory",
        "Resident memory of the daemon. Linux only.",
        over_time(of_daemons(select("process_resident_memory_bytes")), "{{instance}}"),
        unit=BYTES,
        width=6,
    )


def _open_files() -> Graph:
    share = f"{select('process_open_fds')} / {select('process_max_fds')}"
    return graph(
        "Open files",
        "Share of the files and sockets that the system lets the daemon open. Linux only.",
        over_time(of_daemons(share), "{{instance}}"),
        unit=SHARE,
        width=6,
    )


def _store_troubles() -> Graph:
    return graph(
        "Database errors and lost leases",
        "errors: the database could not be used; alerts wait at their publishers meanwhile. leases lost: a result was "
        "dropped, because another worker had taken the delivery over.",
        over_time(per_minute("alertbus_store_errors_total", by="instance"), "{{instance}} errors"),
        over_time(per_minute("alertbus_leases_lost_total", by="instance"), "{{instance}} leases lost"),
        unit=PER_MINUTE,
        width=6,
    )
