"""`paas-runner status` and `explain`, the signals and the old options: the real programs, on loopback."""

import asyncio
import fcntl
import json
import os
import re
import signal
import stat
import struct
import sys
import termios
import time
from datetime import timedelta
from pathlib import Path

import pytest

from paas_runner.commands.progress import CLEAR
from paas_runner.control import control_path
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Hang
from tests.support.live_records import submitted
from tests.support.logged_events import events_in
from tests.support.requirements import pseudo_terminal

pytestmark = pytest.mark.process
PROGRAMS = Path(sys.executable).parent


async def start(command, config, *options):
    return await asyncio.create_subprocess_exec(
        PROGRAMS / "paas-runner",
        command,
        config,
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(command, config, *options):
    """Exit code, answer and messages of a command."""
    process = await start(command, config, *options)
    answer, messages = await asyncio.wait_for(process.communicate(), 60)
    assert b"Traceback" not in messages
    return process.returncode, answer.decode(), messages.decode()


async def started(world):
    await world.until(lambda: events_in(world.log, "started"))


async def test_the_state_is_the_same_from_the_service_and_from_its_store_once_it_is_down(real):
    hold = real.hold()
    async with real.service():
        [job] = real.submit(script=hold.script)
        await real.until(lambda: real.phases("running"))
        code, answer, _ = await run("status", real.config, "--json")
        up = json.loads(answer)
        code_of_page, page, _ = await run("status", real.config)
        assert (code, code_of_page) == (0, 0)
        assert page.startswith("paas-runner 0")
        socket = control_path(real.state_file)
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    code, answer, _ = await run("status", real.config, "--json")
    down = json.loads(answer)
    assert code == 1
    assert not socket.exists()
    assert (up["service"]["state"], down["service"]["state"]) == ("running", "down")
    for report in (up, down):
        assert report["capacity"]["concurrent"] == {"used": 1, "limit": 10}
        [shown] = report["jobs"]
        assert (shown["job"], shown["phase"], shown["flavor"]) == (job.job_id, "running", "M")
    assert up["jobs"][0]["host"] == down["jobs"][0]["host"]
    assert down["jobs"][0]["next"] is None
    assert (await run("status", real.config))[1].startswith(
        "paas-runner is not running; this is what it left"
    )
    hold.release()
    async with real.service():
        await real.settled([job])


async def test_explain_follows_a_job_from_its_launch_to_after_its_end(real):
    hold = real.hold()
    real.sandbox.cloud.options = CloudOptions(repository_delay=timedelta(seconds=1))
    async with real.service():
        [job] = real.submit(script=hold.script)
        await real.until(lambda: real.phases("launched"))
        code, while_it_lives, _ = await run("explain", real.config, str(job.job_id))
        assert code == 0
        assert "host created: app_" in while_it_lives
        assert re.search(r"the host does not take the job yet \(\d+ times", while_it_lives)
        assert "\n      next  " in while_it_lives
        hold.release()
        await real.settled([job])
        await real.until(lambda: real.phases("gone"))
        code, afterwards, _ = await run("explain", real.config, str(job.job_id))
        assert code == 0
        assert "is gone: nothing is left to be done about it" in afterwards
        assert "the host is gone: after" in afterwards
    code, down, _ = await run("explain", real.config, str(job.job_id), "--json")
    [explanation] = json.loads(down)
    assert (code, explanation["job"], explanation["key"]["job_id"]) == (0, None, job.job_id)
    assert (await run("explain", real.config, f"{explanation['key']['runner']}/{job.job_id}"))[0] == 0
    assert (await run("explain", real.config, f"hpd-job-{explanation['key']['runner']}-{job.job_id}"))[0] == 0


async def test_explain_of_a_job_that_nobody_knows_says_so(real):
    async with real.service():
        await started(real)
        assert (await run("explain", real.config, "12345"))[0::2] == (
            1,
            "paas-runner explain: nothing is known of job 12345: it was never here, or long ago\n",
        )
    assert (await run("explain", real.config, "12345"))[0] == 1
    code, _, messages = await run("explain", real.config, "the last one")
    assert code == 2
    assert '"the last one" is no job: 42, RUNNER/42 or hpd-job-RUNNER-42 is' in messages


async def test_a_service_that_never_ran_is_told_so(real):
    code, _, messages = await run("status", real.config)
    assert code == 74
    assert "there is no store; has the service ever run with this configuration?" in messages


async def test_a_file_that_is_wrong_by_now_hides_a_running_service_from_nobody(real):
    async with real.service():
        await started(real)
        real.config.write_text('concurrent = "many"\n')
        assert (await run("status", real.config))[0] == 0
        real.configure()


async def test_who_watches_through_a_pipe_gets_a_line_for_each_change(real):
    async with real.service():
        await started(real)
        watching = await start("status", real.config, "--watch")
        assert b"service: running" in await watching.stdout.readline()
        assert b"runner real: polling" in await watching.stdout.readline()
        [job] = real.submit(script=("sleep 3",))
        assert f"/{job.job_id}: ".encode() in await asyncio.wait_for(watching.stdout.readline(), 20)
        watching.send_signal(signal.SIGINT)
        assert await watching.wait() == 0
        await real.settled([job])


@pytest.mark.long
async def test_on_a_terminal_the_page_is_drawn_again_no_larger_than_that_and_whatever_a_job_is_called(real):
    hold = real.hold()
    async with real.service():
        jobs = [
            submitted(real.sandbox.coordinator, JobSpec(name="\x1b[2Jgone", script=hold.script))
            for _ in range(3)
        ]
        await real.until(lambda: len(real.phases("running")) == 3)
        assert "acquired: its name is  [2Jgone" in (await run("explain", real.config, "1"))[1]
        ours, theirs = pseudo_terminal()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 50, 0, 0))
        unsized = {name: value for name, value in os.environ.items() if name not in {"LINES", "COLUMNS"}}
        watching = await asyncio.create_subprocess_exec(
            *(PROGRAMS / "paas-runner", "status", real.config, "--watch"),
            stdout=theirs,
            stderr=theirs,
            env=unsized,
        )
        os.close(theirs)
        shown = ""
        while shown.count(CLEAR) < 2:
            shown += (await asyncio.to_thread(os.read, ours, 65536)).decode()
        watching.send_signal(signal.SIGINT)
        assert await watching.wait() == 0
        os.close(ours)
        drawn = shown.split(CLEAR)[1].splitlines()
        assert "paas-runner 0" in drawn[0]
        assert len(drawn) == 11
        assert max(map(len, drawn)) <= 50
        assert drawn[1].endswith(" s")  # of the first line: no word is cut
        assert re.fullmatch("… [0-9]+ more lines", drawn[-1])
        hold.release()
        await real.settled(jobs)


@pytest.mark.long
async def test_a_watched_service_that_stops_and_starts_again_is_watched_on(real):
    watching = None
    for _ in range(2):
        async with real.service():
            count = len(events_in(real.log, "started"))
            await real.until(lambda count=count: len(events_in(real.log, "started")) > count)
            watching = watching or await start("status", real.config, "--watch", "--json")
            while json.loads(await watching.stdout.readline())["service"]["state"] != "running":
                pass
    while json.loads(await watching.stdout.readline())["service"]["state"] != "down":
        pass
    watching.send_signal(signal.SIGINT)
    assert await watching.wait() == 0


async def test_sigusr1_logs_the_state_without_any_secret(real):
    hold = real.hold()
    async with real.service() as service:
        [job] = real.submit(script=hold.script)
        await real.until(lambda: real.phases("running"))
        service.signal(signal.SIGUSR1)
        await real.until(lambda: events_in(real.log, "job_state"))
        names = ("service_state", "runner_state", "job_state")
        [state], [runner], [shown] = (events_in(real.log, name) for name in names)
        assert state["concurrent"] == {"used": 1, "limit": 10}
        assert runner["name"] == "real"
        assert (shown["job"], shown["phase"]) == (job.job_id, "running")
        for secret in (real.sandbox.runner_token, real.sandbox.cloud_token):
            assert secret.reveal() not in json.dumps([state, runner, shown])
        hold.release()
        await real.settled([job])


@pytest.mark.long
async def test_the_socket_of_a_killed_service_is_replaced_by_the_next_one(real):
    service = await real.start()
    await started(real)
    service.signal(signal.SIGKILL)
    await service.wait()
    assert control_path(real.state_file).is_socket()
    assert (await run("status", real.config))[0] == 1
    async with real.service():
        await real.until(lambda: len(events_in(real.log, "started")) == 2)
        assert (await run("status", real.config))[0] == 0


async def test_a_second_service_takes_nothing_away_from_the_first(real):
    async with real.service():
        await started(real)
        assert await (await real.start()).wait() == 75
        assert (await run("status", real.config))[0] == 0


@pytest.mark.long
async def test_a_second_signal_ends_the_service_at_once_even_while_it_pushes_and_everything_is_recorded(real):
    hanging = real.sandbox.cloud_faults.add(Hang(), path="**git-receive-pack**")
    service = await real.start()
    jobs = real.submit(3, script=("sleep 1",))
    await real.until(lambda: len(real.phases("launching")) == 3)
    await real.until(lambda: hanging.applied >= 3)
    service.signal(signal.SIGTERM)
    await real.until(lambda: events_in(real.log, "stopping"))
    began = time.monotonic()
    service.signal(signal.SIGTERM)
    service.signal(signal.SIGTERM)
    assert await service.wait() == 0
    assert time.monotonic() - began < 15
    assert events_in(real.log, "stopped_at_once")
    real.sandbox.cloud_faults.clear()
    left = json.loads((await run("status", real.config, "--json"))[1])
    assert [job["phase"] for job in left["jobs"]] == ["launching"] * 3
    async with real.service():
        await real.settled(jobs)
    assert {job.status for job in jobs} == {"success"}
    assert {job.count(LedgerKind.ACQUIRED) for job in jobs} == {1}
    assert real.launches == [1] * 3


async def test_options_of_heptapod_paas_runner_are_taken_with_a_word_on_what_to_use_instead(real):
    real.config.write_text(real.config.read_text().replace("check_interval = 0.2", ""))
    [job] = real.submit(script=("true",))
    process = await asyncio.create_subprocess_exec(
        PROGRAMS / "heptapod-paas-runner",
        real.config,
        *("--poll-cycles", "2", "--poll-interval", "1", "--job-progress-poll-interval", "1"),
        *("--debug-signal", "-l", "WARN"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, log = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    notes = [json.loads(line).get("note", "") for line in log.splitlines()]
    assert "the option --poll-interval is deprecated: set `check_interval` instead" in notes
    deprecated = (
        "the option --job-progress-poll-interval is deprecated: set `job_progress_poll_interval` instead"
    )
    assert deprecated in notes
    assert job.count(LedgerKind.ACQUIRED) == 1
    async with real.service():
        await started(real)
        await real.settled([job])


@pytest.mark.parametrize(
    "options",
    [
        ("--poll-interval", "nan"),
        ("--poll-interval", "-1"),
        ("--poll-cycles", "-1"),
        ("--poll-cycles", "two"),
    ],
)
async def test_senseless_values_of_options_are_refused(real, options):
    code, _, messages = await run("run", real.config, *options)
    assert code == 2
    assert "expected" in messages
