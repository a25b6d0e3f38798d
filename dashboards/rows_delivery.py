"""The rows about deliveries: is it well, from trader to phone, queue.

Counters are summed over the daemons. Gauges that tell of a database are the same in each daemon that shares it, so the
worst one is shown and never their sum.
"""

from __future__ import annotations

from typing import Final

from dashboards.panels import (
    CHANNEL,
    COUNT,
    PER_MINUTE,
    RATE_WINDOW,
    SECONDS,
    SHARE,
    WHOLE_RANGE,
    Figure,
    Graph,
    Heat,
    Panel,
    Query,
    at_end,
    colours,
    counted,
    figure,
    graph,
    heat,
    over_time,
    per_minute,
    quantile,
    select,
    value_only,
    word,
)

#: From publish() to a provider's acceptance: from here on a person waits, from there on the alert comes late.
_SLOW_SECONDS: Final = 5.0
_LATE_SECONDS: Final = 30.0
#: Shares of the deliveries that ended: below, people miss alerts.
_FEW_FAIL: Final = 0.95
_ALMOST_NONE_FAIL: Final = 0.99

_DELIVERIES: Final = "alertbus_deliveries_total"
_GIVEN_UP: Final = 'state=~"dead|expired"'


def is_it_well() -> tuple[Panel, ...]:
    """Return the figures that a person looks at first."""
    channels = (_channels(), _accepted(), _usual_time(), _given_up_in_all(), _switched_on())
    return (*channels, _lost(), _sending(), _daemons())


def from_trader_to_phone() -> tuple[Panel, ...]:
    """Return how long alerts take, and what providers answer."""
    return (_time_to_the_provider(), _time_by_channel(), _request_seconds(), _errors(), _got_through())


def queue() -> tuple[Panel, ...]:
    """Return what waits, and what is not sent any more."""
    return (_waiting(), _oldest(), _given_up(), _not_sent())


# --- is it well? ----------------------------------------------------------------------------------------------


def _channels() -> Figure:
    return figure(
        "Channels",
        "Whether the last attempts of each channel went well. Error: three failures in a row, or a refused credential "
        "or target, which pauses the channel until a person acts.",
        at_end(f"min by (channel) ({select('alertbus_channel_up', CHANNEL)})", "{{channel}}"),
        unit=COUNT,
        width=6,
    ).mappings([word(1, "OK", "green"), word(0, "Error", "red")])


def _accepted() -> Figure:
    accepted = counted(_DELIVERIES, CHANNEL, 'state="accepted"', by="channel")
    ended = counted(_DELIVERIES, CHANNEL, 'state=~"accepted|dead|expired"', by="channel")
    return (
        figure(
            "Deliveries accepted",
            "Of the deliveries that ended in the time shown, the share that the provider took; the others are dead or "
            "expired. A channel where none ended is not shown.",
            at_end(f"{accepted} / ({ended} > 0)", "{{channel}}"),
            unit=SHARE,
            width=6,
        )
        .thresholds(colours("red", (_FEW_FAIL, "orange"), (_ALMOST_NONE_FAIL, "green")))
        .no_value("None ended")
    )


def _usual_time() -> Figure:
    return (
        figure(
            "From publish to the provider, 95 %",
            "The provider took 95 of 100 alerts within this time after publish(), in the time shown; estimated from "
            "buckets. A channel that sent nothing is not shown.",
            at_end(quantile(0.95, "alertbus_end_to_end_seconds", WHOLE_RANGE), "{{channel}}"),
            unit=SECONDS,
            width=6,
        )
        .thresholds(colours("green", (_SLOW_SECONDS, "orange"), (_LATE_SECONDS, "red")))
        .no_value("None sent")
    )


def _given_up_in_all() -> Figure:
    return _none_is_well(
        figure(
            "Deliveries given up",
            "Deliveries that became dead (refused for good) or expired (older than their route allows) in the time "
            "shown. Dead ones are kept and can be sent again.",
            at_end(counted(_DELIVERIES, CHANNEL, _GIVEN_UP, by="channel"), "{{channel}}"),
            unit=COUNT,
            width=6,
        )
    )


def _switched_on() -> Figure:
    return figure(
        "Switched on",
        "Whether a channel takes deliveries at all. What comes for a channel that is off is suppressed.",
        at_end(f"min by (channel) ({select('alertbus_channel_enabled', CHANNEL)})", "{{channel}}"),
        unit=COUNT,
        width=6,
    ).mappings([word(1, "On", "green"), word(0, "Off", "orange")])


def _lost() -> Figure:
    lost = figure(
        "Alerts lost",
        "Alerts that no publisher holds any more, noticed in the time shown by the numbers missing in a stream. They "
        "are told as CRITICAL too.",
        at_end(counted("alertbus_alerts_lost_total"), "lost"),
        unit=COUNT,
        width=6,
    )
    return _none_is_well(value_only(lost))


def _sending() -> Figure:
    sending = figure(
        "Sending",
        "In a dry run everything happens but the sending: there are no credentials, or --dry-run was given.",
        at_end(f"max ({select('alertbus_dry_run')})", "sending"),
        unit=COUNT,
        width=6,
    )
    return value_only(sending).mappings([word(0, "For real", "green"), word(1, "Dry run", "orange")])


def _daemons() -> Figure:
    daemons = figure(
        "Daemons that answer",
        "How many daemons Prometheus could read at the end of the time shown.",
        at_end(f"count ({select('alertbus_build_info')})", "daemons"),
        unit=COUNT,
        width=6,
    )
    return value_only(daemons).thresholds(colours("red", (1, "green"))).no_value("None")


def _none_is_well(panel: Figure) -> Figure:
    # Prometheus extrapolates an increase, so that one event is seldom exactly 1.
    return panel.thresholds(colours("green", (0.5, "red"))).decimals(0)


# --- from trader to phone -------------------------------------------------------------------------------------


def _time_to_the_provider() -> Heat:
    return heat(
        "From publish to the provider",
        "From publish() in the trading process to the provider's acceptance, waiting and retries included; the colour "
        "tells how many alerts. Where Prometheus keeps exemplars, a dot is one alert with its id.",
        "alertbus_end_to_end_seconds",
        width=12,
    )


def _time_by_channel() -> Graph:
    return graph(
        "From publish to the provider by channel",
        "Within this time the provider took half of the alerts, and 95 of 100; estimated from buckets. There is no "
        "line while nothing is sent.",
        *_half_and_most("alertbus_end_to_end_seconds"),
        unit=SECONDS,
        width=12,
    )


def _request_seconds() -> Graph:
    return graph(
        "Duration of a request",
        "Within this time the provider answered half of the requests, and 95 of 100, whatever the answer; estimated "
        "from buckets.",
        *_half_and_most("alertbus_attempt_seconds"),
        unit=SECONDS,
        width=8,
    )


def _errors() -> Graph:
    attempts = per_minute("alertbus_attempts_total", CHANNEL, 'outcome!="accepted"', by="channel, outcome")
    return graph(
        "Failed attempts by reason",
        "Attempts that the provider did not accept. unauthorized needs a person; rejected is final for its message; "
        "the others are tried again.",
        over_time(attempts, "{{channel}} {{outcome}}"),
        unit=PER_MINUTE,
        width=8,
    )


def _got_through() -> Graph:
    return _deliveries_entering(
        "Deliveries that got through",
        "accepted: the provider took it. delivered: its receipt says that it arrived. in_doubt: it may have arrived, "
        "and nobody knows yet.",
        'state=~"accepted|delivered|in_doubt"',
        width=8,
    )


def _half_and_most(histogram: str) -> tuple[Query, Query]:
    half = over_time(quantile(0.5, histogram, RATE_WINDOW), "{{channel}} 50 %")
    most = over_time(quantile(0.95, histogram, RATE_WINDOW), "{{channel}} 95 %")
    return half, most


# --- queue ----------------------------------------------------------------------------------------------------


def _waiting() -> Graph:
    return graph(
        "Waiting deliveries",
        "Deliveries that wait to be sent or tried again. Daemons that share a database tell the same number; of "
        "several databases the fullest is shown.",
        over_time(f"max by (channel) ({select('alertbus_queue_deliveries', CHANNEL)})", "{{channel}}"),
        unit=COUNT,
        width=6,
    )


def _oldest() -> Graph:
    published = select("alertbus_queue_oldest_timestamp_seconds", CHANNEL)
    age = f"max by (channel) ((time() - {published}) * ({published} > bool 0))"
    return graph(
        "Age of the oldest waiting",
        "How long ago the oldest waiting delivery was published; 0 while none waits.",
        over_time(age, "{{channel}}"),
        unit=SECONDS,
        width=6,
    )


def _given_up() -> Graph:
    return _deliveries_entering(
        "Given up",
        "dead: refused for good; kept, and can be sent again. expired: older than their route allows.",
        _GIVEN_UP,
        width=6,
    )


def _not_sent() -> Graph:
    return _deliveries_entering(
        "Not sent on their own",
        "suppressed: not sent on purpose (silence, dedup, switched off, dry run). folded: told in a digest.",
        'state=~"suppressed|folded"',
        width=6,
    )


def _deliveries_entering(title: str, description: str, states: str, *, width: int) -> Graph:
    deliveries = per_minute(_DELIVERIES, CHANNEL, states, by="channel, state")
    return graph(
        title,
        description,
        over_time(deliveries, "{{channel}} {{state}}"),
        unit=PER_MINUTE,
        width=width,
    )
