"""How much work one rendering of a template may make: turns of loops, and what filters and the like go through. Pure.

Whoever calculates with texts, lists and numbers in one go keeps all other threads of the daemon waiting meanwhile; so
what one operation gets is bounded, and what all of them get together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Characters of any value in a template, and of what it writes.
OUTPUT_LIMIT: Final = 20_000
#: Turns of all loops of one rendering; each item that is gone through otherwise counts as one, too.
TURNS_LIMIT: Final = 10_000
#: So many characters of a text count as one turn.
CHARACTERS_A_TURN: Final = 100
#: Bits of the numbers that are calculated with; a floating one has no more either.
INTEGER_BITS: Final = 1_024


class TemplateFault(ValueError):
    """A template is wrong, or could not be filled in; the message is for the person who wrote it."""


class Budget:
    """What one rendering may still do."""

    def __init__(self) -> None:
        """Begin with all of it."""
        self._spent = 0

    def spend(self, turns: int) -> None:
        """Take so many turns.

        Raises:
            TemplateFault: There are not as many left.
        """
        self._spent += turns
        if self._spent > TURNS_LIMIT:
            raise TemplateFault(f"its loops, and what it does with lists and texts, make more than {TURNS_LIMIT} turns")

    def charge(self, *values: object, times: int = 1) -> int:
        """Take what it costs to go through all that is in some values, and return how many items and characters it is.

        Args:
            values: Of them texts, lists and mappings count, with what is in them.
            times: How often they are gone through.

        Raises:
            TemplateFault: So many turns are not left.
        """
        items = characters = 0
        waiting = list(values)
        while waiting and items <= TURNS_LIMIT:  # lists in lists may be without an end
            each = waiting.pop()
            if isinstance(each, str):
                characters += len(each)
            elif isinstance(each, range):
                items += len(each)
            elif isinstance(each, Mapping):
                items += len(each)
                waiting += [*each.keys(), *each.values()]
            elif isinstance(each, list | tuple):
                items += len(each)
                waiting += each
        self.spend((items + characters // CHARACTERS_A_TURN) * times)
        return items + characters


def check_integers(*values: object) -> None:
    """Check that no number is so long that calculating with it takes time.

    Raises:
        TemplateFault: One is.
    """
    if any(isinstance(each, int) and each.bit_length() > INTEGER_BITS for each in values):
        raise TemplateFault(f"it makes a number of more than {INTEGER_BITS} bits")


def check_size(size: int) -> None:
    """Check that a value does not become too large.

    Args:
        size: In items and characters.

    Raises:
        TemplateFault: It does.
    """
    if size > OUTPUT_LIMIT:
        raise TemplateFault(f"it makes a text of more than {OUTPUT_LIMIT} characters")
