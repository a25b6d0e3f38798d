"""`python -m dashboards`: builds the dashboard's JSON, checks that it is fresh, or exports what an operator takes over.

Exit codes: 0 done (check: fresh), 1 stale or a file can't be used, 2 usage or the SDK is missing. `export` needs
nothing but this package, for those who installed it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dashboards.export import export
from dashboards.places import DASHBOARD

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2

_NEXT: Final = """
Next (copy what you take from the examples: the next export writes them anew):
  Prometheus    rule_files: ["{home}/prometheus/*.rules.yml"]; all of it in {home}/examples/prometheus/prometheus.yml
  Alertmanager  {home}/examples/alertmanager/alertmanager.yml, with your own addresses
  Grafana       import {home}/grafana/alertbus.json, or provision it by {home}/examples/grafana/provisioning"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "export":
            return _export(options.directory, options.runbooks)
        return _build() if options.command == "build" else _check()
    except ModuleNotFoundError as error:
        return _complain(f"{error.name} is missing: build and check need the dependency group dev", EXIT_USAGE)
    except OSError as error:
        return _complain(str(error), EXIT_FAILED)
    except ValueError as error:
        return _complain(str(error), EXIT_USAGE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dashboards", description="alertbus' Grafana dashboard as code")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="write the JSON anew from the code")
    commands.add_parser("check", help="say whether the JSON is what the code builds: 0 fresh, 1 stale")
    exporting = commands.add_parser(
        "export",
        allow_abbrev=False,
        help="write dashboard, rules, runbooks and examples into a folder, over older ones",
    )
    exporting.add_argument("directory", metavar="DIR", type=Path, help="the folder, such as /etc/alertbus")
    exporting.add_argument(
        "--runbooks", metavar="URL", help="where people read the runbooks, if not in DIR: http://, https:// or file://"
    )
    return parser


def _build() -> int:
    from dashboards.grafana import dashboard_json  # noqa: PLC0415 - export has to work without the SDK

    DASHBOARD.write_text(dashboard_json(), encoding="utf-8", newline="\n")
    print(f"{DASHBOARD} written")
    return EXIT_DONE


def _check() -> int:
    from dashboards.grafana import dashboard_json  # noqa: PLC0415 - export has to work without the SDK

    if DASHBOARD.read_text(encoding="utf-8") != dashboard_json():
        return _complain(f"{DASHBOARD} is stale: run `python -m dashboards build` and commit it", EXIT_FAILED)
    print(f"{DASHBOARD} is fresh")
    return EXIT_DONE


def _export(directory: Path, runbooks_url: str | None) -> int:
    for path in export(directory, runbooks_url):
        print(f"{path} written")
    print(_NEXT.format(home=directory.resolve().as_posix()))
    return EXIT_DONE


def _complain(problem: str, code: int) -> int:
    print(f"python -m dashboards: {problem}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
