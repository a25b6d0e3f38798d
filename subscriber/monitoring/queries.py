"""Refuses what a path does not know of its query: a misspelt filter would be an answer to another question."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query

from subscriber.monitoring.answers import ApiError, ErrorCode

_SHOWN: Final = 64  #: characters of a name that a client made up


def check_query(request: Request) -> None:
    """Compare the names in a request's query with those that its route declares.

    Raises:
        ApiError: There is one that the route does not know.
    """
    given = request.query_params.keys()
    if not given:  # nearly every request
        return
    declared = get_flat_params(request.scope["route"].dependant)
    known = [field.alias for field in declared if isinstance(field.field_info, Query)]
    for name in given:
        if name not in known:
            raise ApiError(422, ErrorCode.INVALID_REQUEST, _said(name[:_SHOWN], known))


def _said(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    meant = f"; did you mean {near[0]!r}?" if near else "."
    there = f"There are: {', '.join(known)}." if known else "It takes none."
    return f"The request can't be used: this path has no query parameter {name!r}{meant} {there}"
