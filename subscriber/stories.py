"""The story of an alert in lines for people: where it would go and why, or what became of it. Pure.

What comes in is the plain data that the API answers, so it is the same with a daemon and without one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, tzinfo
from typing import Any, Final

from bus.clock import MICROSECONDS, from_us
from subscriber.deliveries import OPEN_STATES, DeliveryState, Step, Why
from subscriber.policy.durations import duration_text

Fields = Mapping[str, Any]

#: What a send of which nobody knows the end means for a delivery.
_DOUBT: Final = "may have reached you twice"
_DOUBTS: Final = dict.fromkeys(
    ("expired", "dead", "pending", "in_doubt", "suppressed"), "may have reached you all the same"
)
_OPEN: Final = frozenset(state.value for state in OPEN_STATES)
_SHORT: Final = 8
_NUMBERS: Final = ("value", "threshold", "quantity", "price", "pnl", "position", "confidence", "reward")


def explanation_lines(explanation: Fields, zone: tzinfo) -> Iterator[str]:
    """Say where an alert would go and why.

    Args:
        explanation: What `Rules.explain` tells as plain data.
        zone: Where the reader's clock is.

    Raises:
        KeyError: It is something else.
    """
    alert = explanation["alert"]
    yield _what(alert["severity"], alert["event"], alert)
    yield "Routes, in the order in which they are asked:"
    for route in explanation["routes"]:
        sign = "no " if not route["taken"] else "yes" if route["holds"] else "..."
        yield f"  {'  ' * route['depth']}{sign} {route['route']}: {route['why']}"
    if not explanation["channels"]:
        taken = any(route["holds"] for route in explanation["routes"])
        yield f"{'That route has no channel' if taken else 'No route takes it'}: it is kept in the history only."
        return
    yield "Channels:"
    for channel in explanation["channels"]:
        yield f"  {channel['channel']}: {channel['why']}"
        for line in _terms(channel, explanation["at_us"], zone):
            yield f"    {line}"


def _terms(channel: Fields, at_us: int, zone: tzinfo) -> Iterator[str]:
    if channel["route"]:
        yield f"by route {channel['route']}, level {channel['level']}"
    if channel["state"] not in _OPEN:
        yield f"state {channel['state']} ({channel['suppressed_by']})"
        return
    if channel["due_us"] > at_us:
        yield f"due at {_time(channel['due_us'], zone)}"
    if channel["dedup"] is not None:
        window = _length(channel["dedup"]["window_seconds"])
        yield f"alerts with the same {', '.join(channel['dedup']['by'])} are counted for {window}"
    if channel["group"] is not None:
        group = channel["group"]
        yield (
            f"told as {group['batch']}, {_length(group['wait_seconds'])} after the first, "
            f"every {_length(group['interval_seconds'])} at most"
        )
    age = channel["max_age_seconds"]
    yield "never too old" if age is None else f"too old after {_length(round(age))}"
    if channel["template"] is not None:
        yield f"template {channel['template']}"
    if channel["fallback"] is not None:
        yield f"fallback: {', '.join(channel['fallback']) or 'nobody'}"
    if channel["escalate"] is not None:
        turns = ", ".join(channel["escalate"]["channels"])
        yield f"not acknowledged within {_length(channel['escalate']['ack_within_seconds'])}: {turns}"


def story_lines(story: Fields, zone: tzinfo) -> Iterator[str]:
    """Tell what became of a stored alert.

    Args:
        story: What `Store.story` returns.
        zone: Where the reader's clock is.

    Raises:
        KeyError: It is something else.
    """
    alert = story["alert"]
    yield _what(story["severity"], alert.get("action") or alert.get("event_type"), alert)
    yield f"  id {alert['id']}"
    for line in told_lines(alert):
        yield f"  {line}"
    origin = "the daemon's own" if story["stream"] is None else f"stream {story['stream']}, number {story['sequence']}"
    yield f"  published {_time(story['published_us'], zone)}, stored {_time(story['stored_us'], zone)} ({origin})"
    if story["marks"]:
        yield f"  {', '.join(story['marks'])}"
    if not story["deliveries"]:
        yield "No route took it: it is kept in the history only."
    for delivery in story["deliveries"]:
        yield from _delivery(delivery, zone)
    yield from _people(story, zone)


def told_lines(alert: Fields) -> Iterator[str]:
    """Say what an alert says, but for its name: what happened, and the numbers."""
    for name in ("description", "rationale", "action_taken"):
        yield from (line for line in str(alert.get(name) or "").splitlines() if line.strip())
    numbers = [f"{name} {alert[name]}" for name in _NUMBERS if alert.get(name) is not None]
    if numbers:
        yield ", ".join(numbers)


def _delivery(delivery: Fields, zone: tzinfo) -> Iterator[str]:
    step = "" if delivery["step"] == Step.FIRST.value else f", {delivery['step']}"
    why = f" ({delivery['why']})" if delivery["why"] else ""
    repeat = f", {_DOUBTS.get(delivery['status'], _DOUBT)}" if delivery["possible_repeat"] else ""
    yield f"{delivery['channel']}{step}: {delivery['status']}{why}{repeat}"
    if delivery["route"]:
        yield f"  by route {delivery['route']}" + (
            ", without a sound where the provider can" if delivery["silent"] else ""
        )
    yield from (f"  {line}" for line in _held(delivery, zone))
    for attempt in delivery["attempts"]:
        yield from _attempt(attempt, zone)
    if delivery["status"] in _OPEN:
        yield f"  next try from {_time(delivery['due_at'], zone)} on"
    elif delivery["finished_at"] is not None:
        yield f"  ended {_time(delivery['finished_at'], zone)}"


def _held(delivery: Fields, zone: tzinfo) -> Iterator[str]:
    silence, batch = delivery["silence"], delivery["batch"] or ""
    if silence is not None:
        by = f" by {silence['author']}" if silence["author"] else ""
        because = f": {silence['reason']}" if silence["reason"] else ""
        until = _time(silence["ended_us"] or silence["ends_us"], zone)
        done = "dropped" if silence["drops"] else "held"
        yield f"{done} by silence {silence['id']}{by} until {until}{because}"
    elif batch.startswith("quiet:"):
        dropped = delivery["why"] == Why.SILENCE.value
        yield f"{'dropped' if dropped else 'held'} in the quiet hours {batch.partition(':')[2]}"
    elif batch:
        yield f"told together with others of its group ({batch.partition(':')[2]})"
    if delivery["more"]:
        yield f"tells of {delivery['more']} more that were counted"
    told_by = delivery["told_by"]
    if told_by and delivery["why"] == Why.DEDUP.value:
        yield f"counted, and told with alert {told_by}"
    elif told_by and delivery["status"] == DeliveryState.EXPIRED.value:
        yield f"too old to be sent one by one; named in alert {told_by}"
    digest = delivery["digest"]
    if digest is not None:
        yield f"in digest {digest['id']} ({digest['kind']}, {digest['state']}) with {digest['members']} alerts"
    if delivery["handed_over"]:
        yield "its channel is down; a fallback tells it, too"
    if delivery["expires_at"] is not None and delivery["status"] in _OPEN:
        yield f"too old from {_time(delivery['expires_at'], zone)} on"


def _attempt(attempt: Fields, zone: tzinfo) -> Iterator[str]:
    words = [
        attempt["reason"] or "its answer is not known",
        f"HTTP {attempt['status']}" if attempt["status"] else "",
        f"code {attempt['code']}" if attempt["code"] else "",
        "in doubt" if attempt["in_doubt"] else "",
        "said to be a possible repeat" if attempt["possible_repeat"] else "",
        "by template" if attempt["by_template"] else "",
    ]
    took = "" if attempt["seconds"] is None else f" after {attempt['seconds']:.3f} s"
    detail = f": {attempt['detail']}" if attempt["detail"] else ""
    yield f"  attempt {_time(attempt['opened_us'], zone)}: {', '.join(filter(None, words))}{took}{detail}"
    if attempt["provider_message_id"]:
        yield f"    the provider's id {attempt['provider_message_id']}"
    for receipt in attempt["receipts"]:
        said = " ".join(filter(None, (receipt["code"], receipt["detail"])))
        yield f"    receipt {_time(receipt['at'], zone)}: {receipt['state']}" + (f" ({said})" if said else "")


def _people(story: Fields, zone: tzinfo) -> Iterator[str]:
    escalation, known = story["escalation"], story["acknowledgement"]
    if escalation is not None:
        turns = len(escalation["channels"])
        if escalation["ended_us"] is None:
            channel = escalation["channels"][escalation["turn"] - 1]
            due = _time(escalation["due_us"], zone)
            yield f"escalation: turn {escalation['turn']} of {turns} goes to {channel} at {due} unless acknowledged"
        else:
            ended = _time(escalation["ended_us"], zone)
            yield f"escalation: {escalation['ended_why']} {ended}, after {escalation['turn'] - 1} of {turns} turns"
    if known is not None:
        note = f": {known['note']}" if known["note"] else ""
        yield f"acknowledged by {known['author'] or 'somebody'} ({known['via']}) {_time(known['at_us'], zone)}{note}"
    elif escalation is not None and escalation["ended_us"] is None:
        yield f"nobody acknowledged it: alertbus-subscriber ack {str(story['alert']['id'])[-_SHORT:]}"


def _what(severity: str, event: str, alert: Fields) -> str:
    words = " ".join(filter(None, (severity, event, alert["symbol"])))
    who = ", ".join(
        f"{name} {alert[key]}" for name, key in (("agent", "agent_name"), ("source", "source")) if alert[key]
    )
    return f"{words} ({who})" if who else words


def _length(seconds: float) -> str:
    return duration_text(round(seconds * MICROSECONDS))


def _time(moment_us: int, zone: tzinfo) -> str:
    try:
        local = from_us(moment_us).astimezone(zone)
    except OverflowError:  # outside the years 1 to 9999, or at their edge
        local = from_us(0).astimezone(UTC)
    return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"
