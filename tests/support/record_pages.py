"""What the browser's tests of the records do again and again: open a view, open a story, make a dead letter."""

from __future__ import annotations

from typing import Final

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as Late

from tests.support.browser import Site
from tests.support.provider_faults import error, for_posts

#: A code with which each stand-in refuses a message for good.
_REFUSALS = {"telegram": None, "whatsapp": 21617}
#: The name of what has the focus.
_FOCUSED: Final = """() => {
    let found = document.activeElement;
    while (found?.shadowRoot?.activeElement) found = found.shadowRoot.activeElement;
    return found?.getAttribute('aria-label') ?? found?.textContent?.trim() ?? '';
}"""


def open_view(page: Page, site: Site, place: str) -> Page:
    """Open the page at a place, such as `history?severity=CRITICAL`, and wait until it listens to the daemon."""
    page.goto(f"{site.url}/#{place}")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    return page


def row_of(page: Page, name: str) -> Locator:
    """Return the button that opens the story of the alerts with this name: `CRITICAL CIRCUIT_BREAKER UPRO`."""
    return page.get_by_role("button", name=f"{name}, open its story")


def open_story(page: Page, name: str) -> Locator:
    """Open the story of an alert in the list, and return its dialog when it was read."""
    row_of(page, name).first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="What became of it")).to_be_visible()
    return dialog


def expect_focus(page: Page, name: str) -> None:
    """Wait until what is named so has the focus, inside the element: by its label, or its text.

    It may come there after what it follows is seen: the stream can tell of a change before the answer does.
    """
    try:
        page.wait_for_function(f"name => ({_FOCUSED})() === name", arg=name)
    except Late:
        raise AssertionError(f"the focus is at {page.evaluate(_FOCUSED)!r}, not at {name!r}") from None


def dead_letter(site: Site, text: str = "Refused for good", channel: str = "telegram") -> str:
    """Let a test alert be refused for good by a channel's provider; return its id."""
    provider = site.providers.telegram if channel == "telegram" else site.providers.twilio
    provider.script(for_posts(error(400, code=_REFUSALS[channel])))
    answer = site.daemon.post("/test", {"channel": channel, "text": text})
    assert answer["channels"][0]["state"] == "dead"
    return str(answer["alert_id"])
