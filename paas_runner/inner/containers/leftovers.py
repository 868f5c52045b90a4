"""Nothing of a job stays on the engine: what is made for it has labels, and a keeper removes all of it.

Every object has the label of its job at its coordinator, and those that the host's owner wants
(`PAAS_RUNNER_OBJECT_LABELS`), by which an executor finds it. The keeper is a process of its own
(`keeper.py`).
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping

import attrs

from paas_runner.docker.engine import Address
from paas_runner.docker.labels import INNER_JOB, OBJECT_LABELS_VARIABLE, parse_labels
from paas_runner.errors import Rejected
from paas_runner.inner.trace import Narrator

_KEEPER = "paas_runner.inner.containers.keeper"
_WELL = b"."


def job_label(url: str, job_id: int) -> dict[str, str]:
    """The label that no other job of any coordinator has."""
    return {INNER_JOB: f"{url}/jobs/{job_id}"}


def object_labels(url: str, job_id: int, environment: Mapping[str, str]) -> dict[str, str]:
    """All labels of what is made for a job."""
    return {**parse_labels(environment.get(OBJECT_LABELS_VARIABLE, "")), **job_label(url, job_id)}


@contextlib.asynccontextmanager
async def kept_clear(address: Address, label: Mapping[str, str], narrator: Narrator) -> AsyncIterator[None]:
    """Within, nothing is left of an earlier run of the job; after it, nothing of this one.

    Raises `Rejected` when there is no engine, or something on it resists.
    """
    keeper = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", _KEEPER),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    if keeper.stdin is None or keeper.stdout is None:
        raise RuntimeError("a keeper is started with pipes")
    try:
        task = json.dumps({"engine": attrs.asdict(address), "labels": label}, default=str)
        keeper.stdin.write(f"{task}\n".encode())
        if not await keeper.stdout.readline():
            complaint = await _complaint(keeper)
            raise Rejected(complaint, service=address.service, op="prepare the Docker engine")
        yield
    finally:
        complaint = await _complaint(keeper, last=_WELL)
        if complaint and keeper.returncode:
            narrator.warning(f"Something of this job is left on the Docker engine: {complaint}")


async def _complaint(keeper: asyncio.subprocess.Process, last: bytes = b"") -> str:
    """What it complains of, when it has ended; `last` is sent to it before."""
    _, words = await keeper.communicate(last)
    return (words or b"").decode(errors="replace").strip()
