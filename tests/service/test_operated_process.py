"""The real program, reloaded, paused and drained by signals and commands."""

import asyncio
import json
import signal
import sys

import attrs
import pytest

from paas_runner.control import RefusedError, ask, control_path
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.sandbox.server import Sandbox, SandboxOptions
from paas_runner.server.waiting import settled
from tests.service.conftest import RealWorld

pytestmark = [pytest.mark.long, pytest.mark.process]


QUICK = SandboxOptions(
    coordinator=lambda options: attrs.evolve(options, long_poll_seconds=0.5, trace_interval_seconds=1)
)


class OperatedProcess(RealWorld):
    """The real world with an operator's commands."""

    @property
    def runner(self):
        [runner] = self.sandbox.coordinator.runners
        return runner

    def rotate(self):
        self.sandbox.coordinator.runners.reset_token(self.runner.runner_id)
        self.sandbox.runner_token = self.runner.token

    async def command(self, *arguments):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "paas_runner", arguments[0], str(self.config), *arguments[1:]),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    async def reload(self):
        """As the command does it, without a new process each time."""
        path = control_path(self.state_file)
        return await asyncio.to_thread(lambda: list(ask(path, {"ask": "reload"})))

    def events(self, text):
        return [event for event in self.log if text in event["event"]]


@pytest.fixture
async def real(tmp_path):
    async with Sandbox(QUICK) as sandbox:
        world = OperatedProcess(sandbox, tmp_path)
        world.configure()
        yield world


@pytest.mark.long
async def test_thirty_reloads_of_the_process_under_load_lose_nothing(real):
    real.configure(concurrent=8)
    watching = asyncio.ensure_future(real.watch())
    refused = 0
    async with real.service() as service:
        await real.until(lambda: real.events("started"))
        jobs = []
        for number in range(30):
            jobs += real.submit(1 + number % 2, script=("sleep 1",))
            if number % 6 == 3:
                real.rotate()
            real.configure(concurrent=6 + number % 5, runner=f"limit = {number % 4 * 3}")
            if number % 3 == 2:
                real.config.write_text(real.config.read_text() + "\nlimit = broken")
            if number % 10 == 9:
                told = len(real.events("configuration_re"))
                service.signal(signal.SIGHUP)
                await real.until(lambda told=told: len(real.events("configuration_re")) > told)
            else:
                try:
                    await real.reload()
                except RefusedError:
                    refused += 1
            await asyncio.sleep(0.1)
        real.configure(concurrent=10)
        await real.reload()
        await real.settled(jobs)
    watching.cancel()
    assert len(jobs) == 45
    assert refused + len(real.events("refused")) >= 10
    assert {job.status for job in jobs} == {"success"}
    assert {job.count(LedgerKind.ACQUIRED) for job in jobs} == {1}
    assert real.launches == [1] * 45
    assert real.most_alive <= 10
    assert "Traceback" not in real.printed()


async def test_reload_tells_the_changes_and_refuses_with_another_code(real):
    async with real.service():
        await real.until(lambda: real.events("started"))
        real.configure(concurrent=4, more='log_level = "debug"')
        code, out, _ = await real.command("reload")
        assert code == 0
        assert out.startswith('concurrent: 10 → 4\nlog_level: "info" → "debug"\n')
        await real.until(lambda: [event for event in real.log if event["level"] == "debug"])
        real.configure(concurrent=4, more='log_level = "debug"\npaas_costs_keep_days = 7')
        assert (await real.command("reload"))[1] == "paas_costs_keep_days: waits for a restart\n"
        real.config.write_text("concurrent = 1")
        code, _, err = await real.command("reload")
        assert code == 1
        assert "at least one [[runners]] section" in err
        real.configure()


async def test_drain_sees_the_jobs_through_and_certifies_it(real):
    service = await real.start()
    await real.until(lambda: real.events("started"))
    hold = real.hold()
    jobs = real.submit(3, script=hold.script)
    await real.until(lambda: len(real.phases("running")) == 3)
    draining = asyncio.ensure_future(real.command("drain", "--json"))
    await real.until(lambda: real.events("draining"))
    hold.release()
    code, out, err = await draining
    assert await service.wait() == 0
    assert code == 0, err
    certificate = json.loads(out)
    assert certificate["drained"]
    assert certificate["hosts"] == certificate["open_intents"] == certificate["unreported"] == 0
    assert "jobs left: 3 running" in err
    assert {job.status for job in jobs} == {"success"}
    assert not real.alive
    assert real.events("drained")[0]["hosts"] == 0


async def test_sigquit_drains_and_what_is_left_is_in_the_log_and_the_exit_code(real):
    real.configure(more="paas_finished_jobs_keep_resources = true")
    service = await real.start()
    await real.until(lambda: real.events("started"))
    [job] = real.submit()
    await settled(real.sandbox.coordinator, [job.job_id])
    service.signal(signal.SIGQUIT)
    assert await service.wait() == 3
    [left] = real.events("drained_with_leftovers")
    assert left["left_hosts"][0]["name"].endswith(f"-{job.job_id}")


async def test_the_hosts_of_a_runner_with_another_token_are_still_known_as_its_own(real):
    keep = "paas_finished_jobs_keep_resources = true"
    real.configure(more=keep)
    async with real.service():
        await real.until(lambda: real.events("started"))
        [job] = real.submit()
        await settled(real.sandbox.coordinator, [job.job_id])
        await real.until(lambda: real.events("host_left_in_place"))
        real.rotate()
        real.configure(more=keep)
        await real.reload()
    code, out, err = await real.command("orphans", "--json")
    assert code == 0, err
    [host] = json.loads(out)["hosts"]
    assert host["name"].endswith(f"-{job.job_id}")
    assert host["verdict"] == "kept"
    code, out, err = await real.command("costs", "--by", "runner", "--json")
    assert code == 0, err
    assert [row["name"] for row in json.loads(out)["rows"]] == ["real"]


async def test_a_pause_outlives_a_restart(real):
    async with real.service():
        await real.until(lambda: real.events("started"))
        assert await real.command("pause", "real") == (0, 'runner "real" paused\n', "")
    async with real.service():
        await real.until(lambda: len(real.events("started")) == 2)
        assert real.events("started")[1]["paused"] == ["real"]
        [job] = real.submit()
        _, out, _ = await real.command("status", "--json")
        [runner] = json.loads(out)["runners"]
        assert (runner["state"], job.count(LedgerKind.ACQUIRED)) == ("paused", 0)
        assert await real.command("resume", "real") == (0, 'runner "real" resumed\n', "")
        await real.settled([job])


@pytest.mark.parametrize("command", [("reload",), ("drain", "--wait"), ("pause", "real")])
async def test_a_service_that_is_down_cannot_be_asked(real, command):
    code, _, err = await real.command(*command)
    assert code == 1
    assert "the service is not running" in err
