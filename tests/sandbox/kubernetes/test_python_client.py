"""The official Python client on the simulated cluster, unmodified."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from paas_runner.sandbox.kubernetes import ClusterOptions, KubernetesServer, Script, ScriptedRuntime
from tests.support.kubernetes_clients import kubernetes_clients

PROGRAM = Path(__file__).parents[2] / "support/kubernetes_watcher.py"
SCRIPTS = {"hello": Script(lines=[(0.1, "one"), (0.2, "two")])}

pytestmark = pytest.mark.long


@attrs.frozen
class Client:
    """A program of the client, whose start takes seconds."""

    process: asyncio.subprocess.Process

    async def __call__(self, story: str) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{story}\n".encode())
        return json.loads(await self.process.stdout.readline())


async def test_the_client_lives_with_the_cluster(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    python = kubernetes_clients(pytestconfig) / "bin/python"
    options = ClusterOptions(bookmark_every=timedelta(seconds=1))
    pipe = asyncio.subprocess.PIPE
    async with KubernetesServer(ScriptedRuntime(SCRIPTS), options, tls=True) as server:
        server.write_kubeconfig(tmp_path / "config")
        process = await asyncio.create_subprocess_exec(
            python, PROGRAM, tmp_path / "config", stdin=pipe, stdout=pipe
        )
        client = Client(process)

        told = await client("life")
        assert told["data"] == {"a": "Yg=="}
        assert told["seen"][-1] == ["MODIFIED", ["SuccessCriteriaMet", "Complete"]]
        assert (told["phase"], told["log"], told["lines"]) == ("Succeeded", "one\ntwo\n", ["one", "two"])
        quiet = await client("bookmarks")
        assert set(quiet["kinds"]) <= {"BOOKMARK"}
        assert quiet["version"] == str(server.cluster.storage.version)
        assert server.cluster.left == ["Secret/given"]

        server.cluster.storage.forget()
        assert (await client(f"too-old {told['begin']}"))["status"] == 410

        assert await client("refusals") == [[404, "NotFound"], [422, "Invalid"]]
        await process.communicate(b"")
        assert process.returncode == 0
