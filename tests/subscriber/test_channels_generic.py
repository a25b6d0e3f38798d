"""Any Apprise URL as a channel: its verdicts, bad URLs, and a plugin that speaks no HTTP."""

import socket
import threading
from collections.abc import Iterator

import pytest

from bus.errors import ConfigurationError
from subscriber.channels import lanes
from subscriber.channels.building import build_channel
from subscriber.channels.channel import AppriseConfig, Limit
from subscriber.channels.lanes import SPARE_LANES
from subscriber.deliveries import Dialect, Message, Outcome, Reason
from tests.support.provider_faults import Fault, error, rate_limited, redirect, reset_after_reading
from tests.support.provider_server import TELEGRAM_TOKEN, ProviderServer

TEXT = "PnL < -5%\nBTC_USDT & *x* :smile: 😀"
MESSAGE = Message(TEXT, TEXT, Dialect.PLAIN)


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A webhook on loopback."""
    with ProviderServer() as running:
        yield running


def sent(server: ProviderServer, url: str | None = None) -> Outcome:
    """Send one message by a webhook and close the channel."""
    channel = build_channel(
        AppriseConfig("desk", url or f"json://127.0.0.1:{server.port}/hook/s3cret-path-of-the-desk"), environ={}
    )
    try:
        return channel.send(MESSAGE)
    finally:
        channel.close()


def test_send_by_a_url_arrives_as_text(server: ProviderServer) -> None:
    """As it was rendered, without a title."""
    assert sent(server).accepted
    assert [message.text for message in server.hook.accepted] == [TEXT]


def test_send_by_a_url_that_asks_for_retries_and_splitting_is_one_request(server: ProviderServer) -> None:
    """One delivery is one request; the queue does the rest."""
    server.hook.script(error(500))
    url = f"json://127.0.0.1:{server.port}/hook?retry=3&wait=0&overflow=split&redirect=yes"
    assert sent(server, url).reason is Reason.UNAVAILABLE
    assert len(server.hook.requests) == 1


@pytest.mark.parametrize(
    ("fault", "reason", "in_doubt"),
    [
        (error(400), Reason.REJECTED, False),
        (error(401), Reason.UNAUTHORIZED, False),
        (error(403), Reason.UNAUTHORIZED, False),
        (error(404), Reason.UNAUTHORIZED, False),
        (error(410), Reason.UNAUTHORIZED, False),
        (error(413), Reason.REJECTED, False),
        (error(408), Reason.NETWORK, False),
        (rate_limited(4), Reason.RATE_LIMITED, False),
        (error(500), Reason.UNAVAILABLE, True),
        (error(503), Reason.UNAVAILABLE, True),
        (redirect(), Reason.UNAVAILABLE, True),
        (reset_after_reading(), Reason.TIMEOUT, True),
    ],
)
def test_send_by_a_url_goes_by_the_general_table(
    server: ProviderServer, fault: Fault, reason: Reason, in_doubt: bool
) -> None:
    """One row of it."""
    server.hook.script(fault)
    outcome = sent(server)
    assert (outcome.reason, outcome.in_doubt) == (reason, in_doubt)
    assert server.elsewhere.requests == []


@pytest.mark.parametrize(
    ("headers", "body", "wait"),
    [
        ({"Retry-After": "4"}, b"", 4.0),
        ({}, b'{"retry_after": 0.75}', 0.75),
        ({"Retry-After": "99999999999"}, b"", 604_800.0),
        ({"Retry-After": "-1"}, b'{"retry_after": NaN}', None),
    ],
)
def test_rate_limit_of_any_service_is_read_from_header_or_body(
    server: ProviderServer, headers: dict[str, str], body: bytes, wait: float | None
) -> None:
    """Discord tells it in its JSON; nonsense is no wait."""
    server.hook.script(error(429, body=body, headers=headers))
    assert sent(server).retry_after_seconds == wait


@pytest.mark.parametrize(("answered", "reason"), [(True, Reason.UNAVAILABLE), (False, Reason.UNAVAILABLE)])
def test_send_by_a_plugin_that_fails_is_in_doubt_and_raises_nothing(
    server: ProviderServer, answered: bool, reason: Reason
) -> None:
    """A plugin's own bug must not end the channel's thread, before a request or after one."""
    channel = build_channel(AppriseConfig("desk", f"json://127.0.0.1:{server.port}/hook"), environ={})
    provider = channel._provider  # type: ignore[attr-defined]
    real = provider.submit

    def submit(plugin: object, message: Message) -> bool:
        if answered:
            real(plugin, message)
        raise ValueError("s3cret")

    provider.submit = submit
    outcome = channel.send(MESSAGE)
    channel.close()
    assert (outcome.reason, outcome.in_doubt) == (reason, True)
    assert "s3cret" not in outcome.detail


@pytest.mark.parametrize(
    "url",
    [
        "nosuchservice://s3cret-token@example.org/",
        "s3cret-token",
        "",
        "discord://s3cret-token",
        f"tgram://{TELEGRAM_TOKEN}/",
        f"tgram://{TELEGRAM_TOKEN}/1234567/7654321",
        f"tgram://{TELEGRAM_TOKEN}/!!",
        "twilio://AC0123456789abcdef:s3cret-token@12025550100/12025550101/12025550102",
        "json://[s3cret-token",
    ],
)
def test_build_from_a_bad_url_names_channel_and_setting_and_never_the_url(
    url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """An unknown service, too little, several targets, none."""
    caplog.set_level(0)
    with pytest.raises(ConfigurationError, match="ALERTBUS_CONFIG: channel desk: its url") as raised:
        build_channel(AppriseConfig("desk", url), environ={})
    told = f"{raised.value!r}{raised.value.__cause__!r}{caplog.text}{capfd.readouterr()}"
    assert "s3cret" not in told
    assert TELEGRAM_TOKEN[10:] not in told


def test_channel_of_a_url_has_the_configured_pace_and_the_plugins_limit() -> None:
    """A limit of the plugin counts unless it is fantastic."""
    limits = (Limit(20, 60),)
    channel = build_channel(AppriseConfig("desk", "discord://12345678/abcdefgh", limits, concurrency=3), environ={})
    assert (channel.name, channel.provider, channel.pace, channel.concurrency) == ("desk", "discord", limits, 3)
    assert (channel.message_limits.length, channel.message_limits.dialect) == (2000, Dialect.PLAIN)
    assert channel.probe().accepted


def test_rehearsal_of_a_url_shows_the_host_and_no_path() -> None:
    """A webhook's path is its secret."""
    channel = build_channel(AppriseConfig("desk", "discord://12345678/abcdefgh"), rehearsal=True, environ={})
    shown = channel.rehearse(MESSAGE)
    assert shown.startswith("POST https://discord.com/***, ")
    assert channel.send(MESSAGE).reason is Reason.NETWORK


def mailbox(port: int) -> str:
    """Return the URL of an e-mail channel whose server is on loopback."""
    return f"mailto://127.0.0.1:{port}?from=desk@example.org&to=trader@example.org"


def test_send_by_a_plugin_without_http_keeps_the_deadline_and_reports_its_late_end() -> None:
    """A mail server that never greets; the result that comes when it hangs up is recorded."""
    late: list[tuple[Message | None, Outcome]] = []
    recorded = threading.Event()

    def on_late(message: Message | None, outcome: Outcome) -> None:
        late.append((message, outcome))
        recorded.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = AppriseConfig("mail", mailbox(listener.getsockname()[1]), deadline_seconds=0.2)
        channel = build_channel(config, environ={}, on_late=on_late)
        outcome = channel.send(MESSAGE)
        assert (outcome.reason, outcome.in_doubt) == (Reason.TIMEOUT, True)
        assert late == []
        listener.accept()[0].close()
        assert recorded.wait(5)
    channel.close()
    assert late[0][0] is MESSAGE
    assert (late[0][1].reason, late[0][1].in_doubt) == (Reason.UNAVAILABLE, True)


def test_sends_by_a_plugin_without_http_that_all_hang_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads that are left to themselves are counted."""
    monkeypatch.setattr(lanes, "GRACE_SECONDS", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = AppriseConfig("mail", mailbox(listener.getsockname()[1]), deadline_seconds=0.01)
        channel = build_channel(config, environ={})
        reasons = [channel.send(MESSAGE).reason for _ in range(SPARE_LANES + 2)]
    channel.close()
    assert reasons == [Reason.TIMEOUT] * (SPARE_LANES + 1) + [Reason.NETWORK]


def test_rehearsal_by_a_plugin_without_http_sends_nothing() -> None:
    """It can't be run without sending, so it is described."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        channel = build_channel(AppriseConfig("mail", mailbox(listener.getsockname()[1])), rehearsal=True, environ={})
        assert channel.rehearse(MESSAGE) == f"{len(TEXT.encode())} bytes by mailto"
        with pytest.raises(TimeoutError):
            listener.accept()
