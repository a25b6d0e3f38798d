"""Plays a scenario: its inputs in their time, the daemon's parts in theirs, and what arrives at each channel.

The clock is moved from one moment at which something can happen to the next, and stands still while it happens: hours
pass in no time, and the same happens each time. The providers are real HTTP on loopback and keep to their own limits by
the same clock.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy import func, select

from bus.alerts import RiskEvent
from bus.clock import MICROSECONDS
from subscriber.store import Store, schema
from tests.support.clock import FakeClock
from tests.support.daemon import daemon_environ, provider_environ
from tests.support.provider_desk import AcceptedMessage
from tests.support.provider_server import ProviderServer
from tests.support.scenario import Input, Publish, Scenario, Told
from tests.support.scenario_daemon import ScenarioDaemon
from tests.support.scenario_inputs import Actor, PickyTelegram
from tests.support.strict_limits import PairLimits, StrictLimits

#: More stops than any scenario needs: a wait that never ends would be one of no time.
_MOST_STOPS: Final = 20_000
_MOST_TURNS: Final = 2_000
_SHORTEST_US: Final = 1_000
_CHANNELS: Final = {"telegram": "telegram", "meta": "whatsapp"}


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that a provider took."""

    channel: str
    at_us: int
    text: str
    silent: bool


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a scenario."""

    arrived: tuple[Arrived, ...]
    states: Mapping[str, Mapping[str, int]]  #: how many deliveries of each channel are in each state
    faults: tuple[str, ...]  #: of the audit
    refused: int  #: messages that came too fast for a provider
    failures: tuple[str, ...]  #: what went wrong inside a daemon and was only logged


class _Failures(logging.Handler):
    """Hears of the bugs that a daemon outlives: it only logs them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.told.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


class Stage:
    """The providers, the clock, and the daemons of one scenario."""

    def __init__(self, scenario: Scenario, folder: Path, url: str, stack: ExitStack) -> None:
        """Let the daemons begin at the scenario's start."""
        self.scenario = scenario
        self.clock = FakeClock(scenario.moment_us("+0s"))
        self.arrived: list[Arrived] = []
        #: Of every alert that was published, by its description.
        self.alert_ids: dict[str, UUID] = {}
        self._limits = StrictLimits(self.clock)
        self._pairs = PairLimits(self.clock)
        self.failures = _Failures()
        logger = logging.getLogger("subscriber")
        logger.addHandler(self.failures)
        stack.callback(logger.removeHandler, self.failures)
        self.telegram = PickyTelegram(limits=self._limits)
        self.server = ProviderServer(on_accepted=self._accepted, telegram=self.telegram)
        self.server.meta.rules.pairs = self._pairs
        stack.enter_context(self.server)
        self.config = folder / "alertbus.toml"
        self.write(scenario.toml)
        self._environ = [self._environ_of(folder, url) for _ in range(scenario.daemons)]
        self.daemons = [self._start(number) for number in range(scenario.daemons)]
        stack.callback(self._close)
        self._numbers = 0

    @property
    def refused(self) -> int:
        """How many messages came too fast for a provider."""
        return len(self._limits.refusals) + len(self._pairs.refusals)

    def write(self, toml: str) -> None:
        """Write the file."""
        self.config.write_text(self.scenario.file(toml, self.server.port), encoding="utf-8")

    def publish(self, inputs: list[tuple[Publish, int]]) -> None:
        """Let alerts come in that are published at the same time; every daemon gets them."""
        alerts = [each.alert(place, self.clock.now_us()) for each, place in inputs]
        self.alert_ids.update((alert.description, alert.id) for alert in alerts if isinstance(alert, RiskEvent))
        for daemon in self.daemons:
            daemon.take(alerts, self._numbers + 1)
        self._numbers += len(alerts)

    def restart(self, *, killed: bool) -> None:
        """End every daemon, and begin others on the same database."""
        for number, daemon in enumerate(self.daemons):
            daemon.close(killed=killed)
            self.daemons[number] = self._start(number)

    def settle(self) -> float:
        """Let everything be done that can be done now; return the seconds until something can be."""
        for _ in range(_MOST_TURNS):
            turns = [daemon.turn() for daemon in self.daemons]
            if not any(done for done, _ in turns):
                return min(seconds for _, seconds in turns)
        raise AssertionError(f"{self.scenario.name}: something is done again and again, at one time")

    def _start(self, number: int) -> ScenarioDaemon:
        return ScenarioDaemon(self._environ[number], self.clock)

    def _environ_of(self, folder: Path, url: str) -> dict[str, str]:
        chats = {"telegram": "telegram", "whatsapp": "meta"}
        given = provider_environ(self.server, *(chats[name] for name in self.scenario.channels if name in chats))
        environ = {
            **given,
            "ALERTBUS_CONFIG": str(self.config),
            "ALERTBUS_DATABASE_URL": url,
            "ALERTBUS_TIMEZONE": self.scenario.zone,
            **self.scenario.environ,
        }
        return daemon_environ(environ, folder)

    def _accepted(self, message: AcceptedMessage) -> None:
        channel = _CHANNELS.get(message.provider) or message.target.rpartition("/")[2]
        self.arrived.append(Arrived(channel, self.clock.now_us(), message.text, message.silent))

    def _close(self) -> None:
        for daemon in self.daemons:
            daemon.close()


@contextmanager
def _staged(scenario: Scenario, folder: Path, url: str) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(scenario, folder, url, stack)


def play(scenario: Scenario, folder: Path, url: str) -> Played:
    """Play a scenario to its end on an empty database.

    Args:
        scenario: What is to happen.
        folder: For its files.
        url: The migrated database.
    """
    with _staged(scenario, folder, url) as stage:
        actor = Actor(stage)
        agenda = _agenda(scenario)
        end_us = scenario.moment_us(scenario.until)
        for _ in range(_MOST_STOPS):
            now_us = stage.clock.now_us()
            while agenda and agenda[0][0] <= now_us:
                due_us = agenda[0][0]
                due = [agenda.pop(0) for _ in range(sum(at_us == due_us for at_us, _, _ in agenda))]
                actor.act([(each, place) for _, each, place in due])
            wait = stage.settle()
            now_us = stage.clock.now_us()  # somebody may have set it
            if now_us >= end_us:
                break
            next_us = max(now_us + round(wait * MICROSECONDS), now_us + _SHORTEST_US)
            next_us = min(next_us, end_us, agenda[0][0] if agenda else end_us)
            stage.clock.advance((next_us - now_us) / MICROSECONDS)
        else:
            raise AssertionError(f"{scenario.name}: time does not pass")
        store = stage.daemons[0].store
        return Played(
            tuple(stage.arrived),
            _states(store),
            tuple(str(fault) for fault in store.audit().faults),
            stage.refused,
            tuple(stage.failures.told),
        )


def _agenda(scenario: Scenario) -> list[tuple[int, Input, int]]:
    """Return what happens when, in order; each alert of a row by itself, with its place."""
    found: list[tuple[int, Input, int]] = []
    for each in scenario.inputs:
        at_us = scenario.moment_us(each.at)
        many, step = (each.count, round(each.every * MICROSECONDS)) if isinstance(each, Publish) else (1, 0)
        found += [(at_us + place * step, each, place + 1) for place in range(many)]
    return sorted(found, key=lambda one: one[0])


def _states(store: Store) -> dict[str, dict[str, int]]:
    queue = schema.notification_queue.c
    statement = select(queue.channel, queue.status, func.count()).group_by(queue.channel, queue.status)
    found: dict[str, dict[str, int]] = {}
    with store.database.reading() as connection:
        for channel, status, count in connection.execute(statement):
            found.setdefault(channel, {})[status] = count
    return found


def differences(scenario: Scenario, played: Played) -> list[str]:
    """Say where what came of a scenario differs from what it has to be, message by message."""
    found: list[str] = []
    for channel in sorted({*scenario.channels, *(each.channel for each in played.arrived)}):
        wanted = [each for each in scenario.told if each.channel == channel for _ in range(each.count)]
        got = [each for each in played.arrived if each.channel == channel]
        for place in range(max(len(wanted), len(got))):
            if place >= len(got):
                found.append(f"{channel}: missing: {wanted[place].at} {wanted[place].words}")
            elif place >= len(wanted):
                found.append(f"{channel}: too many: {_shown(scenario, got[place])}")
            else:
                wrong = _wrong(scenario, wanted[place], got[place])
                found += [f"{channel} {place + 1}: {wrong}: {_shown(scenario, got[place])}"] if wrong else []
    states = {channel: dict(each) for channel, each in scenario.states.items()}
    if played.states != states:
        found.append(f"states: {played.states} instead of {states}")
    found += [f"audit: {fault}" for fault in played.faults]
    found += [f"logged: {failure}" for failure in played.failures]
    if played.refused:
        found.append(f"{played.refused} messages came too fast for their provider")
    return found


def _wrong(scenario: Scenario, wanted: Told, got: Arrived) -> str:
    at_us = scenario.moment_us(wanted.at)
    late = (got.at_us - at_us) / MICROSECONDS
    if not 0 <= late <= wanted.within:
        return f"not at {wanted.at} ({late:+.3f} s)"
    missing = [text for text in wanted.has if text not in got.text]
    surplus = [text for text in wanted.lacks if text in got.text]
    if missing or surplus:
        return f"lacks {missing}, has {surplus}"
    return "" if got.silent == wanted.silent else f"silent is {got.silent}"


def _shown(scenario: Scenario, got: Arrived) -> str:
    return f"{scenario.local(got.at_us):%a %d %H:%M:%S} {got.text!r}"
