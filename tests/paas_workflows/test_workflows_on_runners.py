"""Workflows whose steps are jobs of the runner, on hosts of a real Docker engine."""

import json
import signal
import socket

import pytest

from paas_runner.job.known_runner import short_token
from tests.support.site_program import ROOT
from tests.support.workflow_programs import action_image, programs

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(300)]

TOKEN = "glrt-t1_workflows-of-tests"
CONFIG = """
concurrent = 2
check_interval = 0.2
job_progress_poll_interval = 0.3
state_file = "{folder}/runner.json"

[[runners]]
  name = "engine"
  url = "local:"
  token = "{token}"
  executor = "local-docker"
  host = "{host}"
  docker_network = "host"
  heptapod_runner_main_image = "{image}"

  [runners.docker]
    pull_policy = "if-not-present"
    volumes = ["{folder}/runs:/runs"]

  [runners.paas_job_trace_watch]
    poll_step = 0.2
"""
FILE = """
name: two
context: {given: [1, "ä"]}
workflows: {run: {start: {action: one, duration: 2m, success: next}, next: {action: two, duration: 2m}}}
actions:
  one: {image: paas-runner-test/action, version: new, env: {SLEEP: "3", RUNS: /runs/all}}
  two: {image: paas-runner-test/action, version: new, env: {RESULT: failure, RESULT_CODE: "7"}}
"""


@pytest.fixture
def home(engine, host_image, tmp_path):
    action_image(engine, "paas-runner-test/action:new")
    (tmp_path / "runs").mkdir()
    config = tmp_path / "config.toml"
    config.touch(mode=0o600)
    config.write_text(CONFIG.format(token=TOKEN, host=engine.url, image=host_image, folder=tmp_path))
    (tmp_path / "file.yaml").write_text(FILE)
    yield programs(tmp_path, DOCKER_HOST=engine.url)
    assert not engine.everything(runner=short_token(TOKEN))


def address():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"


def begun(home, *arguments):
    """The program, once its first container has said something."""
    own = ("--executor", "runner", "--runners", "config.toml", "--address", address())
    program, log = home.start(*arguments, *own), []
    for line in program.stderr:
        log.append(line)
        if "event=step_output" in line:
            return program
    raise AssertionError("".join(log))


def told(output):
    """What does not depend on where and when."""
    found = json.loads(output)
    own = ("correlation_id", "run_id", "log")
    context = {key: value for key, value in found["context"].items() if key not in own}
    results = [(each["result"], each["rc"], each["message"]) for each in found["results"]]
    return found["status"], context, results


def test_killed_in_the_middle_it_ends_as_on_an_engine(engine, home):
    runs = home.folder / "runs" / "all"
    run = ("paas-runner", "workflow", "run", "file.yaml", "--json")
    here = home.run(*run, "--volume", f"{home.folder}/runs:/runs")
    assert here.returncode == 7, here.stderr
    runs.unlink()
    program = begun(home, *run)
    program.kill()
    program.communicate()
    (known,) = [each for each in home.json("list") if each["status"] == "running"]
    done = home.run("paas-runner", "workflow", "resume", known["id"], "--json", seconds=200)
    assert done.returncode == 7, done.stderr
    assert told(done.stdout) == told(here.stdout)
    assert runs.read_text() == "x\n"
    assert "stream=stderr" in done.stderr


def test_kogs_own_example_ends_as_on_an_engine(engine, home):
    action_image(engine, "quay.io/f5-pwe/auto-result:1.0.1")
    example = str(ROOT / "workflows" / "examples" / "abort.yaml")
    arguments = ("--executor", "runner", "--runners", "config.toml", "--address", address())
    done = home.run("kog", "run", "-f", example, *arguments, seconds=200)
    assert done.returncode == 15, done.stderr
    ended = [line for line in done.stderr.splitlines() if "event=step_ended" in line]
    assert ["result=success" in each for each in ended] == [True, False, True, False]
    assert home.json("list")[0]["context"]["build"] == {"product": {"name": "Testing"}}


def test_a_signal_stops_the_container_and_what_a_killed_one_has_left_can_be_removed(engine, home):
    (home.folder / "file.yaml").write_text(FILE.replace('SLEEP: "3"', 'SLEEP: "60"'))
    program = begun(home, "paas-runner", "workflow", "run", "file.yaml")
    program.send_signal(signal.SIGTERM)
    out, _ = program.communicate(timeout=60)
    assert program.returncode == 15
    assert "abort: canceled by SIGTERM" in out
    assert not engine.everything(runner=short_token(TOKEN))
    program = begun(home, "paas-runner", "workflow", "run", "file.yaml")
    program.kill()
    program.communicate()
    (known,) = [each for each in home.json("list") if each["status"] == "running"]
    done = home.run("paas-runner", "workflow", "remove", known["id"], seconds=90)
    assert done.returncode == 0, done.stderr
