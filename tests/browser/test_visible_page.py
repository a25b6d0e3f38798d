"""What a page does as its reader comes and goes: hidden and seen again, signed out, beside others of its kind."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.support.browser import Browsing, Site, StartSite
from tests.support.daemon import PREFIX
from tests.support.record_pages import open_story, open_view
from tests.support.waiting import wait_until

_TOKEN = "operate-" + "0" * 32
_ELEMENT = "document.querySelector('alertbus-channels')"
_HIDE = """hidden => {
    Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
    document.dispatchEvent(new Event('visibilitychange'));
}"""


def _open_streams(site: Site) -> int:
    return int(site.daemon.get("/status")["events"]["open"])


def test_page_hidden_lets_go_of_its_stream_and_seen_again_goes_on(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    site.publish("Before it is hidden")
    expect(page.get_by_role("region", name="Latest alerts")).to_contain_text("Before it is hidden")
    page.evaluate(_HIDE, True)
    expect(page.locator(".indicator")).to_have_attribute("data-state", "connecting")
    wait_until(lambda: _open_streams(site) == 0)
    site.publish("While it is hidden", "CRITICAL")
    with page.expect_request(lambda asked: "/events?after=" in asked.url):
        page.evaluate(_HIDE, False)
    expect(page.locator(".indicator")).to_have_attribute("data-state", "live")
    expect(page.get_by_role("region", name="Latest alerts")).to_contain_text("While it is hidden")
    expect(page.get_by_role("status")).to_contain_text("While it is hidden")


def test_page_hidden_keeps_its_title_right(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    page.evaluate(_HIDE, True)
    expect(page.locator(".indicator")).to_have_attribute("data-state", "connecting")
    site.publish("All positions closed", "CRITICAL")
    expect(page).to_have_title("(1) alertbus")


def test_elements_of_one_page_share_a_stream(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    page.evaluate("for (let at = 0; at < 7; at += 1) document.body.append(document.createElement('alertbus-channels'))")
    expect(page.locator(".indicator[data-state=live]")).to_have_count(8)
    assert _open_streams(site) == 1
    site.publish("Drawdown 9 %")
    expect(page.get_by_role("region", name="Latest alerts").filter(has_text="Drawdown 9 %")).to_have_count(8)
    page.evaluate(f"{_ELEMENT}.remove()")
    site.publish("Drawdown 10 %")
    expect(page.get_by_role("region", name="Latest alerts").filter(has_text="Drawdown 10 %")).to_have_count(7)
    assert _open_streams(site) == 1


def test_page_signed_out_shows_nothing_of_what_it_knew(start_site: StartSite, browsing: Browsing, page: Page) -> None:
    browsing.allow("status of 401")
    site = start_site({"ALERTBUS_API_TOKEN": _TOKEN})
    page.goto(site.url)
    page.get_by_label("Token", exact=True).fill(_TOKEN)
    page.get_by_role("button", name="Sign in").click()
    site.publish("Drawdown 11 %", "CRITICAL")
    page.get_by_role("tab", name=re.compile("History")).click()
    open_story(page, "CRITICAL DRAWDOWN_BREACH TNA")
    page.evaluate("document.querySelector('alertbus-page [slot=actions] button').click()")  # behind the story
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert "Drawdown 11" not in page.evaluate(f"{_ELEMENT}.renderRoot.textContent")
    known = f"{_ELEMENT}.status === null && Object.values({_ELEMENT}.panels).every(each => !each.entries?.length)"
    assert page.evaluate(known)
    assert page.evaluate("sessionStorage.length") == 0


def test_live_old_critical_that_is_acknowledged_is_not_spoken(site: Site, page: Page) -> None:
    old = site.publish("All positions closed", "CRITICAL", event_type="EMERGENCY_STOP")
    open_view(page, site, "channels")
    site.daemon.post(f"/alerts/{old.id}/ack", {"author": "Ada"})
    expect(page.get_by_role("region", name="CRITICAL alerts that nobody acknowledged")).to_have_count(0)
    site.daemon.post("/test", {"alert": {"severity": "CRITICAL", "event_type": "FIRE"}, "text": "A drill"})
    expect(page.get_by_role("region", name="Latest alerts")).to_contain_text("A drill")
    assert "CRITICAL" not in page.get_by_role("status").inner_text()


def test_live_storm_of_criticals_is_spoken_as_a_number(site: Site, page: Page) -> None:
    open_view(page, site, "channels")
    page.evaluate(
        f"""() => {{
            const region = {_ELEMENT}.renderRoot.querySelector('[role=status]');
            window.said = [];
            new MutationObserver(() => said.push(region.textContent))
                .observe(region, {{characterData: true, childList: true, subtree: true}});
        }}"""
    )
    for number in range(30):
        site.publish(f"Limit {number}", "CRITICAL", event_type=f"LIMIT_{number}")
    expect(page.get_by_role("status")).to_contain_text(re.compile(r"^\d+ new CRITICALs"))
    assert len([each for each in page.evaluate("said") if "CRITICAL" in each]) <= 3


def test_live_stream_cut_inside_an_event_garbles_nothing(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/")
    told = page.evaluate(
        """async () => {
            const {EventStream} = await import('/static/alertbus/event-stream.js');
            const bodies = [
                'id: 7\\nevent: alert\\ndata: {"whole": 1}\\n\\nid: 8\\nevent: alert\\ndata: {"half": 1}\\n',
                'event: alert\\ndata: {"second": 1}\\n\\n'];
            const heard = [], cursors = [];
            await new Promise((done) => {
                const stream = new EventStream(async (after) => {
                    cursors.push(after);
                    return new Response(bodies.shift() ?? 'event: end\\ndata: {}\\n\\n');
                }, {onEvent: (type, data) => {
                    if (type === 'end') stream.close(), done();
                    else heard.push([type, data]);
                }});
            });
            return [heard, cursors];
        }"""
    )
    assert told == [[["alert", {"whole": 1}], ["alert", {"second": 1}]], [None, "7", "7"]]


def test_live_stream_that_ends_before_its_first_event_is_opened_less_and_less_often(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/")
    waits = page.evaluate(
        """async () => {
            const {EventStream} = await import('/static/alertbus/event-stream.js');
            const waits = [];
            await new Promise((done) => {
                const onState = ({retryAt}) => {
                    if (retryAt !== null) waits.push(retryAt - Date.now());
                    if (waits.length === 3) stream.close(), done();
                };
                const stream = new EventStream(async () => new Response(': hello\\n\\n'), {onEvent() {}, onState});
            });
            return waits;
        }"""
    )
    assert waits[2] > 1900, waits  # of 4 s, at least half, where each first wait is at most 1 s


def test_page_whose_daemon_is_away_does_not_say_that_publishers_beat(
    site: Site, browsing: Browsing, page: Page
) -> None:
    browsing.allow("Failed to load resource")
    open_view(page, site, "channels")
    publishers = page.get_by_role("region", name="Publishers")
    expect(publishers).to_contain_text("Beats")
    page.route(f"**{PREFIX}/**", lambda route: route.abort())
    page.evaluate(f"{_ELEMENT}.token = 'another'")  # connects anew
    expect(publishers).to_contain_text("Beat when last seen")
    expect(publishers).not_to_contain_text("Beats")
    expect(publishers.locator(".badge")).to_have_class(re.compile("idle"))


def test_element_author_that_changed_acts_in_place_of_who_acted_before(site: Site, page: Page) -> None:
    page.goto(site.url)
    told = page.evaluate(
        """async () => {
            const {authorOf, remember} = await import('/static/alertbus/record-parts.js');
            const [one, other] = [{author: 'Ada'}, {author: ''}];
            remember(one, 'Bob');
            const told = [authorOf(one), authorOf(other)];
            one.author = 'Cyd';
            return [...told, authorOf(one)];
        }"""
    )
    assert told == ["Bob", "", "Cyd"]
