"""Everything on the whole page by the keyboard alone.

Each control that exists is found in the DOM, reached by Tab (or by the arrows of its group), and seen to have the
focus ring; and one test for each thing that a person does there does it without the mouse. A control that is of no
kind of the table fails: somebody has to say by which key it is used.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Site
from tests.support.record_pages import dead_letter, expect_focus, open_view

#: By which key each kind of control is used, and how it is reached: by Tab, or by the arrows within its group.
_KEYS = {
    "button": ("Enter", "Tab"),
    "button switch": ("Space", "Tab"),
    "button tab": ("ArrowRight", "arrows"),
    "a": ("Enter", "Tab"),
    "summary": ("Enter", "Tab"),
    "input": ("letters", "Tab"),
    "input text": ("letters", "Tab"),
    "input search": ("letters", "Tab"),
    "input datetime-local": ("letters", "Tab"),
    "input checkbox": ("Space", "Tab"),
    "input radio": ("arrows", "arrows"),
    "select": ("arrows", "Tab"),
    "textarea": ("letters", "Tab"),
    "pre": ("arrows", "Tab"),
}

#: Finds all controls that are seen and not disabled; each gets a number by which it is known again.
_CONTROLS = """() => {
    const found = [];
    const walk = (root) => root.querySelectorAll('*').forEach((each) => {
        if (each.shadowRoot) walk(each.shadowRoot);
        const usual = 'a[href], button, input, select, textarea, summary, [tabindex="0"]';
        if (!each.matches(usual) || each.disabled || !each.checkVisibility({visibilityProperty: true})) return;
        const box = each.getBoundingClientRect();
        if (!box.width || !box.height) return;
        each.__number ??= (window.__numbers = (window.__numbers ?? 0) + 1);
        const role = each.getAttribute('role');
        const kind = [each.localName, each.localName === 'input' ? each.type : role].filter(Boolean).join(' ');
        const group = kind === 'input radio' ? each.name : role === 'tab' ? 'tabs' : '';
        const name = each.getAttribute('aria-label') ?? each.labels?.[0]?.textContent ?? each.textContent ?? '';
        found.push({number: each.__number, kind, group, name: name.trim().replace(/\\s+/g, ' ')});
    });
    walk(document);
    return found;
}"""
_FOCUSED = """() => {
    let found = document.activeElement;
    while (found?.shadowRoot?.activeElement) found = found.shadowRoot.activeElement;
    if (!found || found === document.body) return null;
    const style = getComputedStyle(found);
    const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
    return {number: found.__number ?? null, ring, what: found.outerHTML.slice(0, 200)};
}"""
_MOST = 400


def controls(page: Page) -> list[dict[str, Any]]:
    return list(page.evaluate(_CONTROLS))


def tab_through(page: Page) -> dict[int, dict[str, Any]]:
    """Press Tab until the focus comes round, and return what had it, by number."""
    page.evaluate("document.activeElement?.blur?.()")
    reached: dict[int, dict[str, Any]] = {}
    for _ in range(_MOST):
        page.keyboard.press("Tab")
        found = page.evaluate(_FOCUSED)
        if found is not None and found["number"] in reached:
            break
        if (
            found is not None and found["number"] is not None
        ):  # at its end the focus leaves the page, and comes in again
            reached[found["number"]] = found
    return reached


def prepare(site: Site, page: Page, view: str) -> None:
    dead_letter(site)
    site.publish("Drawdown 6.1 %")
    site.publish("Equity fell 12 %", "CRITICAL", event_type="CIRCUIT_BREAKER", symbol="UPRO")
    site.daemon.post("/silences", {"match": {"symbol": "XYZ"}, "seconds": 3600, "author": "ann"})
    open_view(page, site, view.partition(":")[0])
    match view:
        case "history":
            expect(page.locator(".history-row").first).to_be_visible()
        case "dead-letters":
            expect(page.locator("li.letter")).to_have_count(1)
        case "silences":
            expect(page.get_by_role("region", name="In force")).to_be_visible()
        case "silences:form":
            page.get_by_role("button", name="Add a silence").press("Enter")
            expect(page.get_by_role("group", name="Preview")).to_contain_text("Of the last")
        case "history:story":
            page.get_by_role("button", name="CRITICAL CIRCUIT_BREAKER UPRO, open its story").press("Enter")
            expect(page.get_by_role("dialog")).to_contain_text("What became of it")
            page.get_by_role("button", name="Acknowledge …").press("Enter")
        case _:
            expect(page.get_by_role("switch").first).to_be_visible()


@pytest.mark.parametrize("view", ["channels", "history", "dead-letters", "silences", "silences:form", "history:story"])
def test_each_control_is_reached_by_keys_and_shows_that_it_has_the_focus(site: Site, page: Page, view: str) -> None:
    prepare(site, page, view)
    found = controls(page)
    reached = tab_through(page)
    if view.endswith(":story"):  # what lies behind a modal dialog can't be used by any means
        inside = page.get_by_role("dialog").evaluate(
            "dialog => [...dialog.querySelectorAll('*')].map(each => each.__number).filter(Boolean)"
        )
        found = [each for each in found if each["number"] in inside]
    assert len(found) > 5
    unknown = sorted({each["kind"] for each in found} - set(_KEYS))
    assert not unknown, f"no key is known for: {unknown}"
    groups = {each["group"] for each in found if each["group"] and each["number"] in reached}
    missed = [
        f"{each['kind']} {each['name']!r}"
        for each in found
        if each["number"] not in reached and not (_KEYS[each["kind"]][1] == "arrows" and each["group"] in groups)
    ]
    assert not missed, f"Tab does not reach: {missed}"
    ringless = [each["what"] for each in reached.values() if not each["ring"]]
    assert not ringless, f"no focus ring: {ringless}"
    nameless = [each["kind"] for each in found if not each["name"]]
    assert not nameless


def test_views_are_chosen_by_arrows(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    page.get_by_role("tab", name="Channels").focus()
    for name in ("History", "Dead letters", "Silences", "Channels"):
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name=re.compile(f"^{name}"))).to_be_focused()
        expect(page.get_by_role("tab", name=re.compile(f"^{name}"))).to_have_attribute("aria-selected", "true")
    page.keyboard.press("End")
    expect(page.get_by_role("tab", name=re.compile("^Silences"))).to_be_focused()


def test_channel_is_switched_off_and_on_by_keys(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    switch = page.get_by_role("switch").first
    expect(switch).to_have_attribute("aria-checked", "true")
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(switch).to_have_attribute("aria-busy", "false")  # the stream may tell it before the answer comes
    expect_focus(page, "WhatsApp")
    page.keyboard.press("Space")
    expect(switch).to_have_attribute("aria-checked", "true")


def test_alert_is_found_opened_and_acknowledged_by_keys(site: Site, page: Page) -> None:
    site.publish("Drawdown 6.1 %")
    alert = site.publish("Equity fell 12 %", "CRITICAL", event_type="CIRCUIT_BREAKER", symbol="UPRO")
    open_view(page, site, "history")
    page.get_by_label("Symbol").focus()
    page.keyboard.type("UPRO")
    expect(page.locator(".history-row")).to_have_count(1)
    page.get_by_role("button", name="CRITICAL CIRCUIT_BREAKER UPRO, open its story").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("What became of it")
    page.get_by_role("button", name="Acknowledge …").focus()
    page.keyboard.press("Space")
    expect(page.get_by_label("Note")).to_be_focused()
    page.keyboard.type("on my way")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Acknowledged by somebody")
    page.keyboard.press("Escape")
    expect_focus(page, "CRITICAL CIRCUIT_BREAKER UPRO, open its story")
    assert site.daemon.get(f"/alerts/{alert.id}")["acknowledgement"]["note"] == "on my way"


def test_dead_letter_is_selected_and_retried_by_keys(site: Site, page: Page) -> None:
    dead_letter(site)
    open_view(page, site, "dead-letters")
    page.get_by_role("checkbox", name=re.compile("^Select .* for Telegram")).focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Retry selected (1)").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Tab")
    expect_focus(page, "Retry 1")
    page.keyboard.press("Enter")
    expect(page.locator("li.letter")).to_have_count(0)


def test_silence_is_added_extended_and_ended_by_keys(site: Site, page: Page) -> None:
    open_view(page, site, "silences")
    page.get_by_role("button", name="Add a silence").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[name=words]")).to_be_focused()
    page.keyboard.type("TNA")
    page.keyboard.press("Enter")
    region = page.get_by_role("region", name="In force")
    expect(region).to_contain_text("symbol TNA")
    expect(page.get_by_role("button", name="Add a silence")).to_be_focused()
    page.get_by_role("button", name="Extend silence 1").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="1 hour longer").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(region).to_contain_text(re.compile(r"1 h 5\d min left"))
    page.get_by_role("button", name="End silence 2", exact=True).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Nothing is silenced")).to_be_visible()


def test_escape_leaves_a_question_and_does_nothing(site: Site, page: Page) -> None:
    dead_letter(site)
    open_view(page, site, "dead-letters")
    button = page.get_by_role("button", name="Retry all 1")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()
    assert site.daemon.get("/dead-letters")["total"] == 1
