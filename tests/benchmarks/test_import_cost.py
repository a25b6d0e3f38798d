"""What `from publisher import Publisher` costs a trading process, beside the three libraries that it stands on."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

import pytest

pytestmark = pytest.mark.benchmark

_ROUNDS = 7
_PROBE = """
import json, pathlib, resource, sys, time
before, start = len(sys.modules), time.perf_counter()
{statement}
seconds = time.perf_counter() - start
status = pathlib.Path("/proc/self/status")  # where there is none, a parent that was larger hides the peak
lines = status.read_text().splitlines() if status.exists() else []
peaks = [line.split()[1] for line in lines if line.startswith("VmHWM")]
kibibytes = int(peaks[0]) if peaks else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([seconds * 1000, len(sys.modules) - before, kibibytes / 1024]))
"""
_STATEMENTS = {
    "nothing": "pass",
    "zmq, msgpack, pydantic": "import zmq, msgpack, pydantic; pydantic.BaseModel",
    "and one model": "import zmq, msgpack, pydantic\nclass One(pydantic.BaseModel):\n    field: int",
    "publisher": "from publisher import Publisher",
    "everything": "import publisher, subscriber.service, subscriber.channels.apprise_channel",
}


def test_import_cost_beside_its_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    """Interleaved rounds in fresh interpreters; the median of each, and the ratio to the bare libraries."""
    rows: dict[str, list[list[float]]] = {name: [] for name in _STATEMENTS}
    for _ in range(_ROUNDS):
        for name, statement in _STATEMENTS.items():
            code = _PROBE.format(statement=statement)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            rows[name].append(json.loads(done.stdout))
    medians = {
        name: [statistics.median(column) for column in zip(*values, strict=True)] for name, values in rows.items()
    }
    limit = medians["zmq, msgpack, pydantic"][0]
    with capsys.disabled():
        print(f"\n{'import':<24}{'ms':>8}{'ratio':>8}{'modules':>9}{'peak MiB':>10}")
        for name, (milliseconds, modules, mebibytes) in medians.items():
            print(f"{name:<24}{milliseconds:>8.1f}{milliseconds / limit:>8.2f}{modules:>9.0f}{mebibytes:>10.1f}")
