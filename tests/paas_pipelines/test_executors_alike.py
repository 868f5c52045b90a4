"""Outputs and files are the same wherever a task runs: a process here, a container, a pod, a real runner."""

import asyncio
import threading
import uuid

import pytest
import yaml
from paas_pipelines.tasks.job_server import registration_token

from paas_runner.sandbox.kubernetes import KubernetesServer, LocalRuntime, own_command
from paas_runner.secret import Secret
from tests.places.conftest import RIGHTS
from tests.support.pipelines_server import start_server
from tests.support.remote_runner import jobs, registered, started

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(300)]

DEFINITIONS = """
executors:
  box: {{type: docker, host: "{url}", image: "{base}"}}
  far: {{type: runner, tags: [far]}}
  pod: {{type: kubernetes, kubeconfig: "{kubeconfig}", image: any}}
pipelines:
  p:
    order: sequence
    executor: {executor}
    params: [{{name: who}}]
    tasks:
      first:
        script:
          - mkdir -p out; echo "hello $PARAM_WHO" > out/greeting; ln -s greeting out/link; touch other
          - printf "%s\\n" changed=true count=3 'names=["a b", 1]' >> "$PIPELINE_OUTPUT"
          - echo "text=with = and  spaces" >> "$PIPELINE_OUTPUT"
        outputs: {{changed: boolean, count: number, names: list, text: string, spare: {{default: x}}}}
        save: [out/*]
      skipped: {{when: '!outputs.first.changed', script: [exit 1], save: [x]}}
      second:
        load: [first, skipped]
        script:
          - ls; cat out/link
          - echo "$OUTPUT_FIRST_COUNT $OUTPUT_FIRST_NAMES $OUTPUT_FIRST_TEXT $OUTPUT_FIRST_SPARE"
      failing:
        script: [echo "count=many" >> "$PIPELINE_OUTPUT"]
        outputs: {{count: number}}
        on_failure: continue
      lost:
        script: ["true"]
        save: [nowhere]
        on_failure: continue
"""


@pytest.fixture
def kubeconfig(tmp_path):
    """Of a cluster that is served by a thread as long as the test lasts."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    ready, path = threading.Event(), tmp_path / "kubeconfig"

    async def serve():
        async with KubernetesServer(LocalRuntime({}, own_command)) as server:
            token = Secret(uuid.uuid4().hex)
            server.cluster.accounts.add("who runs pipelines", token, RIGHTS)
            server.write_kubeconfig(path, token=token)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(60)
    yield path
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


@pytest.mark.parametrize("executor", ["shell", "box", "far", "pod"])
def test_outputs_and_files_go_from_task_to_task(tmp_path, engine, executor, kubeconfig):
    definitions = DEFINITIONS.format(
        url=engine.url, base=engine.base, executor=executor, kubeconfig=kubeconfig
    )
    with start_server(tmp_path, definitions=definitions) as server:
        if executor == "far":
            secret = yaml.safe_load((tmp_path / ".prunner.yml").read_text())["jwt_secret"]
            token = registered(server.url, registration_token(Secret(secret)).reveal(), "far", tag_list="far")
            threading.Thread(target=_served, args=(server.url, tmp_path, token), daemon=True).start()
        job = server.ended(server.schedule("p", who="you"))
        told = {task["name"]: (task["status"], task.get("error")) for task in job["tasks"]}
        assert told["first"] == ("done", None), server.output(job["id"], "first")
        assert told["skipped"][0] == "skipped"
        said = server.output(job["id"], "second")
        assert "out\n" in said
        assert "hello you\n" in said
        assert '3 ["a b",1] with = and  spaces x\n' in said
        assert told["failing"][1] == 'output "count" must be a number'
        assert told["lost"][1].startswith("save: ")


def _served(url, folder, token):
    for job in jobs(url, token):
        started(url, folder, job).wait()
