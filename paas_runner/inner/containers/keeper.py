"""Removes all that a job has on the engine once the inner runner is done with it, or is no more.

A process of its own, so that even the sudden death of the inner runner leaves nothing behind:

- standard input: the engine's address and the job's mark as one line of JSON, then nothing; one more byte
  before its end says that the inner runner is well, and that nothing it has asked for is still being made;
- standard output: one line when all of an earlier run of the same job is gone, and the job may begin;
- standard error: why something could not be removed;
- exit code: 0 if nothing is left.

Where the inner runner is itself in a container the keeper dies with it; there the owner of the host removes
what has the owner's labels.
"""

import contextlib
import json
import signal
import sys
import time
from collections.abc import Sequence

import requests
from docker.errors import DockerException

from paas_runner.inner.containers.engine import EngineAddress
from paas_runner.inner.containers.marks import remove_all

_PATIENCE_SECONDS = 120.0  # for an engine that does not answer, when nobody else is left to remove it
_PAUSE_SECONDS = 1.0
_QUIET_SECONDS = 3.0  # within which the engine has made what a dead runner asked it for
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # ended by whoever holds the other end of our input


def main() -> int:
    """Remove twice: what there is before the job, and what there is after it."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    order = json.loads(sys.stdin.readline())
    address, mark = EngineAddress(**order["engine"]), str(order["mark"])
    if _complained(_removed(address, mark, quiet_seconds=0)):
        return 1
    print("ready", flush=True)
    alive = bool(sys.stdin.read())
    return _complained(_removed_in_the_end(address, mark, alive=alive))


def _removed(address: EngineAddress, mark: str, *, quiet_seconds: float) -> Sequence[str]:
    """What resists, or why it cannot be known; empty when nothing is left."""
    try:
        with contextlib.closing(address.connect()) as client:
            return remove_all(client, mark, quiet_seconds=quiet_seconds)
    except (DockerException, requests.RequestException) as error:
        return [f"{type(error).__name__}: {error}"]


def _removed_in_the_end(address: EngineAddress, mark: str, *, alive: bool) -> Sequence[str]:
    """The same; a dead runner's keeper does not give up soon."""
    if alive:
        return _removed(address, mark, quiet_seconds=0)
    ends = time.monotonic() + _PATIENCE_SECONDS
    while (left := _removed(address, mark, quiet_seconds=_QUIET_SECONDS)) and time.monotonic() < ends:
        time.sleep(_PAUSE_SECONDS)
    return left


def _complained(left: Sequence[str]) -> bool:
    if left:
        print(", ".join(left), file=sys.stderr)
    return bool(left)


if __name__ == "__main__":
    raise SystemExit(main())
