"""The webhooks: providers tell here what became of messages, and that a person wrote. Guarded by signatures alone.

The event loop reads a call, within a limit of bytes and seconds; a thread checks its signature and stores what it says,
which is all that the provider waits for. What follows from it is done by the channel's keeper of receipts. A call
without the right signature costs no access to the database, and nothing of any call's content is logged.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Final

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from bus.clock import Clock
from bus.errors import AlertBusError
from subscriber.channels.webhooks import Inbound, WebhookReader, WebhookRefused, WebhookRequest
from subscriber.logs import OncePerMinute
from subscriber.monitoring.answers import ApiError, ErrorCode
from subscriber.monitoring.metrics import OTHER_PROVIDER, Metrics, WebhookResult
from subscriber.monitoring.webhook_models import CALL, GREETED, TAKEN, Provider, webhook_answers
from subscriber.receipts import Receipt, ReceiptState
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

PATH: Final = "/webhooks/"
#: Bytes; a provider's largest call has a few hundred receipts.
BODY_LIMIT: Final = 256 * 1024
#: A call that comes slower than this is no provider's.
_BODY_SECONDS: Final = 10.0
#: Calls that are stored at a time, in threads of their own: neither these nor those that answer requests wait for the
#: others while the database is slow.
_MOST_AT_ONCE: Final = 8
_TURN_SECONDS: Final = 5.0
#: Calls that are read at a time, which anybody may begin: each may hold `BODY_LIMIT` of memory.
_MOST_READ_AT_ONCE: Final = 64
#: Calls whose repetition is known; each is 32 bytes.
_MOST_REMEMBERED: Final = 1024

#: Hears that a person wrote to the number of these channels, and when, in microseconds.
OnInbound = Callable[[tuple[str, ...], int], object]
#: Is told whose messages failed.
WakeKeepers = Callable[[Iterable[str]], object]

#: Twilio takes any other text for what it should answer the person.
_TWIML: Final = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
_UNREADABLE: Final = frozenset({400, 408, 413})


def add_webhooks(
    app: FastAPI,
    readers: Mapping[str, WebhookReader],
    *,
    store: Store,
    metrics: Metrics,
    clock: Clock,
    on_inbound: OnInbound,
    wake_keepers: WakeKeepers,
    polled: Collection[str] = (),
) -> None:
    """Add the webhooks of the configured providers to the application.

    Args:
        app: Whose error handlers make the answers to what is raised here.
        readers: Who reads a provider's calls, by its name in the path; the others are answered 404. Each knows the
            public address that its provider signs: the Host header, which a stranger chooses, counts nowhere.
        store: Keeps the receipts.
        metrics: Counts.
        clock: The daemon's.
        on_inbound: Hears that a person wrote.
        wake_keepers: Wakes the keepers of channels of which messages failed.
        polled: The channels that also ask what became of their messages.
    """
    for provider in readers:
        metrics.add_webhook(provider)
    desk = _WebhookDesk(store, metrics, clock, on_inbound, wake_keepers, polled)
    threads = CapacityLimiter(_MOST_AT_ONCE)
    turns, reading = asyncio.Semaphore(_MOST_AT_ONCE), asyncio.Semaphore(_MOST_READ_AT_ONCE)

    @app.get(PATH + "{provider}", responses=webhook_answers(GREETED), response_class=Response)
    async def greet(provider: Provider, request: Request) -> Response:
        """Answer a provider that asks whether this is the right place, as Meta does when a webhook is set up."""
        with desk.counted(provider, readers) as reader:
            greeting = reader.greet(_call(request, b""))
            if greeting is None:
                raise WebhookRefused(404, "This provider asks nothing here; it posts.")
            return PlainTextResponse(greeting, headers={"X-Content-Type-Options": "nosniff"})

    @app.post(
        PATH + "{provider}",
        responses=webhook_answers(TAKEN),
        response_class=Response,
        openapi_extra={"requestBody": CALL},
    )
    async def receive(provider: Provider, request: Request) -> Response:
        """Store what a provider tells of messages, or that a person wrote; only with the provider's signature."""
        with desk.counted(provider, readers) as reader:
            if reading.locked():
                raise _Busy("Too many calls are being read.")
            async with reading:
                call = _call(request, await _body(request))
            try:
                async with asyncio.timeout(_TURN_SECONDS):
                    await turns.acquire()
            except TimeoutError:
                raise _Busy("Other calls still wait for the database.") from None
            try:
                await to_thread.run_sync(desk.take, reader, call, limiter=threads)
            finally:
                turns.release()
            return _taken(provider)


class _Busy(AlertBusError):
    """The provider is to call again; like a StoreError, it becomes a 503."""


class _WebhookDesk:
    """Takes calls in the threads that answer requests, and counts what became of them."""

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        clock: Clock,
        on_inbound: OnInbound,
        wake_keepers: WakeKeepers,
        polled: Collection[str],
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._on_inbound = on_inbound
        self._wake_keepers = wake_keepers
        self._polled = frozenset(polled)
        self._once = OncePerMinute(clock)
        self._taken = _Digests()

    @contextmanager
    def counted(self, provider: str, readers: Mapping[str, WebhookReader]) -> Generator[WebhookReader]:
        """Find the provider's reader; count what becomes of the call, and make an answer of what is raised.

        Raises:
            ApiError: The call is refused, or a bug of ours kept it from being understood.
            AlertBusError: The database can't be used at the moment.
        """
        reader = readers.get(provider)
        if reader is None:
            self._metrics.webhook(OTHER_PROVIDER, WebhookResult.REFUSED)
            raise ApiError(404, ErrorCode.WEBHOOK_REFUSED, "No webhook of this provider is configured.")
        try:
            yield reader
        except WebhookRefused as refused:
            unreadable = refused.status in _UNREADABLE
            self._metrics.webhook(provider, WebhookResult.UNREADABLE if unreadable else WebhookResult.REFUSED)
            self._warn(provider, refused)
            raise ApiError(refused.status, ErrorCode.WEBHOOK_REFUSED, refused.text) from None
        except AlertBusError:
            self._metrics.webhook(provider, WebhookResult.FAILED)
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours, and what it says could be the call's own words
            self._metrics.webhook(provider, WebhookResult.FAILED)
            logger.error("a webhook call failed unexpectedly", extra={"provider": provider, **_place(error)})
            raise ApiError(500, ErrorCode.INTERNAL, "alertbus failed unexpectedly; its log says where.") from None
        self._metrics.webhook(provider, WebhookResult.OK)

    def take(self, reader: WebhookReader, call: WebhookRequest) -> None:
        """Check the signature and store what the call says; only then it is known.

        Raises:
            WebhookRefused: It has no right signature, or can't be read.
            StoreError: The database can't be used at the moment; taking it again is harmless.
        """
        news = reader.read(call)
        failed = {channel for receipt in news.receipts if (channel := self._note(reader, receipt)) is not None}
        if failed:
            self._wake_keepers(failed)
        if news.inbound and self._taken.is_new(call):
            for inbound in news.inbound:
                self._hear(inbound)

    def _note(self, reader: WebhookReader, receipt: Receipt) -> str | None:
        """Store a receipt; return the channel where that one has to do something about it."""
        polling = not self._polled.isdisjoint(reader.channels)
        noted = self._store.note_receipt(reader.provider, reader.channels, receipt, polling=polling)
        if not noted.new or noted.channel is None:  # one that comes before our own commit is settled by that
            return None
        now_us = self._clock.now_us()
        told = (noted.delivered, noted.accepted_us, now_us, noted.alert_id)
        self._metrics.receipt(noted.channel, receipt, *told)
        return noted.channel if receipt.state is ReceiptState.FAILED else None

    def _hear(self, inbound: Inbound) -> None:
        now_us = self._clock.now_us()
        at_us = now_us if inbound.at_us is None else min(inbound.at_us, now_us)
        self._on_inbound(inbound.channels, at_us)

    def _warn(self, provider: str, refused: WebhookRefused) -> None:
        held_back = self._once.held_back(f"{provider} {refused.status}")
        if held_back is not None:
            fields = {"provider": provider, "status": refused.status, "held_back": held_back}
            logger.warning("a webhook call was refused: %s", refused.text, extra=fields)


class _Digests:
    """Which calls with a person's message were taken already.

    Twilio doesn't tell when the person wrote: a repeated call, however it came about, must not look like a new message.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def is_new(self, call: WebhookRequest) -> bool:
        """Remember a call; False when it is remembered already."""
        digest = hashlib.sha256(call.url.encode() + b"\0" + call.body).digest()
        with self._lock:
            if digest in self._known:
                return False
            self._known[digest] = None
            while len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
            return True


def _call(request: Request, body: bytes) -> WebhookRequest:
    query: bytes = request.scope["query_string"]  # exactly as it came: it is signed
    path: str = request.scope["path"]
    target = path + (f"?{query.decode('latin-1')}" if query else "")
    return WebhookRequest(request.method, target, dict(request.query_params), dict(request.headers), body)


async def _body(request: Request) -> bytes:
    """Read a body; not a byte of one that says itself that it is too large.

    Raises:
        WebhookRefused: It is too large or too slow, or ends in the middle.
    """
    said = request.headers.get("content-length", "")
    if said.isdecimal() and (len(said) > len(str(BODY_LIMIT)) or int(said) > BODY_LIMIT):
        raise WebhookRefused(413, f"More than {BODY_LIMIT} bytes are not read.")
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            more = True
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise WebhookRefused(400, "The call ended in the middle.")
                body += message.get("body", b"")
                if len(body) > BODY_LIMIT:
                    raise WebhookRefused(413, f"More than {BODY_LIMIT} bytes are not read.")
                more = message.get("more_body", False)
    except TimeoutError:
        raise WebhookRefused(408, f"The call did not come whole within {_BODY_SECONDS:g} s.") from None
    return bytes(body)


def _taken(provider: str) -> Response:
    if provider == "twilio":
        return Response(_TWIML, media_type="text/xml")
    return JSONResponse({"status": "success", "data": {}})


def _place(error: Exception) -> dict[str, str]:
    """Name the kind of an error and the line that raised it, and nothing that it says."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"
    return {"error": type(error).__name__, "place": where}
