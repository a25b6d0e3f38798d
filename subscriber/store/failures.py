"""What a person reads when the database fails: which database, what is wrong with it, and what to do. Pure.

No text here holds a URL, a password or a statement's parameters.
"""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bus.errors import AlertBusError, ConfigurationError
from subscriber.errors import StoreError

_SETTING: Final = "ALERTBUS_DATABASE_URL"

#: By the beginning of SQLite's own name for the error.
_SQLITE: Final = {
    "SQLITE_BUSY": "is locked by another program. Close whatever holds it open (a database browser, a backup, a "
    "second daemon); a running daemon tries again by itself.",
    "SQLITE_LOCKED": "is locked by another program. Close whatever holds it open; a running daemon tries again by "
    "itself.",
    "SQLITE_NOTADB": f"is not an SQLite database, or its beginning is corrupt. Let {_SETTING} name another file, or "
    "restore a backup.",
    "SQLITE_CORRUPT": "is corrupt. Stop alertbus, keep a copy of the file, and restore a backup (or rescue what can be "
    "read with: sqlite3 FILE .recover).",
    "SQLITE_READONLY": "is read-only. Give the daemon's user the right to write to the file and its folder.",
    "SQLITE_FULL": "can't grow: the disk is full. Free some space; nothing was acknowledged, and alertbus tries again "
    "by itself.",
    "SQLITE_CANTOPEN": "can't be opened. Check that the daemon's user may read and write the file and its folder.",
    "SQLITE_IOERR": "can't be read or written: the disk reports an error. Check the disk and the free space on it.",
}

#: By patterns of words of libpq and the server, which give no code for a connection that fails.
_POSTGRESQL_SETTINGS: Final = {
    "password authentication failed": "refuses the user or the password",
    "no password supplied": "asks for a password and none is set",
    "no pg_hba.conf entry": "does not let this user in from here (pg_hba.conf)",
    'database ".*" does not exist': "has no such database",
    'role ".*" does not exist': "has no such user",
}
_POSTGRESQL_STATES: Final = {
    "53100": "has no space left on its disk. Free some; nothing was acknowledged, and a running daemon tries again by "
    "itself.",
    "25006": "takes no writes (a standby, or read-only). Point " + _SETTING + " to the primary.",
    "42501": "does not allow this user to do what alertbus has to do. Let it own its database.",
    "40P01": "met a deadlock and undid this transaction; a running daemon tries again by itself.",
    "55P03": "kept this transaction waiting for a lock for too long; a running daemon tries again by itself.",
    "25P03": "ended this transaction, because the daemon was paused in the middle; a running daemon tries again by "
    "itself.",
}

#: What the server undid, and would do if it were asked again: a deadlock, and two that can't follow each other.
_UNDONE: Final = frozenset({"40P01", "40001"})


def name_of(url: URL) -> str:
    """Name a database as a person may see it: never with a user, a password or options."""
    if url.get_backend_name() == "sqlite":
        return f"The database {url.database}"
    host = url.host or url.query.get("host") or "the local socket"
    port = f":{url.port}" if url.port else ""
    return f"The PostgreSQL database {url.database or '(default)'} at {host}{port}"


def explained(error: SQLAlchemyError, url: URL) -> AlertBusError:
    """Turn any error of SQLAlchemy into one that says which database, what is wrong and what to do.

    Returns:
        A ConfigurationError where a setting has to be changed, a StoreError for everything else.
    """
    name = name_of(url)
    original = error.orig if isinstance(error, DBAPIError) else None
    sqlite_name = getattr(original, "sqlite_errorname", None)
    if sqlite_name is not None:
        return _sqlite(name, sqlite_name)
    if original is not None and url.get_backend_name() == "postgresql":
        return _postgresql(name, original)
    return StoreError(f"{name} can't be used: {type(error).__name__}.")


def was_undone(error: StoreError) -> bool:
    """Whether the server undid a transaction for no fault of its own, so that it may be run again at once."""
    cause = error.__cause__
    return isinstance(cause, DBAPIError) and getattr(cause.orig, "sqlstate", None) in _UNDONE


def _sqlite(name: str, sqlite_name: str) -> StoreError:
    for beginning, what in _SQLITE.items():
        if sqlite_name.startswith(beginning):
            return StoreError(f"{name} {what} ({sqlite_name})")
    return StoreError(f"{name} refused a statement ({sqlite_name}).")


def _postgresql(name: str, original: BaseException) -> AlertBusError:
    state = getattr(original, "sqlstate", None)
    if state is not None:
        what = _POSTGRESQL_STATES.get(state, f"refused a statement: {type(original).__name__}.")
        return StoreError(f"{name} {what} (SQLSTATE {state})")
    words = str(original)
    for sign, what in _POSTGRESQL_SETTINGS.items():
        if re.search(sign, words):
            return ConfigurationError(f"{name} {what}. Correct {_SETTING}.")
    return StoreError(
        f"{name} can't be reached. Check that the server runs and that {_SETTING} names it; nothing was acknowledged, "
        "and a running daemon tries again by itself."
    )
