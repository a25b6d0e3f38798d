"""`python -m tests.grafana_render --into FILE`: draws the dashboard from what a real Prometheus answers."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.demo.stage import DemoFailedError, Stage
from tests.grafana_render.answers import SCRAPE_MS, Asking
from tests.grafana_render.board import lay_out, load, select
from tests.grafana_render.day import SETTINGS, perform_day
from tests.grafana_render.drawing import CannotDrawError, bundle, draw
from tests.support.prometheus import Prometheus

_WIDTH: Final = 1600
_SECONDS: Final = 360.0
#: Seconds for the last scrape, and for what is on its way when the day ends.
_SETTLE_SECONDS: Final = 3.0
_PLAYED: Final = "played.json"


@dataclass(frozen=True, slots=True)
class Played:
    """The time of a day that was played, in Unix seconds."""

    begin: float
    end: float


def main(arguments: list[str] | None = None) -> int:
    """Draw a picture, and return the exit code: 0, or 1 where something that is needed is missing or failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.grafana_render", description=__doc__)
    parser.add_argument("--into", type=Path, required=True, metavar="FILE", help="the PNG that is written")
    parser.add_argument("--row", action="append", default=[], metavar="TITLE", help="a row to draw (all of them)")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help=f"how long the day is ({_SECONDS:g})")
    parser.add_argument("--seed", type=int, default=1, help="of the day's chances")
    parser.add_argument(
        "--folder", type=Path, help="keep the day there; draw the one that is there already, without playing it again"
    )
    options = parser.parse_args(arguments)
    keeping: AbstractContextManager[str] = (
        tempfile.TemporaryDirectory(prefix="alertbus-picture-", ignore_cleanup_errors=True)
        if options.folder is None
        else nullcontext(str(options.folder))
    )
    try:
        with keeping as name:
            folder = Path(name).resolve()
            bundle()  # before the day, for which nobody waits in vain then
            if not (folder / _PLAYED).exists():
                _play(folder, options.seconds, options.seed)
            _draw(folder, options.row, options.into)
    except (CannotDrawError, DemoFailedError) as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    return 0


def _play(folder: Path, seconds: float, seed: int) -> None:
    (folder / "stage").mkdir(parents=True)
    _say(f"a day of {seconds:g} s is played")
    with Stage(folder / "stage", settings=SETTINGS) as stage:
        host = stage.daemon.url.removeprefix("http://")
        scraping = {"job_name": "alertbus", "static_configs": [{"targets": [host]}]}
        every = f"{SCRAPE_MS}ms"
        configuration = {
            "global": {"scrape_interval": every, "scrape_timeout": every},
            "scrape_configs": [scraping],
        }
        with Prometheus(folder / "prometheus", configuration):
            begin = time.time()
            perform_day(stage, seconds, seed)
            time.sleep(_SETTLE_SECONDS)
            end = time.time()
    (folder / _PLAYED).write_text(json.dumps(asdict(Played(begin, end))), encoding="utf-8")


def _draw(folder: Path, rows: list[str], into: Path) -> None:
    played = Played(**json.loads((folder / _PLAYED).read_text(encoding="utf-8")))
    dashboard = load()
    placed = lay_out(select(dashboard, rows), _WIDTH)
    with Prometheus(folder / "prometheus", {}) as prometheus:  # scrapes nothing, and answers from what the day left
        picture = Asking(prometheus, dashboard, played.begin, played.end).picture(placed, _WIDTH)
    draw(picture, into)
    _say(f"{into} {into.stat().st_size // 1024} KiB")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
