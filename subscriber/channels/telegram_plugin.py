"""Apprise's plugin for Telegram, with the buttons below a message, which it does not know.

Its `send` is Apprise's own: it builds the request, and the keyboard is added to its JSON as it passes the seam
(core.telegram.org/bots/api#inlinekeyboardmarkup). It needs no URL of its own: a `tgram://` URL that says no more than
the built-in channel can say becomes that channel, buttons included.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from apprise.plugins import telegram

from subscriber.channels.requests_seam import amended
from subscriber.channels.telegram_updates import keyboard_of
from subscriber.deliveries import Button

#: Apprise has types for a part of this class only.
_NotifyTelegram: Any = telegram.NotifyTelegram
_NEEDED: Final = frozenset({"chat_id", "text"})


class NotifyTelegramButtons(_NotifyTelegram):  # type: ignore[misc]  # see _NotifyTelegram
    """A bot that writes text to one chat, with buttons below it."""

    service_name = "Telegram with buttons"

    def send(self, body: str, *arguments: Any, buttons: tuple[Button, ...] = (), **options: Any) -> bool:
        """Send by Apprise's own code.

        Args:
            body: The text.
            arguments: As Apprise's plugin takes them.
            buttons: What can be pressed below it, in one row.
            options: As Apprise's plugin takes them.
        """
        if not buttons:
            return bool(super().send(body, *arguments, **options))
        with amended(lambda payload: _with_buttons(payload, buttons)):
            return bool(super().send(body, *arguments, **options))


def _with_buttons(payload: str | bytes, buttons: Iterable[Button]) -> str:
    # A release that sends anything but a JSON object with these fields fails here, and that when a channel is built.
    fields = json.loads(payload)
    if not isinstance(fields, dict) or not fields.keys() >= _NEEDED:
        raise TypeError("Apprise's plugin for Telegram sends something else than JSON with chat_id and text")
    return json.dumps({**fields, "reply_markup": keyboard_of(buttons)})
