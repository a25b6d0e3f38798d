"""YoopRL's backend as far as the proxy sees it: Flask with open CORS, and the proxy that docs/yooprl.md shows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from flask import Flask, Response, request
from werkzeug.serving import make_server

from tests.support.doc_code import code_of

_FILE: Final = "backend/monitoring/alertbus_proxy.py"


@contextmanager
def flask_backend(daemon: str, read_token: str | None) -> Iterator[str]:
    """Serve a daemon's proxy, with a thread for each request as Flask's own server has; yield its address."""
    app = Flask("backend")
    shown: dict[str, Any] = {}
    exec(compile(code_of("yooprl.md", _FILE), _FILE, "exec"), shown)  # the very code that people copy
    shown["register_alertbus_proxy"](app, daemon, read_token)
    app.after_request(_allow_every_origin)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _allow_every_origin(answer: Response) -> Response:
    """Do what flask-cors does by its defaults, which is what YoopRL has."""
    answer.headers["Access-Control-Allow-Origin"] = "*"
    if request.method == "OPTIONS":
        answer.headers["Access-Control-Allow-Headers"] = request.headers.get("Access-Control-Request-Headers", "")
        answer.headers["Access-Control-Allow-Methods"] = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    return answer
