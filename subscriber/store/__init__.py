"""What is kept: every SQL statement of the daemon is in this folder."""

from subscriber.store.database import DEFAULT_BUSY_TIMEOUT_SECONDS, Database
from subscriber.store.digests import HeldDigest, NewDigest
from subscriber.store.expiring import Expired
from subscriber.store.incoming import Incoming
from subscriber.store.inserting import Accepted
from subscriber.store.receipts import Closed, FailedReceipt, Noted, WaitingReceipt
from subscriber.store.store import Store
from subscriber.store.streams import StreamPosition, StreamState

__all__ = [
    "DEFAULT_BUSY_TIMEOUT_SECONDS",
    "Accepted",
    "Closed",
    "Database",
    "Expired",
    "FailedReceipt",
    "HeldDigest",
    "Incoming",
    "NewDigest",
    "Noted",
    "Store",
    "StreamPosition",
    "StreamState",
    "WaitingReceipt",
]
