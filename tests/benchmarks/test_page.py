"""How long an open page takes: a click on Send Test until the provider's answer, an alert until it is seen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Browsing, Site, chromium_browser, running_site

pytestmark = pytest.mark.benchmark

#: A test more often than each 6 s is refused, so few of them.
_CLICKS: Final = 5
_ALERTS: Final = 20
_CONFIG: Final = """
[[routes]]
match    = { severity = "CRITICAL" }
channels = ["telegram"]

[[routes]]
match    = { severity = ["INFO", "WARNING"] }
channels = []
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A daemon with its page; what is published is only kept."""
    with running_site(tmp_path, config=_CONFIG) as running:
        yield running


@pytest.fixture
def page(site: Site) -> Iterator[Page]:
    """The open page, live."""
    with chromium_browser() as browser, Browsing(browser) as browsing:
        opened = browsing.open_page()
        opened.goto(site.url)
        expect(opened.locator(".indicator")).to_have_attribute("data-state", "live")
        yield opened


def test_page_seconds_from_click_to_the_providers_answer(page: Page, site: Site) -> None:
    seconds = []
    for _ in range(_CLICKS):
        begin = time.perf_counter()
        page.get_by_role("button", name="Send a test to Telegram").click()
        close = page.get_by_role("button", name="Close the result of the test")
        close.wait_for()
        seconds.append(time.perf_counter() - begin)
        close.click()
    assert len(site.providers.telegram.accepted) == _CLICKS
    print(f"\nSend Test, click until the provider's answer is seen: {_told(seconds)}")


def test_page_seconds_from_published_to_visible(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/#history")
    expect(page.locator(".indicator")).to_have_attribute("data-state", "live")
    seconds = []
    for number in range(_ALERTS):
        begin = time.perf_counter()
        site.publish(f"alert {number}", event_type=f"EVENT_{number}_OF_THE_MEASURE")
        page.get_by_text(f"EVENT_{number}_OF_THE_MEASURE").first.wait_for()
        seconds.append(time.perf_counter() - begin)
    print(f"\nAn alert, published until it is seen on an open page: {_told(seconds)}")


def _told(seconds: list[float]) -> str:
    return f"median {median(seconds):.3f} s, worst {max(seconds):.3f} s of {len(seconds)}"
