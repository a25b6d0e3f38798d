"""What every worker of a daemon is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from bus.alerts import Alert
from subscriber.deliveries import Button, PlannedDelivery
from subscriber.delivery.reporting import WakeChannels
from subscriber.policy.retry import RetryPolicy
from subscriber.policy.templates import Template

#: How long a thread waits at most before it looks at the queue again; new alerts of this daemon wake it at once.
DEFAULT_INTERVAL_SECONDS: Final = 1.0

#: Which template tells an alert: by the name that its route gave, its channel and its kind.
PickTemplate = Callable[[str | None, str, str], Template | None]
#: Which buttons an alert has on a channel.
PickButtons = Callable[[str, Alert], Sequence[Button]]
#: Plans an alert for one channel, by the rules that hold now; nothing where there are no rules.
PlanFor = Callable[[Alert, str], tuple[PlannedDelivery, ...]]


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What every worker of this daemon is told."""

    zone: tzinfo
    policy: RetryPolicy
    lease_seconds: float
    interval_seconds: float = DEFAULT_INTERVAL_SECONDS
    dry_run: bool = False
    #: The channels that may tell an alert which one refuses for good, best first.
    fallbacks: Callable[[str], Sequence[str]] = lambda _channel: ()
    #: Wakes the workers of channels.
    wake: WakeChannels = lambda _channels: None
    #: Within which an alert is to be told after its publication, together with others where it must be; None: whenever.
    max_delay_seconds: float | None = None
    #: Picks the template by which an alert is told; None for the built-in text.
    template_for: PickTemplate = lambda _name, _channel, _kind: None
    #: Picks the buttons below an alert.
    buttons_for: PickButtons = lambda _channel, _alert: ()
    #: Plans for a channel what is its alone.
    plan_for: PlanFor = lambda _alert, _channel: ()
