"""What rules hold, for the tests of the store: nothing, or what a policy in TOML says."""

from __future__ import annotations

import tomllib
from datetime import UTC
from typing import Final

from subscriber.policy.hours_file import Zones
from subscriber.policy.reading import PolicyDocument
from subscriber.policy.routing import Defaults
from subscriber.policy.rules import Rules
from subscriber.policy.rules_file import rules_of
from subscriber.rulebook import HoldingRules
from subscriber.setting_groups import zone_of

CHANNELS: Final = ("telegram", "whatsapp", "desk")
#: No quiet hours at all.
FREE: Final = HoldingRules(Rules.of_defaults(CHANNELS))
#: The clock of the tests begins on a Thursday at 08:53:20; this is two hours around it, for one route.
MORNING: Final = """
[[routes]]
name = "desk"
match = { severity = ">=WARNING" }
channels = ["telegram"]
quiet_hours = ["morning"]
[quiet_hours.morning]
windows = ["Thu 08:00-10:00"]
"""


def rules_from(toml: str) -> Rules:
    """Read a policy for three channels; its times are UTC."""
    document = PolicyDocument(tomllib.loads(toml))
    return rules_of(document, CHANNELS, defaults=Defaults.of_seconds(None, None, None), zones=Zones(UTC, zone_of))


def holding(toml: str) -> HoldingRules:
    """Return what such a policy holds."""
    return HoldingRules(rules_from(toml))
