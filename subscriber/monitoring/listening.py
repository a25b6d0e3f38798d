"""Opens the port of the HTTP API before anything else is started, or says which setting is to blame."""

from __future__ import annotations

import errno
import socket
import sys

from bus.errors import ConfigurationError, EndpointTaken


def open_listener(host: str, port: int) -> socket.socket:
    """Bind and listen; the caller closes it.

    Raises:
        ConfigurationError: The address is none of this machine's.
        EndpointTaken: It is in use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By name: asyncio takes the delay of small packets (40 ms for each answer) only from what it knows to be TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":  # there it would let two daemons share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except (OSError, UnicodeError) as error:  # a name that is none can't even be asked for
        listener.close()
        address = f"ALERTBUS_HTTP_HOST, ALERTBUS_HTTP_PORT: {host}:{port}"
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise EndpointTaken(
                f"{address} is taken by another program (another alertbus daemon?); stop that one, or set another port."
            ) from error
        why = getattr(error, "strerror", None) or "that is no address"
        raise ConfigurationError(f"{address} can't be used ({why}); set an address of this machine.") from error
    return listener
