"""What the service costs beside heptapod-paas-runner 1.1.1, both on the same sandbox in the same run.

    make benchmark
    .venv/bin/python -m benchmarks.against_the_peer --peer PATH/bin/heptapod-paas-runner [--jobs 20] [--json]

Counted exactly: requests to the coordinator and to the cloud (those of the hosts left out), and, where root
runs it, git processes: another git takes the place of the first, as 1.1.1 finds git whatever $PATH says.
Read from /proc: processor time with that of children, wake-ups (voluntary context switches), peak memory.
Seconds depend on the machine: only their ratio says something.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

import attrs

from benchmarks.figures import measure, table


def main() -> None:
    """Both programs, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", type=Path, required=True, help="the program heptapod-paas-runner of 1.1.1")
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--concurrent", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    arguments = parser.parse_args()
    own = Path(sys.executable).with_name("heptapod-paas-runner")
    ours, peer = (
        asyncio.run(measure(program, jobs=arguments.jobs, concurrent=arguments.concurrent))
        for program in (own, arguments.peer.resolve())
    )
    if arguments.json:
        print(json.dumps({"paas-runner": attrs.asdict(ours), "1.1.1": attrs.asdict(peer)}, indent=2))
    else:
        print(table(ours, peer))


if __name__ == "__main__":
    main()
