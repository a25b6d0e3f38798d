"""What the commands of the policy and of the records print, beside what every command does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from bus.clock import from_us
from subscriber.console import WHEN_AND_ID, Fields, Printer, time_text
from subscriber.logs import escaped


class PolicyPrinter(Printer):
    """Prints stories, silences, changes and previews."""

    def data(self, data: object) -> None:
        """Print plain data as JSON, whatever was chosen."""
        self._json(data)

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines of a story; what came from outside is made visible."""
        for line in lines:
            self._out.print(Text(escaped(line)))

    def digests(self, digests: Sequence[Fields]) -> None:
        """Print what digests said, and of which alerts: an alert may be in one on each channel."""
        if self._as_json:
            self._json(digests)
            return
        for digest in digests:
            self._digest(digest)

    def _digest(self, digest: Fields) -> None:
        self.say(f"digest {digest['id']} ({digest['kind']}, {digest['state']}) on {digest['channel']}:")
        self.lines(f"    {line}" for line in str(digest["text"] or "not sent yet").split("\n"))
        self._table(
            (WHEN_AND_ID, "what"),
            [(f"{_moment(alert['published_us'])}\n{alert['id']}", _what(alert)) for alert in digest["alerts"]],
        )

    def changes(self, changes: Sequence[Fields]) -> None:
        """Print what people changed."""
        if self._as_json:
            self._json(changes)
            return
        for change in changes:
            who = " by ".join(filter(None, (change["author"], change["via"])))
            self.lines([f"{_moment(change['at_us'])} {change['what']} ({who})"])
            self.lines(f"    {line}" for line in change_lines(change["detail"]))

    def silences(self, silences: Sequence[Fields]) -> None:
        """Print silences."""
        if self._as_json:
            self._json(silences)
            return
        if not silences:
            self.say("There is no silence.")
            return
        self._table(
            ("silence", "matches", "until (UTC)", "how", "by", "reason"),
            [
                (
                    str(silence["id"]),
                    ", ".join(f"{key}={_listed(value)}" for key, value in silence["matchers"].items()) or "everything",
                    _moment(silence["ended_us"] or silence["ends_us"]) + (", ended" if silence["ended_us"] else ""),
                    ("dropped" if silence["drops"] else "held")
                    + ("" if silence["lets_critical"] else ", CRITICAL, too"),
                    str(silence["author"]),
                    str(silence["reason"]),
                )
                for silence in silences
            ],
        )

    def acknowledged(self, result: Fields) -> None:
        """Print who acknowledged an alert."""
        if self._as_json:
            self._json(result)
            return
        told = "Acknowledged" if result["new"] else "It was acknowledged before"
        self.say(f"{told} by {result['author'] or 'somebody'} at {_moment(result['at_us'])} UTC.")

    def reloaded(self, result: Fields) -> None:
        """Print what became of a reload."""
        if self._as_json:
            self._json(result)
            return
        for problem in result["problems"]:
            self.fault(str(problem))
        for sentence in result["waits_for_restart"]:
            self.say(escaped(str(sentence)))
        self.say("The configuration is loaded again." if result["loaded"] else "What was in force stays in force.")

    def preview(self, result: Fields) -> None:
        """Print what a template makes of an alert."""
        if self._as_json:
            self._json(result)
            return
        self.lines(str(result["text"]).split("\n"))
        if result["fault"]:
            self.fault(str(result["fault"]))


def change_lines(detail: Fields) -> Iterator[str]:
    """Say what a change was about: what is a list line by line, times as times, and nothing of what is empty."""
    for name, value in detail.items():
        if value is None or value in ({}, [], ""):
            continue
        if isinstance(value, list):
            yield from map(str, value)
        elif name.endswith("_us") and isinstance(value, int):
            yield f"{name.removesuffix('_us')}: {_moment(value)}"
        elif isinstance(value, dict):
            yield f"{name}: " + ", ".join(f"{key}={_listed(item)}" for key, item in value.items())
        else:
            yield f"{name}: {value}"


def _listed(value: object) -> str:
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value)


def _moment(moment_us: int) -> str:
    return time_text(from_us(moment_us).isoformat())


def _what(alert: Fields) -> str:
    return " ".join(filter(None, (alert["severity"], alert["event_type"], alert["symbol"])))
