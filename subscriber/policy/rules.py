"""All that is said about the delivery policy, as one immutable value: a reload builds another one. Pure.

An alert's plan, for each channel in turn:

    dry run -> level off -> channel disabled -> silence -> quiet hours -> dedup and group

A dry run shows nothing for a channel that is switched off. The first route that names a channel decides how it tells
the alert, also by `off`. A CRITICAL always has a plan: one that no channel would tell goes to every channel that no
route switches off for it, else to all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bus.alerts import Alert, Severity
from subscriber.deliveries import Dedup, DeliveryState, Grouping, Hold, PlannedDelivery, Why, severity_of
from subscriber.policy.explaining import ChannelStory, Explanation, tried
from subscriber.policy.fingerprints import fingerprint_of, group_of
from subscriber.policy.quiet_hours import QuietHours, quiet_now, quiet_until
from subscriber.policy.routing import (
    SAFETY_NET,
    Choice,
    Counting,
    Defaults,
    Level,
    Route,
    Treatment,
    choice_of,
    default_routes,
    takers,
)
from subscriber.policy.silences import ActiveSilence, silence_of


@dataclass(frozen=True, slots=True)
class TemplateText:
    """A template as it was written."""

    name: str
    text: str
    kinds: tuple[str, ...] | None = None  #: that it is for; None for all
    channels: tuple[str, ...] = ()  #: that use it where no route names one

    def fields(self) -> dict[str, Any]:
        """Return it as plain data."""
        kinds = None if self.kinds is None else list(self.kinds)
        return {"name": self.name, "text": self.text, "kinds": kinds, "channels": list(self.channels)}


@dataclass(frozen=True, slots=True)
class Rules:
    """The delivery policy that is in force; checked by whoever builds it."""

    routes: tuple[Route, ...]
    channels: tuple[str, ...]  #: every one there is
    defaults: Defaults = field(default_factory=Defaults)
    quiet_hours: Mapping[str, QuietHours] = field(default_factory=dict)  #: by name
    templates: Mapping[str, TemplateText] = field(default_factory=dict)  #: by name
    built_in: bool = False  #: whether the routes are the built-in ones
    hints: tuple[str, ...] = ()  #: what looks like a mistake and is allowed

    @classmethod
    def of_defaults(cls, channels: Iterable[str], defaults: Defaults | None = None) -> Rules:
        """Return the rules that hold without a file."""
        names = tuple(dict.fromkeys(channels))
        found = defaults or Defaults()
        return cls(default_routes(names, found), names, found, built_in=True)

    def plan(
        self,
        alert: Alert,
        now_us: int,
        *,
        enabled: Collection[str],
        dry_run: bool,
        silences: Sequence[ActiveSilence] = (),
        channels: Iterable[str] | None = None,
    ) -> tuple[PlannedDelivery, ...]:
        """Plan an alert.

        Args:
            alert: What happened.
            now_us: The daemon's time: what need not wait is due then.
            enabled: The channels that are switched on.
            dry_run: Whether nothing is to be sent.
            silences: Those that nobody ended.
            channels: Where it goes in place of where the routes send it: a resolve goes where its event went.
        """
        critical = severity_of(alert) is Severity.CRITICAL
        chosen = self._chosen(takers(self.routes, alert), critical=critical, channels=channels)
        if not chosen:
            return ()
        # A CRITICAL that no enabled channel would tell waits for the first that is switched on.
        waits = critical and not any(choice.channel in enabled for choice in chosen if choice.level is not Level.OFF)
        if dry_run:
            return tuple(
                _suppressed(choice, now_us, Why.DRY_RUN if waits or choice.channel in enabled else Why.DISABLED)
                for choice in chosen
            )
        silence = silence_of(alert, now_us, silences, critical=critical) if silences else None
        planned: list[PlannedDelivery] = []
        treatment: Treatment | None = None
        dedup: Dedup | None = None
        escalates = critical
        for choice in chosen:
            if choice.level is Level.OFF:
                planned.append(_suppressed(choice, now_us, Why.OFF))
            elif not waits and choice.channel not in enabled:
                planned.append(_suppressed(choice, now_us, Why.DISABLED))
            else:
                quiet = self._quiet(choice) if self.quiet_hours else ()
                held = _held(choice, now_us, silence, quiet, critical=critical) if silence or quiet else None
                if held is None and choice.treatment is not treatment:
                    treatment = choice.treatment
                    dedup = _dedup(treatment.counting, alert, critical=critical)
                sent = held or _sent(choice, alert, now_us, dedup, critical=critical, escalates=escalates)
                escalates = escalates and sent.escalation is None  # once for each alert
                planned.append(sent)
        return tuple(planned)

    def hold(
        self, alert: Alert, channel: str, route: str, now_us: int, *, silences: Sequence[ActiveSilence] = ()
    ) -> Hold | None:
        """Say what holds a delivery now that waited for something else; None where it can be told.

        Quiet hours that drop hold it: it was promised.

        Args:
            alert: What it tells.
            channel: Where.
            route: The name of the route that planned it; one that is no more names no quiet hours.
            now_us: The time.
            silences: Those that nobody ended.
        """
        critical = severity_of(alert) is Severity.CRITICAL
        quiet = self._quiet_of(channel, self._named_by(route))
        silence = silence_of(alert, now_us, silences, critical=critical)
        if silence is not None:
            return Hold(silence.batch, quiet_until(quiet, silence.ends_us, critical=critical), silence.drops)
        found = quiet_now(quiet, now_us, critical=critical)
        return None if found is None else Hold(found.batch, quiet_until(quiet, now_us, critical=critical))

    def is_quiet(self, channel: str, route: str, now_us: int, *, critical: bool) -> bool:
        """Say whether quiet hours are in force now for what a route of this name sends to a channel."""
        return quiet_now(self._quiet_of(channel, self._named_by(route)), now_us, critical=critical) is not None

    def explain(
        self,
        alert: Alert,
        now_us: int,
        *,
        enabled: Collection[str],
        dry_run: bool,
        silences: Sequence[ActiveSilence] = (),
        channels: Iterable[str] | None = None,
    ) -> Explanation:
        """Say where an alert would go and why; the arguments are those of `plan`, whose answer it tells."""
        critical = severity_of(alert) is Severity.CRITICAL
        there = None if channels is None else tuple(channels)
        chosen = self._chosen(takers(self.routes, alert), critical=critical, channels=there)
        planned = self.plan(alert, now_us, enabled=enabled, dry_run=dry_run, silences=silences, channels=there)
        stories = tuple(
            ChannelStory(delivery, choice, alert, self._hours(choice))
            for choice, delivery in zip(chosen, planned, strict=True)
        )
        return Explanation(alert, now_us, tuple(tried(self.routes, alert)), stories)

    def fields(self) -> dict[str, Any]:
        """Return what is in force as plain data."""
        return {
            "built_in": self.built_in,
            "channels": list(self.channels),
            "routes": [route.fields() for route in self.routes],
            "quiet_hours": [quiet.fields() for quiet in self.quiet_hours.values()],
            "templates": [template.fields() for template in self.templates.values()],
            "hints": list(self.hints),
        }

    def _chosen(self, routes: Sequence[Route], *, critical: bool, channels: Iterable[str] | None) -> Sequence[Choice]:
        """Return each channel once, as the first route that names it wants it."""
        if len(routes) == 1:
            choices: Sequence[Choice] = routes[0].choices
        else:
            by_channel: dict[str, Choice] = {}
            for route in routes:
                for choice in route.choices:
                    by_channel.setdefault(choice.channel, choice)
            choices = tuple(by_channel.values())
        if channels is not None:
            return self._sent_to(tuple(dict.fromkeys(channels)), choices)
        if not critical or any(choice.level is not Level.OFF for choice in choices):
            return choices
        off = [choice.channel for choice in choices]
        others = [name for name in self.channels if name not in off]
        treatment = self.defaults.treatment()
        net = [choice_of(name, Level.ON, treatment, SAFETY_NET) for name in others or self.channels]
        return (*net, *choices) if others else net

    def _sent_to(self, channels: Sequence[str], choices: Sequence[Choice]) -> Sequence[Choice]:
        wanted = {choice.channel: choice for choice in choices if choice.level is not Level.OFF}
        treatment = self.defaults.treatment()
        return [wanted.get(name) or choice_of(name, Level.ON, treatment, "") for name in channels]

    def _quiet(self, choice: Choice) -> list[QuietHours]:
        """Return the quiet hours that a choice keeps to: its route's, and its channel's."""
        return self._quiet_of(choice.channel, choice.treatment.quiet_hours)

    def _quiet_of(self, channel: str, named: Collection[str]) -> list[QuietHours]:
        return [each for name, each in self.quiet_hours.items() if name in named or channel in each.channels]

    def _named_by(self, route: str) -> tuple[str, ...]:
        """Return the quiet hours that a route names."""
        found = (each for top in self.routes for each in top.all() if each.name == route)
        return next((each.treatment.quiet_hours for each in found), ())

    def _hours(self, choice: Choice) -> tuple[str, ...]:
        return tuple(each.name for each in self._quiet(choice))


def _suppressed(choice: Choice, now_us: int, why: Why, batch: str | None = None) -> PlannedDelivery:
    return PlannedDelivery(choice.channel, now_us, DeliveryState.SUPPRESSED, why, handling=choice.handling, batch=batch)


def _held(
    choice: Choice,
    now_us: int,
    silence: ActiveSilence | None,
    quiet: Sequence[QuietHours],
    *,
    critical: bool,
) -> PlannedDelivery | None:
    """Return what a silence or quiet hours make of a delivery, or None where it can go now."""
    if silence is not None:
        if silence.drops:
            return _suppressed(choice, now_us, Why.SILENCE, silence.batch)
        due_at_us = quiet_until(quiet, silence.ends_us, critical=critical)
        return _waiting(choice, now_us, due_at_us, silence.batch, critical=critical)
    found = quiet_now(quiet, now_us, critical=critical) if quiet else None
    if found is None:
        return None
    if found.drops(critical=critical):
        return _suppressed(choice, now_us, Why.SILENCE, found.batch)
    due_at_us = quiet_until(quiet, now_us, critical=critical)
    return _waiting(choice, now_us, due_at_us, found.batch, critical=critical)


def _waiting(choice: Choice, now_us: int, due_at_us: int, batch: str, *, critical: bool) -> PlannedDelivery:
    age_us = choice.treatment.max_age_of(critical=critical)
    return PlannedDelivery(
        choice.channel,
        due_at_us,
        handling=choice.handling,
        # What is held on purpose grows no older meanwhile, or nothing would be left to tell at the end.
        max_age_us=None if age_us is None else age_us + due_at_us - now_us,
        batch=batch,
    )


def _dedup(counting: Counting | None, alert: Alert, *, critical: bool) -> Dedup | None:
    window_us = None if counting is None else counting.window_of(alert, critical=critical)
    if counting is None or window_us is None:
        return None
    return Dedup(fingerprint_of(alert, counting.by, critical=critical), window_us)


def _sent(
    choice: Choice, alert: Alert, now_us: int, dedup: Dedup | None, *, critical: bool, escalates: bool
) -> PlannedDelivery:
    treatment = choice.treatment
    group = None if critical else treatment.group
    return PlannedDelivery(
        choice.channel,
        now_us,
        handling=choice.handling,
        max_age_us=treatment.max_age_of(critical=critical),
        batch=None if group is None else group_of(choice.handling.route, alert, group.by),
        dedup=dedup,
        grouping=None if group is None else Grouping(group.wait_us, group.interval_us),
        escalation=treatment.escalation if escalates else None,
    )
