"""The CRITICALs that nobody acknowledged, above every view: there while there are any, and read no more than needed."""

from __future__ import annotations

import json

from playwright.sync_api import Page, expect

from bus.alerts import RiskEvent, Severity
from tests.support.browser import Browsing, Site
from tests.support.record_pages import open_view

_NAME = "CRITICAL alerts that nobody acknowledged"
_STORM = 60


def test_criticals_storm_is_read_together(site: Site, page: Page, browsing: Browsing) -> None:
    open_view(page, site, "channels")
    for number in range(_STORM - 1):
        alert = RiskEvent(event_type="STOP", severity=Severity.CRITICAL, description=f"Stop {number}")
        assert site.publisher.publish(alert)
    site.publish("Stop", "CRITICAL")
    box = page.get_by_role("region", name=_NAME)
    expect(box).to_contain_text(f"{_STORM} CRITICALs not acknowledged")
    expect(box.get_by_role("listitem")).to_have_count(3)
    asked = [address for address in browsing.requests if "/history?severity=CRITICAL" in address]
    assert len(asked) < _STORM / 2


def test_criticals_that_cannot_be_read_are_counted_and_read_again(site: Site, page: Page, browsing: Browsing) -> None:
    browsing.allow("503", "Failed to load resource")
    site.publish("Equity fell", "CRITICAL", event_type="STOP")
    refused = {"status": "error", "code": "store_unavailable", "error": "The database can't be used."}
    page.route("**/history?severity=CRITICAL*", lambda route: route.fulfill(status=503, body=json.dumps(refused)))
    open_view(page, site, "channels")
    box = page.get_by_role("region", name=_NAME)
    expect(box).to_contain_text("1 CRITICAL not acknowledged")
    expect(box.get_by_role("listitem")).to_have_count(0)
    page.unroute_all()
    expect(box.get_by_role("button", name="Acknowledge STOP TNA")).to_be_visible()


def test_criticals_second_click_of_a_double_click_acknowledges_nothing_more(site: Site, page: Page) -> None:
    """The next row slides under the pointer: nobody has read it yet."""
    for number in (1, 2):
        site.publish(f"Equity fell {number}", "CRITICAL", event_type=f"STOP_{number}")
    open_view(page, site, "channels")
    box = page.get_by_role("region", name=_NAME)
    first = box.get_by_role("button", name="Acknowledge STOP_2 TNA").bounding_box()
    assert first is not None
    page.mouse.click(first["x"] + 5, first["y"] + 5, click_count=2, delay=20)
    expect(box).to_contain_text("1 CRITICAL not acknowledged")
    expect(box.get_by_role("button", name="Acknowledge STOP_1 TNA")).to_be_visible()
    assert [bool(entry["acknowledgement"]) for entry in site.daemon.history()] == [True, False]


def test_criticals_are_acknowledged_all_together_when_one_says_so(site: Site, page: Page) -> None:
    for number in range(5):
        site.publish(f"Equity fell {number}", "CRITICAL", event_type=f"STOP_{number}")
    open_view(page, site, "channels")
    box = page.get_by_role("region", name=_NAME)
    box.get_by_role("button", name="Acknowledge all").click()
    page.get_by_role("dialog").get_by_role("button", name="Acknowledge all").click()
    expect(box).to_have_count(0)
    assert all(entry["acknowledgement"]["via"] == "page" for entry in site.daemon.history())
