"""Every control of the page, where it is found, and what it must do: the table of `test_whole_page`.

A control is named by its role and its accessible name; whatever is found on the page must have a line here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from playwright.sync_api import Page, expect

from tests.support.browser import Site
from tests.support.controls import Control
from tests.support.daemon import PATIENCE_SECONDS
from tests.support.waiting import wait_until

#: Uses a control and asserts what follows.
Use = Callable[[Page, Site, Control], None]


@dataclass(frozen=True)
class Line:
    """A kind of control: the pattern of all of its "role: name", and what one of it must do; None: tried elsewhere."""

    pattern: str
    use: Use | None = None
    sometimes: bool = False  #: there while something waits, and gone when it is sent

    def fits(self, control: Control) -> bool:
        """Say whether a control is of this kind."""
        return re.fullmatch(self.pattern, str(control)) is not None


def opens(text: str) -> Use:
    """Return what clicks and sees a modal dialog with this text."""

    def use(page: Page, site: Site, control: Control) -> None:
        control.element.click()
        expect(page.get_by_role("dialog").filter(has_text=re.compile(text))).to_be_visible()

    return use


def goes(place: str) -> Use:
    """Return what clicks and sees the page's address end so."""

    def use(page: Page, site: Site, control: Control) -> None:
        control.element.click()
        page.wait_for_url(re.compile(place))

    return use


def shows(selector: str, text: str = "") -> Use:
    """Return what clicks and sees an element with this text."""

    def use(page: Page, site: Site, control: Control) -> None:
        control.element.click()
        expect(page.locator(selector).filter(has_text=re.compile(text, re.IGNORECASE)).first).to_be_visible()

    return use


def closes(selector: str) -> Use:
    """Return what clicks and sees an element go."""

    def use(page: Page, site: Site, control: Control) -> None:
        expect(page.locator(selector)).not_to_have_count(0)
        control.element.click()
        expect(page.locator(selector)).to_have_count(0)

    return use


def downloads(name: str) -> Use:
    """Return what clicks and gets a file of this name, which is not empty."""

    def use(page: Page, site: Site, control: Control) -> None:
        with page.expect_download() as begun:
            control.element.click()
        assert re.search(name, begun.value.suggested_filename)
        assert begun.value.path().stat().st_size > 0

    return use


def posts(path: str, method: str = "POST") -> Use:
    """Return what clicks and sees the daemon take a request."""

    def use(page: Page, site: Site, control: Control) -> None:
        with page.expect_response(lambda answer: answer.request.method == method and path in answer.url) as begun:
            control.element.click()
        assert begun.value.status == 200, begun.value.text()

    return use


def fills(page: Page, site: Site, control: Control) -> None:
    """Write something, and see it stay."""
    control.element.fill("TNA")
    page.wait_for_timeout(300)
    assert control.element.input_value() == "TNA"


def chooses(page: Page, site: Site, control: Control) -> None:
    """Choose the last option, and see it stay."""
    wanted = control.element.evaluate("node => [...node.options].at(-1).value")
    control.element.select_option(wanted)
    page.wait_for_timeout(300)
    assert control.element.input_value() == wanted


def ticks(page: Page, site: Site, control: Control) -> None:
    """Turn a check box or a radio button, and see that it turned."""
    before = control.element.is_checked()
    control.element.click()
    assert control.element.is_checked() != before or control.role == "radio"


def switches(page: Page, site: Site, control: Control) -> None:
    """Switch a channel off and on again, and see the daemon agree."""
    for _ in range(2):
        enabled = control.element.get_attribute("aria-checked") == "true"
        control.element.click()
        sure = page.get_by_role("button", name="Switch it off")
        if enabled and sure.is_visible():
            sure.click()
        page.wait_for_timeout(300)
        wait_until(lambda enabled=enabled: _enabled(site, control.name) is not enabled, PATIENCE_SECONDS)  # type: ignore[misc]
        page.wait_for_function(  # the stream may tell it before the answer comes, until which no click counts
            "([node, wanted]) => node.ariaChecked === wanted && node.ariaBusy === 'false'",
            arg=[control.element, str(not enabled).lower()],
        )


def _enabled(site: Site, name: str) -> bool:
    return bool({each["name"]: each["enabled"] for each in site.daemon.get("/status")["channels"]}[name.lower()])


def turns_theme(page: Page, site: Site, control: Control) -> None:
    """Change the colours, three times round."""
    for wanted in ("dark", "light", "auto"):
        control.element.click()
        page.wait_for_function("([node, word]) => node.textContent.includes(word)", arg=[control.element, wanted])


_STORY: Final = opens("published|Published")
#: Above every view, tried in the first.
_EVERYWHERE: Final = (
    "button: Show in the history",
    "button: DRAWDOWN_BREACH TNA",
    "button: Acknowledge DRAWDOWN_BREACH TNA",
    "tab: .*",
    "button: Theme: auto",
    "link: API",
)
_KNOWN: Final = tuple(map(Line, _EVERYWHERE))
_WAITING: Final = Line("button: [0-9]+ alerts?", sometimes=True)

TABLE: Final[dict[str, tuple[Line, ...]]] = {
    "channels": (
        Line("tab: Channels", goes(r"/(#channels.*)?$")),
        Line("tab: History.*", goes("#history")),
        Line("tab: Dead letters.*", goes("#dead-letters")),
        Line("tab: Silences.*", goes("#silences")),
        Line("link: API", goes("/docs$")),
        Line("button: Theme: auto", turns_theme),
        Line("button: Show in the history", goes("#history")),
        Line("button: (DRAWDOWN_BREACH|NEWS_RISK|BUY|TEST_ALERT)( TNA)?", _STORY),
        Line("button: The alert of the last error", _STORY),
        Line("button: 1 dead letter", goes("#dead-letters")),
        _WAITING,
        Line("button: History", goes("#history")),
        Line("switch: (WhatsApp|Telegram)", switches),
        Line("button: Send a test to Telegram", shows("[data-channel=telegram]", "test")),
        Line("button: Send a test to WhatsApp"),
        Line("button: Options", shows("#test-form")),
        Line("button: Test all channels", posts("/test")),
        Line("button: Acknowledge DRAWDOWN_BREACH TNA", posts("/ack")),
    ),
    "test-form": (
        *_KNOWN,
        _WAITING,
        *map(Line, ("switch: .*", "button: (NEWS_RISK|BUY|TEST_ALERT)( TNA)?", "button: (History|1 dead letter)")),
        *map(Line, ("button: The alert of the last error", "button: Send a test to .*", "button: Test all channels")),
        Line("select: (Where|As)", chooses),
        Line("text: (Symbol|Event|Text|Agent)", fills),
        Line("button: Send this test", posts("/test")),
        Line("button: Its whole story", _STORY),
        Line("button: Close the result of the test", closes("button[aria-label='Close the result of the test']")),
        Line("button: Fewer options", closes("#test-form")),
    ),
    "history": (
        *_KNOWN,
        Line("text: (Event|Symbol|Agent|Source)", fills),
        Line("select: (Severity|Channel|State|Time|Kind)", chooses),
        Line("summary: (More filters|Export)"),
        Line("button: Unacknowledged CRITICALs", goes("unacknowledged=1")),
        Line("button: Take the filter .* away", closes("button[aria-label^='Take the filter']")),
        Line("button: Clear all", closes("button[aria-label^='Take the filter']")),
        Line("button: (Alerts|Deliveries) as CSV", downloads("csv$")),
        Line("button: (Alerts|Deliveries) as JSON lines", downloads("jsonl?$")),
        Line("button: .*, open its story", _STORY),
    ),
    "story": (
        Line("button: Close", closes("dialog[open]")),
        Line("button: Acknowledge …", shows("dialog form", "")),
        Line("button: Silence what is like it …", goes("#silences")),
        Line("button: Copy .*"),
    ),
    "dead-letters": (
        *_KNOWN,
        Line("select: Channel", chooses),
        Line("checkbox: .*", ticks),
        Line(r"button: Retry selected \(0\)"),
        Line("button: .*, open its story", _STORY),
        Line("button: Preview .*", shows("[aria-label='What a retry would say'], .preview", "An earnings call")),
        Line("button: Retry all 1", opens("Retry|again|Send")),
        Line("button: Retry NEWS_RISK .*", opens("Retry|again|Send")),
    ),
    "preview": (
        *_KNOWN,
        *map(Line, ("select: Channel", "checkbox: .*", "button: Retry .*", "button: .*, open its story")),
        Line("focusable: What a retry would say"),
        Line("button: Close the preview .*", closes("[aria-label='What a retry would say']")),
    ),
    "retry": (
        Line("button: Cancel", closes("dialog[open]")),
        Line("button: Retry 1", posts("retry")),
    ),
    "silences": (
        *_KNOWN,
        Line("button: Show those that have ended", shows("alertbus-channels", "ended")),
        Line("button: Extend silence 1", shows("button[aria-expanded=true]")),
        Line("button: Add a silence", shows("form")),
        Line("button: End silence 1", opens("End|end")),
    ),
    "silence-form": (
        *_KNOWN,
        *map(Line, ("button: (Extend|End) silence 1", "button: Show those that have ended")),
        Line("select: Field", chooses),
        Line("text: .*", fills),
        Line("(radio|checkbox): .*", ticks),
        Line("button: And another field", shows("button[aria-label$='2 of 2']")),
        Line("button: Remove the field .*"),
        Line("button: (Close the form|Cancel)", closes("form")),
        Line("button: Add the silence", shows("form", "value|word|field|name|match|needed|give|say")),
    ),
}
