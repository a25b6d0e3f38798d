"""Packing: what was handed over becomes what the journal keeps; an alert that can't be packed holds back nobody."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from bus.errors import AlertBusError
from bus.topics import topic_of
from bus.wire import BODY_LIMIT_BYTES, encode_alert
from publisher.handover import Counters, Flush, Item, Receipt

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Batch:
    """Alerts that are journaled and sent together."""

    rows: list[tuple[int, str, bytes]] = field(default_factory=list)  #: when it was published, topic, body
    receipts: list[tuple[int, Receipt]] = field(default_factory=list)  #: by position in `rows`


def pack(items: Iterable[Item], source: str, counters: Counters) -> Batch:
    """Encode alerts; one without a source gets this one."""
    batch = Batch()
    for item in items:
        if isinstance(item, Flush):
            continue
        published_us, alert, receipt = item
        try:
            named = alert if alert.source else alert.model_copy(update={"source": source})
            topic, body = topic_of(named), encode_alert(named)
            altered = bool(named.altered)
            if len(body) > BODY_LIMIT_BYTES:  # only of an alert that was changed or built without validation
                raise AlertBusError(f"An alert of {len(body)} bytes is too large; the limit is {BODY_LIMIT_BYTES}.")
        except Exception as error:  # one alert that can't be packed must not hold back the others
            counters.unencodable += 1
            counters.failed(error)
            with suppress(Exception):  # a handler of the trader's may raise
                logger.exception("an alert could not be packed", extra={"kind": type(alert).__name__})
            continue
        counters.altered += altered
        batch.rows.append((max(published_us, 0), topic, body))  # no header says a time before 1970
        if receipt is not None:
            batch.receipts.append((len(batch.rows) - 1, receipt))
    return batch
