"""The daemon's own errors; expected failures of providers are `Outcome` values and no exceptions."""

from __future__ import annotations

from bus.errors import AlertBusError, ConfigurationError


class RoutingError(ConfigurationError):
    """A route names a channel that does not exist, or no route takes CRITICAL."""


class StoreError(AlertBusError):
    """The database can't be used at the moment; nothing is acknowledged, and the bus replays later."""


class LeaseLost(StoreError):
    """Another worker holds the delivery now; this one's result is dropped."""
