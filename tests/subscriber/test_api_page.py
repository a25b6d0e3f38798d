"""The page and its files over real HTTP: what is served, as what, to whom, and nothing else."""

from __future__ import annotations

import mimetypes
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

import httpx2
import pytest
from fastapi import FastAPI

from dashboards import static_folder
from subscriber.monitoring.error_answers import add_error_answers
from subscriber.monitoring.page import add_page
from subscriber.monitoring.page_files import PIECE
from tests.support.serving import serving

ROOT: Final = Path(__file__).parents[2]
FILES: Final = {
    "index.html": b"<!DOCTYPE html>",
    "favicon.svg": b"<svg/>",
    "module.js": b"export {};",
    "style.css": b"a {}",
    "data.json": b"{}",
    "picture.png": b"\x89PNG",
    "font.woff2": b"wOF2",
    "licence.txt": b"MIT",
    "deeper/folder/module.js": b"1;",
    "docs/index.html": b"<!DOCTYPE html><title>docs</title>",
    "script.py": b"print()",
    "noending": b"?",
    ".hidden": b"?",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files, and one beside it that nobody may have."""
    root = tmp_path / "static"
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "secret.js").write_text("secret")
    return root


@pytest.fixture
def http(folder: Path) -> Iterator[httpx2.Client]:
    app = FastAPI(redirect_slashes=False, docs_url=None)
    add_error_answers(app)
    add_page(app, folder)
    with serving(app) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("module.js", "text/javascript; charset=utf-8"),
        ("deeper/folder/module.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("data.json", "application/json"),
        ("picture.png", "image/png"),
        ("favicon.svg", "image/svg+xml"),
        ("font.woff2", "font/woff2"),
        ("licence.txt", "text/plain; charset=utf-8"),
        ("index.html", "text/html; charset=utf-8"),
    ],
)
def test_file_is_served_as_what_it_is_whatever_the_machine_says(
    http: httpx2.Client, monkeypatch: pytest.MonkeyPatch, name: str, media_type: str
) -> None:
    """A registry of Windows often says that JavaScript is text: no browser would run it."""
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_args, **_fields: ("text/plain", None))
    answer = http.get(f"/static/{name}")
    assert answer.status_code == 200
    assert answer.content == FILES[name]
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == ("max-age=86400" if name.endswith(".svg") else "no-cache")


def test_page_and_its_icon_are_served(http: httpx2.Client, folder: Path) -> None:
    assert http.get("/").content == FILES["index.html"]
    assert http.get("/docs").content == FILES["docs/index.html"]
    assert http.get("/favicon.ico").headers["content-type"] == "image/svg+xml"
    (folder / "favicon.svg").unlink()
    assert http.get("/favicon.ico").status_code == 204


def test_page_has_the_policy_that_lets_it_load_its_own_files_alone(http: httpx2.Client) -> None:
    policies = {
        directive.partition(" ")[0]: directive.partition(" ")[2]
        for directive in http.get("/").headers["content-security-policy"].split("; ")
    }
    assert policies == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "lit-html",
    }
    assert http.get("/static/module.js").headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in http.get("/docs").headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/", "/docs", "/static/module.js", "/favicon.ico"])
def test_head_says_what_get_would_and_has_no_body(http: httpx2.Client, path: str) -> None:
    got, headed = http.get(path), http.head(path)
    assert headed.status_code == 200
    assert headed.content == b""
    for name in ("content-type", "content-length", "etag", "last-modified"):
        assert headed.headers[name] == got.headers[name]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_files_are_only_read(http: httpx2.Client, method: str) -> None:
    for path in ("/", "/static/module.js"):
        assert http.request(method, path).json()["code"] == "method_not_allowed"


# --- what is known already ----------------------------------------------------------------------------------


def test_file_that_the_browser_has_is_not_sent_again(http: httpx2.Client) -> None:
    first = http.get("/static/module.js")
    etag = first.headers["etag"]
    for asked in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = http.get("/static/module.js", headers={"If-None-Match": asked})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    again = http.get("/static/module.js", headers={"If-Modified-Since": first.headers["last-modified"]})
    assert again.status_code == 304


def test_file_that_changed_is_sent_again_though_its_time_is_the_same(http: httpx2.Client, folder: Path) -> None:
    first = http.get("/static/module.js")
    path = folder / "module.js"
    times = (path.stat().st_atime, path.stat().st_mtime)
    path.write_bytes(b"export default 1;")
    os.utime(path, times)
    known = {"If-None-Match": first.headers["etag"], "If-Modified-Since": first.headers["last-modified"]}
    again = http.get("/static/module.js", headers=known)
    assert (again.status_code, again.content) == (200, b"export default 1;")


def test_file_is_read_once_whoever_asks_for_it(http: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by those who have it already: a stranger's requests cost no reading and no hashing."""
    read: list[Path] = []
    read_bytes = Path.read_bytes

    def counted(path: Path) -> bytes:
        read.append(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    monkeypatch.setattr(Path, "rglob", None)
    etag = http.get("/static/module.js").headers["etag"]
    for headers in ({}, {"If-None-Match": etag}, {}):
        http.get("/static/module.js", headers=headers)
        assert http.get("/static/nothing.js").status_code == 404
    assert [path.name for path in read] == ["module.js"]


def test_file_of_many_pieces_is_sent_whole(http: httpx2.Client, folder: Path) -> None:
    content = bytes(range(256)) * (PIECE // 256 * 2 + 1)
    (folder / "module.js").write_bytes(content)
    answer = http.get("/static/module.js")
    assert (answer.content, answer.headers["content-length"]) == (content, str(len(content)))
    (folder / "module.js").write_bytes(b"")
    assert http.get("/static/module.js").content == b""


def test_file_that_is_gone_is_404(http: httpx2.Client, folder: Path) -> None:
    (folder / "module.js").unlink()
    assert http.get("/static/module.js").status_code == 404


@pytest.mark.parametrize("asked", ["", "yesterday", "Mon, 01 Jan 2001 00:00:00", "Thu, 99 Foo 2020 99:00:00 GMT"])
def test_time_that_is_none_is_passed_over(http: httpx2.Client, asked: str) -> None:
    assert http.get("/static/module.js", headers={"If-Modified-Since": asked}).status_code == 200


def test_time_before_the_change_sends_the_file(http: httpx2.Client) -> None:
    before = format_datetime(datetime(2001, 1, 1, tzinfo=UTC), usegmt=True)
    assert http.get("/static/module.js", headers={"If-Modified-Since": before}).status_code == 200


# --- what is not there --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/nothing.js",
        "/static/deeper",
        "/static/script.py",
        "/static/noending",
        "/static/.hidden",
        "/static/MODULE.JS",
        "/static//module.js",
        "/static/module.js/",
        "/static/../secret.js",
        "/static/..%2fsecret.js",
        "/static/%2e%2e/secret.js",
        "/static/deeper/../module.js",
        "/static/..%5csecret.js",
        "/static/deeper%5cfolder%5cmodule.js",
        "/static/module.js%00",
        "/static/module.js::$DATA",
        "/static/C:/secret.js",
        "/static//etc/hostname.txt",
        "/static/nul.js",
        "/static/" + "x" * 5000 + ".js",
    ],
    ids=lambda path: path[:40],
)
def test_path_that_is_no_file_of_the_list_is_404(http: httpx2.Client, path: str) -> None:
    """By a raw socket: a client would tidy these paths up."""
    port = http.base_url.port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    assert received.startswith(b"HTTP/1.1 404 ")
    assert b'"code":"not_found"' in received
    assert b"secret" not in received.partition(b"\r\n\r\n")[2]


# --- what is packaged ---------------------------------------------------------------------------------------


def test_folder_is_the_package_s_own() -> None:
    packaged = files("dashboards") / "static"
    assert Path(str(packaged)) == static_folder()
    for name in ("lit.js", "docs/index.html", "docs/docs.js", "docs/swagger-ui-bundle.js", "docs/swagger-ui.css"):
        assert packaged.joinpath(name).is_file(), name


def test_files_of_the_page_all_have_a_media_type() -> None:
    """One without would be in the package and never be served."""
    app = FastAPI(docs_url=None)
    add_error_answers(app)
    add_page(app, static_folder())
    names = [path.relative_to(static_folder()).as_posix() for path in static_folder().rglob("*") if path.is_file()]
    with serving(app) as client:
        assert [name for name in names if client.head(f"/static/{name}").status_code != 200] == []


def test_swagger_ui_is_the_release_that_is_locked() -> None:
    """`make vendor` copies it byte by byte."""
    released = ROOT / "tests/web/node_modules/swagger-ui-dist"
    if not released.exists():
        pytest.skip("npm has not installed it; `make vendor` does")
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert (static_folder() / "docs" / name).read_bytes() == (released / name).read_bytes()
