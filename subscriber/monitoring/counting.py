"""Counts the answers of the HTTP application by their status, whoever gave them. An ASGI middleware, in the loop."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class CountedAnswers:
    """Counts an answer when it begins: a stream of events counts at once, however long it lasts."""

    def __init__(self, app: ASGIApp, answered: Callable[[int], None]) -> None:
        """Keep who counts; `answered` is called with each status."""
        self._app = app
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def say(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._answered(message["status"])
            await send(message)

        await self._app(scope, receive, say)
