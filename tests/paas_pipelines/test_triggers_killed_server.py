"""The server as a program, killed with -9 while others deliver: what was acknowledged starts once."""

import http.client
import json
import os
import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter

import pytest

from tests.support.pipelines_server import start_server, until
from tests.support.triggered import HOOK_SECRET, signed

pytestmark = [pytest.mark.long, pytest.mark.process]

COUNT = 60
DEFINITIONS = """\
pipelines:
  ci:
    concurrency: 50
    params: [{name: number, type: number}]
    triggers:
      push:
        provider: github
        secret: {from_credential: hook}
        events: [push]
        if: '!payload.deleted'
        params_from: {number: payload.number}
    tasks: {say: {script: ['echo "$PARAM_NUMBER"'], restart: retry}}
  after:
    triggers: {end: {pipeline: ci}}
    tasks: {}
  often:
    triggers: {second: {every: 1s}}
    tasks: {}
"""
SETTINGS = f"""\
[[pipelines.access]]
identity = "pipeline/ci"
method = "use"
resource = "credential=hook"
[pipelines.credentials.hook]
type = "text"
value = "{HOOK_SECRET.reveal()}"
"""


class Senders(threading.Thread):
    """Delivers numbers one after the other, each until it is answered, some once more."""

    def __init__(self, numbers, rng):
        super().__init__()
        self.url = ""
        self.numbers, self.rng = numbers, rng
        self.answers = {}
        self.wrong = []

    def run(self):
        for number in self.numbers:
            body = json.dumps({"number": number, "deleted": False}).encode()
            while (answer := self._asked(body, f"{number}")) is None:
                time.sleep(0.05)
            self.answers[number] = answer["event"]
            if self.rng.random() < 0.3:
                again = self._asked(body, f"{number} again")
                if again and again != {"event": answer["event"], "duplicate": True}:
                    self.wrong.append((number, answer, again))

    def _asked(self, body, delivery):
        request = urllib.request.Request(
            f"{self.url}/hooks/ci/push", data=body, headers=dict(signed(body, delivery=delivery))
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 503:
                self.wrong.append((delivery, error.code))
        except (OSError, http.client.HTTPException, ValueError):
            return None  # nothing, or half an answer
        return None


def test_killed_again_and_again_while_others_deliver(tmp_path):
    (tmp_path / "settings.toml").write_text(SETTINGS + "[pipelines.limits]\ndeliveries_per_minute = 100000\n")
    (tmp_path / "settings.toml").chmod(0o600)
    rng = random.Random(os.environ.get("SEED", "7"))
    senders = [Senders(range(first, COUNT, 3), rng) for first in range(3)]
    lives = 0
    while lives == 0 or any(each.is_alive() for each in senders):
        with start_server(tmp_path, "--settings", "settings.toml", definitions=DEFINITIONS) as server:
            for each in senders:
                each.url = server.url
                if not lives:
                    each.start()
            lives += 1
            if lives < 6:
                time.sleep(rng.uniform(0.05, 1.0))
                server.kill()
            else:
                for each in senders:
                    each.join()
    with start_server(tmp_path, "--settings", "settings.toml") as server:
        jobs = until(lambda: _settled(server))
        numbers = Counter(job["variables"]["number"] for job in jobs if job["pipeline"] == "ci")
        assert numbers == dict.fromkeys(range(COUNT), 1)
        assert all(job["completed"] and not job["canceled"] for job in jobs)
        assert sum(job["pipeline"] == "after" for job in jobs) == COUNT
        assert sum(job["pipeline"] == "often" for job in jobs) >= 2
        assert [each.wrong for each in senders] == [[], [], []]
        assert HOOK_SECRET.reveal() not in server.log
    assert lives > 1


def _settled(server):
    """All jobs, once each delivery has its run and each run what follows it."""
    jobs = server.ask("/pipelines/jobs").json["jobs"]
    counts = Counter(job["pipeline"] for job in jobs if job["completed"])
    return jobs if counts["ci"] >= COUNT and counts["after"] >= COUNT else None


def test_definitions_that_are_reloaded_have_their_hooks_and_schedules_at_once(tmp_path):
    (tmp_path / "settings.toml").write_text(SETTINGS)
    (tmp_path / "settings.toml").chmod(0o600)
    with start_server(tmp_path, "--settings", "settings.toml", definitions="pipelines: {}\n") as server:
        body = json.dumps({"number": 7, "deleted": False}).encode()
        sender = Senders([], random.Random(1))
        sender.url = server.url

        def asked():
            request = urllib.request.Request(
                f"{server.url}/hooks/ci/push", data=body, headers=dict(signed(body))
            )
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    return answer.status
            except urllib.error.HTTPError as error:
                with error:
                    return error.code

        assert asked() == 404
        (tmp_path / "pipelines.yml").write_text(DEFINITIONS)
        server.signal(10)  # SIGUSR1
        until(lambda: asked() in (200, 202))
        jobs = until(
            lambda: {"ci", "often"} <= {job["pipeline"] for job in server.ask("/pipelines/jobs").json["jobs"]}
        )
        assert jobs
