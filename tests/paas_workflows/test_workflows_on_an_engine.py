"""Workflows on a real Docker engine, by the programs as people call them."""

import json
import signal
import time

import pytest

from tests.support.site_program import ROOT
from tests.support.workflow_programs import action_image, programs

pytestmark = pytest.mark.long
EXAMPLE = ROOT / "workflows" / "examples" / "abort.yaml"


@pytest.fixture(scope="module")
def images(engine):
    action_image(engine, "quay.io/f5-pwe/auto-result:1.0.1")
    action_image(engine, "paas-runner-test/action:new")
    action_image(engine, "paas-runner-test/action:old", is_legacy=True)


@pytest.fixture
def home(engine, images, tmp_path):
    return programs(tmp_path, DOCKER_HOST=engine.url)


def containers(engine):
    with engine.client() as client:
        found = client.containers(all=True, filters={"label": "paas-runner.workflow"})
    return [each["Names"][0] for each in found]


def written(home, text):
    path = home.folder / "file.yaml"
    path.write_text(text)
    return str(path)


def one(version="new", **env):
    return (
        "name: one\ncontext: {given: [1, 'ä']}\nworkflows: {run: {start: {action: a, success: next}, next: "
        f"{{action: a}}}}}}\nactions: {{a: {{image: paas-runner-test/action, version: {version}, "
        f"env: {json.dumps(env)}}}}}\n"
    )


def test_kog_runs_its_own_example(engine, home):
    """K001, K005, K006, K012, K013, K028, K038, K053, K062, K072, K073, K080."""
    done = home.run("kog", "run", "-f", str(EXAMPLE))
    assert done.returncode == 15, done.stderr
    assert 'event=step_output step=start stream=stdout line="step  begins"' in done.stderr
    ended = [line for line in done.stderr.splitlines() if "event=step_ended" in line]
    assert ["step=start" in ended[0], "step=step2" in ended[1], "step=notify" in ended[2]] == [True] * 3
    assert "the variable TEST" in ended[1]
    assert len(ended) == 4
    assert containers(engine) == []
    assert home.run("kog", "run", "-f", str(EXAMPLE), "--use-job-rc=false").returncode == 0


def test_each_step_has_what_the_one_before_has_made(home):
    """K050."""
    done = home.run("paas-runner", "workflow", "run", written(home, one()), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["context"]["given"] == [1, "ä"]
    assert [each["result"] for each in found["results"]] == ["success", "success"]


def test_an_older_image_is_given_the_same_by_its_standard_input(home):
    """K049."""
    by_age = []
    for version in ("new", "old"):
        found = json.loads(
            home.run("paas-runner", "workflow", "run", written(home, one(version)), "--json").stdout
        )
        assert found["status"] == "success"
        own = ("correlation_id", "run_id")
        by_age.append({key: value for key, value in found["context"].items() if key not in own})
    assert by_age[0] == by_age[1]
    assert by_age[0]["given"] == [1, "ä"]


def test_a_step_that_sleeps_too_long_ends_with_124_and_leaves_nothing(engine, home):
    """K029, K081."""
    file = written(home, one(SLEEP="60").replace("{action: a, success: next}", "{action: a, duration: 1s}"))
    begun = time.monotonic()
    done = home.run("paas-runner", "workflow", "run", file)
    assert done.returncode == 124, done.stderr
    assert time.monotonic() - begun < 45
    assert containers(engine) == []


def until_begun(program):
    for line in program.stderr:
        if "event=step_output" in line:
            return
    raise AssertionError(program.wait())


def test_killed_in_the_middle_it_goes_on_with_the_same_container(engine, home):
    """K060: what its containers do is seen through a volume."""
    runs = home.folder / "runs"
    runs.mkdir()
    file = written(home, one(SLEEP="2", RUNS="/runs/all"))
    program = home.start("paas-runner", "workflow", "run", file, "--volume", f"{runs}:/runs")
    until_begun(program)
    program.kill()
    program.communicate()
    (before,) = containers(engine)
    (known,) = home.json("list")
    assert known["status"] == "running"
    done = home.run("paas-runner", "workflow", "resume", known["id"])
    assert done.returncode == 0, done.stderr
    assert f"execution={known['id']}" in done.stderr
    assert (runs / "all").read_text() == "x\nx\n"
    assert before.startswith(f"/workflow-{known['id']}-")
    assert containers(engine) == []
    again = home.run("paas-runner", "workflow", "resume", known["id"])
    assert again.returncode == 0
    assert (runs / "all").read_text() == "x\nx\n"
    assert home.run("paas-runner", "workflow", "remove", known["id"]).returncode == 0
    assert home.json("list") == []


def test_a_container_that_somebody_removes_meanwhile_makes_its_step_run_again(engine, home):
    file = written(home, one(SLEEP="2"))
    program = home.start("paas-runner", "workflow", "run", file)
    until_begun(program)
    program.kill()
    program.communicate()
    with engine.client() as client:
        client.remove_container(containers(engine)[0], force=True)
    (known,) = home.json("list")
    done = home.run("paas-runner", "workflow", "resume", known["id"])
    assert done.returncode == 0
    assert "event=step_lost" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_and_removes_the_container(engine, home, number):
    program = home.start("paas-runner", "workflow", "run", written(home, one(SLEEP="60")))
    until_begun(program)
    program.send_signal(number)
    out, _ = program.communicate(timeout=30)
    assert program.returncode == 15
    assert f"abort: canceled by {number.name}" in out
    assert containers(engine) == []


def test_a_second_signal_ends_it_at_once_and_leaves_it_to_resume(engine, home):
    program = home.start("paas-runner", "workflow", "run", written(home, one(SLEEP="60", DEAF="1")))
    until_begun(program)
    program.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    program.send_signal(signal.SIGTERM)
    _, err = program.communicate(timeout=5)
    assert program.returncode == 2
    assert "workflow resume" in err
    (known,) = home.json("list")
    done = home.run("paas-runner", "workflow", "resume", known["id"])
    assert done.returncode == 15
    assert containers(engine) == []


def test_an_execution_that_is_removed_leaves_no_container(engine, home):
    program = home.start("paas-runner", "workflow", "run", written(home, one(SLEEP="60")))
    until_begun(program)
    (known,) = home.json("list")
    assert home.run("paas-runner", "workflow", "remove", known["id"]).returncode == 75
    program.kill()
    program.communicate()
    assert home.run("paas-runner", "workflow", "remove", known["id"]).returncode == 0
    assert containers(engine) == []
    assert home.json("list") == []


def test_no_value_of_a_variable_is_shown(home):
    """K058."""
    arguments = [written(home, one(MESSAGE="said")), "--env", "KEY=canary-of-the-environment", "--env"]
    done = home.run("paas-runner", "workflow", "run", *arguments, "STEP_NUMBER=canary-of-the-output")
    assert done.returncode == 0
    (known,) = home.json("list")
    shown = home.run("paas-runner", "workflow", "show", known["id"], "--json")
    assert "canary" not in done.stdout + done.stderr + shown.stdout
    database = home.folder / "state" / "paas-runner" / "workflows" / f"{known['id']}.db"
    assert database.stat().st_mode & 0o777 == 0o600
