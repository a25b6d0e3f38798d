"""How the handling of a delivery stands in its row: compact JSON, and NULL for the defaults."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import lru_cache

from subscriber.deliveries import PLAIN, Handling
from subscriber.store.part import storable


@lru_cache(maxsize=1024)
def handling_text(handling: Handling) -> str | None:
    """Return what the column `handling` holds."""
    if handling == PLAIN:
        return None
    said = {name: value for name, value in asdict(handling).items() if value != getattr(PLAIN, name)}
    return storable(json.dumps(said, separators=(",", ":"), ensure_ascii=False))


@lru_cache(maxsize=1024)
def handling_of(text: str | None) -> Handling:
    """Read the column; what can't be read, or was written by a newer version, counts as not said."""
    try:
        said = json.loads(text or "{}")
        fallbacks = said.get("fallbacks")
        return Handling(
            route=str(said.get("route", "")),
            silent=said.get("silent") is True,
            template=said["template"] if isinstance(said.get("template"), str) else None,
            fallbacks=tuple(map(str, fallbacks)) if isinstance(fallbacks, list) else None,
        )
    except (ValueError, AttributeError):
        return PLAIN
