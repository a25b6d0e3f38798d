"""Talks to a running daemon over its API, for the commands that work on a daemon or, without one, on its database."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final, Self

from bus.errors import AlertBusError
from subscriber.settings import SubscriberSettings

PREFIX: Final = "/api/monitoring/notifications"
_TIMEOUT_SECONDS: Final = 5.0
NOBODY_ANSWERS: Final = "No daemon answers at ALERTBUS_HTTP_PORT; start one with alertbus-subscriber run."
_NO_DAEMON: Final = "What listens at ALERTBUS_HTTP_HOST, ALERTBUS_HTTP_PORT is no alertbus daemon of this version."


class DaemonError(AlertBusError):
    """The daemon refused what it was asked for."""


class DaemonClient:
    """One daemon's API."""

    def __init__(self, host: str, port: int, token: str | None) -> None:
        """Keep where it listens; nothing is connected yet."""
        name = f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{port}"
        self._token = token
        # Never through a proxy of the environment: the daemon is this machine's, and the token is for it alone.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    @classmethod
    def of(cls, settings: SubscriberSettings) -> Self:
        """Return the client of the daemon that has these settings, where it runs on this machine."""
        token = settings.http.api_token
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.http.host, settings.http.host)
        return cls(host, settings.http.port, None if token is None else token.get_secret_value())

    def get(self, path: str) -> Any | None:
        """Return what a path answers, or None when no daemon listens.

        Raises:
            DaemonError: It answered with an error.
        """
        return self._request("GET", path, None, _TIMEOUT_SECONDS)

    def post(self, path: str, body: dict[str, Any], timeout_seconds: float = _TIMEOUT_SECONDS) -> Any | None:
        """Post to a path and return its answer, or None when no daemon listens.

        Raises:
            DaemonError: It answered with an error.
        """
        return self._request("POST", path, json.dumps(body).encode(), timeout_seconds)

    def patch(self, path: str, body: dict[str, Any], timeout_seconds: float = _TIMEOUT_SECONDS) -> Any | None:
        """Change what a path names and return its answer, or None when no daemon listens.

        Raises:
            DaemonError: It answered with an error.
        """
        return self._request("PATCH", path, json.dumps(body).encode(), timeout_seconds)

    def _request(self, method: str, path: str, body: bytes | None, timeout_seconds: float) -> Any | None:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self.url + PREFIX + path, body, headers, method=method)  # noqa: S310 - http only
        try:
            with self._opener.open(request, timeout=timeout_seconds) as response:
                return _data(response.read())
        except urllib.error.HTTPError as error:
            with error:
                raise DaemonError(_error(error.read(), error.code)) from None
        except OSError as error:  # URLError is one
            reason = getattr(error, "reason", error)
            if isinstance(reason, ConnectionRefusedError):
                return None
            raise DaemonError(f"The daemon at {self.url} did not answer: {reason}.") from None
        except (http.client.HTTPException, UnicodeError):  # it speaks something else than HTTP; the name can be none
            raise DaemonError(_NO_DAEMON) from None


@contextmanager
def daemon_believed() -> Generator[None]:
    """Turn what an answer lacks into a sentence: a daemon of another version, or no alertbus at all."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DaemonError(
            "The daemon's answer can't be read. Is it of another version than this command, or is another program "
            "at ALERTBUS_HTTP_PORT?"
        ) from None


def _data(answer: bytes) -> Any:
    try:
        data = json.loads(answer)["data"]
    except (ValueError, KeyError, TypeError):
        data = None
    if data is None:
        raise DaemonError(_NO_DAEMON)
    return data


def _error(answer: bytes, status: int) -> str:
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return f"What listens at ALERTBUS_HTTP_PORT answered with HTTP {status}."
