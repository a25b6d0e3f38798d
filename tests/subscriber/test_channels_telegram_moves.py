"""A Telegram group that became a supergroup: followed at once, remembered over restarts, its new id a secret."""

import json
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import pytest

from subscriber.channels.building import build_channel, placeholder_configs
from subscriber.channels.channel import Channel, TelegramConfig
from subscriber.channels.memory import ChannelMemory
from subscriber.deliveries import Dialect, Message, Outcome, Reason, Remembered
from tests.support.notebook import Notebook
from tests.support.provider_faults import error
from tests.support.provider_server import (
    TELEGRAM_CHAT,
    TELEGRAM_GROUP,
    TELEGRAM_TOKEN,
    TELEGRAM_UPGRADED_GROUP,
    TELEGRAM_UPGRADED_TO,
    ProviderServer,
)

MESSAGE = Message("<b>Drawdown</b>", "Drawdown", Dialect.TELEGRAM_HTML)


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A strict Telegram on loopback."""
    with ProviderServer() as running:
        yield running


def channel(
    server: ProviderServer, memory: ChannelMemory, chat: str = TELEGRAM_UPGRADED_GROUP, token: str = TELEGRAM_TOKEN
) -> Channel:
    """Build a channel that reaches the server, as a start of the daemon does."""
    config = TelegramConfig(token, chat, name="ops", base_url=server.url, deadline_seconds=5)
    return build_channel(config, environ={}, memory=memory)


def moved(server: ProviderServer) -> Remembered:
    """Return what a channel remembers after its group has moved."""
    memory = ChannelMemory()
    followed = channel(server, memory)
    assert followed.send(MESSAGE).accepted
    followed.close()
    return memory.values


def targets(server: ProviderServer) -> list[str]:
    """Return which chats were asked for, in order."""
    asked = [request.request.json_object() for request in server.telegram.requests]
    return [str(content["chat_id"]) for content in asked if content is not None]


def test_move_is_remembered_over_a_restart(server: ProviderServer) -> None:
    """The next start writes to the new id at once."""
    memory = ChannelMemory(moved(server))
    restarted = channel(server, memory)
    assert restarted.send(MESSAGE).accepted
    restarted.close()
    assert targets(server) == [TELEGRAM_UPGRADED_GROUP, TELEGRAM_UPGRADED_TO, TELEGRAM_UPGRADED_TO]


def test_move_is_handed_on_to_be_kept_and_tells_nothing_of_the_old_id(server: ProviderServer) -> None:
    """A row holds a digest, by which nobody finds the configured id without the token."""
    notebook = Notebook()
    followed = channel(server, ChannelMemory(keep=notebook))
    followed.send(MESSAGE)
    followed.send(MESSAGE)
    followed.close()
    [_target, change] = notebook.kept
    assert change.keys() == {"moved_from", "moved_to"}
    assert change["moved_to"] == TELEGRAM_UPGRADED_TO
    assert TELEGRAM_UPGRADED_GROUP.lstrip("-") not in str(change["moved_from"])


@pytest.mark.parametrize("chat", [TELEGRAM_GROUP, TELEGRAM_UPGRADED_TO, TELEGRAM_CHAT])
def test_move_of_a_chat_that_is_configured_no_more_is_forgotten(server: ProviderServer, chat: str) -> None:
    """Whoever changes TELEGRAM_CHAT_ID means the chat that he names."""
    memory = ChannelMemory(moved(server))
    changed = channel(server, memory, chat)
    assert changed.send(MESSAGE).accepted
    changed.close()
    assert targets(server)[2:] == [chat]
    assert (memory.values.moved_from, memory.values.moved_to) == (None, None)


def test_move_known_to_another_bot_is_forgotten(server: ProviderServer) -> None:
    """The digest is made with the token."""
    memory = ChannelMemory(moved(server))
    channel(server, memory, token=f"9{TELEGRAM_TOKEN}").close()
    assert memory.values == Remembered(target=memory.values.target)


def test_rehearsal_changes_nothing_that_is_remembered(server: ProviderServer) -> None:
    """A dry run has placeholders for its chat: neither a move nor a hold is about that."""
    notebook = Notebook()
    known = replace(moved(server), held_until_us=7)
    for config in placeholder_configs():
        build_channel(config, rehearsal=True, environ={}, memory=ChannelMemory(known, notebook)).close()
    assert notebook.kept == []
    restarted = channel(server, ChannelMemory(known, notebook))
    restarted.close()
    assert restarted.memory.values == known
    assert notebook.kept == []


def test_move_is_told_once_and_without_ids(server: ProviderServer, caplog: pytest.LogCaptureFixture) -> None:
    """A person is to change the setting; the log is no place for the id."""
    memory = ChannelMemory()
    for _ in range(2):
        followed = channel(server, memory)
        followed.send(MESSAGE)
        followed.send(MESSAGE)
        followed.close()
    told = [record for record in caplog.records if "the group has moved" in record.getMessage()]
    assert [(record.levelname, record.__dict__["channel"]) for record in told] == [("WARNING", "ops")]
    assert TELEGRAM_UPGRADED_TO.lstrip("-") not in str(told[0].__dict__)


def test_new_id_is_a_secret_from_the_first_answer_on(server: ProviderServer) -> None:
    """Telegram's own words may hold it, in the answer that tells of the move and in every later one."""
    told = {"ok": False, "error_code": 400, "description": f"upgraded to {TELEGRAM_UPGRADED_TO}, that is 1005550001006"}
    server.telegram.script(
        error(400, body=json.dumps({**told, "parameters": {"migrate_to_chat_id": int(TELEGRAM_UPGRADED_TO)}}).encode()),
        error(400, body=json.dumps(told).encode()),
        error(400, body=json.dumps(told).encode()),
    )
    memory = ChannelMemory()
    details = []
    for _ in range(2):
        followed = channel(server, memory)
        details.append(followed.send(MESSAGE).detail)
        followed.close()
    assert details == ["upgraded to ***, that is ***"] * 2


def test_move_takes_the_pace_along(server: ProviderServer) -> None:
    """From then on it shares the new id's limits with every channel that is configured with it."""
    memory = ChannelMemory()
    followed = channel(server, memory)
    followed.send(MESSAGE)
    assert followed.pace == channel(server, ChannelMemory(), TELEGRAM_UPGRADED_TO).pace
    assert channel(server, memory).pace == followed.pace


def test_sends_at_once_to_a_moved_group_all_arrive(server: ProviderServer) -> None:
    """The second thread learns of a move that the first has followed already; its message is no less lost."""
    telegram = channel(server, ChannelMemory())
    both_ready = threading.Barrier(2, timeout=60)
    firsts = deque([both_ready.wait] * 2)
    provider = telegram._provider  # type: ignore[attr-defined]
    submit = provider.submit

    def submit_together(plugin: object, message: Message) -> bool:
        if firsts:
            firsts.pop()()  # both have their plugin by now: that of the old id
        return bool(submit(plugin, message))

    provider.submit = submit_together
    outcomes: list[Outcome] = []
    threads = [threading.Thread(target=lambda: outcomes.append(telegram.send(MESSAGE))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    telegram.close()
    assert [outcome.reason for outcome in outcomes] == [Reason.ACCEPTED] * 2
    assert sorted(targets(server)) == sorted([TELEGRAM_UPGRADED_GROUP, TELEGRAM_UPGRADED_TO] * 2)


@pytest.mark.parametrize("moved_to", [True, "soon", None, 1 << 60, {}, 0.5])
def test_move_to_what_is_no_chat_is_not_followed(server: ProviderServer, moved_to: object) -> None:
    """The channel stops, and a person looks."""
    body = {
        "ok": False,
        "error_code": 400,
        "description": "Bad Request: group chat was upgraded to a supergroup chat",
        "parameters": {"migrate_to_chat_id": moved_to},
    }
    server.telegram.script(error(400, body=json.dumps(body).encode()))
    memory = ChannelMemory()
    telegram = channel(server, memory)
    assert telegram.send(MESSAGE).reason is Reason.UNAUTHORIZED
    telegram.close()
    assert memory.values == Remembered(target=memory.values.target)
    assert len(server.telegram.requests) == 1
