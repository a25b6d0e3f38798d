"""What an endpoint of the bus may look like. Pure: nothing is resolved and no socket is opened here.

Until endpoints can be encrypted and their clients known (CURVE), only this machine may be named: a plain endpoint on a
network would let anybody there read alerts and forge them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

DATA_NAME: Final = "ALERTBUS_DATA_ENDPOINT"
CONTROL_NAME: Final = "ALERTBUS_CONTROL_ENDPOINT"

_TCP: Final = re.compile(r"tcp://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._*-]+):(?P<port>[0-9]{1,5}|\*)", re.ASCII)
_HIGHEST_PORT: Final = 65_535
#: What a browser calls the place that a page came from.
_ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII | re.IGNORECASE
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def split_list(value: object) -> object:
    """Turn `a, b` into ("a", "b"); what is no text is left for validation to judge."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def is_loopback(host: str) -> bool:
    """Say whether a host name or address can only be reached from this machine."""
    bare = host.strip("[]").lower()
    if bare == "localhost":
        return True
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return False


def origin_of(text: str) -> str | None:
    """Return an origin such as `http://localhost:3000` as browsers write it, or None for what is none.

    They write lower case, and no port where it is the scheme's own.
    """
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return None
    scheme = match["scheme"].lower()
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    if not 0 < port <= _HIGHEST_PORT:
        return None
    return f"{scheme}://{match['host'].lower()}" + ("" if port == _DEFAULT_PORTS[scheme] else f":{port}")


def endpoint_fault(endpoint: str, *, bind: bool) -> str | None:
    """Say what is wrong with an endpoint, without repeating it, or return None.

    Args:
        endpoint: Like `tcp://127.0.0.1:5555`.
        bind: Whether it is bound here; `*` then lets the system choose the port.
    """
    match = _TCP.fullmatch(endpoint)
    if match is None:
        return "write it as tcp://host:port, for example tcp://127.0.0.1:5555"
    port = match["port"]
    if port == "*" and not bind:
        return "name the port to connect to, for example tcp://127.0.0.1:5555"
    if port != "*" and not 0 < int(port) <= _HIGHEST_PORT:
        return f"the port must be 1 to {_HIGHEST_PORT}"
    if not is_loopback(match["host"]):
        return (
            "only this machine (127.0.0.1, [::1] or localhost) may be named: another host needs CURVE, which this "
            "release does not have yet; use a tunnel or VPN that ends on this machine"
        )
    return None


def checked_endpoints(endpoints: Sequence[str], *, bind: bool) -> tuple[str, ...]:
    """Return the endpoints when each can be used.

    Raises:
        ValueError: One is malformed, not on this machine or named twice, or there is none.
    """
    if not endpoints:
        raise ValueError("name at least one endpoint, for example tcp://127.0.0.1:5555")
    for position, endpoint in enumerate(endpoints, start=1):
        fault = endpoint_fault(endpoint, bind=bind)
        if fault is not None:
            raise ValueError(fault if len(endpoints) == 1 else f"number {position} of the list: {fault}")
    fixed = [endpoint for endpoint in endpoints if not endpoint.endswith(":*")]
    if len(set(fixed)) != len(fixed):
        raise ValueError("an endpoint is in the list twice; name each once")
    return tuple(endpoints)


def checked_pairing(data: Sequence[str], control: Sequence[str]) -> None:
    """Check that the two lists can be paired by position.

    Raises:
        ValueError: They differ in length or share an endpoint.
    """
    if len(data) != len(control):
        raise ValueError(
            f"{DATA_NAME} and {CONTROL_NAME} are paired by position and must be lists of equal length; "
            f"they have {len(data)} and {len(control)} endpoints"
        )
    if {endpoint for endpoint in data if not endpoint.endswith(":*")} & set(control):
        raise ValueError(f"{DATA_NAME} and {CONTROL_NAME} must not share an endpoint; give each its own port")
