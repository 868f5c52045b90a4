"""Killed and started again, with options that reach its tasks, its clients and the disk: the real program."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.pipelines_server import PROGRAM, start_server, until
from tests.support.processes import children, exists, with_argument

pytestmark = [pytest.mark.process, pytest.mark.long]

ORDINARY = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace") if os.geteuid() == 0 else ()
DEFINITIONS = """\
pipelines:
  held:
    tasks:
      hold: {script: ['echo started $$', 'until test -e go; do sleep 0.05; done', 'echo released']}
  retried:
    tasks:
      hold: {restart: retry, script: ['echo started $$', 'until test -e go; do sleep 0.05; done']}
  delayed:
    start_delay: 3s
    tasks:
      one: {script: ['date +%s.%N']}
  env:
    tasks:
      show:
        script:
          - echo "$FROM_FILE|$FROM_BOTH|$PATH_LIKE|${PRUNNER_JWT_SECRET:-none}|${PRUNNER_ADDRESS:-none}"
"""


def test_after_kill_what_waits_goes_on_waiting_and_what_ran_here_is_canceled_or_retried(tmp_path):
    """Spec §3.1, §8: its delay goes on, no process of it is left, `restart: retry` runs again."""
    with start_server(tmp_path, definitions=DEFINITIONS) as server:
        running, waiting = server.schedule("held"), server.schedule("held")
        retried, delayed = server.schedule("retried"), server.schedule("delayed")
        for job in (running, retried):
            until(lambda job=job: "started" in server.output(job, "hold"))
        pid = int(server.output(running, "hold").split()[1])
        server.kill()
    until(lambda: not Path(f"/proc/{pid}").exists())
    with start_server(tmp_path) as again:
        job = again.job(running)
        assert (job["canceled"], job["completed"], job["tasks"][0]["status"]) == (True, False, "canceled")
        until(lambda: "started" in again.output(waiting, "hold"))
        until(lambda: again.output(retried, "hold").count("started") == 2)
        (tmp_path / "go").touch()
        for job in (waiting, retried, delayed):
            assert again.ended(job)["errored"] is False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_processes_whose_keeper_was_no_more_end_before_they_run_again(tmp_path, number):
    """Killed with the server, as for want of memory; one that is stopped cannot do its duty either."""
    marker = f"67.{os.getpid()}{int(number)}"
    script = f"echo begun >> begun; setsid sleep {marker} & sleep {marker}"
    definitions = f"pipelines: {{p: {{tasks: {{t: {{restart: retry, script: ['{script}']}}}}}}}}"
    with start_server(tmp_path, definitions=definitions) as server:
        server.schedule("p")
        until(lambda: len(with_argument(marker)) >= 2)
        before = with_argument(marker)
        [keeper] = children(server.process.pid)
        os.kill(keeper, number)
        server.kill()
    with start_server(tmp_path) as again:
        until(lambda: (tmp_path / "begun").read_text().count("begun") == 2)
        left = [pid for pid in before if exists(pid)]
        again.signal(signal.SIGTERM)
        assert again.wait() == 0
    if number == signal.SIGSTOP:
        os.kill(keeper, signal.SIGCONT)
    assert not left


def test_what_was_scheduled_survives_a_kill_right_after_the_answer(tmp_path):
    with start_server(tmp_path, definitions=DEFINITIONS) as server:
        jobs = [server.schedule("held") for _ in range(5)]
        server.kill()
    with start_server(tmp_path) as again:
        known = {job["id"] for job in again.ask("/pipelines/jobs").json["jobs"]}
        assert known == set(jobs)


def test_runs_of_prunner_are_imported_at_the_first_start(tmp_path):
    """P108, P111."""
    (tmp_path / ".prunner").mkdir()
    (tmp_path / ".prunner" / "data.json").write_text(
        '{"Jobs": [{"ID": "72d5f1fa-9f0c-4c0a-8c0f-0c3fb1a0f1aa", "Pipeline": "held",'
        ' "Created": "2025-08-15T14:00:00.5+02:00", "Tasks": [{"Name": "hold", "Status": "waiting"}]}]}'
    )
    with start_server(tmp_path, definitions=DEFINITIONS) as server:
        job = server.job("72d5f1fa-9f0c-4c0a-8c0f-0c3fb1a0f1aa")
        assert (job["canceled"], job["created"]) == (True, "2025-08-15T12:00:00Z")


def test_env_files_reach_the_tasks_and_not_our_own_settings(tmp_path):
    """P062, P085, P086: the later file wins, and both over the process; the secret stays with us."""
    (tmp_path / ".env").write_text("FROM_FILE=one\nFROM_BOTH=one\nPRUNNER_ADDRESS=nonsense\n")
    (tmp_path / ".env.local").write_text("FROM_BOTH='two words'\n")
    secret = "a secret that no task gets, of 32 or more"
    with start_server(
        tmp_path, definitions=DEFINITIONS, FROM_FILE="process", PATH_LIKE="process", PRUNNER_JWT_SECRET=secret
    ) as server:
        (tmp_path / ".prunner.yml").write_text(f"jwt_secret: {secret}\n")  # for our own tokens alone
        job = server.schedule("env")
        server.ended(job)
        assert server.output(job, "show") == "one|two words|process|none|nonsense\n"


RUNNERS = """
state_file = "state.json"
[[runners]]
  name = "far"
  url = "local:"
  token = "glrt-t1_localrunner-of-tests"
  executor = "clever-docker"
  cc_api_url = "http://127.0.0.1:9"
  cc_orga_id = "orga_1"
  cc_token = "x"
"""


def test_tasks_run_beside_runners_also_for_a_user_who_may_not_look_into_everything(tmp_path):
    (tmp_path / "config.toml").touch(0o600)
    (tmp_path / "config.toml").write_text(RUNNERS)
    options = ("--runners", "config.toml", "--external-url", "http://127.0.0.1:9")
    command = (*ORDINARY, str(PROGRAM))
    with start_server(tmp_path, *options, definitions=DEFINITIONS, command=command) as server:
        job = server.schedule("env")
        assert not server.ended(job)["errored"]
        assert server.output(job, "show").endswith("none\n")


def test_env_files_can_be_switched_off(tmp_path):
    """P085."""
    (tmp_path / ".env").write_text("FROM_FILE=one\n")
    with start_server(tmp_path, definitions=DEFINITIONS, PRUNNER_ENV_FILES="") as server:
        job = server.schedule("env")
        server.ended(job)
        assert server.output(job, "show").startswith("||")


def test_there_are_no_profiles_also_where_they_are_asked_for(tmp_path):
    """P077, P119: as the spec waives them."""
    with start_server(tmp_path, PRUNNER_ENABLE_PROFILING="1") as server:
        assert server.ask("/debug/pprof/").status == 404
        assert "--enable-profiling does nothing here" in server.log


def test_metrics_need_a_token_and_tell_of_each_pipeline(tmp_path):
    with start_server(tmp_path, definitions=DEFINITIONS) as server:
        job = server.schedule("env")
        server.ended(job)
        server.ask("/pipelines/schedule", {"pipeline": "unknown"})
        assert server.ask("/metrics", token="").status == 401
        text = server.ask("/metrics").text
    assert 'paas_pipelines_runs{pipeline="env",state="done"} 1.0' in text
    assert 'paas_pipelines_runs{pipeline="held",state="running"} 0.0' in text
    assert "unknown" not in text


@pytest.mark.parametrize("option", ["--path=sub", "--path", "--pattern=sub/*.yml"])
def test_definitions_are_found_by_path_and_pattern(tmp_path, option):
    """P082, P083."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "pipelines.yml").write_text("pipelines: {below: {}}\n")
    options = [option, "sub"] if option == "--path" else [option]
    with start_server(tmp_path, *options, definitions=DEFINITIONS) as server:
        assert [each["pipeline"] for each in server.ask("/pipelines").json["pipelines"]] == ["below"]


def test_logs_lie_where_prunner_has_them(tmp_path):
    """P081, P110."""
    with start_server(tmp_path, "--data=state", definitions=DEFINITIONS) as server:
        job = server.schedule("env")
        server.ended(job)
        log = tmp_path / "state" / "logs" / job / "show-stdout.log"
        assert log.read_text().endswith("none|none\n")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
