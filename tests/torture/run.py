"""One run: start everything, let it suffer, let it recover, and judge."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from tests.end_to_end.rig import START_SECONDS
from tests.support.ports import free_port
from tests.support.waiting import wait_until
from tests.torture.disks import Disks, Kind
from tests.torture.nemesis import Nemeses, Provider
from tests.torture.site import Site
from tests.torture.slots import Slot
from tests.torture.steps import STEPS, Role, Step, check
from tests.torture.trader import ATTEMPTED, JOURNALED, RISK, TRADE
from tests.torture.verdict import Acceptance, Verdict, judge

#: Where the default routes send each kind of alert, by the names of the providers.
MEANT_FOR: Final = {RISK: frozenset({"telegram", "twilio"}), TRADE: frozenset({"telegram"})}
#: A step that was tried so often and never reached is passed by nobody any more.
_TRIES: Final = 3
_SETTLE_SECONDS: Final = 1.0
#: Less than the rig gives a command.
_DRAIN_SECONDS: Final = 45
#: A queue that got no shorter for so long never will.
_STUCK_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is to do."""

    seconds: float
    seed: int
    steps: Sequence[Step] = STEPS
    nemeses: Sequence[str] = ()
    broken: str | None = None
    traders: int = 2
    rate: float = 2.0
    mount: bool = True


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run did and found."""

    plan: Plan
    disks: Kind
    kills: dict[str, int] = field(default_factory=dict)
    at_random: dict[str, int] = field(default_factory=dict)
    by_itself: dict[str, int] = field(default_factory=dict)
    strikes: dict[str, int] = field(default_factory=dict)
    #: Steps that were tried and never reached.
    unreached: list[str] = field(default_factory=list)
    #: What did not come to rest at the end; empty when all was delivered.
    unsettled: list[str] = field(default_factory=list)
    audit: int = 0  #: the exit code of `alertbus-subscriber audit`
    verdict: Verdict

    @property
    def good(self) -> bool:
        """Whether the run proves what it should."""
        return self.verdict.good and not self.unreached and not self.unsettled


def run(plan: Plan, folder: Path) -> Report:
    """Run it in an empty folder.

    Raises:
        StepMissing: A step names a function that does not exist; nothing was started.
    """
    check()
    with ExitStack() as stack:
        disks = stack.enter_context(Disks(folder, mount=plan.mount))
        port = free_port()
        provider = Provider(folder, port)
        stack.callback(provider.close)
        site = Site(folder, disks, f"http://127.0.0.1:{port}")
        slots = _slots(plan, site)
        for slot in slots:
            stack.callback(slot.close)
        nemeses = Nemeses(site, provider, slots, plan.nemeses, str(plan.seed))
        stack.callback(nemeses.stop)
        for slot in slots:
            slot.start()
        nemeses.start()
        threading.Event().wait(plan.seconds)
        nemeses.stop()
        unsettled = nemeses.failures + _settle(site, slots)
        audit = _audit(site)
        if audit != 0:
            unsettled.append("the audit failed")
        if provider.close() != 0:
            unsettled.append("the provider server failed")
        report = Report(
            plan=plan,
            disks=disks.kind,
            strikes=dict(sorted(nemeses.strikes.items())),
            unsettled=unsettled,
            audit=audit,
            verdict=judge(_attempted(site), _journaled(site), _accepted(provider)),
        )
        _count(report, slots)
        if not report.good:
            disks.keep(folder / "kept")
    return report


def _slots(plan: Plan, site: Site) -> list[Slot]:
    """Start the first processes, the daemon's before the traders'; they wait for orders."""
    roles: dict[str, Role] = {"daemon": "daemon"}
    roles.update({f"trader-{number}": "trader" for number in range(1, plan.traders + 1)})
    return [
        Slot(
            site,
            name,
            role,
            plan.steps,
            rng=Random(f"{plan.seed}/{name}"),  # one for each thread: what they draw is then the seed's alone
            rate=plan.rate,
            broken=plan.broken,
        )
        for name, role in roles.items()
    ]


def _count(report: Report, slots: Sequence[Slot]) -> None:
    for step in report.plan.steps:
        kills = sum(slot.plan.kills[step.name] for slot in slots)
        missed = sum(slot.plan.missed[step.name] for slot in slots)
        report.kills[step.name] = kills
        if not kills and missed >= _TRIES:
            report.unreached.append(step.name)
    for slot in slots:
        report.at_random[slot.name] = slot.at_random
        report.by_itself[slot.name] = slot.by_itself


# --- the end ------------------------------------------------------------------------------------------------


def _settle(site: Site, slots: Sequence[Slot]) -> list[str]:
    """Let everything recover and come to rest; return what did not."""
    daemon, *traders = slots
    for slot in slots:
        slot.stop()
    try:
        wait_until(lambda: _backlog(site) is not None, START_SECONDS)
    except AssertionError:
        return ["the daemon does not start any more"]
    unsettled = []
    threading.Event().wait(_SETTLE_SECONDS)  # the last traders publish a little, in good health
    for trader in traders:
        code = trader.victim.end()
        if code != 0:
            unsettled.append(f"{trader.name} ended with {code}")
    unsettled += _drain(site)
    unsettled += _deliver(site)
    code = daemon.victim.end()
    if code != 0:
        unsettled.append(f"the daemon ended with {code}")
    site.note(f"at rest; unsettled: {unsettled}")
    return unsettled


def _drain(site: Site) -> list[str]:
    try:
        drained = site.rig.publish("--drain", "--wait", str(_DRAIN_SECONDS))
    except subprocess.TimeoutExpired:
        return ["--drain did not end"]
    site.note(f"drain: {drained.returncode} {drained.stdout.strip()} {drained.stderr.strip()}")
    return [f"--drain ended with {drained.returncode}: {drained.stderr.strip()}"] if drained.returncode else []


def _deliver(site: Site) -> list[str]:
    """Wait until nothing waits any more, as long as there is less and less of it."""
    left = _backlog(site)

    def shorter() -> bool:
        now = _backlog(site)
        return now is not None and (left is None or now < left)

    while left != 0:
        try:
            wait_until(shorter, _STUCK_SECONDS)
        except AssertionError:
            return [f"{left} deliveries still wait"]
        left = _backlog(site)
    return []


def _backlog(site: Site) -> int | None:
    """Return how many deliveries wait, or None when the daemon does not answer."""
    try:
        channels: list[dict[str, int]] = site.rig.api("/status")["channels"]
    except OSError:
        return None
    return sum(channel["backlog"] for channel in channels)


def _audit(site: Site) -> int:
    """Return the exit code of the ledger's own audit; it is one more witness, and not the judge."""
    done = site.rig.run("subscriber", "audit")
    site.note(f"audit: {done.returncode} {done.stdout.strip()} {done.stderr.strip()}")
    return done.returncode


# --- the evidence -------------------------------------------------------------------------------------------


def _attempted(site: Site) -> dict[str, frozenset[str]]:
    lines = (line.split() for line in _lines(site, ATTEMPTED))
    return {token: MEANT_FOR[kind] for token, kind in lines}


def _journaled(site: Site) -> set[str]:
    return set(_lines(site, JOURNALED))


def _lines(site: Site, kind: str) -> list[str]:
    paths = sorted(site.tokens.glob(f"{kind}-*"))
    return [line for path in paths for line in path.read_text(encoding="ascii").splitlines()]


def _accepted(provider: Provider) -> list[Acceptance]:
    lines = provider.log.read_text(encoding="utf-8").splitlines()
    messages = [json.loads(line) for line in lines]
    return [Acceptance(message["provider"], message["text"]) for message in messages]
