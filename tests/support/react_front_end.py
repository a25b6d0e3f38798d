"""A React front end as docs/yooprl.md makes one: the element's files copied, the card and its test as they stand there.

`serve_front_end` bundles and serves it on a port of its own; `run_component_test` runs its test by jest.
"""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.support.browser import ROOT, needed
from tests.support.doc_code import code_of

_WEB: Final = ROOT / "tests" / "web"
_STATIC: Final = ROOT / "dashboards" / "static"
_COPIED: Final = ("alertbus-channels.js", "monitoring-api.js", "lit.js")
_CARD: Final = "frontend/src/components/NotificationsCard.jsx"
_TEST: Final = "frontend/src/components/__tests__/NotificationsCard.test.jsx"
_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Front end</title><link rel="icon" href="data:,">'
    '</head><body><main><h1>Monitoring</h1><div id="root"></div></main><script src="/page.js"></script></body></html>'
)
_END_SECONDS: Final = 120.0


def node() -> str:
    """Return the path of Node.js; skip where it, or what npm installs, is missing, and fail in CI."""
    if not (_WEB / "node_modules" / ".bin").is_dir():
        needed(None, "tests/web/node_modules")
    return needed(shutil.which("node"), "node")


def make_front_end(folder: Path) -> Path:
    """Lay out `src/` as the document says, and return it."""
    source = folder / "src"
    (source / "components" / "__tests__").mkdir(parents=True)
    (source / "alertbus").mkdir()
    for name in _COPIED:
        shutil.copy(_STATIC / name, source / "alertbus")
    shutil.copytree(_STATIC / "alertbus", source / "alertbus" / "alertbus")
    for name in (_CARD, _TEST):
        (source / Path(name).relative_to("frontend/src")).write_text(code_of("yooprl.md", name), encoding="utf-8")
    shutil.copy(_WEB / "react-page.jsx", source)
    return source


@contextmanager
def serve_front_end(folder: Path) -> Iterator[str]:
    """Bundle the page with the card, serve it on loopback, and yield its address."""
    command = node()
    source = make_front_end(folder)
    subprocess.run(
        [
            command,
            str(_WEB / "node_modules" / "esbuild" / "bin" / "esbuild"),
            "react-page.jsx",
            "--bundle",
            "--target=es2021",
            '--define:process.env.NODE_ENV="production"',
            "--define:process.env.REACT_APP_ALERTBUS_URL=undefined",
            "--log-level=warning",
            "--outfile=page.js",
        ],
        cwd=source,
        env={"NODE_PATH": str(_WEB / "node_modules")},
        check=True,
        timeout=_END_SECONDS,
    )
    files = {
        "/": ("text/html; charset=utf-8", _PAGE.encode()),
        "/page.js": ("text/javascript; charset=utf-8", (source / "page.js").read_bytes()),
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, body = files.get(self.path, ("text/plain", b""))
            self.send_response(200 if self.path in files else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *told: Any) -> None:
            """Stay quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def run_component_test(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the document's component test by jest, as `react-scripts test` would, and return what came of it."""
    command = node()
    source = make_front_end(folder)
    modules = _WEB / "node_modules"
    config = {
        "rootDir": str(source),
        "testEnvironment": str(modules / "jest-environment-jsdom"),
        "transform": {r"\.jsx?$": str(_WEB / "jest-transform.cjs")},
        "transformIgnorePatterns": ["/node_modules/"],
        "modulePaths": [str(modules)],
        "moduleFileExtensions": ["js", "jsx", "json"],
        "resetMocks": True,
        "cacheDirectory": str(folder / "cache"),
    }
    path = folder / "jest.config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return subprocess.run(
        [command, str(modules / "jest" / "bin" / "jest.js"), "--config", str(path), "--ci", "--runInBand", "--verbose"],
        cwd=source,
        env={"NODE_ENV": "test", "PATH": str(Path(command).parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=_END_SECONDS,
    )
