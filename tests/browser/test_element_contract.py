"""`<alertbus-channels>` in somebody else's page: its attributes, property, events, parts and custom properties."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import ROOT, Browsing, Site
from tests.support.waiting import wait_until

_DOCUMENT = (ROOT / "docs" / "web-component.md").read_text(encoding="utf-8")
_STATIC = ROOT / "dashboards" / "static"


@pytest.fixture
def bare(page: Page, site: Site) -> Page:
    """A page of the daemon's origin that has nothing but the module loaded."""
    page.route(
        "**/bare",
        lambda route: route.fulfill(
            content_type="text/html", body="<!doctype html><html lang=en><title>x</title><main></main>"
        ),
    )
    page.goto(f"{site.url}/bare")
    page.evaluate("import('/static/alertbus-channels.js')")
    return page


def _put(page: Page, attributes: str = "") -> None:
    page.evaluate(
        """attributes => {
            window.told = [];
            const names = ['channel-toggled', 'test-sent', 'alert-acknowledged', 'connection-changed'];
            for (const name of names) addEventListener(name, ({detail}) => told.push([name, detail]));
            const element = document.createElement('alertbus-channels');
            for (const [name, value] of Object.entries(JSON.parse(attributes))) element.setAttribute(name, value);
            document.querySelector('main').append(element);
        }""",
        attributes or "{}",
    )


def test_element_module_loaded_twice_defines_it_once(bare: Page) -> None:
    bare.evaluate("import('/static/alertbus-channels.js?again')")
    _put(bare)
    expect(bare.get_by_role("heading", name="Notification channels")).to_be_visible()


def test_element_compact_shows_badges_switches_tests_and_last_alerts_alone(bare: Page, site: Site) -> None:
    _put(bare, '{"compact": "", "heading": "Channels of the desk"}')
    site.publish("Drawdown 7 %")
    expect(bare.get_by_role("heading", name="Channels of the desk")).to_be_visible()
    card = bare.locator("[data-channel=telegram]")
    expect(card.locator(".notification-status")).to_have_text("OK")
    expect(card).to_contain_text("DRAWDOWN_BREACH TNA")
    expect(bare.get_by_role("button", name="Send test alert")).to_be_visible()
    expect(bare.get_by_role("tab")).to_have_count(0)


def test_element_view_is_an_attribute_that_can_change_and_leaves_the_address_alone(bare: Page, site: Site) -> None:
    _put(bare, '{"view": "silences"}')
    expect(bare.get_by_role("tab", name="Silences")).to_have_attribute("aria-selected", "true")
    bare.evaluate("document.querySelector('alertbus-channels').setAttribute('view', 'history')")
    expect(bare.get_by_role("tabpanel", name="History")).to_be_visible()
    bare.get_by_role("tab", name="Channels").click()
    expect(bare.locator("alertbus-channels")).to_have_attribute("view", "channels")
    assert bare.url == f"{site.url}/bare"


def test_element_tells_its_page_what_was_done(bare: Page, site: Site) -> None:
    _put(bare, '{"author": "Ada"}')
    bare.get_by_role("switch", name="WhatsApp").click()
    expect(bare.get_by_role("switch", name="WhatsApp")).to_have_attribute("aria-checked", "false")
    bare.get_by_role("button", name="Send a test to Telegram").click()
    expect(bare.locator(".test-result")).to_contain_text("Accepted")
    told = dict(bare.evaluate("told"))
    assert told["channel-toggled"] == {"channel": "whatsapp", "enabled": False}
    assert told["test-sent"]["result"]["channels"][0]["channel"] == "telegram"
    assert told["connection-changed"] == {"state": "live"}
    (channel,) = [each for each in site.daemon.get("/status")["channels"] if each["name"] == "whatsapp"]
    assert channel["switched"]["author"] == "Ada"


def test_element_taken_out_stops_listening_and_put_back_listens_again(bare: Page, site: Site) -> None:
    _put(bare)
    expect(bare.locator(".indicator")).to_have_text("Live")
    bare.evaluate("(window.kept = document.querySelector('alertbus-channels')).remove()")
    wait_until(lambda: site.daemon.get("/status")["events"]["open"] == 0)
    bare.evaluate("document.querySelector('main').append(kept)")
    site.publish("Drawdown 8 %")
    expect(bare.get_by_role("region", name="Latest alerts")).to_contain_text("Drawdown 8 %")


def test_element_looks_as_its_page_says(bare: Page) -> None:
    bare.evaluate(
        """() => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(`alertbus-channels { --alertbus-surface: rgb(1, 2, 3); }
                alertbus-channels::part(notification-status) { outline: 3px solid rgb(4, 5, 6); }`);
            document.adoptedStyleSheets = [sheet];
        }"""
    )
    _put(bare)
    expect(bare.locator(".notification-channel").first).to_have_css("background-color", "rgb(1, 2, 3)")
    expect(bare.locator(".notification-status").first).to_have_css("outline-color", "rgb(4, 5, 6)")
    for name in ("notification-card", "notification-channel", "notification-status"):
        expect(bare.locator(f".{name}[part={name}]").first).to_be_visible()


def test_element_takes_none_of_its_pages_text_style(bare: Page) -> None:
    bare.evaluate(
        """() => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(`main { background: rgb(9, 9, 9); letter-spacing: 4px; text-align: center;
                text-indent: 9px; text-transform: uppercase; white-space: pre; word-spacing: 9px; }`);
            document.adoptedStyleSheets = [sheet];
        }"""
    )
    _put(bare, '{"compact": "", "theme": "light"}')
    heading = bare.get_by_role("heading", name="Notification channels")
    for name, value in {
        "letter-spacing": "normal",
        "text-align": "start",
        "text-indent": "0px",
        "text-transform": "none",
        "white-space": "normal",
        "word-spacing": "0px",
    }.items():
        expect(heading).to_have_css(name, value)
    expect(bare.locator("alertbus-channels")).to_have_css("background-color", "rgb(244, 245, 247)")


def test_monitoring_api_alone_tells_status_sends_tests_and_names_errors(bare: Page, site: Site) -> None:
    told = bare.evaluate(
        """async () => {
            const api = await import('/static/monitoring-api.js');
            const {channels} = await api.getNotificationStatus();
            const {channels: [answer]} = await api.sendNotificationTest({channel: 'telegram'});
            return [channels.map(({name}) => name), answer.accepted];
        }"""
    )
    assert told == [["whatsapp", "telegram"], True]


def test_monitoring_api_unknown_channel_throws_the_daemons_words(bare: Page, browsing: Browsing) -> None:
    browsing.allow("status of 404")
    told = bare.evaluate(
        """async () => {
            const api = await import('/static/monitoring-api.js');
            return api.sendNotificationTest({channel: 'pigeon'})
                .catch(({name, status, code, message}) => [name, status, code, message]);
        }"""
    )
    assert told[:3] == ["MonitoringError", 404, "unknown_channel"]
    assert "pigeon" in told[3]


def test_document_names_every_custom_property_event_and_part() -> None:
    """What docs/web-component.md lists is what the modules have, and nothing else."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in _modules())
    used = set(re.findall(r"var\((--alertbus-[a-z-]+)", sources))
    assert set(re.findall(r"`(--alertbus-[a-z-]+)`", _DOCUMENT)) == used
    events = set(re.findall(r"\.tell\(\s*\"([a-z-]+)\"", sources))
    assert set(re.findall(r"^\| `([a-z-]+)` \| `\{", _DOCUMENT, re.MULTILINE)) == events
    parts = set(re.findall(r"part=\"([a-z-]+)\"", sources))
    assert set(re.findall(r"`::part\(([a-z-]+)\)`", _DOCUMENT)) == parts


def test_modules_keep_to_300_lines() -> None:
    long = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in _modules()}
    assert {name: lines for name, lines in long.items() if lines > 300} == {}


def _modules() -> list[Path]:
    return [path for path in (*_STATIC.glob("*.js"), *_STATIC.glob("alertbus/*.js")) if path.name != "lit.js"]
