"""The main job: a trader publishes, a phone rings, a metric moves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.rig import CREDENTIALS, Rig
from tests.support.provider_server import META_PHONE_ID, META_RECIPIENT, META_TOKEN, ProviderServer
from tests.support.tls_proxy import TlsProxy
from tests.support.waiting import wait_until

TRADER = """
import sys
from publisher import Publisher
with Publisher.from_environment() as publisher:
    publisher.risk_event("DRAWDOWN_BREACH", "CRITICAL", "PnL < -5% & BTC_USDT", symbol="TNA", value=-6.1, threshold=-5)
    publisher.agent_action("ppo", "TNA", "BUY", 10, 41.2)
    publisher.agent_action("ppo", "TNA", "HOLD", 0, 41.2)
    sys.exit(0 if publisher.publish(publisher_event(), wait=20) else 3)
""".replace("publisher_event()", '__import__("publisher").RiskEvent(event_type="END", severity="INFO")')


def trade(rig: Rig) -> None:
    """Run a trading process that publishes one alert of each sort."""
    done = subprocess.run(
        [sys.executable, "-c", TRADER], env=rig.environ, cwd=rig.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def check_messages(server: ProviderServer) -> None:
    """CRITICAL once on each channel, the trade on Telegram only, HOLD and INFO nowhere."""
    server.wait_for_accepted(3)
    assert sorted((message.provider, message.text.split("\n")[0].strip("*")) for message in server.accepted) == [
        ("telegram", "🔴 CRITICAL DRAWDOWN_BREACH TNA"),
        ("telegram", "🟢 BUY TNA 10 @ 41.20"),
        ("twilio", "🔴 CRITICAL DRAWDOWN_BREACH TNA"),
    ]
    assert all("PnL < -5% & BTC_USDT" in message.text for message in server.accepted if "CRITICAL" in message.text)


def check_metrics(rig: Rig) -> None:
    """Attempts, deliveries and both latency histograms, per channel."""

    def settled() -> bool:
        return rig.metric('alertbus_deliveries_total{channel="telegram",state="accepted"}') == 2

    wait_until(settled, 20.0)
    for channel, count in (("telegram", 2), ("whatsapp", 1)):
        assert rig.metric(f'alertbus_attempts_total{{channel="{channel}",outcome="accepted"}}') == count
        assert rig.metric(f'alertbus_deliveries_total{{channel="{channel}",state="accepted"}}') == count
        assert rig.metric(f'alertbus_attempt_seconds_count{{channel="{channel}"}}') == count
        assert rig.metric(f'alertbus_end_to_end_seconds_count{{channel="{channel}",severity="CRITICAL"}}') == 1
    assert rig.metric('alertbus_alerts_received_total{topic="action.HOLD"}') == 1
    assert rig.metric("alertbus_dry_run") == 0


def test_alert_from_a_trader_arrives_once_on_each_channel_and_is_measured(rig: Rig, provider: ProviderServer) -> None:
    with rig.daemon() as daemon:
        trade(rig)
        check_messages(provider)
        check_metrics(rig)
    assert daemon.process.returncode == 0
    assert len(provider.accepted) == 3


def test_alert_over_the_providers_real_addresses_goes_through_proxy_and_ca_bundle(tmp_path: Path) -> None:
    """https://api.telegram.org and https://api.twilio.com, as shipped, through HTTPS_PROXY and REQUESTS_CA_BUNDLE."""
    with TlsProxy() as proxy, Rig(tmp_path, {**CREDENTIALS, **proxy.environment}) as rig:
        checked = rig.run("subscriber", "check", "--online")
        assert checked.returncode == 0, checked.stderr
        with rig.daemon():
            trade(rig)
            check_messages(proxy.server)
            check_metrics(rig)
        assert {target.partition(":")[0] for target in proxy.connects} == {"api.telegram.org", "api.twilio.com"}


def test_alert_by_meta_arrives_on_whatsapp(tmp_path: Path) -> None:
    credentials = {
        "WHATSAPP_CLOUD_TOKEN": META_TOKEN,
        "WHATSAPP_PHONE_NUMBER_ID": META_PHONE_ID,
        "WHATSAPP_TO": META_RECIPIENT,
    }
    with TlsProxy() as proxy, Rig(tmp_path, {**credentials, **proxy.environment}) as rig:
        with rig.daemon():
            assert rig.publish("Margin call", "--severity", "CRITICAL", "--wait", "20").returncode == 0
            proxy.server.wait_for_accepted(1)
        assert [message.provider for message in proxy.server.accepted] == ["meta"]


def test_run_without_configuration_shows_what_it_would_send(bare_rig: Rig) -> None:
    with bare_rig.daemon() as daemon:
        published = bare_rig.publish("Drawdown breached", "--severity", "CRITICAL", "--wait", "20")
        assert published.returncode == 0, published.stderr
        for channel in ("telegram", "whatsapp"):
            wait_until(lambda channel=channel: f"DRY RUN {channel} would send" in daemon.output)  # type: ignore[misc]
        assert daemon.output.count("    Drawdown breached\n") == 2
        assert "TELEGRAM_BOT_TOKEN" in daemon.output
        assert bare_rig.metric("alertbus_dry_run") == 1
    assert daemon.process.returncode == 0


def test_three_publishers_at_once_need_no_configuration(rig: Rig, provider: ProviderServer) -> None:
    """A trader, the script and another process share the journal folder and the endpoints without being told."""
    other = TRADER.replace("TNA", "UPRO")
    with rig.daemon():
        processes = [
            subprocess.Popen([sys.executable, *arguments], env=rig.environ, cwd=rig.folder)
            for arguments in (
                ["-c", TRADER],
                ["-c", other],
                ["-m", "publisher", "By hand", "--severity", "WARNING", "--count", "3", "--wait", "20"],
            )
        ]
        assert [process.wait(60) for process in processes] == [0, 0, 0]
        provider.wait_for_accepted(12)
        publishers = {publisher["source"] for publisher in rig.api("/status")["publishers"]}
    assert len(publishers) == 2  # both traders run as `python -c`, and are told apart by their streams
    heads = sorted(message.text.split("\n")[0].strip("*") for message in provider.accepted)
    assert heads == sorted(
        ["🔴 CRITICAL DRAWDOWN_BREACH TNA", "🔴 CRITICAL DRAWDOWN_BREACH UPRO", *["🟠 WARNING TEST_ALERT"] * 3] * 2
        + ["🟢 BUY TNA 10 @ 41.20", "🟢 BUY UPRO 10 @ 41.20"]
    )


@pytest.mark.parametrize("channels", ["telegram", "whatsapp"])
def test_notification_channels_switches_without_code(rig: Rig, provider: ProviderServer, channels: str) -> None:
    rig.environ["NOTIFICATION_CHANNELS"] = channels
    with rig.daemon():
        assert rig.publish("Only here", "--severity", "CRITICAL", "--wait", "20").returncode == 0
        provider.wait_for_accepted(1)
    assert [message.provider for message in provider.accepted] == ["telegram" if channels == "telegram" else "twilio"]
