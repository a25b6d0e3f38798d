"""The one place where Apprise's plugins meet our HTTP: a stand-in for the module `requests`.

Each plugin does `import requests` at its top and calls `requests.post(...)` or one of its sisters. `route` puts the
stand-in in the place of that name in the plugin's own modules, once for the process; nobody else's `requests` changes.
A call through it is made by the `ProviderHttp` of the channel whose lane makes it, found by a context variable, so
channels that run at once never meet; outside of a channel's call it is plain requests. All other names (exception
classes, codes, auth) are those of requests. What a provider takes and Apprise's plugin does not know is added here too,
by `amended`, so that the plugin's own `send` stays as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import requests

from subscriber.channels.calls import Call, calling
from subscriber.channels.provider_http import ProviderHttp

_METHODS: Final = frozenset({"get", "options", "head", "post", "put", "patch", "delete"})
_ROUTE: Final[ContextVar[tuple[ProviderHttp, Call] | None]] = ContextVar("alertbus_route", default=None)
#: Takes the `data` of a request and returns what is sent instead.
Amend = Callable[[Any], Any]
_AMEND: Final[ContextVar[Amend | None]] = ContextVar("alertbus_amend", default=None)


class RequestsSeam:
    """Looks like the module `requests` to a plugin."""

    def __getattr__(self, name: str) -> Any:
        """Return a sender for an HTTP method, and what requests has for every other name."""
        if name in _METHODS:
            return lambda url, *arguments, **options: self.request(name, url, *arguments, **options)
        return getattr(requests, name)

    @staticmethod
    def request(method: str, url: str, *arguments: Any, **options: Any) -> requests.Response:
        """Make a request by the HTTP of the channel that calls."""
        if arguments:
            # requests.get(url, params) and requests.post(url, data, json) take these by position.
            names = ("params",) if method.lower() == "get" else ("data", "json")
            options.update(zip(names, arguments, strict=False))
        amend = _AMEND.get()
        if amend is not None:
            options["data"] = amend(options.get("data"))
        route = _ROUTE.get()
        if route is None:
            return requests.request(method, url, **options)  # noqa: S113 - the caller's choice
        http, call = route
        return http.request(call, method, url, **options)


SEAM: Final = RequestsSeam()


def route(plugin: object) -> bool:
    """Let a plugin's modules call through the seam; return whether any of them makes HTTP requests."""
    packages = {
        ".".join(kind.__module__.split(".")[:3]) for kind in type(plugin).__mro__ if _is_plugin_module(kind.__module__)
    }
    found = False
    for name, module in list(sys.modules.items()):
        if ".".join(name.split(".")[:3]) in packages and _is_plugin_module(name):
            present = vars(module).get("requests")
            if present is requests:
                module.requests = SEAM  # type: ignore[attr-defined]
            found = found or present is requests or present is SEAM
    return found


@contextmanager
def routed(http: ProviderHttp, call: Call) -> Iterator[None]:
    """Send what this thread's plugin requests through `http`, as part of `call`."""
    token = _ROUTE.set((http, call))
    try:
        with calling(call):
            yield
    finally:
        _ROUTE.reset(token)


@contextmanager
def amended(amend: Amend) -> Iterator[None]:
    """Let what this thread's plugin sends as `data` pass through a function, which raises where it is none it knows."""
    token = _AMEND.set(amend)
    try:
        yield
    finally:
        _AMEND.reset(token)


def _is_plugin_module(name: str) -> bool:
    return name.startswith("apprise.plugins.") and name != "apprise.plugins.base"
