"""One alert's story on the page: its life, its fields, what can be done, and that it keeps itself fresh."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import PHONE, AxeCheck, Browsing, OpenPage, Shoot, Site, StartSite
from tests.support.provider_faults import error, for_posts
from tests.support.record_pages import dead_letter, expect_focus, open_story, open_view

_CRITICAL = "CRITICAL CIRCUIT_BREAKER UPRO"


def publish_critical(site: Site) -> str:
    alert = site.publish(
        "Equity fell 12 % in one hour",
        "CRITICAL",
        event_type="CIRCUIT_BREAKER",
        symbol="UPRO",
        agent_name="ppo-2",
        value=12.0,
        threshold=10.0,
        action_taken="all positions closed",
        extra={"order": 4711},
    )
    return str(alert.id)


def test_story_tells_the_whole_way_to_the_person(site: Site, page: Page) -> None:
    publish_critical(site)
    dialog = open_story(open_view(page, site, "history"), _CRITICAL)
    timeline = dialog.get_by_role("region", name="What became of it")
    for told in (
        "Published by live_trader",
        "Stored",
        "Planned for WhatsApp and Telegram",
        "Telegram: accepted by the provider",
        "WhatsApp: accepted by the provider",
        "WhatsApp: receipt delivered",
    ):
        expect(timeline).to_contain_text(told)
    expect(timeline).to_contain_text("HTTP 200")


def test_story_shows_every_field_and_id_of_the_alert(site: Site, page: Page) -> None:
    alert_id = publish_critical(site)
    dialog = open_story(open_view(page, site, "history"), _CRITICAL)
    fields = dialog.get_by_role("region", name="The alert")
    for told in ("Risk event", "ppo-2", "live_trader", "12", "10", "all positions closed", "4711"):
        expect(fields).to_contain_text(told)
    ids = dialog.get_by_role("region", name="Its ids")
    expect(ids).to_contain_text(alert_id)
    expect(ids).to_contain_text("severity.CRITICAL.UPRO.")


def test_story_of_an_address_opens_over_its_view(site: Site, page: Page) -> None:
    alert_id = publish_critical(site)
    open_view(page, site, f"history?alert={alert_id}")
    expect(page.get_by_role("dialog").get_by_role("heading", name="CIRCUIT_BREAKER UPRO")).to_be_visible()
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page).not_to_have_url(re.compile("alert="))


def test_id_is_copied_for_other_programs(site: Site, page: Page) -> None:
    alert_id = publish_critical(site)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.url)
    dialog = open_story(open_view(page, site, "history"), _CRITICAL)
    dialog.get_by_role("button", name="Copy the id").click()
    expect(page.get_by_text("Copied the id").first).to_be_attached()
    assert page.evaluate("navigator.clipboard.readText()") == alert_id


def test_acknowledging_with_a_note_is_kept_and_shown_at_once(site: Site, page: Page) -> None:
    alert_id = publish_critical(site)
    dialog = open_story(open_view(page, site, "history"), _CRITICAL)
    dialog.get_by_role("button", name="Acknowledge …").click()
    dialog.get_by_label("Your name").fill("ann")
    dialog.get_by_label("Note").fill("on my way")
    dialog.get_by_role("button", name="Acknowledge", exact=True).click()
    expect(dialog.get_by_role("listitem").filter(has_text="Acknowledged by ann")).to_be_visible()
    known = site.daemon.get(f"/alerts/{alert_id}")["acknowledgement"]
    assert (known["author"], known["note"], known["via"]) == ("ann", "on my way", "page")


def test_refused_acknowledgement_says_why_and_leaves_what_was_typed(site: Site, page: Page, browsing: Browsing) -> None:
    browsing.allow("503", "Failed to load resource")
    publish_critical(site)
    dialog = open_story(open_view(page, site, "history"), _CRITICAL)
    refused = {"status": "error", "code": "store_unavailable", "error": "The database can't be used."}
    page.route("**/ack", lambda route: route.fulfill(status=503, body=json.dumps(refused)))
    dialog.get_by_role("button", name="Acknowledge …").click()
    dialog.get_by_label("Note").fill("on my way")
    dialog.get_by_role("button", name="Acknowledge", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("The database can't be used.")
    expect(dialog.get_by_label("Note")).to_have_value("on my way")
    page.unroute("**/ack")
    dialog.get_by_role("button", name="Acknowledge", exact=True).click()
    expect(dialog.get_by_role("listitem").filter(has_text="Acknowledged by somebody")).to_be_visible()


def test_open_story_tells_what_happens_meanwhile(site: Site, page: Page) -> None:
    alert_id = publish_critical(site)
    dialog = open_story(open_view(page, site, "history"), _CRITICAL)
    site.daemon.post(f"/alerts/{alert_id}/ack", {"author": "bob", "note": "seen"})
    expect(dialog.get_by_role("listitem").filter(has_text="Acknowledged by bob")).to_be_visible()


def test_refused_delivery_is_told_in_the_providers_words(site: Site, page: Page) -> None:
    alert_id = dead_letter(site)
    open_view(page, site, f"history?alert={alert_id}")
    timeline = page.get_by_role("region", name="What became of it")
    expect(timeline).to_contain_text("Telegram: not accepted, rejected")
    expect(timeline).to_contain_text("HTTP 400")
    expect(timeline).to_contain_text("given up; it is a dead letter now")
    expect(timeline.locator("blockquote")).not_to_be_empty()


def test_failed_try_and_the_next_one_are_told(site: Site, page: Page) -> None:
    site.providers.telegram.script(for_posts(error(503)))
    site.trade("BUY", "TNA")
    dialog = open_story(open_view(page, site, "history"), "BUY TNA")
    timeline = dialog.get_by_role("region", name="What became of it")
    expect(timeline).to_contain_text("Telegram: not accepted, unavailable")
    expect(timeline).to_contain_text(re.compile("Telegram: (next try|accepted by the provider)"))


def test_story_opens_its_digest_and_goes_on_to_its_alerts_and_back(start_site: StartSite, open_page: OpenPage) -> None:
    site = start_site(config=_GROUPED)
    for number in range(3):
        site.publish(f"Drawdown {number}")
    page = open_view(open_page(), site, "history")
    expect(page.locator(".history-row", has_text="In a digest")).to_have_count(3)
    dialog = open_story(page, "WARNING DRAWDOWN_BREACH TNA")
    dialog.get_by_role("button", name=re.compile("Open digest")).first.click()
    expect(dialog.get_by_label("What the digest said")).to_contain_text("Drawdown 1")
    expect(dialog.get_by_text("Drawdown 2", exact=True)).to_be_visible()
    dialog.locator(".digest-alerts button").first.click()
    expect(dialog.get_by_text("Drawdown 0", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Back").click()
    expect(dialog.get_by_text("Drawdown 2", exact=True)).to_be_visible()


def test_counted_alert_leads_to_the_one_that_tells_of_it(start_site: StartSite, open_page: OpenPage) -> None:
    site = start_site(config=_DEDUPED)
    for number in range(3):
        site.publish(f"Drawdown {number}")
    page = open_view(open_page(), site, "history?state=suppressed")
    dialog = open_story(page, "WARNING DRAWDOWN_BREACH TNA")
    dialog.get_by_role("button", name="the alert that tells of it").first.click()
    expect(dialog.get_by_text("Drawdown 2", exact=True)).to_be_visible()


def test_silence_like_it_opens_the_form_with_what_it_is(site: Site, page: Page) -> None:
    publish_critical(site)
    dialog = open_story(open_view(page, site, "history"), _CRITICAL)
    dialog.get_by_role("button", name="Silence what is like it …").click()
    form = page.get_by_role("form", name="Add a silence")
    expect(form).to_contain_text("symbol UPRO and event CIRCUIT_BREAKER and agent ppo-2 and source live_trader")


def test_story_of_another_address_takes_the_place_of_the_open_one(site: Site, page: Page) -> None:
    first = publish_critical(site)
    second = site.publish("Drawdown 9 %", symbol="SPY")
    open_view(page, site, f"history?alert={first}")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="CIRCUIT_BREAKER UPRO")).to_be_visible()
    page.evaluate("place => { location.hash = place; }", f"#history?alert={second.id}")
    expect(dialog.get_by_role("heading", name="DRAWDOWN_BREACH SPY")).to_be_visible()
    expect_focus(page, "DRAWDOWN_BREACH SPY")
    expect(page).to_have_url(re.compile(str(second.id)))
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page).not_to_have_url(re.compile(str(second.id)))


def test_unknown_alert_is_said_and_can_be_closed(site: Site, page: Page, browsing: Browsing) -> None:
    browsing.allow("404", "Failed to load resource")
    open_view(page, site, "history?alert=0198a1b2-0000-7000-8000-000000000001")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("alert")).to_contain_text("There is no alert")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_focus_begins_at_the_title(site: Site, page: Page) -> None:
    publish_critical(site)
    open_story(open_view(page, site, "history"), _CRITICAL)
    expect_focus(page, "CIRCUIT_BREAKER UPRO")


@pytest.mark.parametrize(("scheme", "viewport"), [("dark", None), ("light", PHONE)], ids=["desktop", "phone"])
def test_story_is_accessible_and_fits(
    site: Site, open_page: OpenPage, axe_check: AxeCheck, shoot: Shoot, scheme: str, viewport: dict[str, int] | None
) -> None:
    publish_critical(site)
    given = {} if viewport is None else {"viewport": viewport}
    page = open_view(open_page(color_scheme=scheme, **given), site, "history")
    dialog = open_story(page, _CRITICAL)
    expect(dialog).to_contain_text("receipt delivered")
    dialog.get_by_role("button", name="Acknowledge …").click()
    shoot(page, f"story-{scheme}-{'desktop' if viewport is None else 'phone'}", full_page=False)
    axe_check(page)
    assert dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")


#: Alerts of one event are told together, three seconds after the first.
_GROUPED = """
[[routes]]
match = { severity = ">=WARNING" }
channels = ["telegram"]
group = { by = ["event_type"], wait = "3s", interval = "1s" }
"""
#: The first alert of its kind is told; those that follow are counted.
_DEDUPED = """
[[routes]]
match = { severity = ">=WARNING" }
channels = ["telegram"]
dedup = { by = ["event_type"], window = "1h" }
"""
