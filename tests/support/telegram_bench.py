"""A bot that listens, on a bench: real HTTP, threads and desk; what is done is noted instead of done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from random import Random
from uuid import UUID

from bus.alerts import Severity
from bus.clock import MICROSECONDS, Clock, SystemClock
from subscriber.channels.building import build_channel
from subscriber.channels.channel import Channel, TelegramConfig
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.channels.memory import ChannelMemory
from subscriber.channels.telegram_bot import TelegramBot
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.meters import Meters
from subscriber.telegram_actions import Actions, Described
from subscriber.telegram_chats import bots_of
from subscriber.telegram_commands import TelegramCommands
from tests.support.clock import START_US
from tests.support.provider_server import TELEGRAM_CHAT, TELEGRAM_TOKEN, ProviderServer

ALERT = UUID("01920000-0000-7000-8000-0000deadbeef")
OTHER_ALERT = UUID("01920000-0000-7000-8000-1111deadbeef")
CRITICAL = Described("DRAWDOWN", "TNA", "live_trader", Severity.CRITICAL)


@dataclass(frozen=True)
class Noted:
    """That somebody knows of an alert."""

    author: str
    new: bool


@dataclass
class Notebook:
    """What was asked for, and what there is; a test may make any of it fail."""

    alerts: dict[UUID, Described] = field(default_factory=lambda: {ALERT: CRITICAL})
    known_words: dict[str, str] = field(default_factory=lambda: {"TNA": "symbol", "DRAWDOWN": "event_type"})
    acknowledged: dict[UUID, str] = field(default_factory=dict)
    done: list[tuple[object, ...]] = field(default_factory=list)
    fail: Callable[[], None] = lambda: None
    settings: dict[str, str] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    unended: int = 0

    def actions(self) -> Actions:
        return Actions(
            acknowledge=self._acknowledge,
            silence=self._silence,
            end_silences=self._end_silences,
            status_text=self._status_text,
            test=self._test,
            find=lambda digits: [alert for alert in self.alerts if alert.hex.endswith(digits)],
            newest_critical=lambda: next((each for each in self.alerts if each not in self.acknowledged), None),
            describe=self.alerts.get,
            field_of=self.known_words.get,
        )

    def count(self, channel: str, kind: str) -> None:
        self.counted[f"{channel} {kind}"] += 1

    def _acknowledge(self, alert: UUID, author: str, via: str) -> Noted | None:
        self.fail()
        if alert not in self.alerts:
            return None
        new = alert not in self.acknowledged
        self.acknowledged.setdefault(alert, author)
        self.done.append(("ack", alert, author, via))
        return Noted(self.acknowledged[alert], new)

    def _silence(
        self, matchers: Mapping[str, str], seconds: float, *, author: str, reason: str, via: str, critical: bool
    ) -> int:
        self.fail()
        self.unended += 1
        self.done.append(("mute", dict(matchers), seconds, author, reason, via, critical))
        return START_US + round(seconds * MICROSECONDS)

    def _end_silences(self, author: str, via: str) -> int:
        self.fail()
        ended, self.unended = self.unended, 0
        self.done.append(("unmute", author, via))
        return ended

    def _status_text(self) -> str:
        self.fail()
        self.done.append(("status",))
        return "telegram: ok"

    def _test(self, channel: str) -> str:
        self.fail()
        self.done.append(("test", channel))
        return "accepted after 0.2 s"


@dataclass
class Bench:
    """What a test holds in its hands."""

    server: ProviderServer
    notebook: Notebook
    channel: Channel
    desk: ChannelDesk
    chat: str
    _opened: ExitStack

    def listen(
        self,
        *,
        clock: Clock | None = None,
        environment: HttpEnvironment | None = None,
        hold_seconds: int = 25,
        start: bool = True,
    ) -> TelegramCommands:
        """Build another poller, as a restarted daemon does, and start it; what it keeps is in the notebook."""
        config = TelegramConfig(TELEGRAM_TOKEN, self.chat, base_url=self.server.url)
        [(bot, chats)] = bots_of([config], {config.name: self.desk}, environment or HttpEnvironment())
        bot.prepare()
        commands = TelegramCommands(
            bot,
            chats,
            self.notebook.actions(),
            clock=clock or SystemClock(),
            zone=UTC,
            setting=self.notebook.settings.get,
            remember=self.notebook.settings.__setitem__,
            count=self.notebook.count,
            hold_seconds=hold_seconds,
            rng=Random(1),
        )
        self._opened.callback(commands.stop)
        if start:
            commands.start()
        return commands


@contextmanager
def bench(
    server: ProviderServer, chat: str = TELEGRAM_CHAT, memory: ChannelMemory | None = None, clock: Clock | None = None
) -> Iterator[Bench]:
    """Build a channel and its desk; nothing listens yet, and all that does is stopped at the end."""
    with ExitStack() as opened:
        config = TelegramConfig(TELEGRAM_TOKEN, chat, base_url=server.url, deadline_seconds=5)
        channel = build_channel(config, environ={}, memory=memory)
        opened.callback(channel.close)
        desk = ChannelDesk(channel, clock or SystemClock(), meters=Meters())
        yield Bench(server, Notebook(), channel, desk, chat, opened)


def bot_of(server: ProviderServer, deadline_seconds: float = 5.0) -> TelegramBot:
    """Return a bot that nobody listens with."""
    bot = TelegramBot(TELEGRAM_TOKEN, HttpEnvironment(), base_url=server.url, deadline_seconds=deadline_seconds)
    bot.prepare()
    return bot
