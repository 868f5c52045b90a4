"""The inner runner's side of the keeper (`keeper.py`)."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator

import attrs

from paas_runner.inner.containers.engine import EngineAddress, EngineError
from paas_runner.inner.trace import Narrator

_MODULE = "paas_runner.inner.containers.keeper"
_WELL = b"."


@contextlib.asynccontextmanager
async def kept(address: EngineAddress, mark: str, narrator: Narrator) -> AsyncIterator[None]:
    """Within, nothing is left of an earlier run of the job; after it, nothing of this one.

    Raises `EngineError` when there is no engine, or something on it resists.
    """
    keeper = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", _MODULE),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    if keeper.stdin is None or keeper.stdout is None:
        raise RuntimeError("a keeper is started with pipes")
    try:
        order = json.dumps({"engine": attrs.asdict(address), "mark": mark})
        keeper.stdin.write(f"{order}\n".encode())
        if not await keeper.stdout.readline():
            raise EngineError("to prepare the Docker engine", await _complaint(keeper))
        yield
    finally:
        complaint = await _complaint(keeper, last=_WELL)
        if complaint and keeper.returncode:
            narrator.warning(f"Something of this job is left on the Docker engine: {complaint}")


async def _complaint(keeper: asyncio.subprocess.Process, last: bytes = b"") -> str:
    """Its words, when it has ended; `last` is what it is told."""
    _, words = await keeper.communicate(last)
    return (words or b"").decode(errors="replace").strip()
