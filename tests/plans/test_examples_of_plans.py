"""The examples of paas-plans do what they say."""

import re
import runpy
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "plans" / "examples"


def run(name, *arguments, folder):
    command = [sys.executable, EXAMPLES / name, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_first_plan_greets_the_planets(tmp_path):
    assert run("first_plan.py", folder=tmp_path) == [
        "First plan is completed",
        *(f"Hello, {planet}!" for planet in ("Mercury", "Venus", "Earth")),
    ]


# --- a roll-out to a fleet -------------------------------------------------------------------------------


async def rolled_out(kind):
    """What is told of it, and how the fleet is afterwards."""
    example = runpy.run_path(str(EXAMPLES / "fleet_rollout.py"))
    with example["fleet"](kind) as hosts:
        plan = await example["roll_out"](hosts)
        return list(example["told"](plan)), example["versions"](hosts), plan


async def test_a_healthy_fleet_gets_the_new_version():
    told, versions, plan = await rolled_out("healthy")
    assert told == ["roll out 1.5: completed"]
    assert versions == ["1.5"] * 10
    assert plan.deferred_actions.batches[0].state.status.words == "not started"


@pytest.mark.long
async def test_a_fleet_with_too_many_sick_hosts_gets_the_old_version_back():
    told, versions, plan = await rolled_out("sick")
    assert told[0] == "roll out 1.5: failed (block)"
    assert len(told) in (3, 4)  # one failure is tolerated; with three at once a third may come
    assert all(
        re.match(r"  fleet, http://127\.0\.0\.1:\d+, gate: .* answers 503 ", line) for line in told[1:]
    )
    assert versions == ["1.4"] * 10
    assert plan.blocks[0].state.status.words == "completed"


@pytest.mark.long
async def test_a_fleet_that_fails_its_users_gets_the_old_version_back():
    told, versions, _ = await rolled_out("misleading")
    assert told[0] == "roll out 1.5: failed (continuous check)"
    assert re.fullmatch(r"  continuous checks, errors: \d\d% of the requests fail, 10% may", told[1])
    assert versions == ["1.4"] * 10


# --- a data centre ---------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_upgrade_of_a_data_centre_is_killed_and_goes_on(tmp_path):
    end, _, *rows = run("data_centre.py", "here", folder=tmp_path)
    assert end == "upgrade the data centre: completed"
    work = {}
    for row in rows:
        place, name, status = row[:24].strip(), row[24:46].strip(), row[46:58].strip()
        if "checks" not in place:
            work[place, name] = (status, *(0 if count == "-" else int(count) for count in row[58:].split()))
    assert all(work["row A", name] == ("completed", 1, 0) for _, name in work if name[-2:-1] == "a")
    assert all(calls == ("not started", 0, 0) for (row, _), calls in work.items() if row == "row C")
    again = [name for (_, name), calls in work.items() if calls[1:] == (1, 1)]
    assert 1 <= len(again) <= 2  # two racks at once
    assert work["row B", "upgrade b1"] == ("completed", 1, 1)
    assert all(
        sum(calls[1:]) == 1 for (row, name), calls in work.items() if row == "row B" and name not in again
    )
    assert work["", "switch alarms on"] == work["", "tell the owners"] == ("completed", 0, 1)
    racks = {path.name: path.read_text() for path in (tmp_path / "here").glob("[abc]?")}
    assert len(racks) == 8
    assert set(racks.values()) == {"serving 7.2"}


# --- hosts -----------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("moment", ["the first host is made", "the jobs run", "hosts are removed"])
def test_hosts_of_a_plan_are_gone_after_a_kill_and_a_second_start(engine, tmp_path, moment):
    image = engine.build(
        f"paas-runner-test/sleeper-{uuid.uuid4().hex[:8]}",
        f"FROM {engine.base}\nCOPY gitlab-runner /usr/bin/gitlab-runner\n",
        gitlab_runner="#!/bin/sh\nsleep 1\n",
    )
    folder = tmp_path / "here"
    command = [sys.executable, EXAMPLES / "hosts_with_executors.py", folder, "--image", image]
    command += ["--engine", engine.url]

    def seen():
        """The hosts, and whether each runs."""
        label = {"label": f"paas-runner.installation={(folder / 'installation').read_text()}"}
        with engine.client() as client:
            return [each["State"] for each in client.containers(all=True, filters=label)]

    reached = {
        "the first host is made": seen,
        "the jobs run": lambda: seen().count("running") == 3,
        "hosts are removed": lambda: seen().count("exited") == 3,
    }
    with subprocess.Popen(command) as first:
        ends = time.monotonic() + 60
        while not ((folder / "installation").exists() and reached[moment]()):
            assert time.monotonic() < ends
            assert first.poll() is None
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
    assert seen()
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line for line in done.stdout.splitlines() if " [info " not in line]  # what executors tell
    assert lines[:2] == ["going on with work on hosts", "work on hosts: completed"]
    assert [
        re.fullmatch(r"  job \d: completed, on [0-9a-f]{12}", line) is not None for line in lines[2:]
    ] == [True] * 3
    assert len(set(lines[2:])) == 3
    assert engine.everything(installation=(folder / "installation").read_text()) == set()
    with engine.client() as client:
        client.remove_image(image)
