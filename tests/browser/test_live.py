"""What an open page hears: alerts and publishers as they come and go, and what it says aloud of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from playwright.sync_api import Page, expect

from publisher import Publisher
from tests.support.browser import Browsing, Site
from tests.support.daemon import PATIENCE_SECONDS, PREFIX
from tests.support.record_pages import open_view


def test_live_critical_is_spoken_marked_in_the_title_and_acknowledged(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    site.publish("All positions closed", "CRITICAL", event_type="EMERGENCY_STOP")
    expect(page.get_by_role("status")).to_contain_text("CRITICAL: EMERGENCY_STOP, TNA, All positions closed")
    expect(page).to_have_title("(1) alertbus")
    expect(page.get_by_role("tab", name="History 1 CRITICAL not acknowledged")).to_be_visible()
    page.get_by_role("button", name="Acknowledge EMERGENCY_STOP TNA").click()
    expect(page.get_by_role("region", name="CRITICAL alerts that nobody acknowledged")).to_have_count(0)
    expect(page).to_have_title("alertbus")
    (entry,) = [each for each in site.daemon.history() if each["severity"] == "CRITICAL"]
    assert site.daemon.get(f"/alerts/{entry['alert']['id']}")["acknowledgement"]["via"] == "page"


def test_live_publisher_that_says_goodbye_has_left_and_is_no_banner(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    environ = {**site.daemon.environ, "ALERTBUS_SOURCE": "night_trader"}
    with Publisher.from_environment(environ) as trader:
        expect(page.get_by_role("region", name="Publishers")).to_contain_text(
            re.compile("night_trader.*Beats", re.DOTALL)
        )
        assert trader.flush(PATIENCE_SECONDS)
    expect(page.get_by_role("region", name="Publishers")).to_contain_text(re.compile("night_trader.*Left", re.DOTALL))
    expect(page.locator(".banners")).to_have_count(0)


def test_live_banner_of_a_silent_publisher_counts_the_seconds(site: Site, page: Page) -> None:
    status = site.daemon.get("/status")
    silent = {**status, "publishers": [{**each, "up": False, "goodbye": None} for each in status["publishers"]]}

    def told() -> dict[str, object]:  # by a daemon whose clock goes on
        return {**silent, "now_at": datetime.now(UTC).isoformat()}

    page.route(f"**{PREFIX}/status", lambda route: route.fulfill(json={"status": "success", "data": told()}))
    page.add_init_script(
        """const asked = fetch;
        const listening = () => new Response(new ReadableStream(), {headers: {'Content-Type': 'text/event-stream'}});
        globalThis.fetch = async (url, given) => url.includes('/events') ? listening() : asked(url, given);"""
    )
    page.goto(site.url)
    banner = page.locator(".banner").filter(has_text="No heartbeat")
    expect(banner).to_contain_text(re.compile(r"No heartbeat from live_trader for \d+ s\."))
    first = banner.inner_text()
    expect(banner).not_to_have_text(first, use_inner_text=True)
    expect(page.get_by_role("status")).to_contain_text("No heartbeat from live_trader")


def test_live_refused_listener_is_told_and_reads_by_itself(site: Site, browsing: Browsing, page: Page) -> None:
    browsing.allow("status of 503")
    refusal = {"status": "error", "error": "64 pages listen already.", "code": "too_many_streams"}
    page.route(
        f"**{PREFIX}/events*", lambda route: route.fulfill(status=503, json=refusal, headers={"Retry-After": "30"})
    )
    page.goto(site.url)
    expect(page.locator(".indicator")).to_have_text("Not live")
    expect(page.locator(".banners")).to_contain_text("64 pages listen already.")
    site.daemon.http.patch(f"{PREFIX}/channels/telegram", json={"enabled": False}).raise_for_status()
    expect(page.get_by_role("switch", name="Telegram")).to_have_attribute("aria-checked", "false")


def test_live_database_that_is_away_is_told_with_the_time_of_what_is_seen(
    site: Site, browsing: Browsing, page: Page
) -> None:
    browsing.allow("status of 503")
    page.goto(site.url)
    expect(page.locator(".indicator")).to_have_text("Live")
    expect(page.locator("[data-channel=telegram]")).to_be_visible()  # the stream may be there before any status
    refusal = {"status": "error", "error": "The database can't be used.", "code": "store_unavailable"}
    page.route(f"**{PREFIX}/**", lambda route: route.fulfill(status=503, json=refusal))
    site.daemon.http.patch(f"{PREFIX}/channels/telegram", json={"enabled": False}).raise_for_status()
    page.evaluate("document.querySelector('alertbus-channels').token = 'another'")  # connects anew
    expect(page.locator(".banners")).to_contain_text("The daemon's database is unavailable.")
    expect(page.locator(".banners")).to_contain_text(re.compile(r"What you see is as of \d\d:\d\d:\d\d"))
    page.unroute(f"**{PREFIX}/**")
    page.get_by_role("button", name="Try now").click()
    expect(page.locator(".banners")).to_have_count(0)
    expect(page.get_by_role("switch", name="Telegram")).to_have_attribute("aria-checked", "false")
