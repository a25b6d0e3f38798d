"""The chats in which a bot is asked something: those that its channels are configured for, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from subscriber.channels.channel import ChannelConfig, TelegramConfig
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.channels.telegram_bot import TelegramBot
from subscriber.channels.telegram_updates import Place
from subscriber.delivery.desk import ChannelDesk


@dataclass(frozen=True, slots=True)
class Chat:
    """A channel, and the chat that it is configured for."""

    desk: ChannelDesk
    configured: str  #: a chat's id or a public @name

    def is_at(self, place: Place) -> bool:
        """Say whether this is the chat, or where it has moved to as far as the channel found out."""
        moved_to = self.desk.channel.memory.values.moved_to
        return place.is_chat(self.configured) or (moved_to is not None and place.is_chat(moved_to))


class Chats:
    """Those of one bot."""

    def __init__(self, chats: Sequence[Chat], refused: Callable[[Chat], None] = lambda _chat: None) -> None:
        """Keep them.

        Args:
            chats: At least one; the first lends its channel's name to what comes from none of them.
            refused: Hears of a configured chat in which something was asked that anybody may join.
        """
        self._chats = tuple(chats)
        self._refused = refused

    @property
    def name(self) -> str:
        """The first channel's name."""
        return self._chats[0].desk.name

    def find(self, place: Place) -> Chat | None:
        """Return the chat at a place; None for a stranger's, and for one that anybody may join."""
        for chat in self._chats:
            if chat.is_at(place):
                if not place.public:
                    return chat
                self._refused(chat)
        return None


def bots_of(
    configs: Iterable[ChannelConfig], desks: Mapping[str, ChannelDesk], environment: HttpEnvironment
) -> list[tuple[TelegramBot, list[Chat]]]:
    """Return each bot that channels write by, with the chats of all of them: a bot has one poller, or none is heard.

    Args:
        configs: Of all channels, as `custom.resolved` returns them.
        desks: By the channels' names.
        environment: Proxies and trust.
    """
    bots: dict[tuple[str, str], list[TelegramConfig]] = {}
    for config in configs:
        if isinstance(config, TelegramConfig):
            bots.setdefault((config.token, config.base_url), []).append(config)
    return [
        (TelegramBot.of(known, environment), [Chat(desks[config.name], config.chat_id) for config in known])
        for known in bots.values()
    ]
