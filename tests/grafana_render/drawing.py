"""Draws a picture: the harness is bundled by npm's esbuild, drawn by Chromium, and written with 256 colours."""

from __future__ import annotations

import mimetypes
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route

from tests.support.browser import Browsing, chromium_browser, find_chromium

HERE: Final = Path(__file__).parent
BUNDLE: Final = HERE.parents[1] / "build" / "grafana_render"
#: Where a browser finds what it asks for: nothing listens there, each answer is given by `_serve`.
_SITE: Final = "http://127.0.0.1/"
_PACKAGES: Final = HERE / "node_modules"
_ICONS: Final = _PACKAGES / "@grafana" / "ui" / "dist" / "public" / "img" / "icons"
_FONTS: Final = _PACKAGES / "@fontsource" / "inter" / "files"
_ICONS_ASKED: Final = "/public/build/img/icons/"
#: Grafana's own font, which its server has and @grafana/ui has not.
_FONTS_ASKED: Final = {
    "/public/fonts/inter/Inter-Regular.woff2": "inter-latin-400-normal.woff2",
    "/public/fonts/inter/Inter-Medium.woff2": "inter-latin-500-normal.woff2",
}
_PAGE: Final = (
    '<!doctype html><html><head><meta charset="utf-8"><title>alertbus</title>'
    '<link rel="icon" href="data:,"><link rel="stylesheet" href="/page.css"></head>'
    '<body class="theme-dark"><div id="page"></div><script src="/page.js"></script></body></html>'
)
_INSTALL: Final = f"npm ci --legacy-peer-deps, in {HERE.name}/"
_MARGIN: Final = 32
_SETTLE_MS: Final = 2500


class CannotDrawError(Exception):
    """Something that draws is missing or failed; the text says what, and how to get it."""


def bundle() -> None:
    """Bundle the page into build/grafana_render.

    Raises:
        CannotDrawError: node, the packages or Chromium are missing, or the bundler failed.
    """
    for program, found in (("node", shutil.which("node")), ("Chromium", find_chromium())):
        if found is None:
            raise CannotDrawError(f"{program} is not installed")
    if not _PACKAGES.is_dir():
        raise CannotDrawError(f"Grafana's components are not installed: {_INSTALL}")
    _node("bundle.mjs", str(BUNDLE))


def draw(picture: Mapping[str, Any], into: Path) -> None:
    """Draw what `Asking.picture` returned.

    Args:
        picture: Rows, panels, their places and the answers.
        into: The PNG that is written.

    Raises:
        CannotDrawError: A panel has nothing to show or cannot be drawn, or what makes the picture small failed.
        AssertionError: The page logged an error, or asked for anything outside.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="alertbus-picture-") as folder:
        whole = Path(folder) / "whole.png"
        with chromium_browser() as chromium, Browsing(chromium) as browsing:
            width = picture["width"] + _MARGIN
            page = browsing.open_page(viewport={"width": width, "height": 1000}, color_scheme="dark")
            page.clock.set_fixed_time(picture["to"] / 1000)  # "2 minutes ago" is told from the end of the day
            page.route("**/*", _serve)
            page.goto(_SITE)
            page.evaluate("picture => window.drawPicture(picture)", dict(picture))
            page.evaluate("document.fonts.ready")
            page.wait_for_timeout(_SETTLE_MS)  # charts are drawn in frames of their own, and nothing tells the last
            empty = _empty_panels(page)
            page.locator("#page").screenshot(path=whole, animations="disabled")
        if empty:
            raise CannotDrawError(f"panels without anything to show: {', '.join(empty)}")
        _node("quantize.mjs", str(whole), str(into.resolve()))


def _empty_panels(page: Page) -> list[str]:
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('.nothing')]"
        ".map(each => each.closest('section')?.querySelector('h2')?.textContent ?? '')"
    )
    return found


def _serve(route: Route) -> None:
    """Answer the page from the bundle and from the icons of @grafana/ui."""
    asked = urlsplit(route.request.url).path
    if asked == "/":
        route.fulfill(body=_PAGE, content_type="text/html")
        return
    file = _file_of(asked)
    if file.is_file():
        route.fulfill(path=file, content_type=mimetypes.guess_type(file.name)[0] or "application/octet-stream")
    else:
        route.fulfill(status=404)


def _file_of(asked: str) -> Path:
    if asked in _FONTS_ASKED:
        return _FONTS / _FONTS_ASKED[asked]
    if asked.startswith(_ICONS_ASKED):
        return _ICONS / asked.removeprefix(_ICONS_ASKED)
    return BUNDLE / asked.lstrip("/")


def _node(script: str, *arguments: str) -> None:
    done = subprocess.run(
        ["node", str(HERE / script), *arguments],
        cwd=HERE,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != 0:
        raise CannotDrawError(f"{script} failed:\n{done.stderr.strip()}")
