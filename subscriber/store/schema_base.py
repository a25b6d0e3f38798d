"""What all tables share: their metadata, with a name for every constraint, and the type of numbers. Pure."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Integer, MetaData

#: A name for every constraint, so that a later migration can change it.
metadata: Final = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)

#: SQLite counts up by itself only in a column whose type is called INTEGER.
Number: Final = BigInteger().with_variant(Integer, "sqlite")
