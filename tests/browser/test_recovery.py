"""What an open page does when the daemon, the network or the token fails: it says so, and recovers by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx2
import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.test_flask_proxy import OPERATE, READ
from tests.support.browser import Browsing, Site, StartSite
from tests.support.daemon import PREFIX
from tests.support.provider_server import ProviderServer
from tests.support.react_front_end import serve_front_end
from tests.support.running_service import DaemonProcess, daemon_process, provider_environ

#: What a browser logs of its own when nobody answers.
_NOBODY: Final = (r"Failed to load resource: net::ERR_", r"Failed to load resource: .*status of 50\d")
_AWAY: Final = "The daemon can't be reached."


@pytest.fixture
def killable(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon as a process."""
    with ProviderServer() as providers, daemon_process(provider_environ(providers), tmp_path) as daemon:
        yield daemon


def _live(page: Page) -> None:
    expect(page.locator(".indicator")).to_have_attribute("data-state", "live")
    expect(page.locator("[data-channel=telegram]")).to_be_visible()  # the stream may be there before any status


def _switch(daemon: httpx2.Client, name: str, *, on: bool) -> None:
    body = {"enabled": on, "author": "Ada", "via": "api"}
    daemon.patch(f"{PREFIX}/channels/{name}", json=body).raise_for_status()


def test_page_daemon_killed_and_restarted_is_live_again(
    browsing: Browsing, page: Page, killable: DaemonProcess, tmp_path: Path
) -> None:
    browsing.allow(*_NOBODY)
    page.goto(killable.url)
    _live(page)
    page.evaluate("window.mark = 'not loaded anew'")
    killable.kill()
    expect(page.locator(".banners")).to_contain_text(_AWAY)
    expect(page.locator(".banners")).to_contain_text("What you see is as of")
    expect(page.locator("[data-channel=telegram]")).to_be_visible()
    with daemon_process(killable.environ, tmp_path) as again:
        _switch(again.http, "whatsapp", on=False)
        _live(page)
        expect(page.get_by_text(_AWAY)).to_have_count(0)
        expect(page.get_by_role("switch", name="WhatsApp")).to_have_attribute("aria-checked", "false")
        assert page.evaluate("window.mark") == "not loaded anew"


def test_page_status_that_arrives_late_does_not_overwrite_a_newer_one(page: Page, site: Site) -> None:
    page.goto(site.url)
    _live(page)
    held: list[tuple[Route, str]] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch().text()))

    page.route(f"**{PREFIX}/status", hold_the_first)
    page.evaluate("document.querySelector('alertbus-channels').refresh()")
    while not held:
        page.wait_for_timeout(10)
    toggle = page.get_by_role("switch", name="Telegram")
    _switch(site.daemon.http, "telegram", on=False)
    expect(toggle).to_have_attribute("aria-checked", "false")  # told by the stream
    ((late, told_before),) = held
    assert '"enabled":true' in told_before.replace(" ", "")
    with page.expect_response(f"**{PREFIX}/status"):
        late.fulfill(body=told_before, content_type="application/json")
    page.evaluate("document.querySelector('alertbus-channels').updateComplete")
    expect(toggle).to_have_attribute("aria-checked", "false")
    page.unroute_all()


def test_page_wrong_token_then_the_right_one_signs_in(browsing: Browsing, page: Page, start_site: StartSite) -> None:
    browsing.allow(r"status of 401")
    site = start_site({"ALERTBUS_API_TOKEN": OPERATE})
    page.goto(site.url)
    token = page.get_by_label("Token")
    token.fill("a-wrong-token-of-somebody")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("does not know this token")
    token.fill(OPERATE)
    page.get_by_role("button", name="Sign in").click()
    _live(page)
    expect(token).to_have_count(0)
    expect(page.get_by_role("switch", name="Telegram")).to_have_attribute("aria-disabled", "false")
    page.reload()
    _live(page)  # the tab keeps it
    assert page.evaluate("Object.values(localStorage).join()").find(OPERATE) == -1


def test_page_read_token_shows_everything_and_changes_nothing(
    browsing: Browsing, page: Page, start_site: StartSite
) -> None:
    browsing.allow(r"status of 401")
    site = start_site({"ALERTBUS_API_TOKEN": OPERATE, "ALERTBUS_API_READ_TOKEN": READ})
    page.goto(site.url)
    page.get_by_label("Token").fill(READ)
    page.get_by_role("button", name="Sign in").click()
    _live(page)
    expect(page.locator(".banners")).to_contain_text("You may look, and change nothing.")
    toggle = page.get_by_role("switch", name="Telegram")
    expect(toggle).to_have_attribute("aria-disabled", "true")
    toggle.click(force=True)
    expect(toggle).to_have_attribute("aria-checked", "true")
    assert not [each for each in browsing.requests if "/channels/telegram" in each]


def test_card_of_a_foreign_origin_says_that_it_is_away_and_recovers_when_allowed(
    browsing: Browsing, page: Page, tmp_path: Path
) -> None:
    browsing.allow(*_NOBODY, r"blocked by CORS policy", r"status of 403")
    (tmp_path / "daemon").mkdir()
    with ProviderServer() as providers, serve_front_end(tmp_path / "front-end") as front_end:
        with daemon_process(provider_environ(providers), tmp_path / "daemon") as refusing:
            page.goto(front_end)
            page.evaluate("properties => window.mount(properties)", {"api": refusing.url})
            expect(page.locator(".banners")).to_contain_text(_AWAY)
            expect(page.locator("[data-channel]")).to_have_count(0)
        allowing = {**refusing.environ, "ALERTBUS_CORS_ORIGINS": front_end}
        with daemon_process(allowing, tmp_path / "daemon"):
            expect(page.locator("[data-channel=telegram]")).to_be_visible()
            expect(page.get_by_text(_AWAY)).to_have_count(0)
            page.evaluate("window.unmount()")


def test_page_daemon_away_at_load_says_so_and_recovers(browsing: Browsing, page: Page, site: Site) -> None:
    browsing.allow(*_NOBODY)
    page.route(f"**{PREFIX}/**", lambda route: route.abort("connectionrefused"))
    page.goto(site.url)
    expect(page.locator(".banners")).to_contain_text(_AWAY)
    expect(page.locator(".banners")).to_contain_text("Nothing is known of it yet.")
    page.unroute_all()
    _live(page)
    expect(page.locator("[data-channel=telegram]")).to_be_visible()
    expect(page.get_by_text(_AWAY)).to_have_count(0)


def test_page_refused_action_says_the_daemons_words_and_stays_usable(
    browsing: Browsing, page: Page, site: Site
) -> None:
    browsing.allow(r"status of 503")
    page.goto(site.url)
    _live(page)
    body = '{"status":"error","error":"The database is locked.","code":"store_unavailable"}'
    page.route(
        f"**{PREFIX}/channels/telegram",
        lambda route: route.fulfill(status=503, body=body, content_type="application/json"),
    )
    toggle = page.get_by_role("switch", name="Telegram")
    toggle.click()
    expect(page.get_by_text("The database is locked.").first).to_be_visible()
    expect(toggle).to_have_attribute("aria-checked", "true")
    page.unroute_all()
    toggle.click()
    expect(toggle).to_have_attribute("aria-checked", "false")
