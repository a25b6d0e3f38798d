"""What the panels of the rows "Bus" and "Process" have to show, by what was driven."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bus.topics import KNOWN_LEVELS, OTHER_LEVELS
from bus.wire import INVALID_REASONS
from subscriber.monitoring.metrics import ACKNOWLEDGED_VIA
from tests.dashboards.live.bands import Check, Scale, all_exact, exact
from tests.dashboards.live.day import (
    CLOCK_AHEAD_SECONDS,
    JOURNAL_ALERTS,
    LONGEST_NS,
    PUBLISH_NS,
    REFUSED_ALERTS,
    TIMED_PUBLISHES,
)
from tests.dashboards.live.expected_delivery import Table, end
from tests.dashboards.live.ledger import Ledger

#: Publishers in the order in which they came, and those that beat at a moment at which all is in trouble.
SOURCES: Final = ("trader", "backlog", "ill", "ahead", "gappy", "night_trader", "looper")
#: A heartbeat is at most so old, where its publisher beats: beats, the measuring, and a busy machine.
_BEAT_SECONDS: Final = 2.0
#: The offset is the least of what heartbeats say, each of which took a moment to come.
_CLOCK_SECONDS: Final = 0.5
#: Starts and readings of the configuration are between what the test saw before and after.
_START_SECONDS: Final = 30.0


#: On a busy machine an alert may come so late that it is asked for, and then comes twice; so often at most.
_AGAIN: Final = 3
#: What is asked for is a range: the alerts of a burst that were on their way to a busy machine all come twice.
_REPEATED: Final = 20


def _per_minute(name: str) -> Callable[[Ledger, Scale], list[Check]]:
    return lambda ledger, scale: end(scale.per_minute({"": ledger.counts[name]}))


def _gaps(ledger: Ledger, scale: Scale) -> list[Check]:
    gaps, later = ledger.counts["gaps"], ledger.counts["gaps_of_the_outage"]
    return [
        Check("before", {"": _minutes_between(scale, gaps, gaps + _AGAIN)}),
        Check("end", {"": _minutes_between(scale, gaps + 1, gaps + later + _AGAIN)}),
    ]


def _duplicates(ledger: Ledger, scale: Scale) -> list[Check]:
    driven = ledger.counts["duplicate"]
    return end({"": _minutes_between(scale, driven, driven + _REPEATED)})


def _minutes_between(scale: Scale, least: float, most: float) -> tuple[float, float]:
    return scale.per_minute({"": least})[""][0], scale.per_minute({"": most})[""][1]


def _never(_ledger: Ledger, scale: Scale) -> list[Check]:
    return end(scale.per_minute({"": 0}))


def _publishers(_ledger: Ledger, _scale: Scale) -> list[Check]:
    troubles = {"trader": 1, "backlog": 0, "ill": 2, "ahead": 1, "gappy": 1, "night_trader": 4, "looper": 3}
    return [Check("quiet", {"trader": exact(1)}), Check("troubles", all_exact(troubles))]


def _since_heartbeat(ledger: Ledger, _scale: Scale) -> list[Check]:
    beating = dict.fromkeys(("trader", "ill", "ahead", "gappy", "looper"), (-0.1, _BEAT_SECONDS))
    at = ledger.moments["troubles"]
    dead = {
        "night_trader": at - ledger.levels["troubles", "silent_since"],
        "backlog": at - ledger.levels["troubles", "backlog_left"],
    }
    return [Check("troubles", beating | {name: (age - 0.1, age + _BEAT_SECONDS) for name, age in dead.items()})]


def _topics(ledger: Ledger, scale: Scale) -> list[Check]:
    return end(scale.per_minute({topic: ledger.topics[topic] for topic in (*KNOWN_LEVELS, OTHER_LEVELS)}))


def _clocks(_ledger: Ledger, _scale: Scale) -> list[Check]:
    offsets = dict.fromkeys(SOURCES, 0.0) | {"ahead": CLOCK_AHEAD_SECONDS}
    return [Check("troubles", {name: (each - _CLOCK_SECONDS, each + _CLOCK_SECONDS) for name, each in offsets.items()})]


def _between(ledger: Ledger, what: str) -> list[Check]:
    since = ledger.levels["end", what]
    return end({"": (1000 * (since - _START_SECONDS), 1000 * since)})


def _requests(ledger: Ledger, scale: Scale) -> list[Check]:
    bands = dict(scale.per_minute({"1xx": 0, "3xx": 0, "4xx": ledger.counts["answers_4xx"], "5xx": 0}))
    low, _high = scale.per_minute({"": ledger.counts["answers_2xx"]})[""]
    return end(bands | {"2xx": (low, 20 * low)})


DAEMON: Final[Table] = {
    ("What people answer", "A"): lambda ledger, scale: end(
        scale.per_minute(dict.fromkeys(ACKNOWLEDGED_VIA, 0) | {"api": ledger.counts["acknowledged"]})
    ),
    ("Alerts stored by topic", "A"): _topics,
    ("Alerts stored by topic", "B"): _per_minute("not_routed"),
    ("Missing and repeated alerts", "A"): _gaps,
    ("Missing and repeated alerts", "B"): _per_minute("replayed"),
    ("Missing and repeated alerts", "C"): _duplicates,
    ("Missing and repeated alerts", "D"): _per_minute("lost"),
    ("Age of the oldest unacknowledged CRITICAL", "A"): lambda ledger, _scale: [
        Check("quiet", {"": exact(0)}),
        Check("paused", {"": (ledger.age("paused", "backlog") - 0.1, ledger.age("paused", "backlog") + _BEAT_SECONDS)}),
    ],
    ("Alerts missing now", "A"): lambda _ledger, _scale: [
        Check("quiet", {"": exact(0)}),
        Check("troubles", {"": exact(1)}),
        Check("end", {"": exact(0)}),
    ],
    ("Publishers", "A"): _publishers,
    ("Since the last heartbeat", "A"): _since_heartbeat,
    ("Alerts in the publishers' journals", "A"): lambda _ledger, _scale: [
        Check(
            "troubles",
            all_exact(dict.fromkeys(SOURCES, 0.0) | {"ill": JOURNAL_ALERTS, "gappy": 4}),
        )
    ],
    ("Alerts refused by a full publisher", "A"): lambda _ledger, scale: [
        Check("before", scale.per_minute(dict.fromkeys(SOURCES, 0) | {"ill": REFUSED_ALERTS}))
    ],
    ("What publish() costs the trader", "B"): lambda _ledger, _scale: [
        Check(
            "troubles",
            all_exact(dict.fromkeys(SOURCES, 0.0)) | {"ill": exact(LONGEST_NS / 1e9), "trader": (1e-9, 1.0)},
        )
    ],
    ("What publish() costs the trader", "A"): lambda _ledger, _scale: [
        Check("troubles", {"ill": exact(PUBLISH_NS / TIMED_PUBLISHES / 1e9), "trader": (1e-9, 1.0)})
    ],
    ("Publishers' clocks", "A"): _clocks,
    ("Invalid messages by reason", "A"): lambda ledger, scale: end(
        scale.per_minute({reason: ledger.invalid[reason] for reason in INVALID_REASONS})
    ),
    ("Duration of a batch in the database", "A"): lambda _ledger, _scale: end({"": (0.0, 2.5)}),
    ("Duration of a batch in the database", "B"): lambda _ledger, _scale: end({"": (0.0, 10.0)}),
    ("Started", "A"): lambda ledger, _scale: _between(ledger, "started_after"),
    ("Configuration", "A"): lambda _ledger, _scale: [
        Check("quiet", {"": exact(0)}),
        Check("refused", {"": exact(1)}),
        Check("end", {"": exact(0)}),
    ],
    ("Open event streams", "A"): lambda _ledger, _scale: [
        Check("quiet", {"": exact(0)}),
        Check("paused", {"": exact(1)}),
        Check("end", {"": exact(0)}),
    ],
    ("HTTP answers by class", "A"): _requests,
    ("Troubles of the daemon", "A"): _never,
    ("Troubles of the daemon", "B"): _never,
    ("Troubles of the daemon", "C"): lambda ledger, scale: end(
        scale.per_minute({"frail": ledger.counts["template_failures"]})
    ),
    ("Troubles of the daemon", "D"): _per_minute("reloads_refused"),
    ("Troubles of the daemon", "E"): _per_minute("pings_failed"),
    ("Troubles of the daemon", "F"): _never,
    ("Troubles of the daemon", "G"): _never,
}
