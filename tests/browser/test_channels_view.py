"""The channels on the page: what a card says, switching, resuming and tests, in every colour and width."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import PHONE, AxeCheck, Browsing, OpenPage, Shoot, Site, StartSite
from tests.support.provider_faults import error
from tests.support.record_pages import expect_focus, open_view


def _card(page: Page, name: str) -> Locator:
    return page.locator(f"[data-channel={name}]")


def test_card_of_a_channel_that_works_tells_its_last_alert_and_how_long_it_took(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    expect(_card(page, "telegram").get_by_text("none yet")).to_be_visible()
    site.publish("Drawdown 6.1 % passed its limit")
    for name in ("telegram", "whatsapp"):
        expect(_card(page, name).locator(".notification-status")).to_have_text("OK")
        expect(_card(page, name)).to_contain_text(
            re.compile(r"DRAWDOWN_BREACH TNA.*Drawdown 6\.1 %.*(just now|\d+ s ago), in \d", re.DOTALL)
        )
    label = _card(page, "telegram").get_by_role("img").get_attribute("aria-label")
    assert label is not None
    assert re.match(r"Telegram: from publishing to acceptance, the last 1: half within \d+", label)
    exact = _card(page, "telegram").locator("time").first.get_attribute("title")
    assert exact is not None
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC$", exact)


def test_card_of_a_paused_channel_says_why_and_resumes(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    site.providers.telegram.always(error(401))
    site.publish("Drawdown 6.1 % passed its limit")
    card = _card(page, "telegram")
    expect(card.locator(".notification-status")).to_have_text("Error · paused")
    expect(card.locator(".problem")).to_contain_text("TELEGRAM_BOT_TOKEN")
    expect(card.locator(".problem")).to_contain_text("HTTP 401")
    expect(page.locator(".banners")).to_contain_text("Telegram is paused")
    site.providers.telegram.behave()
    page.get_by_role("button", name="Resume Telegram").click()
    expect(card.locator(".notification-status")).to_have_text("OK")
    expect(card).to_contain_text("works since")
    expect(page.get_by_text("Telegram sends again.", exact=True).first).to_be_visible()


def test_switch_of_one_of_two_channels_is_kept_and_told(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    toggle = page.get_by_role("switch", name="WhatsApp")
    toggle.focus()
    page.keyboard.press("Space")
    expect(toggle).to_have_attribute("aria-checked", "false")
    expect_focus(page, "WhatsApp")  # it is the same switch, wherever the answer came from
    expect(_card(page, "whatsapp").locator(".notification-status")).to_have_text("Disabled")
    expect(_card(page, "whatsapp")).to_contain_text("off by the page")
    page.reload()
    expect(toggle).to_have_attribute("aria-checked", "false")
    (kept,) = [each for each in site.daemon.get("/status")["channels"] if each["name"] == "whatsapp"]
    assert (kept["enabled"], kept["switched"]["via"]) == (False, "page")


def test_switch_of_the_last_channel_asks_and_can_be_refused(site: Site, page: Page, axe_check: AxeCheck) -> None:
    open_view(page, site, "channels")
    page.get_by_role("switch", name="WhatsApp").click()
    last = page.get_by_role("switch", name="Telegram")
    expect(page.get_by_role("switch", name="WhatsApp")).to_have_attribute("aria-checked", "false")
    last.click()
    dialog = page.get_by_role("dialog", name="Switch Telegram off?")
    expect(dialog).to_contain_text("nobody will be told anything")
    axe_check(page)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(last).to_have_attribute("aria-checked", "true")
    expect_focus(page, "Telegram")
    last.click()
    dialog.get_by_role("button", name="Switch it off").click()
    expect(last).to_have_attribute("aria-checked", "false")
    expect(page.locator(".banners")).to_contain_text("Every channel is switched off")


def test_critical_without_a_channel_waits_under_a_banner_until_one_is_on(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    for name in ("whatsapp", "telegram"):
        site.daemon.http.patch(
            f"/api/monitoring/notifications/channels/{name}", json={"enabled": False}
        ).raise_for_status()
    site.publish("All positions closed", "CRITICAL", event_type="EMERGENCY_STOP")
    expect(page.locator(".banners")).to_contain_text("CRITICAL waits, and no channel is left to tell it: 2 deliveries.")
    page.get_by_role("switch", name="Telegram").click()
    expect(page.locator(".banners")).to_have_count(0)
    expect(_card(page, "telegram")).to_contain_text("EMERGENCY_STOP")


def test_send_test_of_one_channel_shows_the_providers_answer_until_it_is_closed(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    page.get_by_role("button", name="Send a test to Telegram").click()
    result = _card(page, "telegram").locator(".test-result")
    expect(result).to_contain_text(re.compile(r"Accepted.*Telegram.*(ms| s).*HTTP 200 · message \d+", re.DOTALL))
    expect(_card(page, "whatsapp").locator(".test-result")).to_have_count(0)
    result.get_by_role("button", name="Close the result of the test").click()
    expect(result).to_have_count(0)
    expect_focus(page, "Send a test to Telegram")


def test_send_test_that_is_refused_says_it_in_the_providers_words(site: Site, page: Page) -> None:
    site.providers.telegram.always(error(400))
    open_view(page, site, "channels")
    page.get_by_role("button", name="Test all channels").click()
    result = page.locator(".tests .test-result")
    expect(result).to_contain_text(re.compile(r"Delivered.*WhatsApp", re.DOTALL))
    expect(result).to_contain_text(re.compile(r"Dead.*Telegram.*HTTP 400", re.DOTALL))


def test_send_test_by_routes_goes_where_such_an_alert_would(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    page.get_by_role("button", name="Options").click()
    page.get_by_label("Where").select_option("Where the routes send it")
    page.get_by_label("As", exact=True).select_option("BUY")
    page.get_by_role("button", name="Send this test").click()
    result = page.locator(".tests .test-result")
    expect(result).to_contain_text("By route trades")
    expect(result).to_contain_text("Telegram")
    expect(result).not_to_contain_text("WhatsApp")


def test_send_test_too_often_says_when_again(site: Site, browsing: Browsing, page: Page) -> None:
    browsing.allow("status of 429")
    open_view(page, site, "channels")
    refusal = {"status": "error", "error": "Ten tests in a minute are enough.", "code": "too_many_tests"}
    page.route("**/test", lambda route: route.fulfill(status=429, json=refusal, headers={"Retry-After": "3"}))
    page.get_by_role("button", name="Send a test to WhatsApp").click()
    result = _card(page, "whatsapp").locator(".test-result")
    expect(result).to_contain_text(re.compile(r"The test was not sent.*Next test in \d+ s", re.DOTALL))
    expect(result).to_contain_text("You can test again now.")


def test_dry_run_says_that_nothing_is_sent(start_site: StartSite, page: Page) -> None:
    names = (
        "TELEGRAM_BOT_TOKEN",
        "TELEGRAM_CHAT_ID",
        "TWILIO_ACCOUNT_SID",
        "TWILIO_AUTH_TOKEN",
        "WHATSAPP_FROM",
        "WHATSAPP_TO",
    )
    site = start_site(dict.fromkeys(names, ""))
    open_view(page, site, "channels")
    expect(page.locator(".banners")).to_contain_text("Dry run: nothing is really sent.")
    expect(_card(page, "telegram").locator(".notification-status")).to_have_text("Dry run")


def test_alert_that_comes_is_among_the_latest_with_its_story(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    expect(page.get_by_text("The first one appears here by itself.")).to_be_visible()
    site.publish("Drawdown 7 %")
    latest = page.get_by_role("region", name="Latest alerts")
    expect(latest.get_by_role("listitem")).to_contain_text(["Drawdown 7 %"])
    latest.get_by_role("button", name="DRAWDOWN_BREACH TNA").click()
    expect(page.get_by_role("dialog")).to_contain_text("Drawdown 7 %")


@pytest.mark.parametrize(("scheme", "width"), [("dark", "desktop"), ("light", "phone")])
def test_channels_in_error_and_off_are_accessible(
    site: Site, open_page: OpenPage, axe_check: AxeCheck, shoot: Shoot, scheme: str, width: str
) -> None:
    page = open_page(color_scheme=scheme, **({"viewport": PHONE} if width == "phone" else {}))
    open_view(page, site, "channels")
    axe_check(page)
    site.providers.telegram.always(error(401))
    site.publish("All positions closed", "CRITICAL", event_type="EMERGENCY_STOP")
    expect(_card(page, "telegram").locator(".notification-status")).to_have_text("Error · paused")
    page.get_by_role("switch", name="WhatsApp").click()
    expect(_card(page, "whatsapp").locator(".notification-status")).to_have_text("Disabled")
    page.get_by_role("button", name="Options").click()
    axe_check(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shoot(page, f"channels-{scheme}-{width}")
