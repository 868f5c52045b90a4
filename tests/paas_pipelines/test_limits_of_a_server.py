"""`[pipelines.limits]` of a whole server: what stands in the settings file is what it does (§7, §10)."""

import asyncio
import contextlib

from paas_pipelines.runs.run import TaskStatus
from paas_pipelines.server.assembly import opened
from paas_pipelines.server.settings import Settings

from paas_runner.secret import Secret
from paas_runner.service.systemd import ServiceManager
from tests.support.triggered import HOOK_SECRET

DEFINITIONS = """\
pipelines:
  asks: {concurrency: 9, tasks: {sure: {type: approval}}}
  builds: {tasks: {build: {executor: {type: runner, image: any}, requires_worker: [gpu=1], script: [make]}}}
  ci:
    triggers: {push: {provider: github, secret: {from_credential: hook}}}
    tasks: {a: {script: ["true"]}}
"""
CONFIG = """\
[pipelines.limits]
open_approvals = 2
read_seconds = 1
stuck_after = 1
[[pipelines.access]]
identity = "pipeline/ci"
method = "use"
resource = "credential=hook"
[pipelines.credentials.hook]
type = "text"
value = "{secret}"
"""


@contextlib.asynccontextmanager
async def limited(tmp_path):
    """A server that works, and its port."""
    (tmp_path / "pipelines.yml").write_text(DEFINITIONS)
    config = tmp_path / "settings.toml"
    config.write_text(CONFIG.format(secret=HOOK_SECRET.reveal()))
    config.chmod(0o600)
    settings = Settings(
        path=tmp_path,
        pattern="pipelines.yml",
        data=tmp_path / "data",
        jwt_secret=Secret("0123456789abcdef"),
        address=f"unix:{tmp_path}/s",
        settings=config,
    )
    async with opened(settings, ServiceManager()) as server:
        working = asyncio.create_task(server.conductor.run())
        yield server.engine
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


async def ended(engine, run):
    async with asyncio.timeout(60):
        while not engine.book.run(run.run_id).ended:
            await asyncio.sleep(0.01)
    return engine.book.run(run.run_id)


async def answered(tmp_path, request):
    """The status of what never comes to its end."""
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
    writer.write(request)
    async with asyncio.timeout(8):
        line = await reader.readline()
    writer.close()
    return int(line.split()[1])


async def test_more_approvals_than_may_be_open_fail(tmp_path):
    async with limited(tmp_path) as engine:
        blocked = [engine.schedule("asks", variables={}) for _ in range(2)]
        async with asyncio.timeout(60):
            while len(engine.blocked()) < 2:
                await asyncio.sleep(0.01)
        third = await ended(engine, engine.schedule("asks", variables={}))
        assert third.task("sure").error == "no more approvals may be open than 2"
        engine.cancel(blocked[0].run_id)
        fourth = engine.schedule("asks", variables={})
        async with asyncio.timeout(60):
            while engine.book.run(fourth.run_id).task("sure").status is not TaskStatus.BLOCKED:
                await asyncio.sleep(0.01)


async def test_a_delivery_that_does_not_come_and_a_worker_that_nobody_is_are_not_waited_for(tmp_path):
    async with limited(tmp_path) as engine:
        run = engine.schedule("builds", variables={})
        head = b"POST /hooks/ci/push HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
        assert await answered(tmp_path, head) == 408
        run = await ended(engine, run)
        assert run.task("build").error == "no worker has gpu=1 for 1 s"
