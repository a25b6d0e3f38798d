"""The demo's trading process: a publisher that does what it is told on standard input, one JSON object a line.

    {"do": "risk_event", "fields": {…}}     {"do": "agent_action", "fields": {…}}     {"do": "progress"}

The end of the input ends it in order, so it says goodbye; a kill does not.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Final

from publisher import Publisher

#: Seconds in which the trading loop has to move again.
LOOP_LIMIT_SECONDS: Final = 3.0


def main() -> int:
    """Follow orders until the input ends, and return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the demo, which then ends the input
    with Publisher.from_environment() as publisher:
        for line in sys.stdin:
            order = json.loads(line)
            if order["do"] == "progress":
                publisher.progress(LOOP_LIMIT_SECONDS)
            elif order["do"] == "risk_event":
                publisher.risk_event(**order["fields"])
            else:
                publisher.agent_action(**order["fields"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
