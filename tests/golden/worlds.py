"""What is done with the programs, and everything that they answered."""

import json
import sqlite3
from contextlib import closing

from tests.golden import programs
from tests.golden.programs import Service, called, ran
from tests.golden.recording import RECORDED, normalised

ALONE = """\
concurrent = 10
check_interval = 1
shutdown_timeout = 0.3
log_format = "json"
paas_orphan_sweep_interval = 0

[[runners]]
  name = "golden"
  url = "{url}"
  token = "glrt-goldenrun-the-rest-of-it"
  executor = "clever-docker"
  cc_api_url = "{url}/v2"
  cc_orga_id = "orga_golden"
  cc_token = "the-token-of-the-cloud"
"""

BOTH_EXECUTORS = """\
concurrent = 4
log_format = "json"

[quota_computation]
reference_runner = "golden"
reference_flavor = "M"
reference_jobs_count = 3

[[runners]]
name = "golden"
url = "http://127.77.0.1:9"
token = "glrt-goldenrun-the-rest-of-it"
executor = "clever-docker"
cc_api_url = "http://127.77.0.1:9/v2"
cc_orga_id = "orga_golden"
cc_token = "the-token-of-the-cloud"

[[runners]]
url = "https://gitlab.example.com/"
token = "glrt-t1_secondtoken"
limit = 2
executor = "local-docker"
builds_dir = "/builds"
[runners.docker]
image = "debian:12"
"""

MARCH = ("--since", "2026-03-01", "--until", "2026-04-01")


def recorded_store(folder):
    """The recorded store in the hands of the service, which is stopped by SIGTERM, and of the commands."""
    store = folder / "paas-runner-state.db"
    programs.database(store, (RECORDED / "store.db.sql").read_text())
    heard = {}
    with programs.silence() as url:
        config = programs.configuration(folder, ALONE.format(url=url))
        with Service(config) as service:
            heard["control"] = [[question, service.asked(question)] for question in _QUESTIONS]
            heard["status up"] = json.loads(ran("paas-runner", "status", config, "--json")[1])
            heard["explain up"] = json.loads(ran("paas-runner", "explain", config, "7", "--json")[1])
            heard["second service"] = ran("heptapod-paas-runner", config)[0]
        heard["exit code"] = service.exit_code
        state_file = folder / "paas-runner-state.json"
        heard["mode"] = f"{state_file.stat().st_mode:o}"
        heard["state file"] = state_file.read_text()
        heard["status down"] = json.loads(called("paas-runner", "status", config, "--json")[1])
        heard["explain down"] = json.loads(called("paas-runner", "explain", config, "101", "--json")[1])
        heard["store"] = _records(store)
    for by in ("tenant", "runner", "flavor", "job", "day"):
        for form in ("json", "csv"):
            heard[f"costs by {by} {form}"] = called(
                "paas-runner", "costs", config, *MARCH, "--by", by, f"--{form}"
            )[1]
    return normalised(heard, (folder, "FOLDER"))


def left_by_1_1_1(folder):
    """A state file of heptapod-paas-runner 1.1.1 on a machine where no service of ours has run."""
    state_file = folder / "paas-runner-state.json"
    state_file.write_text((RECORDED / "state-1.1.1.json").read_text())
    with programs.silence() as url:
        config = programs.configuration(folder, ALONE.format(url=url))
        with Service(config) as service:
            loaded = not state_file.exists()
            phases = {job["job"]: job["phase"] for job in service.asked({"ask": "status"})[0]["jobs"]}
    left = json.loads(state_file.read_text())
    return normalised(
        {
            "loaded": loaded,
            "phases": phases,
            "lists": {name: each for name, each in left.items() if name != "paas_runner"},
        }
    )


_QUESTIONS = (
    {"ask": "status"},
    {"ask": "explain", "job": 11},
    {"ask": "explain", "job": 101},
    {"ask": "explain", "job": 999},
    {"ask": "explain"},
    {"ask": "reload"},
    {"ask": "pause", "runner": "golden"},
    {"ask": "pause", "runner": "goldenrun"},
    {"ask": "pause", "runner": "nobody"},
    {"ask": "pause"},
    {"ask": "resume"},
    {"ask": "what is this"},
    {},
    "[1]",
    "no JSON",
)


def _records(store):
    with closing(sqlite3.connect(store)) as db:
        jobs = db.execute("SELECT runner, job_id, acquired_at, phase, record FROM job").fetchall()
        facts = db.execute("SELECT name, value FROM fact").fetchall()
    return {"job": jobs, "fact": facts}


def demo(folder):
    """The demo with a pipeline of two jobs."""
    pipeline = folder / "ci.yml"
    pipeline.write_text("compile:\n  script: [echo fine]\nbroken:\n  script: [exit 7]\n  only: [main]\n")
    code, answer, messages = ran("paas-runner", "demo", "--pipeline", pipeline, "--json")
    assert code == 0, messages
    return normalised(json.loads(answer), live=True)


PAYLOAD = {
    "id": 4711,
    "token": "token-of-job-4711",
    "allow_git_fetch": True,
    "job_info": {"name": "compile « été »", "stage": "build", "project_id": 7, "project_name": "golden"},
    "git_info": {
        "repo_url": "https://gitlab.example.com/acme/golden.git",
        "ref": "main",
        "sha": "0123456789abcdef0123456789abcdef01234567",
        "refspecs": ["+refs/heads/main:refs/remotes/origin/main"],
        "depth": 20,
    },
    "runner_info": {"timeout": 3600, "runner_session_url": None},
    "variables": [
        {"key": "GIT_STRATEGY", "value": "none", "public": True, "masked": False},
        {"key": "CI_CLEVER_CLOUD_FLAVOR", "value": "S", "public": True, "masked": False},
        {"key": "CI_SERVER_HOST", "value": "gitlab.example.com", "public": True, "masked": False},
        {"key": "PASSWORD", "value": "hunter2$NOT", "public": False, "masked": True, "raw": True},
        {"key": "KEY_FILE", "value": "a\nb\n", "public": False, "masked": False, "file": True},
    ],
    "steps": [
        {
            "name": "script",
            "script": ['echo "ça marche"', "sleep 300"],
            "timeout": 3600,
            "when": "on_success",
            "allow_failure": False,
        }
    ],
    "image": {"name": "debian:12", "entrypoint": ["/bin/sh", "-c"]},
    "services": [{"name": "postgres:16", "alias": "db"}],
    "artifacts": None,
    "cache": [],
    "credentials": [],
    "dependencies": [],
    "features": {"trace_sections": True, "failure_reasons": ["script_failure", "runner_system_failure"]},
    "of_a_later_version": {"kept": [1, 2.5, None]},
}

WITH_A_CLOUD = """\
concurrent = 2
check_interval = 0.2
job_progress_poll_interval = 0.2
log_format = "json"
paas_orphan_sweep_interval = 0

[[runners]]
  name = "golden"
  url = "{url}"
  token = "glrt-goldenrun-the-rest-of-it"
  executor = "clever-docker"
  limit = 3
  environment = ["LANG=C.UTF-8", "QUOTED=\\"a\\" \\\\ b"]
  builds_dir = "/builds"
  cc_api_url = "{cc_api_url}"
  cc_orga_id = "{cc_orga_id}"
  cc_token = "{cc_token}"
  cc_deployment_repo_wait_step = 0.1

  [runners.cc_extra_env]
    CC_ENABLE_HEPTAPOD_RUNNER = "true"

  [runners.paas_job_trace_watch]
    poll_step = 0.1

  [runners.docker]
    image = "debian:12"
    volumes = ["/cache"]
    pull_policy = ["if-not-present", "always"]
    shm_size = 300000

    [runners.docker.tmpfs]
      "/tmp" = "rw,noexec"

  [runners.feature_flags]
    FF_USE_FASTZIP = true
"""


def one_job(folder):
    """One job from its acquisition to the certificate that nothing of it is left."""
    heard = {}
    with programs.sandbox(folder) as facts, programs.one_job(PAYLOAD) as coordinator:
        config = programs.configuration(folder, WITH_A_CLOUD.format(url=coordinator.URL, **facts))
        with Service(config) as service:
            programs.until(lambda: _well_on_its_way(service))
            [host] = programs.cloud(facts, "GET", "/applications")
            heard["host"] = {key: host[key] for key in ("name", "description", "zone")}
            heard["host's environment"] = programs.cloud(facts, "GET", f"/applications/{host['id']}/env")
            heard["pushed"] = _pushed(folder, host["deployUrl"], facts)
            programs.cloud(facts, "POST", "/applications", _like(host, name="hpd-job-goldenrun-99"))
            with programs.begun("paas-runner", "orphans", config, "--json") as orphans:
                for command in ("status", "check"):
                    code, answer, messages = ran("paas-runner", command, config, "--json")
                    assert answer, messages
                    heard[command] = json.loads(answer)
                    heard[f"{command} exit code"] = code
                heard["orphans"] = json.loads(orphans.stdout.read())
            heard["orphans exit code"] = orphans.returncode
            heard["codes"] = {
                line: called("paas-runner", line.split()[0], config, *line.split()[1:])[0]
                for line in ("pause golden", "resume golden", "reload", "drain")
            }
            with programs.begun("paas-runner", "drain", config, "--json") as drain:
                heard["drain progress"] = drain.stderr.readline()
                coordinator.job_status = "success"
                heard["drain"] = json.loads(drain.stdout.read())
            heard["exit codes at the end"] = [drain.returncode, service.ended()]
        with closing(sqlite3.connect(folder / "paas-runner-state.db")) as db:
            select = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
            heard["schema"] = db.execute(select).fetchall()
            heard["pragma"] = {
                name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "journal_mode")
            }
            columns = "SELECT m.name, c.name, c.type, c.pk FROM sqlite_schema m, pragma_table_info(m.name) c"
            heard["columns"] = db.execute(f"{columns} WHERE m.type = 'table' ORDER BY 1, c.cid").fetchall()
            heard["charge"] = db.execute("SELECT * FROM charge").fetchall()
            heard["facts"] = [name for (name,) in db.execute("SELECT name FROM fact ORDER BY name")]
            heard["ended"] = db.execute("SELECT * FROM ended").fetchall()
        heard["files"] = sorted(path.name for path in folder.iterdir() if path.name not in _OURS)
    return normalised(heard, (folder, "FOLDER"), live=True)


_OURS = {"config.toml", "log", "pushed", "sandbox.toml"}


def _well_on_its_way(service):
    """Whether the job runs and was looked at so often that all fields of its last entry have a value."""
    [report, _] = service.asked({"ask": "status"})
    return [each for each in report["jobs"] if each["phase"] == "running" and each["last"]["times"] > 2]


def _like(host, *, name):
    kind = host["instance"]
    flavor = kind["minFlavor"]["name"]
    return {
        "name": name,
        "description": host["description"],
        "zone": host["zone"],
        "deploy": "git",
        "minInstances": 1,
        "maxInstances": 1,
        "instanceType": kind["type"],
        "instanceVersion": kind["version"],
        "instanceVariant": kind["variant"]["id"],
        "minFlavor": flavor,
        "maxFlavor": flavor,
    }


def _pushed(folder, url, facts):
    """The only commit at the host's remote and all that is in it."""
    scheme, _, rest = url.partition("://")
    programs.git(folder, "clone", "-q", f"{scheme}://Jenkins:{facts['cc_token']}@{rest}", "pushed")
    here = folder / "pushed"
    return {
        "branches": programs.git(here, "branch", "-r", "--format=%(refname)").split(),
        "commits": programs.git(here, "rev-list", "--all").split(),
        "commit": programs.git(here, "cat-file", "-p", "HEAD"),
        "tree": programs.git(here, "ls-tree", "-r", "HEAD").splitlines(),
        "files": {
            name: programs.git(here, "cat-file", "blob", f"HEAD:{name}")
            for name in programs.git(here, "ls-tree", "-r", "--name-only", "HEAD").split()
        },
    }
