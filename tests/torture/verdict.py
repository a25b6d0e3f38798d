"""The verdict, from the provider's own log and the trader's files; it knows nothing of what alertbus believes. Pure.

attempted    published by the trader, flushed or not
journaled    covered by a flush that returned True: what the trader may count on
accepted     told to the provider, which took responsibility for it
lost         journaled and never accepted; has to be 0
marked       accepted once more, and the text says that it is a possible repeat
unmarked     accepted once more, and nobody could know; has to be 0
recovered    attempted, not covered by any flush, and accepted all the same: no promise, and no harm
unexpected   accepted and never attempted for this channel; has to be 0
inversions   accepted after a later one of the same publisher; reported, for CRITICAL goes first and retries wait
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

#: What a message of ours says when people are told that alerts are lost, how many, and which.
LOSS_EVENT: Final = "ALERTS_LOST"
_DECLARED: Final = re.compile(r"(\d+) alerts? of .+ between the numbers (\d+) and (\d+) of the stream ([0-9a-f]{32})")
#: What a repeat says to the person who reads it; written out here, so that a text that lost it is found.
REPEAT_TEXT: Final = "Possible repeat"
_TOKEN: Final = re.compile(r"\bT(\d+)-(\d+)\b")


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One message that a provider took, in the order of its log."""

    channel: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelVerdict:
    """What became of a channel's tokens; the counts as the module says."""

    attempted: int
    journaled: int
    accepted: int
    lost: tuple[str, ...]
    marked: int
    unmarked: tuple[str, ...]
    recovered: int
    unexpected: tuple[str, ...]
    inversions: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The whole of it.

    Attributes:
        missing: Alerts that were attempted and that no provider ever took; those that were never journaled may be.
        declared: Alerts of which people were told that they are lost.
        false_losses: What people were told, where more was declared lost than is missing.
    """

    channels: Mapping[str, ChannelVerdict]
    missing: int
    declared: int
    false_losses: tuple[str, ...]

    @property
    def lost(self) -> int:
        """How many promises were broken, over all channels."""
        return sum(len(channel.lost) for channel in self.channels.values())

    @property
    def unmarked(self) -> int:
        """How many repeats nobody could know as such, over all channels."""
        return sum(len(channel.unmarked) for channel in self.channels.values())

    @property
    def unexpected(self) -> int:
        """How many messages came of nothing, over all channels."""
        return sum(len(channel.unexpected) for channel in self.channels.values())

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.unmarked or self.unexpected or self.false_losses)


def judge(
    attempted: Mapping[str, AbstractSet[str]], journaled: AbstractSet[str], accepted: Iterable[Acceptance]
) -> Verdict:
    """Judge a run.

    Args:
        attempted: By token, the channels for which it was meant.
        journaled: The tokens that the trader may count on.
        accepted: What the providers took, in the order in which they did.
    """
    log = list(accepted)
    tokens = {found[0] for each in log for found in _TOKEN.finditer(each.text)}
    missing = len(attempted.keys() - tokens)
    told = [each.text for each in log if LOSS_EVENT in each.text]
    declared, streams = _declared(told)
    channels = sorted({channel for meant in attempted.values() for channel in meant} | {each.channel for each in log})
    return Verdict(
        channels={
            channel: _of_channel(
                {token for token, meant in attempted.items() if channel in meant},
                journaled,
                [each.text for each in log if each.channel == channel],
            )
            for channel in channels
        },
        missing=missing,
        declared=declared,
        # A stream that was held in memory only, and lost, begins with an alert of alertbus itself that says so.
        false_losses=tuple(told) if declared > missing + streams else (),
    )


def _declared(told: Iterable[str]) -> tuple[int, int]:
    """Return how many alerts were declared lost, each range once however often it was told, and of how many streams."""
    ranges: dict[tuple[str, str, str], int] = {}
    for text in told:
        found = _DECLARED.search(text)
        key = (found[4], found[2], found[3]) if found else (text, "", "")
        ranges[key] = int(found[1]) if found else sys.maxsize  # what can't be read may mean everything
    return sum(ranges.values()), len({stream for stream, _, _ in ranges})


def _of_channel(attempted: AbstractSet[str], journaled: AbstractSet[str], texts: Iterable[str]) -> ChannelVerdict:
    seen: Counter[str] = Counter()
    newest: dict[str, int] = {}
    marked = inversions = 0
    unmarked: list[str] = []
    for text in texts:
        for found in _TOKEN.finditer(text):
            token, epoch, number = found[0], found[1], int(found[2])
            seen[token] += 1
            if seen[token] > 1:
                if REPEAT_TEXT in text:
                    marked += 1
                else:
                    unmarked.append(token)
                continue
            inversions += number < newest.get(epoch, 0)
            newest[epoch] = max(number, newest.get(epoch, 0))
    promised = attempted & journaled
    return ChannelVerdict(
        attempted=len(attempted),
        journaled=len(promised),
        accepted=len(seen.keys() & attempted),
        lost=_sorted(promised - seen.keys()),
        marked=marked,
        unmarked=tuple(unmarked),
        recovered=len((attempted - journaled) & seen.keys()),
        unexpected=_sorted(seen.keys() - attempted),
        inversions=inversions,
    )


def _sorted(tokens: AbstractSet[str]) -> tuple[str, ...]:
    return tuple(sorted(tokens, key=lambda token: tuple(map(int, token[1:].split("-")))))
