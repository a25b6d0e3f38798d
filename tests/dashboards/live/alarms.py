"""Which alerts of the rules the day provokes, which not and why, and which have to be told that they are over."""

from __future__ import annotations

from typing import Final

#: Those that fire in Prometheus and reach the webhook through Alertmanager.
PROVOKED: Final = frozenset(
    f"Alertbus{name}"
    for name in (
        "AlertsLost",
        "ChannelDown",
        "ClockSkew",
        "ConfigRefused",
        "CriticalLate",
        "CriticalUnacknowledged",
        "CriticalUncovered",
        "DeadLetters",
        "Down",
        "Expired",
        "JournalGrowing",
        "MessagesInvalid",
        "PublisherHung",
        "PublisherRefusing",
        "PublisherSilent",
        "PublisherVolatile",
        "QueueOverdue",
        "ReceiptsFailing",
        "SuccessBurningFast",
        "SuccessBurningSlow",
        "TemplateFailing",
        "WarningLate",
        "Watchdog",
        "WebhooksRefused",
    )
)
#: The others, and why a day of a minute can't have them; promtool's tests prove each.
NOT_PROVOKED: Final = {
    "AlertbusAuditOverdue": "The daemon audits each hour by itself; nothing makes it stop without stopping the daemon.",
    "AlertbusChannelSwitchedOff": "A channel would have to be off for 24 minutes even in scaled time.",
    "AlertbusCrashLooping": "Three starts in 15 s of scaled time; one of a real daemon takes seconds.",
    "AlertbusDatabaseFailing": "It takes a database that fails for longer than SQLite's own patience, again and again.",
    "AlertbusDiskFilling": "A test does not fill the machine's disk.",
    "AlertbusDiskFull": "A test does not fill the machine's disk.",
    "AlertbusDryRun": "It takes a daemon without credentials for a minute of scaled time, and this one has them.",
    "AlertbusLedgerOutOfBalance": "The daemon would have to break its own ledger between two audits.",
    "AlertbusPingFailing": "Pings come each 5 s at most, which is as long as the scaled window; one alone fails.",
}
#: Those whose end has to be told.
RESOLVED: Final = frozenset({"AlertbusChannelDown", "AlertbusDown", "AlertbusPublisherSilent"})
