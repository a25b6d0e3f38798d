"""Serves the page and its files, and the API's description for people: open to all, because no data is in them.

A file is looked up in the list of those that there are, so that no path of a request ever reaches the file system. The
page asks for a token itself where the API does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path, PurePosixPath
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response

from subscriber.monitoring.answers import ApiError, ErrorCode
from subscriber.monitoring.page_files import PageFiles, PieceByPiece

#: Media types by the end of a file's name: what the machine's own registry says of them is wrong on many Windows.
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
#: The page makes all its elements by Lit's templates, whose policy is the only one that browsers let make HTML of text.
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html"
)
#: Swagger UI carries its pictures in its style sheet, and makes HTML of Markdown by DOMPurify, which has a policy.
_DOCS_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: Kept, and asked for again each time: page and daemon are always of one release.
_ASKED_FOR_AGAIN: Final = "no-cache"
#: The page's pictures say how the daemon is, also while it answers nobody: a browser has them for a day.
_PICTURE_KEPT: Final = "max-age=86400"
_PICTURE: Final = ".svg"
_READING: Final = ["GET", "HEAD"]


def add_page(app: FastAPI, folder: Path) -> None:
    """Add the page's paths to the application.

    Args:
        app: Gets `/`, `/docs`, `/static/…` and `/favicon.ico`.
        folder: Of the page's files; `index.html` is the page.
    """
    files = PageFiles(folder)

    @app.api_route("/", methods=_READING, include_in_schema=False)
    def page(request: Request) -> Response:
        return _file(files, "index.html", request)

    @app.api_route("/docs", methods=_READING, include_in_schema=False)
    def docs(request: Request) -> Response:
        return _file(files, "docs/index.html", request, policy=_DOCS_POLICY)

    @app.api_route("/static/{path:path}", methods=_READING, include_in_schema=False)
    def static(path: str, request: Request) -> Response:
        return _file(files, path, request)

    @app.api_route("/favicon.ico", methods=_READING, include_in_schema=False)
    def favicon(request: Request) -> Response:
        """Answer the browsers that ask for it whatever a page says; without an icon they are to show none."""
        if files.find("favicon.svg") is None:
            return Response(status_code=204)
        return _file(files, "favicon.svg", request)


def _file(files: PageFiles, name: str, request: Request, *, policy: str = _PAGE_POLICY) -> Response:
    suffix = PurePosixPath(name).suffix
    media_type = _MEDIA_TYPES.get(suffix)
    file = None if media_type is None else files.find(name)
    if file is None:
        raise ApiError(404, ErrorCode.NOT_FOUND, "There is no such file.")
    headers = {
        "ETag": file.etag,
        "Last-Modified": format_datetime(file.changed, usegmt=True),
        "Cache-Control": _PICTURE_KEPT if suffix == _PICTURE else _ASKED_FOR_AGAIN,
        "Content-Security-Policy": policy,
    }
    if _is_known(request.headers, file.etag, file.changed):
        return Response(status_code=304, headers=headers)
    return PieceByPiece(file.content, media_type=media_type, headers=headers)


def _is_known(asked: Mapping[str, str], etag: str, changed: datetime) -> bool:
    """Say whether the browser has this very file already; its tag counts before its time, as HTTP has it."""
    tags = asked.get("if-none-match")
    if tags is not None:
        return _has_tag(tags.split(","), etag)
    try:
        return changed <= parsedate_to_datetime(asked.get("if-modified-since", ""))
    except (TypeError, ValueError):  # no time, or one without a zone
        return False


def _has_tag(tags: Iterable[str], etag: str) -> bool:
    return any(tag.strip().removeprefix("W/") in {etag, "*"} for tag in tags)
