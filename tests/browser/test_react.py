"""The card in a React 18 front end, with the very code that docs/yooprl.md shows, and that code's own test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_flask_proxy import OPERATE, READ
from tests.support.browser import Browsing, Site, StartSite
from tests.support.daemon import PATIENCE_SECONDS
from tests.support.flask_backend import flask_backend
from tests.support.react_front_end import run_component_test, serve_front_end
from tests.support.waiting import wait_until

#: Counts the timers that a page has and has not ended.
_COUNT_TIMERS: Final = """
  window.timers = new Set();
  for (const [begin, end, once] of [["setTimeout", "clearTimeout", true], ["setInterval", "clearInterval", false]]) {
    const real = window[begin].bind(window), stop = window[end].bind(window);
    window[begin] = (act, ...more) => {
      const id = real((...given) => { if (once) window.timers.delete(id); act(...given); }, ...more);
      window.timers.add(id);
      return id;
    };
    window[end] = (id) => { window.timers.delete(id); stop(id); };
  }
"""


@pytest.fixture
def front_end(tmp_path: Path) -> Iterator[str]:
    """The address of the front end, which is another origin than the daemon's."""
    with serve_front_end(tmp_path / "front-end") as url:
        yield url


@pytest.fixture
def allowing_site(start_site: StartSite, front_end: str) -> Site:
    """A daemon that allows that origin."""
    return start_site({"ALERTBUS_CORS_ORIGINS": front_end})


def _mount(page: Page, front_end: str, **properties: Any) -> None:
    page.add_init_script(_COUNT_TIMERS)
    page.goto(front_end)
    page.evaluate("properties => window.mount(properties)", properties)


def _heard(page: Page, name: str) -> list[Any]:
    found: list[Any] = page.evaluate("name => window.heard.filter(([each]) => each === name).map(([, it]) => it)", name)
    return found


def test_react_card_shows_each_channel_and_its_last_alert(page: Page, front_end: str, allowing_site: Site) -> None:
    allowing_site.publish("Drawdown 6.1 %", "CRITICAL")
    _mount(page, front_end, api=allowing_site.url)
    for name in ("telegram", "whatsapp"):
        card = page.locator(f"[data-channel={name}]")
        expect(card.locator(".notification-status")).to_have_text(re.compile("OK"))
        expect(card).to_contain_text("DRAWDOWN_BREACH TNA")


def test_react_card_toggle_persists_and_calls_the_handler(page: Page, front_end: str, allowing_site: Site) -> None:
    _mount(page, front_end, api=allowing_site.url)
    toggle = page.get_by_role("switch", name="Telegram")
    toggle.click()
    expect(toggle).to_have_attribute("aria-checked", "false")
    page.wait_for_function("window.heard.some(([name]) => name === 'toggled')")  # the stream may tell it before
    assert _heard(page, "toggled") == [{"channel": "telegram", "enabled": False}]
    states = {each["name"]: each["enabled"] for each in allowing_site.daemon.get("/status")["channels"]}
    assert states == {"telegram": False, "whatsapp": True}
    _mount(page, front_end, api=allowing_site.url)
    expect(page.get_by_role("switch", name="Telegram")).to_have_attribute("aria-checked", "false")


def test_react_card_test_reaches_the_provider_and_calls_the_handler(
    page: Page, front_end: str, allowing_site: Site
) -> None:
    _mount(page, front_end, api=allowing_site.url)
    page.get_by_role("button", name="Send a test to Telegram").click()
    page.wait_for_function("window.heard.some(([name]) => name === 'tested')")
    ((answer,),) = ([each["result"] for each in _heard(page, "tested")],)
    assert [(each["channel"], each["accepted"]) for each in answer["channels"]] == [("telegram", True)]
    assert len(allowing_site.providers.telegram.accepted) == 1


def test_react_card_unmounted_leaves_no_stream_and_no_timer(page: Page, front_end: str, allowing_site: Site) -> None:
    _mount(page, front_end, api=allowing_site.url)
    page.wait_for_function(
        "window.heard.some(([name, it]) => name === 'connection' && JSON.stringify(it).includes('live'))"
    )
    assert allowing_site.daemon.get("/status")["events"]["open"] == 1
    page.evaluate("window.unmount()")
    expect(page.locator("alertbus-channels")).to_have_count(0)
    wait_until(lambda: allowing_site.daemon.get("/status")["events"]["open"] == 0, PATIENCE_SECONDS)
    page.wait_for_function("window.timers.size === 0")


def test_react_card_daemon_away_says_so_and_recovers(
    browsing: Browsing, page: Page, front_end: str, allowing_site: Site
) -> None:
    browsing.allow(r"Failed to load resource: net::ERR_", r"blocked by CORS policy")
    _mount(page, front_end, api="http://127.0.0.1:9")
    expect(page.locator("alertbus-channels")).to_contain_text("can't be reached")
    page.evaluate("properties => window.mount(properties)", {"api": allowing_site.url})
    expect(page.locator("[data-channel=telegram] .notification-status")).to_have_text(re.compile("OK"))


def test_react_card_through_flask_reads_without_a_token_and_switches_with_it(
    browsing: Browsing, page: Page, front_end: str, start_site: StartSite
) -> None:
    tokens = {"ALERTBUS_API_TOKEN": OPERATE, "ALERTBUS_API_READ_TOKEN": READ, "ALERTBUS_CORS_ORIGINS": front_end}
    site = start_site(tokens)
    with flask_backend(site.url, READ) as backend:
        _mount(page, front_end, api=backend)
        toggle = page.get_by_role("switch", name="Telegram")
        expect(toggle).to_have_attribute("aria-disabled", "true")
        site.publish("seen through Flask", "CRITICAL")
        expect(page.locator("[data-channel=telegram]")).to_contain_text("DRAWDOWN_BREACH TNA")  # told by its events
        page.evaluate("properties => window.mount(properties)", {"api": backend, "token": OPERATE})
        expect(toggle).to_have_attribute("aria-disabled", "false")
        toggle.click()
        expect(toggle).to_have_attribute("aria-checked", "false")
        page.evaluate("window.unmount()")
    states = {each["name"]: each["enabled"] for each in site.daemon.get("/status")["channels"]}
    assert states["telegram"] is False


def test_react_component_test_of_the_document_passes(tmp_path: Path) -> None:
    ran = run_component_test(tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr.count("✓") == 3
