"""The history while much happens, and while what it needs to know is late: it stays small, quick, and true."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, time, timedelta

import pytest
from playwright.sync_api import Page, expect

from bus.alerts import RiskEvent, Severity
from tests.support.browser import PHONE, Browsing, OpenPage, Site
from tests.support.record_pages import open_view

_PAGE = 50
_REFUSED = {"status": "error", "code": "store_unavailable", "error": "The database can't be used."}
#: The browser's clock is two hours ahead of the daemon's.
_AHEAD = """
const Real = Date;
globalThis.Date = class extends Real {
    constructor(...given) { given.length ? super(...given) : super(Real.now() + 7_200_000); }
    static now() { return Real.now() + 7_200_000; }
};
"""
#: Draws the page thrice, and counts how often the rows of the history looked at what became of their alerts.
_LOOKS = """async () => {
    const element = document.querySelector('alertbus-channels');
    let looks = 0;
    for (const entry of element.panels.history.entries) {
        const {deliveries} = entry;
        Object.defineProperty(entry, 'deliveries', {get: () => { looks += 1; return deliveries; }});
    }
    for (let turn = 0; turn < 3; turn += 1) {
        element.requestUpdate();
        await element.updateComplete;
    }
    return looks;
}"""


def publish_many(site: Site, count: int) -> None:
    """Publish INFO alerts, and return when the daemon has stored all of them."""
    for number in range(count - 1):
        alert = RiskEvent(event_type="LATENCY", severity=Severity.INFO, description=f"Alert {number}")
        assert site.publisher.publish(alert)
    site.publish(f"Alert {count - 1}", "INFO")


def test_history_storm_is_counted_and_then_read_as_one_page(site: Site, page: Page) -> None:
    open_view(page, site, "history?severity=INFO")
    expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()
    publish_many(site, _PAGE + 20)
    button = page.get_by_role("button", name=f"{_PAGE + 20} new")
    expect(button).to_be_visible()
    assert page.evaluate("document.querySelector('alertbus-channels').panels.history.fresh.size") == _PAGE
    button.click()
    expect(page.locator(".history-text")).to_have_count(_PAGE)
    expect(page.locator(".history-text").first).to_have_text(f"Alert {_PAGE + 19}")
    expect(button).to_have_count(0)
    page.get_by_role("button", name="Older").click()
    expect(page.locator(".history-text")).to_have_count(_PAGE + 20)
    expect(page.locator(".history-text").last).to_have_text("Alert 0")


@pytest.mark.parametrize("viewport", [None, PHONE], ids=["table", "cards"])
def test_history_second_changes_ages_alone(site: Site, open_page: OpenPage, viewport: dict[str, int] | None) -> None:
    publish_many(site, 3)
    page = open_view(open_page(**({} if viewport is None else {"viewport": viewport})), site, "history")
    expect(page.locator(".history-text")).to_have_count(3)
    assert page.evaluate(_LOOKS) == 0
    expect(page.locator(".when-age").first).to_have_text(re.compile(r"\d+ s ago"))


def test_history_failed_filter_shows_nothing_that_does_not_fit(site: Site, page: Page, browsing: Browsing) -> None:
    browsing.allow("503", "Failed to load resource")
    publish_many(site, 3)
    open_view(page, site, "history")
    expect(page.locator(".history-text")).to_have_count(3)
    page.route("**/history?*severity=WARNING*", lambda route: route.fulfill(status=503, body=json.dumps(_REFUSED)))
    page.locator("[name=severity]").select_option("WARNING")
    expect(page.get_by_role("alert").filter(has_text="The history could not be read.")).to_be_visible()
    expect(page.locator(".history-text")).to_have_count(0)


def test_history_last_hour_is_the_daemons_when_the_browsers_clock_is_ahead(site: Site, page: Page) -> None:
    publish_many(site, 1)
    page.add_init_script(_AHEAD)
    open_view(page, site, "history?range=1h")
    expect(page.locator(".history-text")).to_have_text(["Alert 0"])


def test_history_old_answer_is_of_a_time_by_the_daemons_clock(site: Site, page: Page, browsing: Browsing) -> None:
    browsing.allow("503", "Failed to load resource")
    publish_many(site, 1)
    page.add_init_script(_AHEAD)
    open_view(page, site, "history")
    expect(page.locator(".history-text")).to_have_count(1)
    page.route("**/history?*", lambda route: route.fulfill(status=503, body=json.dumps(_REFUSED)))
    page.evaluate("document.querySelector('alertbus-channels').panels.history.reconnected()")
    told = page.get_by_role("alert").filter(has_text="What is shown is of")
    found = re.search(r"is of (\d\d:\d\d:\d\d)", told.inner_text())
    assert found is not None
    now = datetime.now(UTC)
    at = datetime.combine(now, time.fromisoformat(found[1]), UTC)
    assert (now - at) % timedelta(days=1) < timedelta(hours=1)
