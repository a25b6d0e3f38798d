"""Where the files are that an operator takes over: in the package, or in the folders of a tree."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent
_TREE: Final = _PACKAGE.parent

DASHBOARD: Final = _PACKAGE / "grafana" / "alertbus.json"
RULES: Final = _PACKAGE / "prometheus" / "alertbus.rules.yml"
#: Where `export` puts all this, as the dashboard, the rules and the examples have it; it writes another folder's name.
HOME: Final = "/etc/alertbus"
#: Where links to runbooks lead; `export` writes another address.
RUNBOOKS_URL: Final = f"file://{HOME}/runbooks"


def runbooks_folder() -> Path:
    """Return the folder of the runbooks, one file for each alarm, by its name."""
    return _packed("runbooks", _TREE / "docs" / "runbooks")


def examples_folder() -> Path:
    """Return the folder of the examples for Prometheus, Alertmanager and Grafana."""
    return _packed("deploy", _TREE / "deploy")


def _packed(name: str, in_tree: Path) -> Path:
    """Return a folder of the installed package; a tree has it elsewhere."""
    packed = _PACKAGE / name
    return packed if packed.is_dir() else in_tree
