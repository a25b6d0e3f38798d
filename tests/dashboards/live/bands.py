"""Between which bounds a panel's number has to be, given the number that was driven.

Gauges, totals and shares are exact. Of a counter, Prometheus 2.42 extrapolates `increase()` to the end of its range by
at most 1.1 times the average distance of samples (promql/functions.go, `extrapolatedRate`); at the beginning it adds
nothing to a counter whose first sample is 0, as all of ours are. So n samples show a number between itself and itself
times 1 + 1.1 / (n - 1). A quantile is interpolated within its bucket, so the bucket is all that is known.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.support.prometheus import Sample

#: Least and greatest; both may be met.
Band = tuple[float, float]
#: By the values of a series' labels, in the order of the labels' names, but for the target's.
Bands = Mapping[str, Band]

_TARGET_LABELS: Final = frozenset({"job", "instance", "__name__"})
_EXTRAPOLATED_DISTANCES: Final = 1.1
_FLOATS: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Check:
    """What a panel has to show at a moment."""

    moment: str
    bands: Bands


@dataclass(frozen=True, slots=True)
class Scale:
    """How a counter is seen through a range."""

    rate_seconds: float  #: the range of `rate`
    samples: int  #: of a series in it, at least

    def count(self, driven: float) -> Band:
        """Return where `increase()` has to be."""
        return driven, driven * (1 + _EXTRAPOLATED_DISTANCES / (self.samples - 1))

    def counts(self, driven: Mapping[str, float]) -> dict[str, Band]:
        """Return where each `increase()` has to be."""
        return {name: self.count(number) for name, number in driven.items()}

    def per_minute(self, driven: Mapping[str, float]) -> dict[str, Band]:
        """Return where each `60 * rate()` has to be."""
        return {
            name: (60 / self.rate_seconds * low, 60 / self.rate_seconds * high)
            for name, (low, high) in self.counts(driven).items()
        }


def exact(value: float) -> Band:
    """Return the band of one number."""
    return value, value


def all_exact(values: Mapping[str, float]) -> dict[str, Band]:
    """Return the bands of numbers."""
    return {name: exact(value) for name, value in values.items()}


def bucket(low: float, high: float, edges: Sequence[float]) -> Band:
    """Return the edges of the bucket that holds what was driven, or of those where it is only known to lie between."""
    bounds = (0.0, *edges, math.inf)
    return bounds[max(bisect_left(bounds, low) - 1, 0)], bounds[min(bisect_left(bounds, high), len(bounds) - 1)]


def quantile(share: float, values: Sequence[float], edges: Sequence[float], slack: float) -> Band:
    """Return the bucket of a quantile of values in order, each of which may have been up to `slack` longer."""
    value = values[max(math.ceil(share * len(values)) - 1, 0)]
    return bucket(value, value + slack, edges)


def key_of(labels: Mapping[str, str]) -> str:
    """Return a series' name in `Bands`."""
    return " ".join(value for name, value in sorted(labels.items()) if name not in _TARGET_LABELS)


def faults(samples: Sequence[Sample], bands: Bands) -> list[str]:
    """Compare what a panel shows with what it has to; return what differs, nothing where nothing does."""
    shown = {key_of(sample.labels): sample.value for sample in samples}
    found = [f"{name!r} is not shown" for name in bands.keys() - shown.keys()]
    found += [f"{name!r} is shown as {shown[name]:g}, and was not driven" for name in shown.keys() - bands.keys()]
    for name in shown.keys() & bands.keys():
        low, high = bands[name]
        margin = _FLOATS * max(abs(low), 0.001)
        if not low - margin <= shown[name] <= high + margin:
            found.append(f"{name!r} shows {shown[name]:g}, driven was {low:g} to {high:g}")
    return sorted(found)
