"""A service on PostgreSQL as operators of two machines see it: real programs, a sandbox on loopback."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from paas_runner.config import load
from paas_runner.demo.service_process import ServiceProcess
from paas_runner.executor.contract import installed
from paas_runner.job.orphans import GRACE
from paas_runner.store.database import locked
from tests.support.logged_events import events_in
from tests.support.postgres.server import PASSWORD

pytestmark = [pytest.mark.process]
PROGRAM = Path(sys.executable).parent / "paas-runner"


@pytest.fixture
def shared(real, database):
    """The service's world, with its records in a database."""

    def configure(folder, name):
        top = f'state_store = "{database.url.reveal()}"\nstate_store_member = "{name}"\n'
        real.configure(more=f"paas_orphan_sweep_interval = 0\n{top}")
        if folder != real.config.parent:
            folder.mkdir()
            shutil.copy(real.config, folder / "config.toml")
        return folder / "config.toml"

    real.elsewhere = configure(real.config.parent / "right", "right")
    configure(real.config.parent, "left")
    return real


async def run(config, *command):
    """Exit code, answer and messages of a command, by the configuration of one machine."""
    name, *options = command
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, *name.split(), config, *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    answer, messages = await asyncio.wait_for(process.communicate(), 60)
    assert b"Traceback" not in messages
    assert PASSWORD.encode() not in answer + messages
    return process.returncode, answer.decode(), messages.decode()


@pytest.mark.long
async def test_commands_on_another_machine_see_and_spare_what_the_service_does(shared, database, tmp_path):
    hold = shared.hold()
    cloud, organisation = shared.sandbox.cloud, shared.sandbox.organisation_id
    async with shared.service():
        [job] = shared.submit(script=hold.script)
        await shared.until(lambda: shared.phases("running"))
        [host] = cloud.applications(organisation)
        host.created_at -= 300 * GRACE
        late = cloud.create(organisation, host.definition, host.env)
        late.definition = attrs.evolve(host.definition, name=f"{host.definition.name}0")
        late.created_at -= 300 * GRACE

        code, answer, _ = await run(shared.elsewhere, "status")
        assert code == 1
        assert answer.startswith("paas-runner is not running here, but at left; ")
        assert "nothing is done: left goes on with it" in answer
        code, answer, _ = await run(shared.elsewhere, "explain", str(job.job_id))
        assert (code, "is running" in answer) == (0, True)
        code, answer, _ = await run(shared.elsewhere, "orphans", "--delete", "--json")
        verdicts = {each["host"]: each["verdict"] for each in json.loads(answer)["hosts"]}
        assert (verdicts[host.id], verdicts[late.id]) == ("tracked", "orphan")
        assert host.id in {each.id for each in cloud.applications(organisation)}
        code, answer, _ = await run(shared.elsewhere, "check", "--json")
        results = {each["text"] for each in json.loads(answer)["results"] if each["subject"] == "state_store"}
        assert any(text.startswith("works on it: left (") for text in results)
        code, _, messages = await run(
            shared.config, "store copy", "--from", "config", "--to", str(tmp_path / "copy.db")
        )
        assert (code, "a service works on it" in messages) == (75, True)
        code, answer, _ = await run(shared.config, "status")
        assert (code, f"shares {database}, mode standby: works; nobody stands by" in answer) == (0, True)
        text = shared.config.read_text()
        shared.config.write_text(text.replace("state_store =", 'state_store = "credential:url" #'))
        code, answer, messages = await run(shared.config, "explain", str(job.job_id))
        assert (code, "is running" in answer) == (0, True), "the service knows it, whatever we may read"
        assert "jobs of that id which are gone are not known: " in messages
        shared.config.write_text(text)
        hold.release()
        await shared.until(lambda: events_in(shared.log, "job_gone"))
    code, answer, _ = await run(shared.elsewhere, "status")
    assert answer.startswith("paas-runner is not running anywhere; ")
    code, answer, _ = await run(shared.elsewhere, "costs", "--by", "job", "--json")
    assert [row["job"] for row in json.loads(answer)["rows"]] == [job.job_id]
    code, _, _ = await run(shared.config, "store copy", "--from", "config", "--to", str(tmp_path / "copy.db"))
    assert code == 0
    assert PASSWORD not in shared.printed()


@pytest.mark.long
async def test_what_is_asked_on_one_machine_is_done_on_both(shared):
    heard = []
    other = ServiceProcess(shared.elsewhere, heard.append)
    async with shared.service():
        await shared.until(lambda: events_in(shared.log, "section_taken"))
        await other.start()
        await shared.until(lambda: events_in(heard, "started"))
        code, answer, _ = await run(shared.elsewhere, "status")
        assert (code, "standby: left (1 runner) works" in answer) == (0, True)
        code, answer, _ = await run(shared.elsewhere, "pause", "real")
        assert (code, answer) == (0, 'runner "real" paused\ntold left: it holds there, too\n')
        await shared.until(lambda: " paused " in command_output(shared.config, "status"))
        code, answer, _ = await run(shared.config, "reload")
        assert (code, answer.splitlines()) == (
            0,
            [
                "nothing has changed",
                "told right: each reads its own configuration, and its log says what has changed",
            ],
        )
        await shared.until(
            lambda: [event for event in events_in(heard, "word_heard") if event["word"] == "reload"]
        )
        code, answer, _ = await run(shared.elsewhere, "resume", "real")
        assert (code, answer.splitlines()[0]) == (0, 'runner "real" resumed')
        code, answer, messages = await run(shared.elsewhere, "drain", "--json")
        assert (code, json.loads(answer)["drained"]) == (0, True)
        assert messages.startswith("told left: all processes with this store drain\n")
        assert await other.wait() == 0
        await shared.until(lambda: events_in(shared.log, "drained"))


def command_output(config, *command):
    done = subprocess.run(
        [PROGRAM, *command, config], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout


async def test_two_services_beside_one_state_file_are_refused(shared):
    config = load(shared.config, environ=os.environ, executors=installed())
    with locked(config.store_path):
        done = await asyncio.to_thread(served, shared.config)
    assert done.returncode == 75
    assert "another paas-runner works on this state" in done.stderr


@pytest.mark.long
async def test_a_service_without_its_database_says_so_once_and_ends_with_74(shared, database):
    without_its_database(shared, database)
    done = await asyncio.to_thread(served, shared.config)
    assert done.returncode == 74
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert events == ["store_awaited", "records_unusable"]
    assert PASSWORD not in done.stderr


async def test_a_stop_ends_the_waiting_for_a_database(shared, database):
    without_its_database(shared, database)
    service = await shared.start()
    await shared.until(lambda: events_in(shared.log, "store_awaited"))
    assert await service.terminate() == 0
    assert [event["event"] for event in shared.log] == ["store_awaited", "stopped"]


def without_its_database(shared, database):
    url = database.url.reveal()
    port = url.rpartition(":")[2].partition("/")[0]
    text = shared.config.read_text()
    shared.config.write_text(text.replace(url, url.replace(f":{port}/", ":1/")))


def served(config):
    """A service that ends by itself."""
    return subprocess.run([PROGRAM, "run", config], capture_output=True, text=True, timeout=90, check=False)
