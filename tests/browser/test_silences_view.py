"""Silences on the page: in force, planned, ended; added with a preview, extended, ended; faults at their field."""

from __future__ import annotations

import re
import time
from typing import Any, Final

import pytest
from playwright.sync_api import Locator, Page, expect

from bus.alerts import AgentAction, RiskEvent
from tests.support.browser import PHONE, AxeCheck, Browsing, OpenPage, Shoot, Site
from tests.support.daemon import PREFIX
from tests.support.record_pages import expect_focus, open_view

_HOUR_SECONDS = 3600


def silence(site: Site, match: dict[str, Any], **fields: Any) -> int:
    given: dict[str, Any] = {"match": match, "author": "ann", "reason": "planned maintenance"}
    given |= {"seconds": _HOUR_SECONDS} if "ends_us" not in fields else {}
    return int(site.daemon.post("/silences", given | fields)["id"])


def open_form(page: Page) -> Locator:
    page.get_by_role("button", name="Add a silence").click()
    form = page.get_by_role("form", name="Add a silence")
    expect(form.get_by_role("group", name="Preview")).to_contain_text("Of the last")
    return form


def confirm(page: Page, action: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=action, exact=True).click()


def test_nothing_silenced_is_said(site: Site, page: Page) -> None:
    open_view(page, site, "silences")
    expect(page.get_by_role("heading", name="Nothing is silenced")).to_be_visible()


def test_silence_in_force_tells_who_why_what_and_counts_down(site: Site, page: Page) -> None:
    silence(site, {"symbol": ["TNA", "U*", "!UPRO"], "severity": ">=WARNING"})
    open_view(page, site, "silences")
    shown = page.get_by_role("region", name="In force").get_by_role("listitem")
    for told in ("symbol TNA or U*, but not UPRO and severity WARNING or worse", "planned maintenance", "set by ann"):
        expect(shown).to_contain_text(told)
    expect(shown).to_contain_text(re.compile(r"\b5\d min left"))


def test_what_a_silence_holds_is_counted_live(site: Site, page: Page) -> None:
    silence(site, {"symbol": "TNA"})
    open_view(page, site, "silences")
    expect(page.get_by_text("holds nothing now")).to_be_visible()
    site.publish("held")
    expect(page.get_by_text("holds 1 alert now")).to_be_visible()


def test_planned_and_ended_silences_stand_apart(site: Site, page: Page) -> None:
    now_us = int(time.time() * 1e6)
    silence(site, {"symbol": "TNA"}, starts_us=now_us + 3_600_000_000, ends_us=now_us + 7_200_000_000)
    ended = silence(site, {"symbol": "UPRO"})
    assert site.daemon.http.delete(f"{PREFIX}/silences/{ended}", params={"author": "bob"}).status_code == 200
    open_view(page, site, "silences")
    expect(page.get_by_role("region", name="Planned")).to_contain_text(re.compile(r"begins in 5\d min"))
    expect(page.get_by_role("region", name="Ended")).to_have_count(0)
    page.get_by_role("button", name="Show those that have ended").click()
    expect(page.get_by_role("region", name="Ended")).to_contain_text("ended by bob")


def test_added_silence_is_in_force_with_all_that_was_said(site: Site, page: Page) -> None:
    open_view(page, site, "silences")
    form = open_form(page)
    form.locator("[name=words]").fill("TNA, U*")
    form.get_by_label("4 hours").check()
    form.get_by_label("Your name").fill("ann")
    form.get_by_label("Why").fill("deploy")
    form.get_by_label("drop it").check()
    form.get_by_label("CRITICAL all the same").uncheck()
    form.get_by_role("button", name="Add the silence").click()
    expect(page.get_by_role("region", name="In force")).to_contain_text("symbol TNA or U*")
    (found,) = site.daemon.get("/silences")
    assert (found["matchers"], found["author"], found["reason"]) == ({"symbol": ["TNA", "U*"]}, "ann", "deploy")
    assert (found["drops"], found["lets_critical"]) == (True, False)
    assert found["ends_us"] - found["starts_us"] == 4 * _HOUR_SECONDS * 1_000_000


def test_silence_until_a_time_ends_then_by_the_readers_clock(site: Site, open_page: OpenPage) -> None:
    page = open_view(open_page(timezone_id="America/New_York"), site, "silences")
    form = open_form(page)
    form.locator("[name=words]").fill("TNA")
    form.get_by_label("until a time").check()
    form.get_by_role("button", name="Add the silence").click()
    expect(form.get_by_role("alert")).to_contain_text("Say a time that is still to come.")
    until = page.evaluate("new Date(Math.floor(Date.now() / 60000) * 60000 + 7200000).getTime()")
    local = time.gmtime(until / 1000 + page.evaluate("-new Date().getTimezoneOffset()") * 60)
    form.get_by_label("Until, by your clock").fill(time.strftime("%Y-%m-%dT%H:%M", local))
    form.get_by_role("button", name="Add the silence").click()
    expect(page.get_by_role("region", name="In force")).to_be_visible()
    assert site.daemon.get("/silences")[0]["ends_us"] == until * 1000


def test_preview_counts_what_would_have_been_silenced(site: Site, page: Page) -> None:
    site.publish("one")
    site.publish("two", symbol="UPRO")
    site.publish("three", "CRITICAL")
    open_view(page, site, "silences")
    form = open_form(page)
    preview = form.get_by_role("group", name="Preview")
    expect(preview).to_contain_text("Of the last 3 alerts")
    expect(preview).to_contain_text("2 would have been silenced, and 1 CRITICAL told all the same")
    form.locator("[name=words]").fill("T?A")
    expect(preview).to_contain_text("1 would have been silenced, and 1 CRITICAL told all the same")
    form.get_by_label("CRITICAL all the same").uncheck()
    expect(preview).to_contain_text("2 would have been silenced")


#: What a silence takes, and how many of four alerts that is.
_TAKEN: Final[list[tuple[dict[str, Any], int]]] = [
    ({"symbol": "U*"}, 1),
    ({"symbol": ["*", "!UPRO"]}, 3),
    ({"symbol": "[!U]*"}, 3),
    ({"severity": ">=WARNING"}, 3),
    ({"severity": "!INFO"}, 3),
    ({"action": "BUY"}, 1),
    ({"kind": "agent_action"}, 1),
    ({"event_type": "DRAW*"}, 3),
    ({"agent_name": "!ppo-1"}, 3),
    ({"source": "live_trader", "symbol": "TNA"}, 3),
    ({"source": "some?one*"}, 0),
    ({}, 4),
]


def _four(site: Site) -> list[RiskEvent | AgentAction]:
    risks = [site.publish("one"), site.publish("two", symbol="UPRO"), site.publish("three", "CRITICAL")]
    return [*risks, site.trade("BUY", "TNA")]


def _silenced_by(site: Site, alert: RiskEvent | AgentAction, number: int) -> bool:
    return any(
        (delivery["silence"] or {"id": None})["id"] == number or delivery["why"] == "silence"
        for delivery in site.daemon.get(f"/alerts/{alert.id}")["deliveries"]
    )


def test_page_matches_as_the_daemon_does(site: Site, page: Page) -> None:
    """The preview is only worth something where the page's matchers take the very alerts that the daemon's do."""
    _four(site)
    page.goto(site.url)
    entries = site.daemon.get("/history")
    for match, taken in _TAKEN:
        found = page.evaluate(
            "async ([match, entries]) => { const {takes} = await import('/static/alertbus/matchers.js');"
            " return entries.filter((entry) => takes(match, entry)).length; }",
            [match, entries],
        )
        number = silence(site, match, lets_critical=False)
        silenced = sum(_silenced_by(site, alert, number) for alert in _four(site))
        assert (match, found, silenced) == (match, taken, taken)
        site.daemon.http.delete(f"{PREFIX}/silences/{number}", params={"author": "bob"}).raise_for_status()


def test_fault_of_the_daemon_stands_at_its_field(site: Site, page: Page, browsing: Browsing) -> None:
    browsing.allow("422", "Failed to load resource")
    open_view(page, site, "silences")
    form = open_form(page)
    form.locator("[name=field]").select_option("severity")
    form.locator("[name=words]").fill("WARNNG")
    form.get_by_label("Why").fill("deploy")
    form.get_by_role("button", name="Add the silence").click()
    words = form.locator("[name=words]")
    expect(words).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_role("alert")).to_contain_text("did you mean WARNING?")
    expect(words).to_be_focused()
    expect(form.get_by_label("Why")).to_have_value("deploy")
    words.fill("WARNING")
    form.get_by_role("button", name="Add the silence").click()
    expect(page.get_by_role("region", name="In force")).to_contain_text("severity WARNING")


def test_silence_of_everything_is_asked_about(site: Site, page: Page) -> None:
    open_view(page, site, "silences")
    form = open_form(page)
    form.get_by_role("button", name="Add the silence").click()
    confirm(page, "Cancel")
    assert site.daemon.get("/silences") == []
    form.get_by_role("button", name="Add the silence").click()
    confirm(page, "Silence everything")
    expect(page.get_by_role("region", name="In force")).to_contain_text("every alert")


def test_fields_are_added_and_removed(site: Site, page: Page) -> None:
    open_view(page, site, "silences")
    form = open_form(page)
    form.locator("[name=words]").fill("TNA")
    form.get_by_role("button", name="And another field").click()
    form.locator("[name=words]").nth(1).fill("DRAWDOWN*")
    expect(form.get_by_role("group", name="Preview")).to_contain_text("symbol TNA and event DRAWDOWN*")
    form.get_by_role("button", name="Remove the field Symbol, 1 of 2").click()
    expect(form.get_by_role("group", name="Preview")).to_contain_text("It silences event DRAWDOWN*")


def test_ended_silence_tells_what_it_held_at_once(site: Site, page: Page) -> None:
    number = silence(site, {"symbol": "TNA"})
    site.publish("held until now")
    open_view(page, site, "silences")
    expect(page.get_by_text("holds 1 alert now")).to_be_visible()
    page.get_by_role("button", name=f"End silence {number}", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("1 alert that it holds is told at once.")
    confirm(page, "End it now")
    expect(page.get_by_role("heading", name="Nothing is silenced")).to_be_visible()
    site.providers.wait_for_accepted(1)
    assert site.daemon.get("/silences") == []


def test_extended_silence_goes_on_without_a_gap(site: Site, page: Page) -> None:
    number = silence(site, {"symbol": "TNA"}, drops=True, lets_critical=False)
    before = site.daemon.get("/silences")[0]
    open_view(page, site, "silences")
    page.get_by_role("button", name=f"Extend silence {number}").click()
    page.get_by_role("button", name="4 hours longer").click()
    confirm(page, "Extend by 4 hours")
    expect(page.get_by_role("region", name="In force")).to_contain_text(re.compile(r"4 h 5\d min left"))
    (after,) = site.daemon.get("/silences")
    assert after["ends_us"] - before["ends_us"] == 4 * _HOUR_SECONDS * 1_000_000
    assert [after[name] for name in ("matchers", "reason", "drops", "lets_critical")] == [
        before[name] for name in ("matchers", "reason", "drops", "lets_critical")
    ]


def test_silence_that_somebody_else_adds_shows_up(site: Site, page: Page) -> None:
    open_view(page, site, "silences")
    expect(page.get_by_role("heading", name="Nothing is silenced")).to_be_visible()
    silence(site, {"symbol": "TNA"})
    expect(page.get_by_role("region", name="In force")).to_contain_text("symbol TNA")


def test_closed_form_gives_the_focus_back_and_leaves_the_address(site: Site, page: Page) -> None:
    open_view(page, site, "silences?add=1&symbol=TNA")
    form = page.get_by_role("form", name="Add a silence")
    expect(form).to_contain_text("symbol TNA")
    form.get_by_role("button", name="Cancel").click()
    expect(form).to_have_count(0)
    expect(page).not_to_have_url(re.compile("add=1"))
    expect_focus(page, "Add a silence")


@pytest.mark.parametrize(("scheme", "viewport"), [("dark", None), ("light", PHONE)], ids=["desktop", "phone"])
def test_silences_are_accessible_and_fit(
    site: Site, open_page: OpenPage, axe_check: AxeCheck, shoot: Shoot, scheme: str, viewport: dict[str, int] | None
) -> None:
    silence(site, {"symbol": "TNA"})
    given = {} if viewport is None else {"viewport": viewport}
    page = open_view(open_page(color_scheme=scheme, **given), site, "silences")
    open_form(page)
    expect(page.get_by_role("region", name="In force")).to_be_visible()
    shoot(page, f"silences-{scheme}-{'desktop' if viewport is None else 'phone'}")
    axe_check(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
