"""The history on the page: live, filtered, page by page, exported, and honest when the daemon does not answer."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from bus.alerts import RiskEvent, Severity
from tests.support.browser import PHONE, AxeCheck, Browsing, OpenPage, Shoot, Site
from tests.support.record_pages import expect_focus, open_story, open_view, row_of

_HISTORY = re.compile(r"/history(\?|$)")


def publish_some(site: Site) -> None:
    for _ in range(3):
        site.publish("Drawdown 6.1 % passed its limit", value=6.1, threshold=5.0, agent_name="ppo-1")
    site.publish("Equity fell 12 % in one hour", "CRITICAL", event_type="CIRCUIT_BREAKER", symbol="UPRO")
    site.trade("BUY", "TNA", 10, 41.2)
    site.publish("Heartbeat late", "INFO", event_type="LATENCY", symbol=None)


def test_history_of_an_empty_store_says_that_there_is_none(site: Site, page: Page) -> None:
    open_view(page, site, "history")
    expect(page.get_by_role("heading", name="No alert so far")).to_be_visible()


def test_history_shows_alerts_newest_first_with_what_became_of_them(site: Site, page: Page) -> None:
    publish_some(site)
    open_view(page, site, "history")
    rows = page.get_by_role("row")
    expect(rows).to_have_count(7)  # the heads of the columns, and six alerts
    expect(rows.nth(1)).to_contain_text("LATENCY")
    expect(rows.nth(1)).to_contain_text("History only")
    expect(rows.nth(2)).to_contain_text("10 @ 41.20")
    expect(rows.nth(3)).to_contain_text("CRITICAL")
    expect(rows.nth(3)).to_contain_text("Telegram")


def test_history_takes_a_new_alert_in_at_once_and_tells_how_it_went(site: Site, page: Page) -> None:
    open_view(page, site, "history")
    expect(page.get_by_role("heading", name="No alert so far")).to_be_visible()
    site.publish("Drawdown 7 %")
    row = page.get_by_role("row").filter(has_text="Drawdown 7 %")
    expect(row).to_be_visible()
    expect(row).to_contain_text(re.compile("Telegram (Accepted|Delivered)"))


def test_history_that_is_scrolled_keeps_new_alerts_behind_a_button(site: Site, page: Page) -> None:
    for number in range(20):
        site.publish(f"Drawdown {number}", "INFO")
    open_view(page, site, "history")
    expect(page.get_by_role("row")).to_have_count(21)
    page.get_by_text("Drawdown 2", exact=True).scroll_into_view_if_needed()
    page.mouse.wheel(0, 600)
    expect(page.get_by_role("heading", name="History", exact=True)).not_to_be_in_viewport()
    for number in range(2):
        site.publish(f"New {number}", "INFO")
    button = page.get_by_role("button", name="2 new")
    expect(button).to_be_visible()
    expect(page.get_by_text("New 1")).to_have_count(0)
    button.click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("New 1")
    expect(button).to_have_count(0)


def test_filtered_history_keeps_what_fits_behind_a_button_and_leaves_the_rest_out(site: Site, page: Page) -> None:
    site.publish("first", symbol="TNA")
    open_view(page, site, "history?symbol=TNA")
    expect(page.get_by_role("row")).to_have_count(2)
    site.publish("another symbol", symbol="UPRO")
    site.publish("second", symbol="TNA")
    page.get_by_role("button", name="1 new").click()
    expect(page.get_by_role("row")).to_have_count(3)
    expect(page.get_by_text("another symbol")).to_have_count(0)


@pytest.mark.parametrize(
    ("place", "left"),
    [
        ("severity=CRITICAL", ["CIRCUIT_BREAKER"]),
        ("symbol=UPRO", ["CIRCUIT_BREAKER"]),
        ("event_type=LATENCY", ["LATENCY"]),
        ("kind=agent_action", ["BUY"]),
        ("agent_name=ppo-1", ["BUY", *["DRAWDOWN_BREACH"] * 3]),
        ("source=nobody", []),
        ("unacknowledged=1", ["CIRCUIT_BREAKER"]),
        ("range=1h&severity=INFO", ["LATENCY", "BUY"]),
        ("from=2020-01-01T00%3A00&to=2020-01-02T00%3A00", []),
        ("channel=whatsapp&severity=CRITICAL", ["CIRCUIT_BREAKER"]),
    ],
)
def test_history_of_an_address_shows_what_its_filters_ask_for(
    site: Site, page: Page, place: str, left: list[str]
) -> None:
    publish_some(site)
    open_view(page, site, f"history?{place}")
    if not left:
        expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()
    expect(page.locator(".history-event")).to_have_text(left)


def test_filters_that_are_chosen_stand_in_the_address_and_go_away_again(site: Site, page: Page) -> None:
    publish_some(site)
    open_view(page, site, "history")
    page.locator("[name=severity]").select_option("WARNING")
    expect(page.get_by_role("row")).to_have_count(4)
    page.get_by_label("Symbol").fill("UPRO")
    expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()
    expect(page).to_have_url(re.compile("severity=WARNING"))
    expect(page).to_have_url(re.compile("symbol=UPRO"))
    page.get_by_role("button", name="Take the filter severity: WARNING away").click()
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="Clear all", exact=True).click()
    expect(page.get_by_role("row")).to_have_count(7)
    expect(page).not_to_have_url(re.compile(r"\?"))


def test_older_alerts_come_page_by_page_until_the_oldest(site: Site, page: Page) -> None:
    for number in range(60):
        assert site.publisher.publish(_info(number))
    site.publish("Alert 60", "INFO")
    open_view(page, site, "history")
    expect(page.get_by_role("row")).to_have_count(51)
    page.get_by_role("button", name="Older").click()
    expect(page.get_by_role("row")).to_have_count(62)
    expect(page.get_by_text("That is the oldest one.")).to_be_visible()


def test_late_answer_of_an_older_filter_never_overwrites_the_newer_one(site: Site, page: Page) -> None:
    publish_some(site)
    open_view(page, site, "history")
    late: list[Route] = []

    def hold(route: Route) -> None:
        late.append(route)

    slow = re.compile("/history.*severity=WARNING")
    page.route(slow, hold)
    with page.expect_request(slow):
        page.locator("[name=severity]").select_option("WARNING")
    page.locator("[name=severity]").select_option("CRITICAL")
    expect(page.locator(".history-event")).to_have_text(["CIRCUIT_BREAKER"])
    with page.expect_response(slow) as answer:
        for route in late:
            route.continue_()
    answer.value.finished()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(page.locator(".history-event")).to_have_text(["CIRCUIT_BREAKER"])


def test_history_that_cannot_be_read_says_why_and_is_read_again(site: Site, page: Page, browsing: Browsing) -> None:
    browsing.allow("503", "Failed to load resource")
    refused = {"status": "error", "code": "store_unavailable", "error": "The database can't be used."}
    page.route(_HISTORY, lambda route: route.fulfill(status=503, body=json.dumps(refused)))
    site.publish("Drawdown")
    open_view(page, site, "history")
    alert = page.get_by_role("alert").filter(has_text="The history could not be read.")
    expect(alert).to_contain_text("The database can't be used.")
    page.unroute(_HISTORY)
    page.get_by_role("button", name="Try again").first.click()
    expect(page.get_by_role("row")).to_have_count(2)
    expect(alert).to_have_count(0)


def test_export_saves_what_the_daemon_has(site: Site, page: Page, tmp_path: Path) -> None:
    publish_some(site)
    open_view(page, site, "history")
    page.locator("summary", has_text="Export").click()
    with page.expect_download() as saving:
        page.get_by_role("button", name="Alerts as CSV").click()
    saved = tmp_path / "alerts.csv"
    saving.value.save_as(saved)
    assert saving.value.suggested_filename == "alertbus-alerts.csv"
    with saved.open(encoding="utf-8", newline="") as lines:
        assert [row["event_type"] for row in csv.DictReader(lines)].count("DRAWDOWN_BREACH") == 3


def test_row_opens_the_story_and_focus_comes_back_to_it(site: Site, page: Page) -> None:
    publish_some(site)
    open_view(page, site, "history")
    name = "CRITICAL CIRCUIT_BREAKER UPRO"
    dialog = open_story(page, name)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect_focus(page, f"{name}, open its story")


def test_acknowledged_alert_bears_a_mark(site: Site, page: Page) -> None:
    alert = site.publish("Equity fell", "CRITICAL")
    open_view(page, site, "history")
    expect(row_of(page, "CRITICAL DRAWDOWN_BREACH TNA")).to_be_visible()
    site.daemon.post(f"/alerts/{alert.id}/ack", {"author": "ann"})
    expect(page.get_by_role("row").nth(1)).to_contain_text("acknowledged")


@pytest.mark.parametrize(("scheme", "viewport"), [("dark", None), ("light", PHONE)], ids=["desktop", "phone"])
def test_history_is_accessible_and_fits(
    site: Site, open_page: OpenPage, axe_check: AxeCheck, shoot: Shoot, scheme: str, viewport: dict[str, int] | None
) -> None:
    publish_some(site)
    given = {} if viewport is None else {"viewport": viewport}
    page = open_view(open_page(color_scheme=scheme, **given), site, "history")
    expect(page.locator(".history-event")).to_have_count(6)
    shoot(page, f"history-{scheme}-{'desktop' if viewport is None else 'phone'}")
    axe_check(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def _info(number: int) -> RiskEvent:
    return RiskEvent(event_type="LATENCY", severity=Severity.INFO, description=f"Alert {number}")
