"""The focus stays in the page when what had it goes."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.browser import Site
from tests.support.record_pages import expect_focus, open_view


def test_focus_after_acknowledging_goes_to_the_next_and_then_to_the_heading(site: Site, page: Page) -> None:
    site.publish("One", "CRITICAL", event_type="FIRST_STOP")
    site.publish("Two", "CRITICAL", event_type="SECOND_STOP")
    open_view(page, site, "channels")
    rows = page.get_by_role("region", name="CRITICAL alerts that nobody acknowledged").get_by_role("listitem")
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Acknowledge SECOND_STOP TNA").press("Enter")
    expect(rows).to_have_count(1)
    expect_focus(page, "FIRST_STOP TNA")
    page.get_by_role("button", name="Acknowledge FIRST_STOP TNA").press("Enter")
    expect(rows).to_have_count(0)
    expect_focus(page, "alertbus")


def test_focus_after_closing_a_message_stays_in_the_page(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    page.get_by_role("switch", name="WhatsApp").press("Space")
    page.get_by_role("button", name="Close the message: WhatsApp is off.").press("Enter")
    expect(page.locator(".toast")).to_have_count(0)
    expect_focus(page, "alertbus")


def test_focus_after_ending_silences_goes_to_the_next_and_then_to_the_heading(site: Site, page: Page) -> None:
    for symbol in ("AAA", "BBB"):
        site.daemon.post("/silences", {"match": {"symbol": symbol}, "seconds": 3600, "author": "Ada"})
    open_view(page, site, "silences")
    for number, then in ((2, "Extend silence 1"), (1, "Silences")):
        page.get_by_role("button", name=f"End silence {number}", exact=True).press("Enter")
        page.get_by_role("button", name="End it now").press("Enter")
        expect(page.get_by_role("button", name=f"End silence {number}", exact=True)).to_have_count(0)
        expect_focus(page, then)
