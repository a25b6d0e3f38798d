"""Fixtures of the browser's tests: one browser for this folder, a context for each page, a daemon for each test."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import (
    AxeCheck,
    Browsing,
    OpenPage,
    Shoot,
    Site,
    StartSite,
    check_by_axe,
    chromium_browser,
    keep_screenshot,
    running_site,
)
from tests.support.daemon import PATIENCE_SECONDS

_FAILED: Final = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test itself failed, for what is kept of it."""
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser; skips where there is none, and fails in CI."""
    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    with chromium_browser() as browser:
        yield browser


@pytest.fixture
def browsing(chromium: Browser, start_site: StartSite, request: pytest.FixtureRequest) -> Iterator[Browsing]:
    """The test's pages: `browsing.allow(pattern)` lets a message pass that would fail it at its end.

    It is behind `start_site`, so that the pages are closed before their daemon ends.
    """
    pages = Browsing(chromium)
    try:
        yield pages
        if request.node.stash.get(_FAILED, False):
            pages.keep(request.node.nodeid.removeprefix("tests/browser/"))
        else:
            _check(pages, request.node.nodeid)
    finally:
        pages.close()


def _check(pages: Browsing, name: str) -> None:
    try:
        pages.check()
    except AssertionError:
        pages.keep(name.removeprefix("tests/browser/"))
        raise


@pytest.fixture
def open_page(browsing: Browsing) -> OpenPage:
    """Open a page in a new context: `open_page(viewport=PHONE, color_scheme="dark")`."""
    return browsing.open_page


@pytest.fixture
def page(browsing: Browsing) -> Page:
    """An empty page on a desktop, in light colours."""
    return browsing.open_page()


@pytest.fixture
def start_site(tmp_path: Path) -> Iterator[StartSite]:
    """Start a daemon with settings of the test's own: the arguments of `running_site` without the folder."""
    with ExitStack() as running:

        def start(*arguments: Any, **named: Any) -> Site:
            return running.enter_context(running_site(tmp_path, *arguments, **named))

        yield start


@pytest.fixture
def site(start_site: StartSite) -> Site:
    """A running daemon with Telegram and WhatsApp, each alert a message of its own."""
    return start_site()


@pytest.fixture
def axe_check() -> AxeCheck:
    """Assert that axe finds nothing wrong in a page as it is."""
    return check_by_axe


@pytest.fixture
def shoot() -> Shoot:
    """Keep what a page looks like: `shoot(page, "history-dark")`."""
    return keep_screenshot
