"""The row about the daemon's process: what runs, what it uses, and what it could not do."""

from __future__ import annotations

from typing import Final

from dashboards.panels import (
    AGO,
    BYTES,
    COUNT,
    PER_MINUTE,
    SHARE,
    Figure,
    Graph,
    Panel,
    at_end,
    figure,
    graph,
    name_only,
    named_if_several,
    over_time,
    with_bounds,
    word,
)
from dashboards.promql import RATE_WINDOW, highest, moment, of_daemons, per_minute, select

#: The figures that only Linux tells.
_ELSEWHERE: Final = "Linux only"
#: Of the files that the system lets a daemon open.
_MANY_FILES: Final = 0.8


def process() -> tuple[Panel, ...]:
    """Return how the daemons themselves fare."""
    figures = (_versions(), _running_since(), _configuration(), _last_audit(), _ping())
    used = (_processor(), _memory(), _open_files(), _disk())
    return (*figures, *used, _answers(), _streams(), _log(), _troubles())


def _versions() -> Figure:
    versions = highest("alertbus_build_info", by="instance, version, python")
    return name_only(
        figure(
            "Versions",
            "What runs, on which Python.",
            at_end(versions, "{{instance}}: alertbus {{version}}, Python {{python}}"),
            unit=COUNT,
            width=6,
        )
    )


def _running_since() -> Figure:
    found = figure(
        "Started",
        "When each daemon started. Again and again within minutes: it crashes; its log says why.",
        at_end(moment("alertbus_start_timestamp_seconds", by="instance"), "{{instance}}"),
        unit=AGO,
        width=6,
        alarms=("AlertbusCrashLooping",),
    )
    return named_if_several(found)


def _configuration() -> Figure:
    found = figure(
        "Configuration",
        "Refused: the file was changed, has a fault, and the daemon goes on with the older one. `alertbus-subscriber "
        "check` names the fault.",
        at_end(highest("alertbus_config_refused", by="instance"), "{{instance}}"),
        unit=COUNT,
        width=4,
        alarms=("AlertbusConfigRefused",),
    ).mappings([word(0, "In force", "green"), word(1, "Refused", "red")])
    return named_if_several(found)


def _last_audit() -> Figure:
    found = figure(
        "Last audit",
        "When each daemon last audited the ledger; it does so half a minute after its start, and then each hour.",
        at_end(moment("alertbus_audit_timestamp_seconds", by="instance"), "{{instance}}"),
        unit=AGO,
        width=4,
        alarms=("AlertbusAuditOverdue",),
    ).mappings([word(0, "Not yet", "blue")])
    return named_if_several(found)


def _ping() -> Figure:
    # Where no address is set there is no ping to miss: -1 then, and 0 where one is set and none was taken yet.
    unset = highest("alertbus_ping_configured", by="instance")
    found = figure(
        "Last ping taken",
        "When the address of your own that the daemon pings (ALERTBUS_PING_URL) last took one. Somebody there should "
        "tell you when they cease.",
        at_end(
            f"{moment('alertbus_ping_last_success_timestamp_seconds', by='instance')} + {unset} - 1", "{{instance}}"
        ),
        unit=AGO,
        width=4,
        alarms=("AlertbusPingFailing",),
    ).mappings([word(-1, "No address", "blue"), word(0, "Never", "red")])
    return named_if_several(found)


def _processor() -> Graph:
    return graph(
        "Processor",
        "Share of one processor core that the daemon uses.",
        over_time(of_daemons(f"rate({select('process_cpu_seconds_total')}[{RATE_WINDOW}])"), "{{instance}}"),
        unit=SHARE,
        width=6,
    ).no_value(_ELSEWHERE)


def _memory() -> Graph:
    return graph(
        "Memory",
        "Resident memory of the daemon. It is level after the first hours; where it keeps growing, say so to us.",
        over_time(of_daemons(select("process_resident_memory_bytes")), "{{instance}}"),
        unit=BYTES,
        width=6,
    ).no_value(_ELSEWHERE)


def _open_files() -> Graph:
    share = f"{select('process_open_fds')} / {select('process_max_fds')}"
    files = graph(
        "Open files",
        "Share of the files and sockets that the system lets the daemon open. Near the line, raise its limit.",
        over_time(of_daemons(share), "{{instance}}"),
        unit=SHARE,
        width=6,
    )
    return with_bounds(files, (_MANY_FILES, "red")).no_value(_ELSEWHERE)


def _disk() -> Graph:
    return graph(
        "Database and its disk",
        "database: what it takes. free, and size: of the disk that it lies on, where it is SQLite. A full disk stops "
        "the daemon from storing; alerts wait at their publishers then.",
        over_time(highest("alertbus_database_bytes", by="instance"), "{{instance}} database"),
        over_time(highest("alertbus_disk_free_bytes", by="instance"), "{{instance}} free"),
        over_time(highest("alertbus_disk_size_bytes", by="instance"), "{{instance}} size"),
        unit=BYTES,
        width=6,
        alarms=("AlertbusDiskFull", "AlertbusDiskFilling"),
    )


def _answers() -> Graph:
    return graph(
        "HTTP answers by class",
        "What the API and the page answered. 4xx: a caller is not allowed, or asks for what there is not. 5xx: the "
        "daemon could not; its log says why.",
        over_time(per_minute("alertbus_http_requests_total", by="class"), "{{class}}"),
        unit=PER_MINUTE,
        width=6,
    )


def _streams() -> Graph:
    return graph(
        "Open event streams",
        "Pages and programs that follow the events live. Above the limit new ones are refused, see the troubles.",
        over_time(highest("alertbus_event_streams", by="instance"), "{{instance}}"),
        unit=COUNT,
        width=6,
    )


def _log() -> Graph:
    return graph(
        "Log records by level",
        "Records of the daemon's log that somebody should look at.",
        over_time(per_minute("alertbus_log_records_total", by="level"), "{{level}}"),
        unit=PER_MINUTE,
        width=6,
    )


def _troubles() -> Graph:
    refused = per_minute("alertbus_config_reloads_total", 'result="refused"')
    return graph(
        "Troubles of the daemon",
        "database: it could not be used; alerts wait at their publishers meanwhile. lease: a result was dropped, "
        "because another worker had taken over. template: it failed, and the built-in text was told. reload, ping, "
        "stream: refused or failed. clock: it was set.",
        over_time(per_minute("alertbus_store_errors_total"), "database"),
        over_time(per_minute("alertbus_leases_lost_total"), "lease"),
        over_time(per_minute("alertbus_template_failures_total", by="template"), "template {{template}}"),
        over_time(refused, "reload"),
        over_time(per_minute("alertbus_ping_failures_total"), "ping"),
        over_time(per_minute("alertbus_event_streams_refused_total"), "stream"),
        over_time(per_minute("alertbus_clock_steps_total"), "clock"),
        unit=PER_MINUTE,
        width=6,
        alarms=("AlertbusDatabaseFailing", "AlertbusTemplateFailing", "AlertbusPingFailing", "AlertbusConfigRefused"),
    )
