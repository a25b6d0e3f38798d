"""What the panels have to show that tell of the daemon's process, of its disk and of its log."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Final

from subscriber.monitoring.metrics import alertbus_version
from tests.dashboards.live.bands import Check, Scale, all_exact, exact
from tests.dashboards.live.expected_delivery import Table, end
from tests.dashboards.live.ledger import Ledger
from tests.dashboards.live.looking import LEVELS

_MEBIBYTE: Final = 2**20
#: Of what the machine itself changes meanwhile.
_SHARE: Final = 0.25


def _near(what: str) -> Callable[[Ledger, Scale], list[Check]]:
    """Return a check against what the system itself told of the daemon, or of its files, at the end of the day."""

    def check(ledger: Ledger, _scale: Scale) -> list[Check]:
        seen = ledger.levels["end", what]
        return end({"": (seen * (1 - _SHARE), seen * (1 + _SHARE))})

    return check


def _last_audit(ledger: Ledger, _scale: Scale) -> list[Check]:
    quiet = {"": exact(0)}
    audited = (1000 * ledger.moments["quiet"], 1000 * ledger.moments["before"])
    return [Check("quiet", quiet), Check("before", {"": audited})]


def _last_ping(ledger: Ledger, _scale: Scale) -> list[Check]:
    taken = 1000 * ledger.levels["end", "pinged"]
    return end({"": (taken - 1000, taken + 7000)})


def _log(ledger: Ledger, scale: Scale) -> list[Check]:
    return end(scale.per_minute({level: ledger.counts[f"logged_{level}"] for level in LEVELS}))


MACHINE: Final[Table] = {
    ("Versions", "A"): lambda _ledger, _scale: end(all_exact({f"{platform.python_version()} {alertbus_version()}": 1})),
    ("Last audit", "A"): _last_audit,
    ("Last ping taken", "A"): _last_ping,
    ("Processor", "A"): lambda _ledger, _scale: end({"": (0.001, 4.0)}),
    ("Memory", "A"): _near("memory"),
    ("Open files", "A"): _near("files"),
    ("Database and its disk", "A"): lambda ledger, _scale: end(
        {"": (ledger.levels["end", "database"] / 2, ledger.levels["end", "database"] * 2 + 8 * _MEBIBYTE)}
    ),
    ("Database and its disk", "B"): _near("disk_free"),
    ("Database and its disk", "C"): lambda ledger, _scale: end({"": exact(ledger.levels["end", "disk_size"])}),
    ("Log records by level", "A"): _log,
}
