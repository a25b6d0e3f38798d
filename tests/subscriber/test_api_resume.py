"""Resuming a paused channel: over real HTTP and by the command, with a real desk and its worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from bus.alerts import Alert
from bus.clock import SystemClock
from subscriber.deliveries import Outcome, Reason
from subscriber.delivery.desk import ChannelDesk
from subscriber.monitoring.access import Access
from subscriber.monitoring.api import ApiParts, build_app
from subscriber.monitoring.channels_api import ChannelParts
from subscriber.monitoring.trial_api import TrialParts
from subscriber.store import Store
from tests.support.clock import FakeClock
from tests.support.commands import command
from tests.support.running_service import PREFIX, daemon_environ
from tests.support.serving import serving
from tests.support.waiting import wait_until
from tests.support.worker_bench import Bench, ScriptedChannel

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

TOKEN = "a-long-random-word"
RESUME = f"{PREFIX}/channels/telegram/resume"
UNAUTHORIZED = Outcome(Reason.UNAUTHORIZED, "bot was blocked by the user", status=403)
Serve = Callable[[str | None], httpx2.Client]


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[Bench]:
    with Bench(store, clock) as made:
        yield made


@pytest.fixture
def desk(bench: Bench) -> ChannelDesk:
    return bench.desk(ScriptedChannel("telegram", UNAUTHORIZED))


@pytest.fixture
def serve(bench: Bench, desk: ChannelDesk) -> Iterator[Serve]:
    """Serve the API of a daemon with one channel, with a token or without."""
    with ExitStack() as opened:

        def start(token: str | None) -> httpx2.Client:
            parts = ApiParts(
                store=bench.store,
                metrics=bench.metrics,
                access=Access(token),
                not_ready=list,
                channels=ChannelParts(
                    names=("telegram",),
                    status=dict,
                    resume=lambda name, _author, _via: {desk.name: desk}[name].resume(),
                    switch=lambda *_given: {},
                    was_known=lambda _name: False,
                ),
                trial=TrialParts(
                    channels=("telegram",),
                    send_test=lambda _names, _text: {},
                    send_routed=lambda _alert, _text, _names: {},
                    clock=SystemClock(),
                ),
            )
            return opened.enter_context(serving(build_app(parts)))

        yield start


def paused(bench: Bench, desk: ChannelDesk) -> Alert:
    """Let the channel pause over an alert, which waits then."""
    bench.start(desk)
    alert = bench.add()
    wait_until(lambda: desk.paused)
    bench.wait_for_attempts(alert, 1)
    return alert


def test_resume_of_a_paused_channel_sends_what_waited(bench: Bench, desk: ChannelDesk, serve: Serve) -> None:
    alert = paused(bench, desk)
    answer = serve(None).post(RESUME)
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "success", "data": {"channel": "telegram", "was_paused": True}},
    )
    bench.wait_for(alert, "accepted")
    assert desk.up


def test_resume_twice_changes_nothing_more(bench: Bench, desk: ChannelDesk, serve: Serve) -> None:
    alert = paused(bench, desk)
    http = serve(None)
    answers = [http.post(RESUME).json()["data"]["was_paused"] for _ in range(3)]
    assert answers == [True, False, False]
    assert len(bench.wait_for(alert, "accepted")["attempts"]) == 2


def test_resume_of_a_channel_that_is_refused_again_pauses_and_tells_nothing_new(
    bench: Bench, desk: ChannelDesk, serve: Serve
) -> None:
    """People know it, and its escalation goes on; it is over when the channel works, and that is told as well."""
    channel = desk.channel
    assert isinstance(channel, ScriptedChannel)
    channel.answers.append(UNAUTHORIZED)
    alert = paused(bench, desk)
    assert serve(None).post(RESUME).json()["data"]["was_paused"] is True
    bench.wait_for_attempts(alert, 2)
    wait_until(lambda: desk.paused)
    serve(None).post(RESUME)
    wait_until(lambda: len(bench.announced) == 2)
    told, over = bench.announced
    assert (told.event_type, over.event_type, over.resolves) == ("CHANNEL_UNAUTHORIZED", "CHANNEL_WORKS", told.id)
    assert desk.channel.memory.values.paused_by is None


@pytest.mark.parametrize(
    ("name", "status"), [("pager", 404), ("Telegram", 404), ("x" * 65, 422), ("tele%20gram", 422)], ids=str
)
def test_resume_of_an_unknown_channel_is_refused(serve: Serve, name: str, status: int) -> None:
    answer = serve(None).post(f"{PREFIX}/channels/{name}/resume")
    assert answer.status_code == status
    assert set(answer.json()) == {"status", "error", "code"}


@pytest.mark.parametrize("authorization", [None, "Bearer wrong"])
def test_resume_without_the_token_is_401_and_resumes_nothing(
    bench: Bench, desk: ChannelDesk, serve: Serve, authorization: str | None
) -> None:
    paused(bench, desk)
    headers = {} if authorization is None else {"Authorization": authorization}
    assert serve(TOKEN).post(RESUME, headers=headers).status_code == 401
    assert desk.paused


def test_resume_asked_by_a_page_of_another_origin_is_refused(bench: Bench, desk: ChannelDesk, serve: Serve) -> None:
    paused(bench, desk)
    assert serve(None).post(RESUME, headers={"Origin": "http://evil.example"}).status_code == 403
    assert desk.paused


def test_resume_by_get_is_refused(serve: Serve) -> None:
    """A link, or a browser that looks ahead, must not do it."""
    assert serve(None).get(RESUME).status_code == 405


# --- the command --------------------------------------------------------------------------------------------


def environ_of(http: httpx2.Client, tmp_path: Path, token: str) -> dict[str, str]:
    return daemon_environ({"ALERTBUS_HTTP_PORT": str(http.base_url.port), "ALERTBUS_API_TOKEN": token}, tmp_path)


def test_resume_command_says_what_it_did(bench: Bench, desk: ChannelDesk, serve: Serve, tmp_path: Path) -> None:
    alert = paused(bench, desk)
    environ = environ_of(serve(TOKEN), tmp_path, TOKEN)
    first, second = (command(environ, tmp_path, "resume", "telegram") for _ in range(2))
    how = "alertbus-subscriber status shows whether it works.\n"
    assert (first.code, first.out) == (0, f"The channel telegram was paused, and tries again: {how}")
    assert (second.code, second.out) == (0, f"The channel telegram was not paused; it tries at once: {how}")
    bench.wait_for(alert, "accepted")
    assert command(environ, tmp_path, "resume", "telegram", "--json").json == {
        "channel": "telegram",
        "was_paused": False,
    }


@pytest.mark.parametrize(
    ("token", "name", "code", "words"),
    [
        (TOKEN, "pager", 1, "There is no channel 'pager'; there are: telegram."),
        ("wrong", "telegram", 1, "ALERTBUS_API_TOKEN"),
        (TOKEN, "../status", 2, "a channel's name"),
        (TOKEN, "", 2, "a channel's name"),
    ],
    ids=["unknown", "token", "path", "empty"],
)
def test_resume_command_refused_fails_with_the_reason(
    desk: ChannelDesk, serve: Serve, tmp_path: Path, token: str, name: str, code: int, words: str
) -> None:
    ended = command(environ_of(serve(TOKEN), tmp_path, token), tmp_path, "resume", name)
    assert (ended.code, ended.out) == (code, "")
    assert words in " ".join(ended.err.replace("│", " ").split())


def test_resume_command_without_a_daemon_says_that_the_pause_is_over(store_url: str, tmp_path: Path) -> None:
    ended = command(daemon_environ({}, tmp_path), tmp_path, "resume", "telegram")
    assert (ended.code, ended.out) == (1, "")
    assert "No daemon answers" in ended.err
    assert "ends with its daemon" in ended.err


@pytest.mark.parametrize("data", [{}, [], 7, {"channel": "telegram"}], ids=str)
def test_resume_command_answered_by_another_program_says_so(
    bench: Bench, desk: ChannelDesk, tmp_path: Path, store_url: str, data: object
) -> None:
    app = FastAPI()

    @app.post(RESUME)
    def other() -> dict[str, object]:
        return {"status": "success", "data": data}

    with serving(app) as http:
        ended = command(environ_of(http, tmp_path, TOKEN), tmp_path, "resume", "telegram")
    assert (ended.code, ended.out) == (1, "")
    assert "can't be read" in ended.err
