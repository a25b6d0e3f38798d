"""The page around the element: sign-in, theme, the address, the tabs."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import AxeCheck, Browsing, OpenPage, Site, StartSite
from tests.support.record_pages import open_view

_OPERATE = "the-operating-token-of-this-test-0123456789"
_READ = "the-reading-token-of-this-test-0123456789"
_TOKENS = {"ALERTBUS_API_TOKEN": _OPERATE, "ALERTBUS_API_READ_TOKEN": _READ}


@pytest.fixture
def guarded(start_site: StartSite, browsing: Browsing) -> Site:
    """A daemon that wants a token."""
    browsing.allow("status of 401")
    return start_site(_TOKENS)


def _sign_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_page_without_a_token_asks_for_it_and_says_when_it_is_wrong(
    guarded: Site, page: Page, axe_check: AxeCheck
) -> None:
    page.goto(guarded.url)
    expect(page.get_by_label("Token")).to_be_focused()
    axe_check(page)
    _sign_in(page, "wrong")
    expect(page.get_by_role("alert")).to_have_text("The daemon does not know this token.")
    axe_check(page)
    _sign_in(page, _OPERATE)
    expect(page.get_by_role("switch", name="Telegram")).to_be_visible()
    expect(page.get_by_role("form", name="Sign in")).to_have_count(0)
    assert _OPERATE not in page.url
    page.reload()
    expect(page.get_by_role("switch", name="Telegram")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()


def test_page_with_a_token_that_may_only_read_changes_nothing_and_says_why(guarded: Site, page: Page) -> None:
    page.goto(guarded.url)
    _sign_in(page, _READ)
    expect(page.locator(".banners")).to_contain_text("You may look, and change nothing.")
    toggle = page.get_by_role("switch", name="Telegram")
    expect(toggle).to_have_attribute("aria-disabled", "true")
    expect(toggle).to_have_attribute("title", "Your token may only read")
    toggle.click(force=True)
    button = page.get_by_role("button", name="Send a test to Telegram")
    button.click(force=True)
    expect(page.locator(".test-result, .toast")).to_have_count(0)
    expect(toggle).to_have_attribute("aria-checked", "true")


def test_page_theme_is_chosen_and_kept(site: Site, open_page: OpenPage) -> None:
    page = open_page(color_scheme="light")
    open_view(page, site, "channels")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Theme: auto").click()
    assert page.evaluate(background) != light
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate(background) != light
    page.get_by_role("button", name="Theme: dark").click()
    assert page.evaluate(background) == light


def test_page_tabs_are_chosen_by_arrow_keys_and_kept_in_the_address(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    page.get_by_role("tab", name="Channels").focus()
    for name, place in (("History", "history"), ("Dead letters", "dead-letters"), ("Silences", "silences")):
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name=name)).to_be_focused()
        expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
        expect(page).to_have_url(f"{site.url}/#{place}")
        expect(page.get_by_role("tabpanel", name=name)).to_be_visible()
    page.keyboard.press("Home")
    expect(page.get_by_role("tab", name="Channels")).to_be_focused()
    page.go_back()
    expect(page.get_by_role("tab", name="Silences")).to_have_attribute("aria-selected", "true")
    page.reload()
    expect(page.get_by_role("tab", name="Silences")).to_have_attribute("aria-selected", "true")


def test_page_address_of_a_story_opens_it(site: Site, page: Page) -> None:
    alert = site.publish("Drawdown 7 %")
    page.goto(f"{site.url}/#channels?alert={alert.id}")
    expect(page.get_by_role("dialog")).to_contain_text("Drawdown 7 %")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page).to_have_url(f"{site.url}/#channels")


def test_page_enlarged_twice_has_no_sideways_scroll(site: Site, open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 640, "height": 450}, device_scale_factor=2)
    open_view(page, site, "channels")
    for name in ("History", "Dead letters", "Silences", "Channels"):
        page.get_by_role("tab", name=name).click()
        expect(page.get_by_role("tabpanel", name=name)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_page_in_forced_colours_and_without_motion_shows_its_controls(site: Site, open_page: OpenPage) -> None:
    page = open_page(forced_colors="active", reduced_motion="reduce")
    open_view(page, site, "channels")
    expect(page.get_by_role("switch", name="Telegram")).to_be_visible()
    moving = page.evaluate(
        "document.querySelector('alertbus-channels').shadowRoot.getAnimations()"
        ".filter(one => one.playState === 'running').length"
    )
    assert moving == 0
