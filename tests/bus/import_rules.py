"""Who may import whom, as data, and the walk that checks it.

An import counts wherever it stands: at the top, in a function, under TYPE_CHECKING, or as a constant text given to
`importlib.import_module`. Modules are named by their path without `.py`, in tables as patterns of `fnmatch`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("bus", "publisher", "subscriber", "dashboards")

#: Which other packages of ours a module may import: the first pattern that matches decides.
CROSSINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "publisher/*": ("bus",),
    "subscriber/service": ("bus", "dashboards"),  # for static_folder() only
    "subscriber/*": ("bus",),
}

#: The floors of the daemon, lowest first: a module imports its own unit, or units of floors below.
FLOORS: Final = (
    ("words",),
    ("policy",),
    ("store", "channels", "monitoring/metrics", "logs"),
    ("settings", "intake", "delivery", "monitoring"),
    ("service",),
    ("commands",),
    ("entry",),
)
#: Units that are no folder: the modules that make them up.
UNITS: Final[Mapping[str, tuple[str, ...]]] = {
    "words": ("deliveries", "errors", "exports", "receipts", "redaction"),
    "settings": (
        "settings",
        "setting_groups",
        "channel_settings",
        "config_file",
        "http_settings",
        "ping_settings",
        "policy_settings",
        "toml_lines",
    ),
    "service": (
        "service",
        "assembly",
        "bookkeeping",
        "channel_notes",
        "channel_problems",
        "dead_letters",
        "desks",
        "duties",
        "greeting",
        "http_connections",
        "http_server",
        "latest_status",
        "measuring",
        "policy_desk",
        "reloading",
        "rulebook",
        "serving",
        "silence_requests",
        "signals",
        "status",
        "switchboard",
        "telegram_actions",
        "telegram_chats",
        "telegram_commands",
        "telegram_ears",
        "telegram_kept",
        "telegram_replies",
        "timekeeping",
        "trial",
        "trying_out",
    ),
    "commands": (
        "__main__",
        "client",
        "commanding",
        "console",
        "direct_trial",
        "dead_letter_commands",
        "dead_letter_console",
        "ledger_words",
        "policy_commands",
        "policy_console",
        "records_commands",
        "stories",
        "switch_commands",
    ),
    "entry": ("entry",),
}

#: Pure modules decide; they know alerts and words, and have no clock, thread, file or socket of their own.
PURE: Final = ("subscriber/deliveries", "subscriber/errors", "subscriber/policy/*", "subscriber/receipts")
PURE_MAY_USE_OF_BUS: Final = ("bus.alerts", "bus.topics", "bus.errors")
IMPURE: Final = frozenset(
    {"asyncio", "http", "multiprocessing", "select", "socket", "sqlite3", "ssl", "subprocess", "threading", "time"}
)

#: Where a module that is not ours may be imported. What is not here may be imported nowhere.
OUTSIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "alembic": ("subscriber/store/*",),
    "anyio": ("subscriber/monitoring/webhooks",),
    "apprise": ("subscriber/channels/*",),
    "certifi": ("subscriber/channels/*",),
    "dotenv": ("bus/settings",),
    "fastapi": ("subscriber/monitoring/*", "subscriber/serving"),
    "grafana_foundation_sdk": ("dashboards/grafana", "dashboards/panels"),
    "jinja2": ("subscriber/policy/sandbox",),
    "msgpack": ("bus/wire",),
    "prometheus_client": ("subscriber/monitoring/*",),
    "psycopg": ("subscriber/store/*",),
    "pydantic": (
        "bus/alerts",
        "bus/settings",
        "bus/wire",
        "publisher/settings",
        "subscriber/channel_settings",
        "subscriber/http_settings",
        "subscriber/monitoring/*",
        "subscriber/ping_settings",
        "subscriber/policy_settings",
        "subscriber/setting_groups",
        "subscriber/settings",
    ),
    "pydantic.ValidationError": ("publisher/__main__", "publisher/attaching"),  # to catch it
    "pydantic_settings": ("bus/settings", "subscriber/settings"),
    "requests": ("subscriber/channels/provider_http", "subscriber/channels/requests_seam"),  # its values, never its I/O
    "rich": ("subscriber/__main__", "subscriber/console", "subscriber/policy_console"),
    "sqlalchemy": ("subscriber/store/*",),
    "sqlite3": (
        "publisher/journal",
        "publisher/journal_file",
        "publisher/journal_folder",
        "subscriber/store/database",  # the code of an error
    ),
    "sse_starlette": ("subscriber/monitoring/events", "subscriber/monitoring/listener"),
    "starlette.exceptions": ("subscriber/monitoring/*",),
    "starlette.types": ("subscriber/monitoring/*",),
    "typer": (
        "subscriber/__main__",
        "subscriber/commanding",
        "subscriber/dead_letter_commands",
        "subscriber/policy_commands",
        "subscriber/records_commands",
        "subscriber/switch_commands",
    ),
    "urllib3": ("subscriber/channels/*",),
    "uvicorn": ("subscriber/service", "subscriber/http_connections", "subscriber/http_server"),
    "zmq": (
        "bus/security",
        "bus/sockets",
        "publisher/daemons",
        "publisher/sender",
        "subscriber/intake/correspondence",
        "subscriber/intake/ingest",
    ),
}


@dataclass(frozen=True, slots=True)
class Violation:
    """An import that a rule forbids."""

    module: str
    line: int
    imported: str
    rule: str

    def __str__(self) -> str:
        return f"{self.module}.py:{self.line}: imports {self.imported}: {self.rule}"


def sources() -> dict[str, str]:
    """Return the source of every module of ours."""
    return {
        path.relative_to(ROOT).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def violations(modules: Mapping[str, str]) -> list[Violation]:
    """Check every import of every module."""
    return [
        Violation(module, line, imported, rule)
        for module, source in modules.items()
        for line, imported in imports(module, source)
        for rule in broken_rules(module, imported)
    ]


def imports(module: str, source: str) -> Iterator[tuple[int, str]]:
    """Find what a module imports, by its full dotted name: `from zmq import auth` is `zmq.auth`."""
    for node in ast.walk(ast.parse(source, module)):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield node.lineno, alias.name
            case ast.ImportFrom(names=names):
                origin = _origin(module, node)
                for alias in names:
                    yield node.lineno, f"{origin}.{alias.name}"
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name


def _origin(module: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    folders = module.split("/")[: -node.level]
    return ".".join([*folders, *([node.module] if node.module else [])])


def broken_rules(module: str, imported: str) -> Iterator[str]:
    """Return the rules that one import breaks."""
    package, _, _ = module.partition("/")
    top, _, _ = imported.partition(".")
    if top in PACKAGES:
        if top == package == "subscriber":
            yield from _broken_floors(module, imported)
        elif top != package and top not in _crossings(module):
            yield f"{module} may import of our packages only {', '.join(_crossings(module)) or 'its own'}"
        if _matches(module, PURE) and top == "bus" and not _within(imported, PURE_MAY_USE_OF_BUS):
            yield f"it is pure, and may use of bus only {', '.join(PURE_MAY_USE_OF_BUS)}"
        return
    if _matches(module, PURE) and top in IMPURE:
        yield "it is pure: no clock, thread, file or socket of its own"
    entries = [entry for entry in OUTSIDE if entry == top or entry.startswith(f"{top}.")]
    if not entries and top not in sys.stdlib_module_names:
        yield f"{top} is not in the table of what may be imported"
    if entries and not any(_within(imported, (entry,)) and _matches(module, OUTSIDE[entry]) for entry in entries):
        allowed = "; ".join(f"{entry} in {', '.join(OUTSIDE[entry])}" for entry in entries)
        yield f"allowed is only {allowed}"


def _crossings(module: str) -> tuple[str, ...]:
    return next((allowed for place, allowed in CROSSINGS.items() if fnmatchcase(module, place)), ())


def _broken_floors(module: str, imported: str) -> Iterator[str]:
    own = unit_of(module.split("/")[1:])
    other = unit_of(imported.split(".")[1:])
    if own is None or other is None:
        stranger = module if own is None else imported
        yield f"{stranger} is on no floor: put it into FLOORS or UNITS"
    elif own != other and floor_of(other) >= floor_of(own):
        where = "above" if floor_of(other) > floor_of(own) else "beside"
        yield f"{own} may only import floors below it, and {other} is {where} it"


def unit_of(parts: list[str]) -> str | None:
    """Return the unit of a module of the daemon, given by its path below `subscriber`; its package belongs to none."""
    named = {unit for floor in FLOORS for unit in floor}
    if len(parts) > 1 and "/".join(parts[:2]) in named:
        return "/".join(parts[:2])
    if parts and parts[0] in named and parts[0] not in UNITS:
        return parts[0]
    return next((unit for unit, modules in UNITS.items() if parts and parts[0] in modules), None)


def floor_of(unit: str) -> int:
    """Return how high a unit is; 0 is the lowest."""
    return next(height for height, floor in enumerate(FLOORS) if unit in floor)


def _matches(module: str, places: Iterable[str]) -> bool:
    return any(fnmatchcase(module, place) for place in places)


def _within(imported: str, names: Iterable[str]) -> bool:
    return any(imported == name or imported.startswith(f"{name}.") for name in names)
