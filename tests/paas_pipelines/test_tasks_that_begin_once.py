"""A task begins once: who has made its file first, and servers that are killed while many tasks begin."""

import os
import random
import time
from collections import Counter

import pytest
from paas_pipelines.tasks.gate import Gate

from paas_runner.inner.keeper import pass_gate
from tests.paas_pipelines.worlds.engine_by_hand import ByHand, defined, task
from tests.support.pipelines_server import PROGRAM, start_server, until

COUNT = 24
DEFINITIONS = """\
pipelines:
  holds:
    concurrency: 9
    tasks:
      hold: {script: ['echo "$RUN" >> begun', 'until test -e go; do sleep 0.05; done']}
  many:
    concurrency: 9
    tasks:
      before: {compare: 'true'}
      say: {depends_on: [before], script: ['echo "{{ .n }}" >> begun']}
"""


def at_work(**more):
    by_hand = ByHand(defined(tasks={"here": task(), "far": task(runner="far")}, **more))
    by_hand.schedule()
    return by_hand, sorted(by_hand.engine.activities(), key=lambda each: each.task.name, reverse=True)


def test_whoever_is_first_has_decided(tmp_path):
    gate, (_, [here, _far]) = Gate(tmp_path / "begun"), at_work()
    path = gate.of(here.run, here.task)
    assert gate.shut([here]) == ()  # it may have begun before there were gates
    pass_gate(str(path))
    assert gate.shut([here]) == set()
    path.unlink()
    for _ in range(2):  # as often as servers are killed at their start
        assert gate.shut([here]) == {("r1", "here")}
    with pytest.raises(FileExistsError):
        pass_gate(str(path))  # a keeper that has outlived its server


def test_what_outlives_the_server_is_none_of_the_gates_business(tmp_path):
    gate, (_, activities) = Gate(tmp_path / "begun"), at_work()
    gate.shut([])
    assert gate.shut(activities) == {("r1", "here")}


def test_what_never_began_begins_with_the_next_attempt_and_its_run_goes_on():
    by_hand, _ = at_work()
    again = ByHand(*by_hand.engine.definitions.values(), stored=[*by_hand.engine.book.runs()])
    again.engine.recover({("r1", "here")})
    assert again.statuses("r1") == {"here": "running", "far": "running"}
    assert again.run("r1").task("here").attempt == 2
    lost = ByHand(*by_hand.engine.definitions.values(), stored=[*by_hand.engine.book.runs()])
    lost.engine.recover({("r2", "here")})
    assert lost.run("r1").canceled


def test_a_hook_that_never_began_begins():
    by_hand = ByHand(defined(tasks={"only": task()}, hook="tell"))
    by_hand.schedule()
    by_hand.ends("r1", code=3)
    for names, status in (({("r1", "on_error")}, "running"), ((), "canceled")):
        again = ByHand(*by_hand.engine.definitions.values(), stored=[*by_hand.engine.book.runs()])
        again.engine.recover(names)
        assert again.statuses("r1")["on_error"] == status


async def test_files_of_tasks_that_are_over_are_removed_when_that_is_on_the_disk(tmp_path):
    gate, (by_hand, [here, _far]) = Gate(tmp_path / "begun"), at_work()
    gate.shut([])
    path = gate.of(here.run, here.task)
    pass_gate(str(path))

    class Looked:
        async def flushed(self):
            assert path.exists()

    await gate.sweep(by_hand.engine.activities, Looked())
    assert path.exists()
    by_hand.ends("r1", "here")
    await gate.sweep(by_hand.engine.activities, Looked())
    assert not path.exists()


@pytest.mark.long
@pytest.mark.process
def test_a_task_that_has_no_room_yet_when_the_server_is_killed_runs_once_after_the_restart(tmp_path):
    """The one that had begun is canceled, as prunner does."""
    room_for_one = ("prlimit", "--nofile=270:270", str(PROGRAM))
    with start_server(tmp_path, definitions=DEFINITIONS, command=room_for_one) as server:
        first = server.schedule("holds", RUN="first")
        until((tmp_path / "begun").exists)
        second = server.schedule("holds", RUN="second")
        until(lambda: server.job(second)["tasks"][0]["status"] == "running")
        server.kill()
    (tmp_path / "go").touch()
    with start_server(tmp_path) as again:
        assert not again.ended(second)["canceled"]
        assert again.job(first)["canceled"]
    assert len((tmp_path / "begun").read_text().splitlines()) == 2


@pytest.mark.long
@pytest.mark.process
def test_killed_again_and_again_while_many_begin_none_runs_twice(tmp_path):
    rng = random.Random(os.environ.get("SEED", "7"))
    jobs = {}
    for life in range(4):
        with start_server(tmp_path, definitions=DEFINITIONS) as server:
            for n in range(life * COUNT // 4, (life + 1) * COUNT // 4):
                jobs[n] = server.schedule("many", n=n)
            if life < 3:
                time.sleep(rng.uniform(0, 0.3))  # the instant of the kill
                server.kill()
                continue
            ended = {n: _over(server, job) for n, job in jobs.items()}
    lines = Counter((tmp_path / "begun").read_text().split())
    assert all(count == 1 for count in lines.values())
    for n, job in ended.items():
        assert job["canceled"] or lines[f"{n}"] == 1
    assert sum(not job["canceled"] for job in ended.values()) >= COUNT / 4


def _over(server, job):
    def over():
        found = server.job(job)
        return (found["completed"] or found["canceled"]) and found

    return until(over)
