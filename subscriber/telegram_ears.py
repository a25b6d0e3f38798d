"""Lets the bots of a daemon listen: what people may ask for is done by the daemon's own parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from subscriber.assembly import Assembly
from subscriber.channel_notes import notes_of, notes_of_policy
from subscriber.channels.channel import ChannelConfig
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.deliveries import event_of, severity_of
from subscriber.policy.buttons import can_be_muted
from subscriber.policy_desk import PolicyDesk
from subscriber.store.acknowledging import Acknowledged
from subscriber.telegram_actions import VIA, Actions, Described
from subscriber.telegram_chats import bots_of
from subscriber.telegram_commands import UPDATE_KINDS, TelegramCommands
from subscriber.trial import DEFAULT_TEXT

Fields = dict[str, Any]


def set_up_ears(
    configs: Iterable[ChannelConfig],
    parts: Assembly,
    policy: PolicyDesk,
    *,
    status: Callable[[], Fields],
    send_test: Callable[[tuple[str, ...], str | None], Fields],
    environment: HttpEnvironment,
) -> list[TelegramCommands]:
    """Build what listens for every bot of the channels, and give their messages buttons; nothing is asked yet.

    Args:
        configs: Of all channels, as `custom.resolved` returns them.
        parts: The daemon's.
        policy: What people do with it.
        status: Says how everything stands.
        send_test: Sends a test alert.
        environment: Proxies and trust.

    Raises:
        ConfigurationError: A bot's address can't be used.
    """
    actions = _actions(parts, policy, status, send_test)
    ears = []
    for bot, chats in bots_of(configs, parts.desks, environment):
        bot.prepare()
        parts.heard |= {chat.desk.name for chat in chats}
        for chat in chats:
            parts.metrics.add_ears(chat.desk.name, UPDATE_KINDS)
        ears.append(
            TelegramCommands(
                bot,
                chats,
                actions,
                clock=parts.clock,
                zone=parts.settings.general.zone,
                setting=parts.store.setting,
                remember=parts.store.remember,
                count=parts.metrics.telegram_update,
            )
        )
    return ears


def status_text(status: Mapping[str, Any]) -> str:
    """Say in a few lines how channels and publishers stand."""
    lines = ["alertbus " + ("DRY RUN" if status["dry_run"] else "runs")]
    for channel in status["channels"]:
        waiting = f", {channel['backlog']} waiting" if channel["backlog"] else ""
        dead = f", {channel['dead']} dead" if channel["dead"] else ""
        lines.append(f"{channel['name']}: {channel['state']}{waiting}{dead}")
        lines += [f"  {note}" for note in notes_of(channel, lambda moment: (moment or "")[:19].replace("T", " "))]
    lines += notes_of_policy(status)
    # one that said goodbye in order is nothing that a person has to know on a phone
    for publisher in (each for each in status["publishers"] if each["up"] or each["goodbye"] != "closed"):
        up = "up" if publisher["up"] else publisher["goodbye"] or "SILENT"
        lines.append(f"publisher {publisher['source']}: {up}, heard {publisher['last_heard_seconds_ago']} s ago")
    if not status["publishers"]:
        lines.append("No publisher is heard.")
    return "\n".join(lines)


def _actions(
    parts: Assembly,
    policy: PolicyDesk,
    status: Callable[[], Fields],
    send_test: Callable[[tuple[str, ...], str | None], Fields],
) -> Actions:
    store = parts.store

    def acknowledge(alert_id: UUID, author: str, via: str) -> Acknowledged | None:
        return policy.acknowledge(alert_id, author, via)

    def silence(
        matchers: Mapping[str, str], seconds: float, *, author: str, reason: str, via: str, critical: bool
    ) -> int:
        request = {
            "match": matchers,
            "seconds": seconds,
            "author": author,
            "reason": reason,
            "lets_critical": not critical,
        }
        return policy.add_silence(request, via).ends_us

    def end_silences(author: str, via: str) -> int:
        """End what was muted by Telegram, by whomever; silences that were set elsewhere are left alone."""
        muted = [each for each in store.open_silences() if each.via == VIA]
        return sum(policy.end_silence(each.id, author, via) is not None for each in muted)

    def test(channel: str) -> str:
        result = send_test((channel,), DEFAULT_TEXT)["channels"][0]
        waits = f", waits for {result['waiting_for']}" if result["waiting_for"] else ""
        return f"{channel}: {result['state']}{waits}"

    def describe(alert_id: UUID) -> Described | None:
        alert = store.alert(alert_id)
        if alert is None:
            return None
        return Described(event_of(alert), alert.symbol, alert.source, severity_of(alert), can_be_muted(alert))

    return Actions(
        acknowledge=acknowledge,
        silence=silence,
        end_silences=end_silences,
        status_text=lambda: status_text(status()),
        test=test,
        find=store.find_alerts,
        newest_critical=store.newest_unacknowledged,
        describe=describe,
        field_of=store.field_of,
    )
