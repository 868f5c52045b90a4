"""A thousand runs are scheduled over HTTP while the server is killed again and again: the real program."""

import json
import random
import threading
import time
import urllib.error
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.support.pipelines_server import start_server, until

REQUESTS = 1000
KILLS = 5
CLIENTS = 12
ONCE_IN = 25
"""Every so many requests one schedules a run that does something; the others wait for a slot for ever."""

DEFINITIONS = """\
pipelines:
  held:
    tasks:
      hold: {script: [sleep 1000]}
  once:
    concurrency: 4
    tasks:
      leave_a_line: {script: ['echo {{ .attempt }} >> lines; sleep 0.05']}
"""


class Clients:
    """Each goes on until its requests are answered, whatever server there is."""

    def __init__(self):
        self.server = None
        self.answered = {}
        self.refused = []
        self._lock = threading.Lock()

    def schedule(self, number):
        while True:
            attempt = uuid.uuid4().hex
            body = {
                "pipeline": "once" if number % ONCE_IN == 0 else "held",
                "variables": {"attempt": attempt},
            }
            try:
                answer = self.server.ask("/pipelines/schedule", body)
            except (OSError, HTTPException, urllib.error.URLError):  # killed: it may have been taken, or not
                time.sleep(0.02)
                continue
            with self._lock:
                if answer.status == 202:
                    self.answered[answer.json["jobId"]] = attempt
                else:
                    self.refused.append(answer)
            return


def processes_with(mark):
    """The ids of all that were started by a server of this test."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:  # ended meanwhile
            continue
    return found


@pytest.mark.long
@pytest.mark.process
def test_nothing_that_was_answered_is_lost_no_task_runs_twice_and_no_process_is_left(tmp_path):
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    mark = uuid.uuid4().hex
    clients = Clients()
    moments = sorted(rng.sample(range(20, REQUESTS - 20), KILLS))
    (tmp_path / "pipelines.yml").write_text(DEFINITIONS)
    with ThreadPoolExecutor(CLIENTS) as pool:
        for number, moment in enumerate([*moments, REQUESTS]):
            with start_server(tmp_path, MARK=mark) as clients.server:
                if not number:
                    work = [pool.submit(clients.schedule, each) for each in range(REQUESTS)]
                until(lambda moment=moment: len(clients.answered) + len(clients.refused) >= moment)
                clients.server.kill()
        for each in work:
            each.result()
    assert clients.refused == []
    with start_server(tmp_path, MARK=mark) as server:
        jobs = {job["id"]: job for job in json.loads(server.ask("/pipelines/jobs").text)["jobs"]}
        assert clients.answered.keys() <= jobs.keys(), seed
        assert all(
            jobs[job]["variables"] == {"attempt": attempt} for job, attempt in clients.answered.items()
        )
        once = [job for job in jobs.values() if job["pipeline"] == "once"]
        until(lambda: all((now := server.job(job["id"]))["completed"] or now["canceled"] for job in once))
        completed = {job["variables"]["attempt"] for job in once if server.job(job["id"])["completed"]}
        server.kill()
    lines = Counter((tmp_path / "lines").read_text().split())
    assert {line: count for line, count in lines.items() if count > 1} == {}, seed
    assert completed <= lines.keys(), seed
    assert len(completed) >= REQUESTS // ONCE_IN - 4 * KILLS
    until(lambda: not processes_with(mark.encode()))
