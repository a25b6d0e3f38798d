"""What the commands of dead letters print, beside what every command does."""

from __future__ import annotations

from typing import Final

from bus.clock import from_us
from subscriber.channel_notes import counted
from subscriber.console import DIED, ID, TEXT, Fields, Printer, time_text
from subscriber.policy_console import PolicyPrinter

#: Beyond it a person wants to know how many, and not which.
_MOST_NAMED: Final = 20


class DeadLetterPrinter(PolicyPrinter):
    """Prints dead letters."""

    def letters(self, page: Fields) -> None:
        """Print a page of dead letters."""
        if self._as_json:
            self._json(page)
            return
        letters = page["dead_letters"]
        if not letters:
            self.say("There is no dead letter." if not page["total"] else "There is no older dead letter.")
            return
        self._table(
            (ID, DIED, TEXT, "told by", "again?"),
            [
                (
                    str(each["id"]),
                    f"{time_text(each['died_at'])}\n{_where(each)}",
                    f"{_what(each)}\n{each['text']}\n{_why(each)}",
                    ", ".join(each["told_elsewhere"]) or "nobody",
                    "yes" if each["retriable"] else f"no: {each['why_not']}",
                )
                for each in letters
            ],
        )
        if len(letters) < page["total"]:
            self.say(f"{len(letters)} of {page['total']}; older ones: --before {letters[-1]['id']}")

    def letter(self, letter: Fields) -> None:
        """Print a dead letter with its attempts, and what another one would say."""
        if self._as_json:
            self._json(letter)
            return
        self.lines(
            [
                f"dead letter {letter['id']}: {_what(letter)}, {_where(letter)}",
                f"  alert {letter['alert_id']}, published {time_text(letter['published_at'])} UTC",
                f"  died {time_text(letter['died_at'])} UTC: {_why(letter)}",
                f"  told by: {', '.join(letter['told_elsewhere']) or 'nobody'}",
            ]
        )
        self.lines(f"  attempt {_attempt(attempt)}" for attempt in letter["attempts_made"])
        message = letter["message"]
        if message is not None:
            template = "" if message["template"] is None else f", template {message['template']}"
            self.lines([f"Another try would say ({message['dialect']}{template}):"])
            self.lines(f"    {line}" for line in str(message["text"]).split("\n"))
        if letter["why_not"] is not None:
            self.lines([f"It can't be sent again: {letter['why_not']}."])

    def retried(self, result: Fields) -> None:
        """Print what became of dead letters that were to be sent again."""
        if self._as_json:
            self._json(result)
            return
        skipped = result["skipped"]
        if result["count"] or not skipped:
            count = result["count"]
            self.say(f"{letters_counted(count)} {'waits' if count == 1 else 'wait'} to be sent again.")
        for each in skipped[:_MOST_NAMED]:
            self.lines([f"{each['id']} stays: {each['why']}."])
        if len(skipped) > _MOST_NAMED:
            self.say(f"and {len(skipped) - _MOST_NAMED} more stay.")


def letters_counted(count: int) -> str:
    """Return how many dead letters."""
    return counted(count, "dead letter", "dead letters")


def print_routed(printer: Printer, result: Fields) -> None:
    """Say what the routes made of a test alert that they took, beside its channels."""
    route = result.get("route")
    if result.get("not_routed"):
        printer.say("No route sends such an alert anywhere: it is kept in the history only.")
    elif route:
        printer.say(f"It went by the route {route}.")


def _what(letter: Fields) -> str:
    return " ".join(filter(None, (letter["severity"], letter["event_type"], letter["symbol"])))


def _where(letter: Fields) -> str:
    step = "" if letter["step"] == "first" else f", {letter['step']}"
    return f"{letter['channel']}{step}"


def _attempt(attempt: Fields) -> str:
    words = [
        attempt["reason"] or "its answer is not known",
        f"HTTP {attempt['status']}" if attempt["status"] else "",
        f"code {attempt['code']}" if attempt["code"] else "",
        "in doubt" if attempt["in_doubt"] else "",
        f"receipt {attempt['receipt']}" if attempt["receipt"] else "",
    ]
    detail = f": {attempt['detail']}" if attempt["detail"] else ""
    opened = time_text(from_us(attempt["opened_us"]).isoformat())
    return f"{opened} UTC: {', '.join(filter(None, words))}{detail}"


def _why(letter: Fields) -> str:
    number = str(letter["status"] or "")
    status = f"HTTP {number}" if number else ""
    code = "" if letter["code"] == number else letter["code"]  # some providers have no code but that
    words = filter(None, (letter["reason"], status, code, (letter["detail"] or "").removeprefix(f"{number} ")))
    doubt = "; it may have arrived all the same" if letter["possible_repeat"] else ""
    return f"{' '.join(words)}{doubt}"
