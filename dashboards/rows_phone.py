"""The row about the way from the trader to the phone: how long alerts take, and what providers answer."""

from __future__ import annotations

from typing import Final

from dashboards.panels import (
    COUNT,
    PER_MINUTE,
    SECONDS,
    Figure,
    Graph,
    Heat,
    Panel,
    at_end,
    figure,
    graph,
    heat,
    over_time,
    with_bounds,
    with_history,
    with_many_lines,
    with_single_ones,
    word,
    word_for_unknown,
)
from dashboards.promql import CHANNEL, highest, per_minute, quantile, select
from dashboards.rows_well import CRITICAL_LATE, WARNING_LATE

_END_TO_END: Final = "alertbus_end_to_end_seconds"
_LATE: Final = ("AlertbusCriticalLate", "AlertbusWarningLate")


def from_trader_to_phone() -> tuple[Panel, ...]:
    """Return how long alerts take, and what providers answer."""
    times = (_time_to_the_provider(), _time_by_channel(), _time_by_severity(), _request_seconds(), _errors())
    receipts = (_receipts(), _receipt_seconds(), _receipts_waiting())
    return (*times, _got_through(), *receipts, _pace(), _webhooks(), _windows())


def _time_to_the_provider() -> Heat:
    return heat(
        "From publish to the provider",
        "From publish() in the trading process to the provider's acceptance, waiting and retries included; the colour "
        "tells how many alerts. Where Prometheus keeps exemplars, a dot is one alert with its id.",
        _END_TO_END,
        width=12,
        alarms=_LATE,
    )


def _time_by_channel() -> Graph:
    return graph(
        "From publish to the provider by channel",
        "Within this time the provider took half of the alerts, and 95 of 100; estimated from buckets. There is no "
        "line while nothing is sent.",
        over_time(quantile(0.5, _END_TO_END, CHANNEL), "{{channel}} 50 %"),
        with_single_ones(over_time(quantile(0.95, _END_TO_END, CHANNEL), "{{channel}} 95 %")),
        unit=SECONDS,
        width=12,
        alarms=_LATE,
    ).no_value("None sent")


def _time_by_severity() -> Graph:
    late = graph(
        "From publish to the provider by severity",
        "Within this time the provider took half of the alerts, and 95 of 100; estimated from buckets. The lines are "
        "drawn where a CRITICAL is late (10 seconds) and a WARNING (a minute).",
        over_time(quantile(0.5, _END_TO_END, CHANNEL, by="severity"), "{{severity}} 50 %"),
        over_time(quantile(0.95, _END_TO_END, CHANNEL, by="severity"), "{{severity}} 95 %"),
        unit=SECONDS,
        width=12,
        alarms=_LATE,
    )
    return with_bounds(late, (CRITICAL_LATE, "red"), (WARNING_LATE, "orange")).no_value("None sent")


def _request_seconds() -> Graph:
    return graph(
        "Duration of a request",
        "Within this time the provider answered half of the requests, and 95 of 100, whatever the answer; estimated "
        "from buckets. Long ones are the provider's or the network's.",
        over_time(quantile(0.5, "alertbus_attempt_seconds", CHANNEL), "{{channel}} 50 %"),
        with_single_ones(over_time(quantile(0.95, "alertbus_attempt_seconds", CHANNEL), "{{channel}} 95 %")),
        unit=SECONDS,
        width=12,
    ).no_value("None sent")


def _errors() -> Graph:
    attempts = per_minute("alertbus_attempts_total", CHANNEL, 'outcome!="accepted"', by="channel, outcome")
    lines = graph(
        "Failed attempts by reason",
        "Attempts that the provider did not accept. unauthorized needs a person; rejected is final for its message; "
        "the others are tried again.",
        over_time(attempts, "{{channel}} {{outcome}}"),
        unit=PER_MINUTE,
        width=12,
        alarms=("AlertbusChannelDown",),
    )
    return with_many_lines(lines)


def _got_through() -> Graph:
    states = 'state=~"accepted|delivered|in_doubt"'
    lines = graph(
        "Deliveries that got through",
        "accepted: the provider took it. delivered: its receipt says that it arrived. in_doubt: it may have arrived, "
        "and nobody knows yet.",
        over_time(
            per_minute("alertbus_deliveries_total", CHANNEL, states, by="channel, state"), "{{channel}} {{state}}"
        ),
        unit=PER_MINUTE,
        width=12,
    )
    return with_many_lines(lines)


def _receipts() -> Graph:
    return graph(
        "Receipts by what they say",
        "What providers told of messages after they took them. failed: the message did not arrive, though the "
        "provider had taken it; the alert's story says why. Only channels that have receipts.",
        over_time(per_minute("alertbus_receipts_total", CHANNEL, by="channel, state"), "{{channel}} {{state}}"),
        unit=PER_MINUTE,
        width=8,
        alarms=("AlertbusReceiptsFailing",),
    ).no_value("No channel has receipts")


def _receipt_seconds() -> Graph:
    histogram = "alertbus_receipt_seconds"
    return graph(
        "From the provider to the phone",
        "From the provider's acceptance to the receipt that says delivered: half of the messages, and 95 of 100; "
        "estimated from buckets. A phone that was off makes it long.",
        over_time(quantile(0.5, histogram, CHANNEL), "{{channel}} 50 %"),
        with_single_ones(over_time(quantile(0.95, histogram, CHANNEL), "{{channel}} 95 %")),
        unit=SECONDS,
        width=8,
    ).no_value("No receipt came")


def _receipts_waiting() -> Graph:
    return graph(
        "Receipts awaited",
        "Messages that a provider took and whose fate it has not told yet. A number that only grows: the webhook or "
        "the polling does not work.",
        over_time(highest("alertbus_receipts_waiting", CHANNEL, by="channel"), "{{channel}}"),
        unit=COUNT,
        width=8,
        alarms=("AlertbusReceiptsFailing",),
    ).no_value("No channel has receipts")


def _pace() -> Graph:
    until = select("alertbus_channel_held_until_timestamp_seconds", CHANNEL)
    held = f"max by (channel) (clamp_min({until} - time(), 0))"
    return graph(
        "Waiting for the pace",
        "How long each channel waits until its next message. pace: by its provider's rules or ours. asked: the "
        "provider answered that it wants to be left alone for so long.",
        over_time(highest("alertbus_channel_pace_wait_seconds", CHANNEL, by="channel"), "{{channel}} pace"),
        over_time(held, "{{channel}} asked"),
        unit=SECONDS,
        width=10,
    )


def _webhooks() -> Graph:
    return graph(
        "Calls of webhooks",
        "What became of the calls by which providers tell receipts. refused: without the right signature, so a "
        "stranger or a changed secret. unreadable: signed and not understood. failed: could not be stored.",
        over_time(per_minute("alertbus_webhook_requests_total", by="provider, result"), "{{provider}} {{result}}"),
        unit=PER_MINUTE,
        width=10,
        alarms=("AlertbusWebhooksRefused",),
    )


def _windows() -> Figure:
    window = figure(
        "WhatsApp's window",
        "For 24 hours after a person's last message WhatsApp lets free texts through; after that only templates, "
        "which say less. Write to the number to open it.",
        at_end(highest("alertbus_channel_window_open", CHANNEL, by="channel"), "{{channel}}"),
        unit=COUNT,
        width=4,
    )
    window.mappings(
        [word(1, "Open", "green"), word(0, "Templates only", "blue"), word_for_unknown("Unknown", "orange")]
    )
    return with_history(window).no_value("No channel has one")
