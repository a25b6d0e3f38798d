"""What each panel of the dashboard has to show at the end of the day, or at a moment of it: the whole table."""

from __future__ import annotations

from typing import Final

from subscriber.telegram_commands import UPDATE_KINDS
from tests.dashboards.live.bands import Check, exact
from tests.dashboards.live.expected_daemon import DAEMON
from tests.dashboards.live.expected_delivery import DELIVERY, Table, end
from tests.dashboards.live.machine import MACHINE

_PEOPLE: Final[Table] = {
    ("What people answer", "C"): lambda ledger, scale: end(
        scale.per_minute(
            {f"telegram {kind}": 0 for kind in UPDATE_KINDS} | {"telegram command": ledger.counts["bot_asked"]}
        )
    ),
    ("WhatsApp's window", "A"): lambda _ledger, _scale: [Check("end", {"whatsapp": exact(1)})],
}

#: By a panel's title and the letter of its query.
TABLE: Final[Table] = DELIVERY | DAEMON | MACHINE | _PEOPLE
