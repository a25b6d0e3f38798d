"""Which alerts wait for a person to say that they know of them: CRITICALs, but for tests and for what is over."""

from __future__ import annotations

from typing import Final

from sqlalchemy import and_, exists

from subscriber.deliveries import TEST_PREFIX
from subscriber.store import schema

_alert: Final = schema.alert
_acknowledgement: Final = schema.acknowledgement

#: That somebody acknowledged an alert.
ACKNOWLEDGED: Final = exists().where(_acknowledgement.c.alert_id == _alert.c.id)
#: That a person is still to do so. It begins word by word as the index has it, or SQLite would not use that.
UNACKNOWLEDGED: Final = and_(
    schema.CRITICAL,
    ~ACKNOWLEDGED,
    _alert.c.resolved_by.is_(None),
    # What a daemon says itself comes on no stream.
    ~and_(_alert.c.stream.is_(None), _alert.c.event_type.startswith(TEST_PREFIX, autoescape=True)),
)
