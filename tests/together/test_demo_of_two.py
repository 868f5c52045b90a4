"""`paas-runner demo --ha`, as a person sees it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from paas_runner.demo import database
from paas_runner.errors import RunnerError
from tests.support.postgres.server import folder_of_programs

PROGRAM = Path(sys.executable).with_name("paas-runner")


def demo(*arguments):
    return subprocess.run(
        [PROGRAM, "demo", "--ha", *arguments], check=False, timeout=140, capture_output=True, text=True
    )


@pytest.mark.long
@pytest.mark.process
@pytest.mark.timeout(200)
def test_one_of_two_services_is_killed_and_all_jobs_come_to_their_end():
    folder_of_programs()
    told = demo("--json")
    assert told.returncode == 0, told.stdout + told.stderr
    document = json.loads(told.stdout)
    assert (document["verdict"], document["problems"], document["hosts"]["left"]) == ("kept", [], 0)
    assert 0 < document["takeover_seconds"] <= 20
    course = "\n".join(document["course"])
    steps = ["two started", "one: kill -9", "two: took over", "one: started again"]
    assert sorted(steps, key=course.index) == steps
    assert {job["status"] for job in document["jobs"]} == {"success", "failed"}


async def test_without_a_server_it_says_what_is_to_be_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(database, "_DEBIANS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunnerError, match="apt-get install postgresql"):
        async with database.database_server():
            pass


def test_a_page_of_two_services_is_refused_in_words():
    told = demo("--page")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == (
        "paas-runner demo: --page shows one service, and --ha starts two: leave out one of them\n"
    )
