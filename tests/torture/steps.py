"""The named steps at which a process is killed: functions of the product, found by their names.

The product has no fail points: the launcher (`victim.py`) wraps these functions from outside. One that was renamed or
removed ends the run before it begins, for a step that is skipped would prove nothing.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["trader", "daemon"]


class StepMissing(Exception):
    """A step names a function that does not exist; correct the table in tests/torture/steps.py."""


@dataclass(frozen=True, slots=True)
class Step:
    """One place in the code where a process may die.

    Attributes:
        name: How the tables and `--steps` call it.
        target: The function, as `module:Class.function`.
        when: Whether the process dies before the function does anything, or after it did everything.
        most: The process dies at the n-th passing, n drawn from 1 to this.
        with_result: Only a call that returns something true counts: a claim that found nothing is no claim.
        closing: Only passed by a trader that closes, so the trader is told to.
    """

    name: str
    role: Role
    target: str
    when: Literal["before", "after"]
    most: int = 3
    with_result: bool = False
    closing: bool = False


_APPEND: Final = "publisher.journal:Journal.append"
_ACKNOWLEDGE: Final = "publisher.journal:Journal.acknowledge"
_GOODBYE: Final = "publisher.sender:Sender._say_goodbye"
_ACCEPT: Final = "subscriber.store.accepting:Accepting.accept"
_CLAIM: Final = "subscriber.store.claiming:Claiming.claim"
_CLOSE: Final = "subscriber.store.delivering:Delivering.close_attempt"
_CORRESPONDENCE: Final = "subscriber.intake.correspondence:Correspondence"

STEPS: Final = (
    Step("journal.before-commit", "trader", _APPEND, "before", most=8),
    Step("journal.after-commit", "trader", _APPEND, "after", most=8),  # before the PUB send
    Step("send.after", "trader", "publisher.sender:Sender._send_queued", "after", most=8, with_result=True),
    Step("ack.before-journal", "trader", _ACKNOWLEDGE, "before"),
    Step("ack.after-journal", "trader", _ACKNOWLEDGE, "after"),
    Step("replay.in-slice", "trader", "publisher.daemons:Daemon.send_again", "after", most=2),
    Step("goodbye.before", "trader", _GOODBYE, "before", most=1, closing=True),
    Step("goodbye.after", "trader", _GOODBYE, "after", most=1, closing=True),
    Step("ingest.before-commit", "daemon", _ACCEPT, "before"),
    Step("ingest.inside-commit", "daemon", "subscriber.store.accepting:move_streams", "after"),  # before COMMIT
    Step("ingest.after-commit", "daemon", _ACCEPT, "after"),  # before the acknowledgement
    Step("ack.after", "daemon", f"{_CORRESPONDENCE}._acknowledge", "after"),
    Step("heartbeat.heard", "daemon", f"{_CORRESPONDENCE}.hear", "after"),
    Step("replay.asked", "daemon", f"{_CORRESPONDENCE}._ask", "after", most=1),
    Step("claim.before", "daemon", _CLAIM, "before"),
    Step("claim.after", "daemon", _CLAIM, "after", with_result=True),
    Step("request.before", "daemon", "subscriber.store.delivering:Delivering.open_attempt", "after"),
    Step("request.after", "daemon", "subscriber.channels.provider_http:ProviderHttp.request", "after"),
    Step("close.before", "daemon", _CLOSE, "before"),
    Step("close.after", "daemon", _CLOSE, "after"),
)


#: Say how fast a chat and a person may be written to, which the launcher lifts.
PACES: Final = ("subscriber.channels.telegram:limits_of", "subscriber.channels.twilio:limits_of")


def check() -> None:
    """Make sure that everything the launcher changes exists.

    Raises:
        StepMissing: Something does not.
    """
    for pace in PACES:
        resolve(pace)
    for step in STEPS:
        owner, name = resolve(step.target)
        if not callable(getattr(owner, name)):
            raise StepMissing(f"{StepMissing.__doc__} No function: {step.target}.")


def resolve(target: str) -> tuple[object, str]:
    """Return what holds a function, or another name of the product's code, and that name in it.

    Raises:
        StepMissing: There is none.
    """
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    try:
        owner: object = importlib.import_module(module)
        for part in owners:
            owner = getattr(owner, part)
        getattr(owner, name)
    except (ImportError, AttributeError) as error:
        raise StepMissing(f"{StepMissing.__doc__} Missing: {target} ({error}).") from error
    return owner, name


def chosen(names: str) -> tuple[Step, ...]:
    """Return the steps of a comma list of names; `all` and `none` are names, too.

    Raises:
        StepMissing: There is no step of such a name.
    """
    if names in {"all", "none"}:
        return STEPS if names == "all" else ()
    by_name = {step.name: step for step in STEPS}
    unknown = [name for name in names.split(",") if name not in by_name]
    if unknown:
        raise StepMissing(f"No step is called {', '.join(unknown)}; there are: {', '.join(by_name)}.")
    return tuple(by_name[name] for name in names.split(","))
