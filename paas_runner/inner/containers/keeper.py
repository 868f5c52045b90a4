"""Removes all that a job has on the engine once the inner runner is done with it, or is no more.

A process of its own, so that even the sudden death of the inner runner leaves nothing behind:

- standard input: the engine's address and the job's label as one line of JSON, then nothing; one more byte
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
from collections.abc import Mapping, Sequence

from paas_runner.docker.engine import Address, Engine
from paas_runner.docker.errors import SettingNames
from paas_runner.docker.labels import remove_all
from paas_runner.errors import RemoteError

_LONGEST_SECONDS = 120.0  # for an engine that does not answer, when no one else is left to remove it
_PAUSE_SECONDS = 1.0
_QUIET_SECONDS = 3.0  # within which the engine has made what a dead runner asked it for
_ROUNDS = 50
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # it ends when the other end of its input does


def main() -> int:
    """Remove twice: what there is before the job, and what there is after it."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    task = json.loads(sys.stdin.readline())
    names = SettingNames(**task["engine"].pop("names"))
    address, labels = Address(**task["engine"], names=names), task["labels"]
    if _complained(_removed(address, labels, quiet_seconds=0)):
        return 1
    print("ready", flush=True)
    alive = bool(sys.stdin.read())
    return _complained(_removed_in_the_end(address, labels, alive=alive))


def _removed(address: Address, labels: Mapping[str, str], *, quiet_seconds: float) -> Sequence[str]:
    """What resists, or why it cannot be known; empty when nothing is left."""
    try:
        with contextlib.closing(Engine(address)) as engine:
            left = engine.call_here(
                "remove what the job has",
                lambda client: remove_all(client, labels, rounds=_ROUNDS, quiet_seconds=quiet_seconds),
            )
    except RemoteError as error:
        return [error.text]
    return [str(each) for each in left]


def _removed_in_the_end(address: Address, labels: Mapping[str, str], *, alive: bool) -> Sequence[str]:
    """The same; a dead runner's keeper does not give up soon."""
    if alive:
        return _removed(address, labels, quiet_seconds=0)
    ends = time.monotonic() + _LONGEST_SECONDS
    while (left := _removed(address, labels, quiet_seconds=_QUIET_SECONDS)) and time.monotonic() < ends:
        time.sleep(_PAUSE_SECONDS)
    return left


def _complained(left: Sequence[str]) -> bool:
    if left:
        print(", ".join(left), file=sys.stderr)
    return bool(left)


if __name__ == "__main__":
    raise SystemExit(main())
