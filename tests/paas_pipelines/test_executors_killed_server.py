"""The real server with executors: killed with -9 in the middle, and as a small CI platform on a cluster."""

import asyncio
import contextlib
import json
import sqlite3
import threading
import uuid
from datetime import timedelta

import pytest

from paas_runner.sandbox.kubernetes import ClusterOptions, KubernetesServer, LocalRuntime, own_command
from paas_runner.secret import Secret
from tests.places.conftest import RIGHTS
from tests.support.executor_world import containers_of
from tests.support.pipelines_server import start_server, until

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(300)]

ON_AN_ENGINE = """
executors:
  box:
    type: docker
    host: "{url}"
    image: "{base}"
    volumes: [{{name: "{counted}", path: /counted}}]
    setup: {{script: ['echo "PLACE=there" >> "$PIPELINE_OUTPUT"; echo up >> {log}']}}
    teardown: {{script: ['echo "down $PLACE" >> {log}']}}
pipelines:
  p:
    tasks:
      build:
        executor: box
        script:
          - echo one >> /counted/file; echo begun at $PLACE
          - sleep 3
          - echo "done=true" >> "$PIPELINE_OUTPUT"; echo x > plan
        outputs: {{done: boolean}}
        save: [plan]
      after:
        depends_on: [build]
        load: [build]
        script: ['echo "$OUTPUT_BUILD_DONE $(cat plan)"']
"""


def test_a_container_of_a_killed_server_is_not_run_twice_and_nothing_is_left(tmp_path, engine):
    counted, log = tmp_path / "counted", tmp_path / "log"
    counted.mkdir()
    definitions = ON_AN_ENGINE.format(url=engine.url, base=engine.base, counted=counted, log=log)
    with start_server(tmp_path, definitions=definitions) as server:
        job = server.schedule("p")
        until(lambda: "begun at there\n" in server.output(job, "build"))
        server.kill()
    with start_server(tmp_path) as again:
        ended = again.ended(job)
        assert (ended["errored"], ended["canceled"]) == (False, False), [
            each.get("error") for each in ended["tasks"]
        ]
        assert again.output(job, "after") == "true x\n"
        assert again.output(job, "build").count("begun at there\n") == 1
    assert (counted / "file").read_text() == "one\n"
    assert log.read_text().splitlines() == ["up", "down there"]
    with engine.client() as client:
        assert not containers_of(client, tmp_path / ".prunner")


@contextlib.contextmanager
def cluster(folder):
    """In a thread of its own, as long as the block lasts."""
    ready, over = threading.Event(), threading.Event()
    found = []

    async def serve():
        options = ClusterOptions(scheduling_delay=timedelta(milliseconds=50))
        async with KubernetesServer(LocalRuntime({"debian": own_command}), options) as server:
            token = Secret(uuid.uuid4().hex)
            server.cluster.accounts.add("who runs pipelines", token, RIGHTS)
            server.write_kubeconfig(folder / "kubeconfig", token=token)
            found.append(server)
            ready.set()
            while not over.is_set():
                await asyncio.sleep(0.05)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30)
        yield found[0]
    finally:
        over.set()
        thread.join()


CI_PLATFORM = """
executors:
  pod: {{type: kubernetes, kubeconfig: "{kubeconfig}", image: debian}}
pipelines:
  ci:
    triggers:
      often: {{every: 2s}}
    tasks:
      test: {{executor: pod, script: ['echo "testing $TASK_NAME"', 'exit 4']}}
"""


def test_a_pod_runs_a_job_every_so_often_and_its_end_is_recorded(tmp_path):
    """Use case 1 of palvella: exit status and what is known of the pod are kept; seconds for minutes."""
    with cluster(tmp_path):
        definitions = CI_PLATFORM.format(kubeconfig=tmp_path / "kubeconfig")
        with start_server(tmp_path, definitions=definitions) as server:

            def ended():
                jobs = server.ask("/pipelines/jobs").json["jobs"]
                return [job for job in jobs if job["completed"] and job["pipeline"] == "ci"]

            jobs = until(lambda: len(found := ended()) >= 2 and found)
            for job in jobs:
                [task] = job["tasks"]
                assert (task["status"], task["exitCode"]) == ("error", 4)
                assert "testing test\n" in server.output(job["id"], "test")
            server.kill()
        before = len(jobs)
        with start_server(tmp_path) as again:
            until(
                lambda: len([j for j in again.ask("/pipelines/jobs").json["jobs"] if j["completed"]]) > before
            )
    with contextlib.closing(sqlite3.connect(tmp_path / ".prunner" / "pipelines.db")) as db:
        runs = [json.loads(text) for (text,) in db.execute("SELECT text FROM record WHERE kind = 'run'")]
    facts = [run["tasks"][0]["facts"] for run in runs if run.get("completed")]
    assert len(facts) > before
    assert all({"pod", "node", "image", "started", "finished", "exit_code"} <= each.keys() for each in facts)
