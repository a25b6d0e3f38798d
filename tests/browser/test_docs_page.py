"""The page `/docs`: the whole API described, by what the daemon itself serves and within a strict policy."""

from __future__ import annotations

import json
import urllib.request

from playwright.sync_api import Page, expect

from tests.support.browser import Site
from tests.support.running_service import PREFIX


def described_operations(site: Site) -> int:
    """Return how many operations the daemon's description has."""
    with urllib.request.urlopen(f"{site.url}/openapi.json") as answer:
        paths = json.load(answer)["paths"]
    return sum(len(methods) for methods in paths.values())


def test_docs_page_shows_every_operation_and_loads_nothing_from_outside(page: Page, site: Site) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.url}/docs")
    expect(page.locator(".opblock")).to_have_count(described_operations(site))
    assert asked
    assert all(url.startswith((f"{site.url}/", "data:")) for url in asked)


def test_docs_page_opens_an_operation_and_tries_it_out(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/docs")
    block = page.locator(".opblock-get", has_text=f"{PREFIX}/status").first
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    block.get_by_role("button", name="Execute").click()
    expect(block.locator(".live-responses-table .response-col_status").last).to_contain_text("200")


def test_docs_page_on_a_phone_is_no_wider_than_its_screen(page: Page, site: Site) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{site.url}/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
