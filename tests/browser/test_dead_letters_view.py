"""Dead letters on the page: why each died, what a retry would say, and the retry of one, some and all."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import PHONE, AxeCheck, Browsing, OpenPage, Shoot, Site
from tests.support.record_pages import dead_letter, open_view


def letters(page: Page) -> Locator:
    return page.locator("li.letter")


def confirm(page: Page, action: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=action, exact=True).click()


def told(site: Site, text: str) -> int:
    """Return how many messages with this text a provider took."""
    return sum(text in message.text for message in site.providers.accepted)


def test_no_dead_letters_are_said_to_be_none(site: Site, page: Page) -> None:
    open_view(page, site, "dead-letters")
    expect(page.get_by_role("heading", name="No dead letters")).to_be_visible()


def test_dead_letter_tells_why_in_the_providers_words(site: Site, page: Page) -> None:
    dead_letter(site, "Refused, sadly")
    open_view(page, site, "dead-letters")
    letter = letters(page)
    expect(letter).to_contain_text("Refused, sadly")
    expect(letter).to_contain_text("rejected (HTTP 400)")
    expect(letter.locator("q")).not_to_be_empty()
    expect(letter).to_contain_text("after 1 try")
    expect(letter).to_contain_text("told by no other channel")


def test_message_that_dies_while_one_looks_comes_by_itself(site: Site, page: Page) -> None:
    open_view(page, site, "dead-letters")
    expect(page.get_by_role("heading", name="No dead letters")).to_be_visible()
    dead_letter(site, "Refused later")
    expect(letters(page)).to_contain_text("Refused later")


def test_preview_shows_what_a_retry_would_say(site: Site, page: Page) -> None:
    dead_letter(site, "Refused, sadly")
    open_view(page, site, "dead-letters")
    page.get_by_role("button", name=re.compile("^Preview ")).click()
    expect(page.get_by_label("What a retry would say")).to_contain_text("Refused, sadly")
    expect(letters(page)).to_contain_text("not accepted, rejected")
    page.get_by_role("button", name=re.compile("^Close the preview of")).click()
    expect(page.get_by_label("What a retry would say")).to_have_count(0)


def test_retry_of_one_asks_sends_it_and_takes_it_off_the_list(site: Site, page: Page) -> None:
    dead_letter(site, "Refused once")
    open_view(page, site, "dead-letters")
    page.get_by_role("button", name=re.compile("^Retry .* for Telegram")).click()
    confirm(page, "Retry 1")
    expect(page.get_by_text("1 message sent again.").first).to_be_visible()
    expect(letters(page)).to_have_count(0)
    site.providers.wait_for_accepted(1)
    assert told(site, "Refused once") == 1


def test_retry_that_is_not_confirmed_sends_nothing(site: Site, page: Page) -> None:
    dead_letter(site, "Refused once")
    open_view(page, site, "dead-letters")
    page.get_by_role("button", name=re.compile("^Retry .* for Telegram")).click()
    confirm(page, "Cancel")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(letters(page)).to_have_count(1)
    assert site.daemon.get("/dead-letters")["total"] == 1


def test_retry_of_the_selected_leaves_the_others(site: Site, page: Page) -> None:
    for text in ("Refused A", "Refused B", "Refused C"):
        dead_letter(site, text)
    open_view(page, site, "dead-letters")
    expect(letters(page)).to_have_count(3)
    for text in ("Refused A", "Refused C"):
        letters(page).filter(has_text=text).get_by_role("checkbox").check()
    page.get_by_role("button", name="Retry selected (2)").click()
    confirm(page, "Retry 2")
    expect(letters(page)).to_have_count(1)
    expect(letters(page)).to_contain_text("Refused B")


def test_retry_of_all_of_a_channel_leaves_the_other_channels(site: Site, page: Page) -> None:
    dead_letter(site, "Refused by Telegram")
    dead_letter(site, "Refused by Twilio", "whatsapp")
    open_view(page, site, "dead-letters")
    expect(letters(page)).to_have_count(2)
    page.get_by_label("Channel").select_option("whatsapp")
    expect(letters(page)).to_have_count(1)
    expect(page).to_have_url(re.compile("channel=whatsapp"))
    page.get_by_role("button", name="Retry all 1 of WhatsApp").click()
    confirm(page, "Retry all 1")
    expect(page.get_by_role("heading", name="No dead letters of WhatsApp")).to_be_visible()
    assert [each["channel"] for each in site.daemon.get("/dead-letters")["dead_letters"]] == ["telegram"]


def test_skipped_ones_are_said_with_why(site: Site, page: Page) -> None:
    dead_letter(site, "Refused")
    open_view(page, site, "dead-letters")
    skipped = {"retried": [], "count": 0, "skipped": [{"id": 1, "why": "It is no dead letter any more."}]}
    page.route("**/dead-letters/retry", lambda route: route.fulfill(json={"status": "success", "data": skipped}))
    page.get_by_role("button", name="Retry all 1").click()
    confirm(page, "Retry all 1")
    result = page.get_by_role("status").filter(has_text="0 messages sent again, 1 skipped.")
    expect(result.first).to_be_visible()
    expect(page.get_by_text("1 skipped: It is no dead letter any more.")).to_be_visible()
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_text("1 skipped: It is no dead letter any more.")).to_have_count(0)


def test_letter_of_a_channel_that_is_off_says_why_it_cannot_be_retried(site: Site, page: Page) -> None:
    dead_letter(site, "Refused")
    found = site.daemon.get("/dead-letters")
    found["dead_letters"][0].update(retriable=False, why_not="telegram is switched off.")
    answer = {"status": "success", "data": found}
    page.route(re.compile(r"/dead-letters(\?|$)"), lambda route: route.fulfill(json=answer))
    open_view(page, site, "dead-letters")
    expect(letters(page)).to_contain_text("Can't be sent again: telegram is switched off.")
    expect(page.get_by_role("button", name=re.compile("^Retry .* for Telegram"))).to_be_disabled()
    expect(letters(page).get_by_role("checkbox")).to_be_disabled()


def test_retry_that_fails_says_why_and_the_letter_stays(site: Site, page: Page, browsing: Browsing) -> None:
    browsing.allow("503", "Failed to load resource")
    dead_letter(site, "Refused")
    open_view(page, site, "dead-letters")
    refused = {"status": "error", "code": "store_unavailable", "error": "The database can't be used."}
    page.route("**/dead-letters/retry", lambda route: route.fulfill(status=503, body=json.dumps(refused)))
    page.get_by_role("button", name="Retry all 1").click()
    confirm(page, "Retry all 1")
    expect(page.get_by_text("Retrying dead letters did not work.").first).to_be_visible()
    expect(letters(page)).to_have_count(1)
    expect(page.get_by_role("button", name="Retry all 1")).to_be_enabled()


def test_letter_opens_the_story_of_its_alert(site: Site, page: Page) -> None:
    dead_letter(site, "Refused, sadly")
    open_view(page, site, "dead-letters")
    page.get_by_role("button", name=re.compile("for Telegram, open its story")).click()
    expect(page.get_by_role("dialog")).to_contain_text("it is a dead letter now")


@pytest.mark.parametrize(("scheme", "viewport"), [("dark", None), ("light", PHONE)], ids=["desktop", "phone"])
def test_dead_letters_are_accessible_and_fit(
    site: Site, open_page: OpenPage, axe_check: AxeCheck, shoot: Shoot, scheme: str, viewport: dict[str, int] | None
) -> None:
    dead_letter(site, "Refused by Telegram")
    dead_letter(site, "Refused by Twilio", "whatsapp")
    given = {} if viewport is None else {"viewport": viewport}
    page = open_view(open_page(color_scheme=scheme, **given), site, "dead-letters")
    page.get_by_role("button", name=re.compile("^Preview ")).first.click()
    expect(page.get_by_label("What a retry would say")).to_be_visible()
    shoot(page, f"dead-letters-view-{scheme}-{'desktop' if viewport is None else 'phone'}")
    axe_check(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
