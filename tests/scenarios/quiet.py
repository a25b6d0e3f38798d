"""Quiet hours: held and told at their end, whatever the clocks of a country do meanwhile."""

from __future__ import annotations

from typing import Final

from tests.support.scenario import Publish, Reload, Restart, Scenario, SetClock, Told

_NIGHT: Final = """
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram"]
quiet_hours = ["night"]
[quiet_hours.night]
windows = ["Mon-Sun 22:00-07:00"]
"""
_MORNING: Final = (
    _NIGHT.replace('["night"]', '["night", "morning"]') + '[quiet_hours.morning]\nwindows = ["Mon-Fri 07:00-09:30"]\n'
)
_NIGHT_OF_NEW_YORK: Final = f'{_NIGHT}timezone = "America/New_York"\n'


def _clock_change(name: str, says: str, start: str, zone: str, toml: str, last: str) -> Scenario:
    """Return the story of three alerts in a night in which the clock is changed."""
    return Scenario(
        name=name,
        says=says,
        start=start,
        zone=zone,
        until="+1 08:00",
        toml=toml,
        inputs=(
            Publish(at="21:59:59", text="before the night"),
            Publish(at="22:00", text="first of the night", symbol="UPRO"),
            Publish(at=last, text="last of the night", symbol="TQQQ"),
            Publish(at="+1 06:59:59", text="a second before seven", symbol="SPXL"),
            Publish(at="+1 07:00:30", text="after the night"),
        ),
        told=(
            Told(channel="telegram", at="21:59:59", has=("before the night",)),
            Told(
                channel="telegram",
                at="+1 07:00",
                has=("3 alerts", "UPRO", "TQQQ", "SPXL"),
                lacks=("before the night",),
            ),
            Told(channel="telegram", at="+1 07:00:30", has=("after the night",)),
        ),
        states={"telegram": {"accepted": 2, "folded": 3}},
    )


SCENARIOS: Final = (
    _clock_change(
        "quiet-spring-berlin",
        "The clock is set forward in the night: what is held comes at seven by the new time, eight hours after ten.",
        "2026-03-28 21:00",
        "Europe/Berlin",
        _NIGHT,
        "+1 03:30",
    ),
    _clock_change(
        "quiet-autumn-berlin",
        "The clock is set back in the night: seven is ten hours after ten, and an hour that comes twice is held twice.",
        "2026-10-24 21:00",
        "Europe/Berlin",
        _NIGHT,
        "+6h30min",
    ),
    _clock_change(
        "quiet-spring-new-york",
        "The same in New York, three weeks earlier.",
        "2026-03-07 21:00",
        "America/New_York",
        _NIGHT_OF_NEW_YORK,
        "+1 03:30",
    ),
    _clock_change(
        "quiet-autumn-new-york",
        "And in autumn, a week later.",
        "2026-10-31 21:00",
        "America/New_York",
        _NIGHT_OF_NEW_YORK,
        "+5h30min",
    ),
    Scenario(
        name="quiet-critical",
        says="CRITICAL comes through quiet hours at once and alone; the rest waits for their end.",
        start="2026-01-14 21:00",
        until="+1 08:00",
        toml=_NIGHT,
        inputs=(
            Publish(at="23:00", text="not now"),
            Publish(at="23:30", severity="CRITICAL", event="MARGIN_CALL", text="wake up"),
            Publish(at="23:40", text="not now either", symbol="UPRO"),
        ),
        told=(
            Told(channel="telegram", at="23:30", has=("wake up",), lacks=("not now",)),
            Told(channel="telegram", at="+1 07:00", has=("2 alerts", "TNA", "UPRO"), lacks=("wake up",)),
        ),
        states={"telegram": {"accepted": 1, "folded": 2}},
    ),
    Scenario(
        name="quiet-critical-held",
        says="Where the file says so, CRITICAL is held as well, and has a line of its own in what is told at the end.",
        start="2026-01-14 21:00",
        until="+1 08:00",
        toml=f'{_NIGHT}critical = "held"\n',
        inputs=(
            Publish(at="23:00", text="not now"),
            Publish(at="23:30", severity="CRITICAL", event="MARGIN_CALL", text="let them sleep"),
        ),
        told=(Told(channel="telegram", at="+1 07:00", has=("2 alerts", "let them sleep")),),
        states={"telegram": {"folded": 2}},
    ),
    Scenario(
        name="quiet-dropped",
        says="Quiet hours that drop: nothing of the night is told, and the history says why.",
        start="2026-01-14 21:00",
        until="+1 08:00",
        toml=f'{_NIGHT}others = "dropped"\n',
        inputs=(
            Publish(at="23:00", text="never told"),
            Publish(at="+1 07:00", text="the day begins"),
        ),
        told=(Told(channel="telegram", at="+1 07:00", has=("the day begins",), lacks=("never told",)),),
        states={"telegram": {"accepted": 1, "suppressed": 1}},
    ),
    Scenario(
        name="quiet-channel",
        says="Quiet hours of one channel: the desk hears at once what the phone hears in the morning.",
        start="2026-01-14 21:00",
        until="+1 08:00",
        channels=("telegram", "desk"),
        toml="""
[[routes]]
name = "all"
match = { severity = ">=WARNING" }
channels = ["telegram", "desk"]
[quiet_hours.night]
windows = ["Mon-Sun 22:00-07:00"]
channels = ["telegram"]
""",
        inputs=(Publish(at="23:00", text="spread is wide"),),
        told=(
            Told(channel="desk", at="23:00", has=("spread is wide",)),
            Told(channel="telegram", at="+1 07:00", has=("spread is wide",)),
        ),
        states={"desk": {"accepted": 1}, "telegram": {"accepted": 1}},
    ),
    Scenario(
        name="quiet-restart",
        says="A daemon that begins while alerts are held tells them at the end, once.",
        start="2026-01-14 21:00",
        until="+1 08:00",
        toml=_NIGHT,
        inputs=(
            Publish(at="23:00", text="first"),
            Restart(at="23:30"),
            Publish(at="+1 01:00", text="second", symbol="UPRO"),
            Restart(at="+1 06:59:59", killed=True),
        ),
        told=(Told(channel="telegram", at="+1 07:00", has=("2 alerts", "TNA", "UPRO")),),
        states={"telegram": {"folded": 2}},
    ),
    Scenario(
        name="quiet-reload-in-the-second-of-two",
        says="A reload in quiet hours that follow others lets nothing go; one that takes them away lets all go.",
        start="2026-01-14 23:00",
        until="+1 10:00",
        toml=_MORNING,
        inputs=(
            Publish(at="23:10", text="held"),
            Reload(at="+1 08:00", toml=f"{_MORNING}# the same\n", says="a comment"),
            Reload(at="+1 08:30", toml=_MORNING.replace(', "morning"', ""), says="no quiet morning"),
        ),
        told=(Told(channel="telegram", at="+1 08:30", has=("held",)),),
        states={"telegram": {"accepted": 1}},
    ),
    Scenario(
        name="quiet-hours-changed",
        says="Quiet hours that a reload changes hold on, also over a restart, until they are not in force any more.",
        start="2026-01-14 23:00",
        until="+1 10:00",
        toml=_NIGHT,
        inputs=(
            Publish(at="23:10", text="held"),
            Reload(at="23:20", toml=_NIGHT.replace("22:00", "23:00"), says="they begin an hour later"),
            Restart(at="23:30"),
            Reload(at="23:40", toml=_NIGHT.replace("22:00-07:00", "03:00-07:00"), says="they begin at three"),
        ),
        told=(Told(channel="telegram", at="23:40", has=("held",)),),
        states={"telegram": {"accepted": 1}},
    ),
    Scenario(
        name="quiet-end-that-is-skipped",
        says="Quiet hours until half past two, in the night in which that time does not come: they end at three.",
        start="2026-03-28 21:00",
        until="+1 08:00",
        toml=_NIGHT.replace("22:00-07:00", "22:00-02:30"),
        inputs=(
            Publish(at="+1 01:59:59", text="held"),
            Publish(at="+1 03:00:30", text="not held", symbol="UPRO"),
        ),
        told=(
            Told(channel="telegram", at="+1 03:00", has=("held",)),
            Told(channel="telegram", at="+1 03:00:30", has=("not held",)),
        ),
        states={"telegram": {"accepted": 2}},
    ),
    Scenario(
        name="quiet-clock-set",
        says="Somebody sets the clock forward by two hours in the night: seven is seven by the clock on the wall.",
        start="2026-01-14 21:00",
        until="+1 08:00",
        toml=_NIGHT,
        inputs=(
            Publish(at="23:00", text="held"),
            SetClock(at="23:30", seconds=7200.0),
            Publish(at="+1 06:00", text="held as well", symbol="UPRO"),
        ),
        told=(Told(channel="telegram", at="+1 07:00", has=("2 alerts", "TNA", "UPRO")),),
        states={"telegram": {"folded": 2}},
    ),
)
