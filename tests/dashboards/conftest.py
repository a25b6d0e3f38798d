"""Loads the dashboard's code before any test: Grafana's SDK warns at import that it prefers dashboards of version 2."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)  # older servers can't read it
    import dashboards.grafana  # noqa: F401
