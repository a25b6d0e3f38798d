"""A real browser for tests: the system's Chromium, driven by Playwright, and a daemon whose page it opens.

Nothing but 127.0.0.1 can be reached by it, and a page that asks for anything else, logs an error or a warning, throws,
or breaks the content security policy fails the test that opened it, unless the test allowed that very message:

    with chromium_browser() as chromium, running_site(tmp_path) as site, Browsing(chromium) as browsing:
        page = browsing.open_page()
        page.goto(site.url)
        browsing.allow(r"status of 422")
        ...

Playwright's events come only while it is called: a test that waits for anything but the page must not wait for what
the page does meanwhile by `wait_until` alone.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, WebError, sync_playwright

from bus.alerts import Action, AgentAction, RiskEvent, Severity
from publisher import Publisher
from subscriber.service import RunOptions
from tests.support.provider_server import ProviderServer
from tests.support.running_service import PATIENCE_SECONDS, ServiceThread, provider_environ, running_service
from tests.support.waiting import wait_until

ROOT: Final = Path(__file__).parents[2]
SCREENSHOTS: Final = ROOT / "build" / "screenshots"
#: Viewports in CSS pixels.
DESKTOP: Final = {"width": 1280, "height": 900}
PHONE: Final = {"width": 390, "height": 844}

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS: Final = (
    "--no-sandbox",  # CI runs as root
    "--disable-dev-shm-usage",  # a container's /dev/shm may hold 64 MiB
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
_LOGGED_AS_WRONG: Final = frozenset({"error", "warning", "assert"})
_PATIENCE_MS: Final = 1000 * PATIENCE_SECONDS
#: What an accessible page may not break: WCAG 2.2 up to AA, and what axe calls best practice.
_AXE_TAGS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


def needed(command: str | None, what: str) -> str:
    """Return a command that was looked for; skip the test where there is none, and fail it in CI."""
    if command is not None:
        return command
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI has no {what}: .ci/run installs it")
    pytest.skip(f"no {what} on this machine")


def find_chromium() -> str | None:
    """Return the path of the system's Chromium or Chrome, or None where there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def chromium_browser() -> Iterator[Browser]:
    """Run the browser. One serves many tests: each opens a context of its own."""
    command = needed(find_chromium(), "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=command, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class Browsing:
    """The pages of one test, and all that went wrong in them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._wrong: list[str] = []
        self._allowed: list[re.Pattern[str]] = []
        #: Everything that was logged, the allowed and the harmless as well.
        self.console: list[str] = []
        #: The address of each request.
        self.requests: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all pages; raise what went wrong in them, unless the test failed by itself."""
        try:
            if kind is None:
                self.check()
        finally:
            self.close()

    def open_page(self, *, token: str | None = None, **options: Any) -> Page:
        """Open an empty page in a context of its own.

        Args:
            token: Sent as Bearer token with each request, before the page knows one.
            options: Of Playwright's `new_context`: `viewport=PHONE`, `color_scheme="dark"`, `reduced_motion="reduce"`…
        """
        if token is not None:
            options["extra_http_headers"] = {"Authorization": f"Bearer {token}"}
        context = self._browser.new_context(**{"viewport": DESKTOP, "locale": "en-GB", "timezone_id": "UTC"} | options)
        self._contexts.append(context)
        context.set_default_timeout(_PATIENCE_MS)
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("request", self._on_request)
        return context.new_page()

    @property
    def pages(self) -> list[Page]:
        """The pages that are open."""
        return [page for context in self._contexts for page in context.pages if not page.is_closed()]

    def allow(self, *patterns: str) -> None:
        """Let messages pass that one of these regular expressions finds, before and after this call."""
        self._allowed.extend(map(re.compile, patterns))

    def check(self) -> None:
        """Raise AssertionError with everything that went wrong so far and was not allowed."""
        for page in self.pages:
            page.evaluate("0")  # what was logged until now is heard before this is answered
        wrong = [each for each in self._wrong if not any(pattern.search(each) for pattern in self._allowed)]
        assert not wrong, "in the browser:\n" + "\n".join(wrong)

    def keep(self, name: str) -> None:
        """Keep what a failed test's pages look like and logged, under build/screenshots/failed."""
        folder = SCREENSHOTS / "failed"
        folder.mkdir(parents=True, exist_ok=True)
        stem = re.sub(r"\W+", "-", name).strip("-")
        for number, page in enumerate(self.pages):
            page.screenshot(path=folder / f"{stem}-{number}.png", full_page=True, timeout=_PATIENCE_MS)
        (folder / f"{stem}.txt").write_text("\n".join([*self.console, "", *self.requests]), encoding="utf-8")

    def close(self) -> None:
        """Close all pages."""
        while self._contexts:
            self._contexts.pop().close()

    def _on_console(self, message: ConsoleMessage) -> None:
        said = f"console {message.type}: {message.text} ({message.location.get('url', '')})"
        self.console.append(said)
        if message.type in _LOGGED_AS_WRONG:
            self._wrong.append(said)

    def _on_error(self, error: WebError) -> None:
        said = f"uncaught: {error.error}"
        self.console.append(said)
        self._wrong.append(said)

    def _on_request(self, request: Request) -> None:
        self.requests.append(request.url)
        address = urlsplit(request.url)
        if address.scheme not in {"data", "blob"} and address.hostname != "127.0.0.1":
            self._wrong.append(f"asked another host: {request.url}")


class Site:
    """A running daemon with its page, the providers it sends to, and a trader that publishes to it."""

    def __init__(self, daemon: ServiceThread, providers: ProviderServer, publisher: Publisher) -> None:
        self.daemon = daemon
        self.providers = providers
        self.publisher = publisher
        self.url = daemon.url

    def publish(
        self,
        description: str = "Drawdown 6.1 % passed its limit",
        severity: str = "WARNING",
        *,
        event_type: str = "DRAWDOWN_BREACH",
        symbol: str | None = "TNA",
        **fields: Any,
    ) -> RiskEvent:
        """Publish a risk event, and return it when the daemon has stored it."""
        alert = RiskEvent(
            event_type=event_type, severity=Severity(severity), description=description, symbol=symbol, **fields
        )
        assert self.publisher.publish(alert, wait=PATIENCE_SECONDS)
        return alert

    def trade(
        self, action: str = "BUY", symbol: str = "TNA", quantity: float = 10, price: float = 41.2, **fields: Any
    ) -> AgentAction:
        """Publish a trade, and return it when the daemon has stored it."""
        alert = AgentAction(
            agent_name="ppo-1", symbol=symbol, action=Action(action), quantity=quantity, price=price, **fields
        )
        assert self.publisher.publish(alert, wait=PATIENCE_SECONDS)
        return alert


@contextmanager
def running_site(
    folder: Path, environ: Mapping[str, str] | None = None, *, config: str = "", options: RunOptions | None = None
) -> Iterator[Site]:
    """Run a daemon in a thread of this process, with Telegram and Twilio stood in for, and a publisher beside it.

    Args:
        folder: Holds database, journal and configuration.
        environ: Settings beside and before those; without a channel's credentials in it, both channels have theirs.
        config: The text of its TOML.
        options: How it is run.
    """
    (folder / "alertbus-of-the-test.toml").write_text(config, encoding="utf-8")
    with ProviderServer() as providers:
        given = {**provider_environ(providers), "ALERTBUS_SOURCE": "live_trader", **(environ or {})}
        with (
            running_service(given, folder, options=options) as daemon,
            Publisher.from_environment(daemon.environ) as publisher,
        ):
            wait_until(lambda: daemon.get("/status")["publishers"], PATIENCE_SECONDS)  # a page that is open tells of it
            yield Site(daemon, providers, publisher)


def check_by_axe(page: Page) -> None:
    """Run axe on a page as it is; raise AssertionError with each violation and the elements that it is about."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate(
        "tags => axe.run(document, {resultTypes: ['violations'], runOnly: tags})"
        ".then(result => result.violations.map(each => ["
        "each.id, each.help, each.nodes.map(node => `${node.target.flat().join(' ')}: ${node.failureSummary}`)]))",
        list(_AXE_TAGS),
    )
    assert not found, "\n".join(f"{rule}: {told}\n  " + "\n  ".join(nodes) for rule, told, nodes in found)


def keep_screenshot(page: Page, name: str, *, full_page: bool = True) -> Path:
    """Keep what a page looks like as build/screenshots/NAME.png, and return that path."""
    path = SCREENSHOTS / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=full_page, animations="disabled")
    return path


#: What the fixtures of `tests/browser/conftest.py` hand out.
OpenPage = Callable[..., Page]
StartSite = Callable[..., Site]
AxeCheck = Callable[[Page], None]
Shoot = Callable[..., Path]
