"""The whole page at once: each control used against a running daemon, and axe on each view in each look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from subscriber.deliveries import OPEN_STATES
from tests.browser.page_table import TABLE
from tests.support.browser import PHONE, AxeCheck, Browsing, OpenPage, Shoot, Site
from tests.support.controls import Control, controls_of
from tests.support.daemon import PATIENCE_SECONDS
from tests.support.provider_faults import error, for_posts
from tests.support.waiting import wait_until

#: Of Twilio: the message is refused for good.
_REFUSED: Final = 63013
_VIEWS: Final = ("channels", "history", "dead-letters", "silences")
_LOOKS: Final[Mapping[str, Mapping[str, Any]]] = {
    "desktop-dark": {"color_scheme": "dark"},
    "desktop-light": {"color_scheme": "light"},
    "phone-dark": {"color_scheme": "dark", "viewport": PHONE, "has_touch": True, "is_mobile": True},
    "phone-light": {"color_scheme": "light", "viewport": PHONE, "has_touch": True, "is_mobile": True},
}


def _settled(site: Site) -> bool:
    """Whether each delivery was tried, by the records: the status of all channels is looked up a moment later."""
    return not any(set(OPEN_STATES).intersection(states) for states in site.daemon.states().values())


@pytest.fixture
def busy_site(site: Site) -> Site:
    """A daemon with a CRITICAL that waits for a person, a trade, a dead letter and a silence."""
    site.publish("Drawdown 8.7 % passed its limit of 5 %", "CRITICAL")
    wait_until(lambda: _settled(site), PATIENCE_SECONDS)
    site.providers.twilio.script(for_posts(error(400, code=_REFUSED)))
    site.publish("An earnings call begins", event_type="NEWS_RISK")
    wait_until(lambda: "dead" in site.daemon.states()["whatsapp"], PATIENCE_SECONDS)  # alone: no message of both
    site.trade()
    wait_until(lambda: _settled(site), PATIENCE_SECONDS)
    wait_until(lambda: not any(each["backlog"] for each in site.daemon.get("/status")["channels"]), PATIENCE_SECONDS)
    silence = {"match": {"event_type": "SPREAD_WIDE"}, "seconds": 3600, "author": "Ada", "reason": "known"}
    site.daemon.post("/silences", silence)
    return site


def _go(page: Page, site: Site, view: str) -> None:
    page.goto("about:blank")
    page.goto(f"{site.url}/#{view}")
    expect(page.locator(".indicator")).to_have_attribute("data-state", "live")
    expect(page.locator(".skeleton")).to_have_count(0)
    expect(page.get_by_role("tab", name="Silences 1")).to_be_visible()
    expect(page.get_by_role("button", name="Acknowledge DRAWDOWN_BREACH")).to_be_visible()


def _test_form(page: Page) -> None:
    page.get_by_role("button", name="Options").click()
    page.get_by_label("Where").select_option("routes")
    page.get_by_role("button", name="Send a test to Telegram").click()
    expect(page.get_by_role("button", name="Close the result")).to_be_visible()


def _filters(page: Page) -> None:
    for summary in page.locator("summary").all():
        summary.click()
    page.get_by_label("Symbol").fill("TNA")
    expect(page.get_by_role("button", name="Clear all")).to_be_visible()
    expect(page.get_by_role("button", name="open its story")).to_have_count(3)


def _press(name: str, sign: str) -> Callable[[Page], None]:
    def press(page: Page) -> None:
        page.get_by_role("button", name=name).first.click()
        expect(page.locator(sign).first).to_be_visible()

    return press


#: How each part of the table is reached: the view, and what is done in it.
_SCENES: Final[dict[str, tuple[str, Callable[[Page], None] | None]]] = {
    "channels": ("channels", None),
    "test-form": ("channels", _test_form),
    "history": ("history", _filters),
    "story": ("history", _press("DRAWDOWN_BREACH TNA, open its story", "dialog[open] button:has-text('Silence what')")),
    "dead-letters": ("dead-letters", None),
    "preview": ("dead-letters", _press("Preview NEWS_RISK", "[aria-label='What a retry would say']")),
    "retry": ("dead-letters", _press("Retry NEWS_RISK", "dialog[open]")),
    "silences": ("silences", None),
    "silence-form": ("silences", _press("Add a silence", "form")),
}


@pytest.mark.parametrize("scene", TABLE)
def test_page_every_control_does_what_the_table_says(page: Page, busy_site: Site, scene: str) -> None:
    view, prepare = _SCENES[scene]

    def arrive() -> list[Control]:
        _go(page, busy_site, view)
        if prepare is not None:
            prepare(page)
        return controls_of(page)

    lines = TABLE[scene]
    found = arrive()
    unknown = [str(each) for each in found if not any(line.fits(each) for line in lines)]
    assert not unknown, "the table does not know: " + "; ".join(unknown)
    for line in lines:
        assert line.sometimes or any(map(line.fits, found)), f"there is no {line.pattern}"
        if line.use is not None:
            control = next(filter(line.fits, arrive()), None)
            assert control is not None, f"{line.pattern} is gone"
            line.use(page, busy_site, control)


@pytest.mark.parametrize("look", _LOOKS)
def test_page_each_view_is_accessible_and_fits(
    open_page: OpenPage, browsing: Browsing, busy_site: Site, axe_check: AxeCheck, shoot: Shoot, look: str
) -> None:
    page = open_page(**_LOOKS[look])
    for scene, (view, prepare) in _SCENES.items():
        _go(page, busy_site, view)
        if prepare is not None:
            prepare(page)
        shoot(page, f"{scene}-{look}")
        axe_check(page)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{scene} is {wide} px too wide"
    browsing.check()


def test_views_are_all_in_the_table() -> None:
    assert {view for view, _ in _SCENES.values()} == set(_VIEWS)
    assert set(TABLE) == set(_SCENES)
