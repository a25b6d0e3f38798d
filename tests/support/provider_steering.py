"""Steers the faults of a provider server that runs as a process of its own: orders on its standard input.

    {"provider": "telegram", "script": [{"fault": "error", "status": 503}, {"fault": "accept_then_drop"}]}
    {"provider": "twilio", "always": {"fault": "error", "status": 500}}
    {"provider": "twilio", "always": null}
    {"provider": "twilio", "behave": true}

`script` puts faults in line, `always` sets the standing one, `behave` drops all of them; a fault is named as its
function in `provider_faults`, with that function's arguments. A thread reads the orders; their end stops the server.
"""

import json
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any, Final

from tests.support import provider_faults
from tests.support.provider_desk import ProviderDesk
from tests.support.provider_faults import Fault

_FAULTS: Final[Mapping[str, Callable[..., Fault]]] = {
    made.__name__: made
    for made in (
        provider_faults.ok,
        provider_faults.rate_limited,
        provider_faults.error,
        provider_faults.hang,
        provider_faults.stall,
        provider_faults.drip,
        provider_faults.reset_before_reading,
        provider_faults.reset_after_reading,
        provider_faults.accept_then_drop,
    )
}


def fault_of(order: Mapping[str, Any]) -> Fault:
    """Make a fault of its name and arguments.

    Raises:
        KeyError: No fault is called so.
        TypeError: It has no such argument.
    """
    return _FAULTS[order["fault"]](**{name: value for name, value in order.items() if name != "fault"})


def follow(order: Mapping[str, Any], desks: Mapping[str, ProviderDesk[Any]]) -> None:
    """Do what one order says.

    Raises:
        KeyError: It names no desk or no fault.
        TypeError: A fault has no such argument.
    """
    desk = desks[order["provider"]]
    if order.get("behave"):
        desk.behave()
    desk.script(*map(fault_of, order.get("script", ())))
    if "always" in order:
        desk.always(None if order["always"] is None else fault_of(order["always"]))


def steer(orders: IO[str], desks: Mapping[str, ProviderDesk[Any]], ended: Callable[[Exception | None], object]) -> None:
    """Follow orders in a thread, a JSON line each, until they end; then call `ended`, with what was wrong."""

    def run() -> None:
        wrong: Exception | None = None
        try:
            for line in orders:
                follow(json.loads(line), desks)
        except (KeyError, TypeError, ValueError) as error:  # a fault that is not made would prove nothing
            wrong = error
        ended(wrong)

    threading.Thread(target=run, name="provider-steering", daemon=True).start()
