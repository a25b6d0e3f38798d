"""The packages that draw the picture are pinned, and where they come from is for each machine to say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

_HERE: Final = Path(__file__).parent


def _read(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((_HERE / name).read_text(encoding="utf-8"))
    return read


def test_lock_file_names_no_registry_and_has_a_digest_of_each_package() -> None:
    packages = {name: each for name, each in _read("package-lock.json")["packages"].items() if name}
    assert len(packages) > 300
    assert not [name for name, each in packages.items() if "resolved" in each]
    assert not [name for name, each in packages.items() if not each.get("integrity", "").startswith("sha512-")]


def test_packages_are_pinned_as_the_lock_file_has_them() -> None:
    asked: dict[str, str] = _read("package.json")["devDependencies"]
    locked = _read("package-lock.json")["packages"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in asked} == asked
    grafanas = {version for name, version in asked.items() if name.startswith("@grafana/")}
    assert len(grafanas) == 1, "Grafana's packages work in one version alone"
