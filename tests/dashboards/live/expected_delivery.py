"""What the panels of the rows "Is it well?", "From trader to phone" and "Queue" have to show, by what was driven."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from subscriber.deliveries import DigestKind, Reason, Why
from subscriber.monitoring.metrics import ATTEMPT_BUCKETS, END_TO_END_BUCKETS, RECEIPT_BUCKETS, WebhookResult
from subscriber.receipts import ReceiptState
from tests.dashboards.live.bands import Bands, Check, Scale, all_exact, bucket, exact, quantile
from tests.dashboards.live.day import ANSWER_SECONDS
from tests.dashboards.live.ledger import Ledger

#: What a panel has to show, by its title and the letter of its query.
Table = dict[tuple[str, str], Callable[[Ledger, Scale], list[Check]]]

CHANNELS: Final = ("desk", "ops", "telegram", "whatsapp")
#: How much later than the provider took a message the daemon may look at its clock, on a busy machine.
_SLACK_SECONDS: Final = 1.0
#: The daemon's own events are told at once, but their times are its own; so are those of escalations.
_OWN_SECONDS: Final = 10.0


def end(bands: Bands) -> list[Check]:
    """Return what has to be seen when the day is over."""
    return [Check("end", bands)]


def _channels(values: Counter[str] | dict[str, float], moment: str) -> Check:
    return Check(moment, all_exact(dict.fromkeys(CHANNELS, 0.0) | dict(values)))


def _accepted(ledger: Ledger) -> dict[str, int]:
    return {name: ledger.took(name, folded=False) for name in CHANNELS}


def _given_up(ledger: Ledger) -> dict[str, int]:
    return {name: ledger.states[name, "dead"] + ledger.states[name, "expired"] for name in CHANNELS}


def _share_accepted(ledger: Ledger, _scale: Scale) -> list[Check]:
    accepted, given_up = _accepted(ledger), _given_up(ledger)
    return end(all_exact({name: accepted[name] / (accepted[name] + given_up[name]) for name in CHANNELS}))


def _budget(ledger: Ledger, _scale: Scale) -> list[Check]:
    accepted, given_up = sum(_accepted(ledger).values()), sum(_given_up(ledger).values())
    return end({"": exact(given_up / (accepted + given_up) / 0.01)})


def _in_time(severity: str, seconds: float) -> Callable[[Ledger, Scale], list[Check]]:
    def check(ledger: Ledger, _scale: Scale) -> list[Check]:
        ages = ledger.ages(severity=severity) + ledger.own_of(severity)
        return end({"": exact(sum(age <= seconds for age in ages) / len(ages))})

    return check


def _end_to_end(share: float) -> Callable[[Ledger, Scale], list[Check]]:
    def check(ledger: Ledger, _scale: Scale) -> list[Check]:
        bands = {
            name: quantile(share, ledger.ages(name), END_TO_END_BUCKETS, _SLACK_SECONDS)
            for name in CHANNELS
            if name != "ops"
        }
        return end(bands | {"ops": (0.0, _OWN_SECONDS)})

    return check


def _by_severity(share: float) -> Callable[[Ledger, Scale], list[Check]]:
    def check(ledger: Ledger, _scale: Scale) -> list[Check]:
        found = {}
        for severity in ("INFO", "WARNING", "CRITICAL"):
            ages = sorted(ledger.ages(severity=severity) + ledger.own_of(severity))
            found[severity] = quantile(share, ages, END_TO_END_BUCKETS, _SLACK_SECONDS)
        return end(found)

    return check


def _heat(ledger: Ledger, scale: Scale) -> list[Check]:
    ages, own = ledger.ages(), sum(map(len, ledger.own.values()))
    bands = {}
    for edge in (*END_TO_END_BUCKETS, float("inf")):
        least = sum(age + _SLACK_SECONDS <= edge for age in ages) + own * (edge >= _OWN_SECONDS)
        most = sum(age <= edge for age in ages) + own
        bands["+Inf" if edge == float("inf") else str(edge)] = (scale.count(least)[0], scale.count(most)[1])
    return end(bands)


def _requests(_ledger: Ledger, _scale: Scale) -> list[Check]:
    slow = bucket(ANSWER_SECONDS, ANSWER_SECONDS + _SLACK_SECONDS, ATTEMPT_BUCKETS)
    return end(dict.fromkeys(CHANNELS, (0.0, _SLACK_SECONDS)) | {"telegram": slow})


def _failed_attempts(ledger: Ledger, scale: Scale) -> list[Check]:
    reasons = [reason.value for reason in Reason if reason is not Reason.ACCEPTED]
    return end(scale.per_minute({f"{name} {why}": ledger.attempts[name, why] for name in CHANNELS for why in reasons}))


def _got_through(ledger: Ledger, scale: Scale) -> list[Check]:
    driven = {f"{name} accepted": count for name, count in _accepted(ledger).items()}
    driven |= {
        f"{name} {state}": ledger.states[name, state] for name in CHANNELS for state in ("delivered", "in_doubt")
    }
    return end(scale.per_minute(driven))


def _receipts(ledger: Ledger, scale: Scale) -> list[Check]:
    return end(
        scale.per_minute(
            {f"whatsapp {state.value}": ledger.receipts["whatsapp", state.value] for state in ReceiptState}
        )
    )


def _receipt_seconds(ledger: Ledger, _scale: Scale) -> list[Check]:
    seconds = ledger.levels["awaited", "receipt_seconds"]
    return end({"whatsapp": bucket(seconds - _SLACK_SECONDS, seconds + _SLACK_SECONDS, RECEIPT_BUCKETS)})


def _awaited(ledger: Ledger, _scale: Scale) -> list[Check]:
    awaited = float(ledger.attempts["whatsapp", "accepted"])
    return [Check("awaited", {"whatsapp": exact(awaited)}), Check("end", {"whatsapp": exact(0.0)})]


def _webhooks(ledger: Ledger, scale: Scale) -> list[Check]:
    driven = {
        f"{provider} {result.value}": ledger.webhooks[provider, result.value]
        for provider in ("other", "twilio")
        for result in WebhookResult
    }
    return end(scale.per_minute(driven))


def _held_up_age(ledger: Ledger, _scale: Scale) -> list[Check]:
    age = ledger.moments["overdue"] - ledger.levels["overdue", "since"]
    return [
        Check("overdue", dict.fromkeys(CHANNELS, exact(0.0)) | {"telegram": (age - 0.2, age + 0.2)}),
        _channels({}, "end"),
    ]


def _digests(ledger: Ledger, scale: Scale, *, alerts: bool) -> list[Check]:
    driven = {f"{name} {kind.value}": 0 for name in CHANNELS for kind in DigestKind}
    for told in ledger.digested():
        driven[f"{told.channel} {told.kind}"] += told.alerts if alerts else 1
    return end(scale.per_minute(driven))


def _last_taken(ledger: Ledger, _scale: Scale) -> list[Check]:
    return end(
        {
            name: (1000 * (at - 0.5), 1000 * (at + ANSWER_SECONDS + _SLACK_SECONDS))
            for name, at in ledger.last_taken.items()
        }
    )


def _dead_now(ledger: Ledger, _scale: Scale) -> list[Check]:
    return [_channels({name: float(ledger.states[name, "dead"]) for name in CHANNELS}, "end"), _channels({}, "quiet")]


def _by_state(*states: str) -> Callable[[Ledger, Scale], list[Check]]:
    def check(ledger: Ledger, scale: Scale) -> list[Check]:
        driven = {f"{name} {state}": ledger.states[name, state] for name in CHANNELS for state in states}
        return end(scale.per_minute(driven))

    return check


def _suppressed(ledger: Ledger, scale: Scale) -> list[Check]:
    driven = {f"{name} {why.value}": ledger.suppressed[name, why.value] for name in CHANNELS for why in Why}
    return end(scale.per_minute(driven))


DELIVERY: Final[Table] = {
    ("Channels", "A"): lambda _ledger, _scale: [
        Check("quiet", all_exact(dict.fromkeys(CHANNELS, 1.0))),
        Check("paused", all_exact(dict.fromkeys(CHANNELS, 1.0) | {"telegram": 4.0})),
        Check("dark", all_exact(dict.fromkeys(CHANNELS, 5.0))),
        Check("end", all_exact(dict.fromkeys(CHANNELS, 1.0))),
    ],
    ("Deliveries accepted", "A"): _share_accepted,
    ("From publish to the provider, 95 %", "A"): _end_to_end(0.95),
    ("Last message taken", "A"): _last_taken,
    ("Taken in time", "A"): _in_time("CRITICAL", 10.0),
    ("Taken in time", "B"): _in_time("WARNING", 60.0),
    ("Error budget spent", "A"): _budget,
    ("CRITICALs that need a person", "A"): lambda ledger, _scale: [
        Check("quiet", {"": exact(0)}),
        Check("paused", {"": exact(ledger.levels["paused", "unacknowledged"])}),
    ],
    ("CRITICALs that need a person", "B"): lambda _ledger, _scale: [
        Check("dark", {"": exact(1)}),
        Check("end", {"": exact(0)}),
    ],
    ("Deliveries given up", "A"): lambda ledger, scale: end(scale.counts(_given_up(ledger))),
    ("Alerts lost", "A"): lambda ledger, scale: end(scale.counts({"": ledger.counts["lost"]})),
    ("Faults in the ledger", "A"): lambda _ledger, _scale: [
        Check("quiet", {"": exact(-1)}),  # no audit was yet; the first comes 30 s after the start
        Check("before", {"": exact(0)}),
    ],
    ("Sending", "A"): lambda _ledger, _scale: end({"": exact(0)}),
    ("Daemons that answer", "A"): lambda _ledger, _scale: end({"": exact(1)}),
    ("From publish to the provider", "A"): _heat,
    ("From publish to the provider by channel", "A"): _end_to_end(0.5),
    ("From publish to the provider by channel", "B"): _end_to_end(0.95),
    ("From publish to the provider by severity", "A"): _by_severity(0.5),
    ("From publish to the provider by severity", "B"): _by_severity(0.95),
    ("Duration of a request", "A"): _requests,
    ("Duration of a request", "B"): _requests,
    ("Failed attempts by reason", "A"): _failed_attempts,
    ("Deliveries that got through", "A"): _got_through,
    ("Receipts by what they say", "A"): _receipts,
    ("From the provider to the phone", "A"): _receipt_seconds,
    ("From the provider to the phone", "B"): _receipt_seconds,
    ("Receipts awaited", "A"): _awaited,
    ("Waiting for the pace", "A"): lambda _ledger, _scale: end(dict.fromkeys(CHANNELS, (0.0, 60.0))),
    ("Waiting for the pace", "B"): lambda _ledger, _scale: [_channels({}, "end")],
    ("Calls of webhooks", "A"): _webhooks,
    ("Waiting deliveries", "A"): lambda ledger, _scale: [
        Check("paused", all_exact({"desk": 0, "ops": 0, "telegram": 3}) | {"whatsapp": (0, 1)}),
        _channels({}, "quiet"),
        _channels({}, "end"),
    ],
    ("Age of the oldest waiting", "A"): _held_up_age,
    ("Age of the oldest overdue", "A"): _held_up_age,
    ("Dead letters", "A"): _dead_now,
    ("Given up", "A"): _by_state("dead", "expired"),
    ("Not sent on purpose", "A"): _suppressed,
    ("Held, and silences", "A"): lambda _ledger, _scale: [
        Check("silenced", {"": exact(2)}),
        Check("end", {"": exact(0)}),
    ],
    ("Held, and silences", "B"): lambda _ledger, _scale: [
        Check("quiet", {"": exact(0)}),
        Check("silenced", {"": exact(2)}),
        Check("end", {"": exact(1)}),
    ],
    ("Told in digests", "A"): lambda ledger, scale: _digests(ledger, scale, alerts=False),
    ("Told in digests", "B"): lambda ledger, scale: _digests(ledger, scale, alerts=True),
    ("Told in digests", "C"): lambda ledger, scale: end(
        scale.per_minute({name: ledger.took(name, folded=True) for name in CHANNELS})
    ),
    ("What people answer", "B"): lambda ledger, scale: end(
        scale.per_minute(dict.fromkeys(CHANNELS, 0) | {"ops": ledger.counts["escalations"]})
    ),
}
