"""Objects that a trading loop, or somebody who means harm, may put into an alert."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum


class Raises:
    """Raises at every conversion."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        return "Raises()"

    def __float__(self) -> float:
        raise RuntimeError("no number")


class Nonsense:
    """Answers every conversion with a value of the wrong type."""

    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307

    def __repr__(self) -> str:
        return "Nonsense()"

    def __float__(self) -> float:
        return "x"  # type: ignore[return-value]


class Untouchable:
    """Raises when any attribute is read, as a proxy does whose object is gone."""

    def __getattribute__(self, name: str) -> object:
        raise ReferenceError(name)


class RaisesWhenShown:
    """Raises when it is shown, as error messages do."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


class EndlessList:
    """Turns into a list of itself, and is no number although it looks like one."""

    def __float__(self) -> float:
        raise ValueError("several")

    def tolist(self) -> list[object]:
        return [self]


class NumberThatListsItself(float):
    """A float whose plain form is itself again."""

    def tolist(self) -> object:
        return self


class BrokenMapping(Mapping[str, int]):
    """Changes while it is read, like a dictionary that another thread fills."""

    def __getitem__(self, key: str) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        yield "a"
        raise RuntimeError("dictionary changed size during iteration")

    def __len__(self) -> int:
        return 2

    def __str__(self) -> str:
        return "changing"


class NAType:
    """Stands for pandas.NA, which is known by the name of its type."""

    def __str__(self) -> str:
        return "<NA>"

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")


class NaTType:
    """Stands for pandas.NaT, which is a float, too: NaN."""

    def __float__(self) -> float:
        return float("nan")


class Side(IntEnum):
    """An integer that is not exactly an int."""

    LONG = 1
