"""The rules and silences that a running daemon goes by; a reload replaces the rules, and silences come and go."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from bus.alerts import Alert
from bus.clock import Clock
from bus.errors import AlertBusError, ConfigurationError
from subscriber.channels.building import placeholder_configs
from subscriber.deliveries import Hold, MessageLimits, PlannedDelivery
from subscriber.policy.explaining import Explanation
from subscriber.policy.rendering import render
from subscriber.policy.rules import Rules
from subscriber.policy.silences import ActiveSilence
from subscriber.policy.templates import Template, Templates, check_template
from subscriber.settings import SubscriberSettings, channel_configs
from subscriber.store.held import HeldBy
from subscriber.store.silences import Silence
from subscriber.store.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HoldingRules:
    """What rules hold, as the store asks for it: `subscriber.store.held.Holding`."""

    rules: Rules

    def is_quiet(self, channel: str, route: str, now_us: int, *, critical: bool) -> bool:
        """Say whether quiet hours hold now what a route sends to a channel."""
        return self.rules.is_quiet(channel, route, now_us, critical=critical)

    def held_by(self, silences: Sequence[Silence], now_us: int) -> HeldBy:
        """Return what says of a delivery what holds it now, while these silences go on."""
        rules, active = self.rules, _active(silences)

        def held_by(alert: Alert, channel: str, route: str) -> Hold | None:
            return rules.hold(alert, channel, route, now_us, silences=active)

        return held_by


class RuleBook:
    """What holds now. Any thread may ask; what it holds is replaced as a whole."""

    def __init__(
        self,
        rules: Rules,
        *,
        store: Store,
        clock: Clock,
        enabled: Callable[[], Collection[str]],
        dry_run: bool,
    ) -> None:
        """Begin with these rules and the silences of the store.

        Args:
            rules: What the configuration says.
            store: Where silences are.
            clock: The daemon's.
            enabled: The channels that are switched on now.
            dry_run: Whether nothing is ever sent.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        self._store = store
        self._clock = clock
        self._enabled = enabled
        self._dry_run = dry_run
        self._silences: tuple[ActiveSilence, ...] = ()
        self.replace(rules)
        self.refresh()

    def replace(self, rules: Rules) -> None:
        """Go by other rules; what is planned already stays as it is."""
        self.rules = rules
        self.templates = templates_of(rules)

    def refresh(self) -> None:
        """Take over the silences of the store: another daemon, or a command, may have changed them.

        Raises:
            StoreError: The database can't be used at the moment; those that are known hold on.
        """
        self._silences = _active(self._store.open_silences())

    @property
    def holding(self) -> HoldingRules:
        """What holds deliveries, by the rules of now."""
        return HoldingRules(self.rules)

    def plan(self, alert: Alert, channels: Iterable[str] | None = None) -> tuple[PlannedDelivery, ...]:
        """Say where an alert goes now; with `channels` to these, in place of where its routes send it."""
        return self.rules.plan(
            alert,
            self._clock.now_us(),
            enabled=self._enabled(),
            dry_run=self._dry_run,
            silences=self._silences,
            channels=channels,
        )

    def explain(self, alert: Alert) -> Explanation:
        """Say where an alert would go now, and why."""
        return self.rules.explain(
            alert, self._clock.now_us(), enabled=self._enabled(), dry_run=self._dry_run, silences=self._silences
        )


def own_rules(settings: SubscriberSettings) -> Rules:
    """Return the rules of a configuration, for the channels that it has, or those of a dry run.

    Raises:
        ConfigurationError: A channel or the policy has faults; it tells all of them.
    """
    return settings.rules_for(config.name for config in channel_configs(settings) or placeholder_configs())


def templates_of(rules: Rules) -> Templates:
    """Return the templates of rules, in the order of their file."""
    return Templates(
        Template(text.name, text.text, None if text.kinds is None else frozenset(text.kinds), frozenset(text.channels))
        for text in rules.templates.values()
    )


def previewed(
    rules: Rules,
    limits: MessageLimits,
    zone: tzinfo,
    alert: Alert,
    channel: str,
    *,
    name: str | None = None,
    text: str | None = None,
) -> dict[str, Any]:
    """Show what a message would say.

    Args:
        rules: Whose templates there are.
        limits: The channel's.
        zone: Where the reader's clock is.
        alert: What it tells.
        channel: Where it would go.
        name: A template of the rules; without it the one that holds for the channel and the kind, if there is one.
        text: A template that is not in the rules.

    Raises:
        ConfigurationError: There is no such template, or its text is wrong.
    """
    template = templates_of(rules).pick(name, channel, alert.kind)
    if name is not None and name not in rules.templates:
        known = ", ".join(rules.templates) or "none"
        raise ConfigurationError(f"There is no template {name!r}; there are: {known}.")
    if text is not None:
        fault = check_template(text)
        if fault is not None:
            raise ConfigurationError(f"The template can't be used: {fault}.")
        template = Template("preview", text)
    faults: list[str] = []
    message = render(alert, limits, zone, template=template, on_fault=faults.append)
    return {
        "channel": channel,
        "template": None if template is None else template.name,
        "text": message.text,
        "body": message.body,
        "dialect": message.dialect.value,
        "parameters": list(message.parameters),
        "fault": faults[0] if faults else None,
    }


def _active(silences: Iterable[Silence]) -> tuple[ActiveSilence, ...]:
    return tuple(each for each in map(_active_one, silences) if each is not None)


def _active_one(silence: Silence) -> ActiveSilence | None:
    try:
        return ActiveSilence.of(
            silence.id,
            silence.matchers,
            starts_us=silence.starts_us,
            ends_us=silence.ends_us,
            drops=silence.drops,
            lets_critical=silence.lets_critical,
        )
    except AlertBusError as error:  # written by another version, or by hand: it holds nothing
        logger.error("a silence can't be read and holds nothing: %s", error, extra={"silence": silence.id})
        return None
