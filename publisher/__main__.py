"""`alertbus-publish`: publishes test alerts over ZeroMQ, or drains what other publishers left in the journal.

argparse, for the trader's install stays light. Exit codes: 0 done (with --wait: stored by a daemon), 2 configuration
or usage, 3 not stored in time (it stays journaled), 1 anything else.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import ValidationError

from bus.alerts import NAME_LIMIT, Action, AgentAction, Alert, RiskEvent, Severity
from bus.errors import AlertBusError, ConfigurationError
from publisher.publisher import Publisher, PublisherStats
from publisher.settings import PublisherSettings

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_NOT_STORED: Final = 3

#: The script's own name, whatever ALERTBUS_SOURCE says: its coming and going must never be taken for the trader's.
SOURCE: Final = "alertbus-publish"
_DRAIN_POLL_SECONDS: Final = 0.05
_FLUSH_SECONDS: Final = 5.0
_DEFAULT_DRAIN_SECONDS: Final = 30.0
#: How long one daemon's answer is enough only when all that are configured answer.
_ALL_DAEMONS_SECONDS: Final = 1.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its code; a service manager's SIGTERM ends it as Ctrl-C does, with a goodbye."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.drain == bool(options.text or options.action):
        parser.error("give a text, or --action, or --drain (one of them)")
    try:
        settings = PublisherSettings.from_environment(os.environ)
        with Publisher(settings.model_copy(update={"source": options.source})) as publisher:
            return _used(publisher, options)
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"alertbus-publish: {problem}", file=sys.stderr)
        return EXIT_USAGE
    except AlertBusError as error:
        print(f"alertbus-publish: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_FAILED


def _used(publisher: Publisher, options: argparse.Namespace) -> int:
    # Caught inside of the `with`: a mistyped option and Ctrl-C are no failure of a trader that people must hear of.
    try:
        return _drain(publisher, options) if options.drain else _publish(publisher, options)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            option = str(fault["loc"][0]).removesuffix("_type")
            print(f"alertbus-publish: --{option}: {fault['msg']}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_FAILED


def _publish(publisher: Publisher, options: argparse.Namespace) -> int:
    published = refused = 0
    for alert in _alerts(options):
        published += 1
        last = published == options.count
        if options.wait is not None and last:
            stored = publisher.publish(alert, wait=options.wait)
            return _told_wait(publisher, published, refused, stored=stored, seconds=options.wait)
        if not publisher.publish(alert):
            refused += 1
        if options.rate is not None:
            time.sleep(1.0 / options.rate)  # the pace that was asked for is this command's purpose
    flushed = publisher.flush(_FLUSH_SECONDS)
    stats = publisher.stats()
    if stats.volatile or not flushed:
        reason = stats.last_error or f"it took nothing for {_FLUSH_SECONDS:g} s"
        print(f"alertbus-publish: sent at best, for the journal does not work: {reason}", file=sys.stderr)
        return EXIT_FAILED
    where = "and sent" if _answers(publisher) else "(--wait SECONDS tells whether a daemon has stored them)"
    print(f"{published - refused} of {published} alerts journaled {where}")
    return EXIT_DONE if refused == 0 else EXIT_FAILED


def _told_wait(publisher: Publisher, published: int, refused: int, *, stored: bool, seconds: float) -> int:
    if stored and refused == 0:
        print(f"{published} of {published} alerts stored by a daemon")
        return EXIT_DONE
    stats = publisher.stats()
    told = f"alertbus-publish: not stored within {seconds:g} s: {_missing_daemon(publisher)}."
    if stats.volatile:
        print(f"{told} It is lost, for the journal does not work: {stats.last_error}", file=sys.stderr)
        return EXIT_FAILED
    print(
        f"{told} {stats.journal_alerts} alerts stay in the journal and are sent when a daemon runs "
        "(alertbus-publish --drain, or any publisher on this machine).",
        file=sys.stderr,
    )
    return EXIT_NOT_STORED


def _drain(publisher: Publisher, options: argparse.Namespace) -> int:
    """Offer what lies in the journal folder until every daemon that answers has it, or the time is up."""
    seconds = options.wait if options.wait is not None else _DEFAULT_DRAIN_SECONDS
    started = time.monotonic()
    stats = publisher.stats()
    if stats.volatile:
        print(f"alertbus-publish: the journal can't be used: {stats.last_error}", file=sys.stderr)
        return EXIT_FAILED
    waiting = stats.waiting_journals
    if not stats.journal_alerts and not waiting:
        print("nothing to drain: 0 alerts wait in the journal")
        return EXIT_DONE
    while time.monotonic() < started + seconds:
        stats = publisher.stats()
        waited = time.monotonic() >= started + _ALL_DAEMONS_SECONDS
        if _drained(stats) and (waited or all(daemon.answers for daemon in stats.daemons)):
            break
        time.sleep(_DRAIN_POLL_SECONDS)  # the sender's thread does the work; this one only watches
    drained = _drained(publisher.stats())
    missing = _missing_daemon(publisher)
    publisher.close()  # then nothing is kept any more for a daemon that never said who it is
    stats = publisher.stats()
    left = stats.journal_alerts
    if stats.acknowledged or left:
        print(f"{stats.acknowledged} of {stats.acknowledged + left} alerts drained, {left} left")
    else:
        print(f"{waiting - stats.waiting_journals} of {waiting} ends of publishers told; no alerts were left")
    if drained:
        if left:
            print(f"{left} alerts stay in the journal for a store that does not answer any more")
        return EXIT_DONE
    print(f"alertbus-publish: not drained within {seconds:g} s: {missing}", file=sys.stderr)
    return EXIT_NOT_STORED


def _drained(stats: PublisherStats) -> bool:
    """Whether a daemon answers, and every one that does has all there is, goodbyes included."""
    answered = any(daemon.answers for daemon in stats.daemons)
    return answered and stats.unacknowledged == stats.waiting_journals == stats.queued == 0


def _answers(publisher: Publisher) -> bool:
    return any(daemon.reachable for daemon in publisher.stats().daemons)


def _missing_daemon(publisher: Publisher) -> str:
    endpoints = ", ".join(daemon.endpoint for daemon in publisher.stats().daemons)
    what = "a daemon answers but has not stored all" if _answers(publisher) else "no daemon answers"
    return f"{what} at {endpoints}"


def _alerts(options: argparse.Namespace) -> Iterator[Alert]:
    for number in range(1, options.count + 1):
        text = options.text or ""
        if options.count > 1:
            text = f"{text} ({number} of {options.count})".lstrip()
        yield _action(options, text) if options.action else _risk_event(options, text)


def _action(options: argparse.Namespace, text: str) -> AgentAction:
    return AgentAction(
        agent_name=options.agent,
        symbol=options.symbol,
        action=options.action,
        quantity=options.quantity,
        price=options.price,
        pnl=options.pnl,
        confidence=options.confidence,
        rationale=text or None,
    )


def _risk_event(options: argparse.Namespace, text: str) -> RiskEvent:
    return RiskEvent(
        event_type=options.event,
        severity=options.severity,
        description=text,
        agent_name=options.agent,
        symbol=options.symbol,
        value=options.value,
        threshold=options.threshold,
        pnl=options.pnl,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="alertbus-publish",
        description="Publish a test alert over ZeroMQ, as a trading process would.",
        epilog='Examples: alertbus-publish "Drawdown breached" --severity CRITICAL --wait 5   |   '
        "alertbus-publish --action BUY --symbol TNA --quantity 10 --price 41.2",
    )
    parser.add_argument("text", nargs="?", help="what a person should read")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--severity", type=_severity, default=Severity.INFO, help="INFO (default), WARNING or CRITICAL")
    what.add_argument("--action", type=_action_name, help="publish a trade instead: BUY, SELL or HOLD")
    what.add_argument(
        "--drain",
        action="store_true",
        help="send what other publishers left in the journal (for 30 s, or --wait)",
    )
    parser.add_argument(
        *("--event", "--event-type"), default="TEST_ALERT", metavar="NAME", help="the event's type (default TEST_ALERT)"
    )
    parser.add_argument("--symbol", help="like TNA")
    parser.add_argument("--agent", metavar="NAME", help="the agent's name")
    for name, text in (
        ("value", "the measure that fired"),
        ("threshold", "the limit that it passed"),
        ("quantity", "how much was traded; 0 means nothing"),
        ("price", "the price of one"),
        ("pnl", "profit and loss"),
        ("confidence", "the agent's confidence, 0 to 1"),
    ):
        parser.add_argument(f"--{name}", type=float, help=text, metavar="NUMBER")
    parser.add_argument("--count", type=_positive_int, default=1, metavar="N", help="how many alerts (default 1)")
    parser.add_argument("--rate", type=_positive, metavar="PER_SECOND", help="how fast; as fast as it goes by default")
    parser.add_argument(
        "--wait", type=_positive, metavar="SECONDS", help="wait until a daemon has stored it; else exit 3"
    )
    parser.add_argument(
        "--source", type=_source, default=SOURCE, metavar="NAME", help=f"the publisher's name (default {SOURCE})"
    )
    return parser


def _source(text: str) -> str:
    if not text.isprintable() or not 0 < len(text) <= NAME_LIMIT:
        raise argparse.ArgumentTypeError(f"use 1 to {NAME_LIMIT} printable characters")
    return text


def _severity(text: str) -> Severity:
    try:
        return Severity(text)
    except ValueError:
        raise argparse.ArgumentTypeError("use INFO, WARNING or CRITICAL") from None


def _action_name(text: str) -> Action:
    try:
        return Action(text)
    except ValueError:
        raise argparse.ArgumentTypeError("use BUY, SELL or HOLD") from None


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("use a number above 0")
    return number


def _positive_int(text: str) -> int:
    number = _positive(text)
    if number != int(number):
        raise argparse.ArgumentTypeError("use a whole number")
    return int(number)


if __name__ == "__main__":
    main()
