"""The port of the HTTP API: what is answered over it goes out at once."""

from __future__ import annotations

import asyncio
import socket

import pytest

from subscriber.monitoring.listening import open_listener


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_listener_has_answers_sent_without_delay(host: str) -> None:
    """Head and body are two packets: the second would wait until the client has acknowledged the first, 40 ms later."""
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")

    async def answered() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            taken = writer.get_extra_info("socket")
            found.set_result(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with open_listener(host, 0) as listener:
            async with await asyncio.start_server(serve, sock=listener):
                _reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
                no_delay = await found
                writer.close()
                await writer.wait_closed()
        return no_delay

    assert asyncio.run(answered()) != 0
