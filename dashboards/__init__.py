"""What shows alertbus to people: the page, and the Grafana dashboard as code with its JSON as Grafana reads it.

It knows the daemon by the names of its metrics and by its HTTP API alone, and imports none of the other packages.
"""

from pathlib import Path


def static_folder() -> Path:
    """Return the folder of the page's files."""
    return Path(__file__).parent / "static"
