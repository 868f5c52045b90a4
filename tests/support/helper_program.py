"""The helper service as a process, and a client for it that knows nothing of ours."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import httpx

TOKEN = "correct-horse-battery-staple"


@attrs.define(kw_only=True)
class HelperMachine:
    """A machine with a folder, on which the service is started and may be again."""

    folder: Path
    arguments: tuple[str, ...] = ("--http1",)
    environment: dict[str, str] = attrs.field(factory=dict)
    told: list[str] = attrs.field(factory=list)

    @contextlib.asynccontextmanager
    async def started(self) -> AsyncIterator["Helper"]:
        """One process, which does not outlive the block."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "paas_runner.inner", "serve", "--listen-address", "127.0.0.1:0"),
            *("--state", str(self.folder), *self.arguments),
            env={
                "PATH": os.environ["PATH"],
                "HEPTAPOD_PAAS_RUNNER_TOKEN": TOKEN,
                **self.environment,
            },
            stderr=asyncio.subprocess.PIPE,
        )
        listening = asyncio.get_running_loop().create_future()
        reading = asyncio.create_task(self._read(process, listening))
        try:
            port = await asyncio.wait_for(listening, 30)
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Authorization": f"Bearer {TOKEN}"},
                timeout=60,
                trust_env=False,
            ) as client:
                yield Helper(process=process, port=port, client=client)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await reading

    async def _read(self, process: asyncio.subprocess.Process, listening: "asyncio.Future[int]") -> None:
        assert process.stderr
        async for line in process.stderr:
            self.told.append(line.decode())
            if "listening on" in self.told[-1] and not listening.done():
                listening.set_result(int(self.told[-1].rpartition(":")[2]))
        if not listening.done():
            listening.set_exception(AssertionError("".join(self.told)))


@attrs.frozen(kw_only=True)
class Helper:
    """A service that listens."""

    process: asyncio.subprocess.Process
    port: int
    client: httpx.AsyncClient

    async def launch(self, payload: dict[str, Any], config: str) -> httpx.Response:
        body = {
            "job_id": payload["id"],
            "runner_name": "r",
            "specification": json.dumps(payload),
            "config": config,
        }
        return await self.client.post("/launch-job", json=body)

    async def can_take_job(self) -> bool:
        return bool((await self.client.get("/can-take-job")).json())

    async def status(self, job_id: int) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get(f"/r/{job_id}")).json()
        return found

    async def ended(self, job_id: int) -> int:
        async with asyncio.timeout(60):
            while (status := await self.status(job_id))["running"]:
                await asyncio.sleep(0.05)
        return int(status["exit_code"])

    async def forget(self, job_id: int) -> httpx.Response:
        return await self.client.delete(f"/r/{job_id}")
