"""`paas-runner migrate`: there, a second time, and back."""

import asyncio
import contextlib
import fcntl
import json
import os
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from paas_runner.cli import main
from paas_runner.errors import Exit, RunnerError
from paas_runner.executor.contract import installed
from paas_runner.job.tracked import Host, JobKey, Phase
from paas_runner.migration import kept
from paas_runner.migration.fates import fate_there
from paas_runner.migration.migration import (
    NothingKeptError,
    gone_back,
    migrated,
    only_one,
    planned,
    way_back,
)
from paas_runner.store.sqlite import SqliteStore
from tests.support.records import job, job_in

PEERS_STATE = Path(__file__).parents[1] / "golden" / "recorded" / "state-1.1.1.json"
EXAMPLES = Path(__file__).parents[1] / "config" / "examples"
FROM = ["--from", "heptapod-paas-runner"]

CONFIG = """
state_file = "{folder}/state.json"
job_progress_interval = 20
sentry_dsn = ""
statsd = "of an older time"

[quota_computation]
reference_runner = "golden"
reference_flavor = "M"
reference_jobs_count = 10

[[runners]]
name = "golden"
url = "https://gitlab.example"
token = "glrt-goldenrunnertoken"
executor = "clever-docker"
limit = 3
cc_orga_id = "orga_1"
cc_token = "made-up-canary-of-the-cloud"
heptapod_paas_runner_helper_image = "old"

[runners.job_trace_watch]
token = "made-up-canary-of-an-administrator"
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    path = tmp_path / "config.toml"
    path.touch(mode=0o600)
    path.write_text(CONFIG.format(folder=tmp_path))
    state = tmp_path / "state.json"
    state.touch(mode=0o600)
    state.write_bytes(PEERS_STATE.read_bytes())
    return path


def migrate(config, *more):
    return main(["migrate", str(config), *FROM, *more])


def document(config, capsys, *more):
    code = migrate(config, "--json", *more)
    return code, json.loads(capsys.readouterr().out)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_dry_run_says_everything_and_changes_nothing(config, capsys):
    before = files(config.parent)
    code, told = document(config, capsys, "--dry-run")
    assert code == Exit.OK
    assert files(config.parent) == before
    assert [(change["line"], change["key"]) for change in told["changes"]] == [
        (3, "job_progress_interval"),
        (5, "statsd"),
        (22, "runners[0].job_trace_watch"),
    ]
    assert any("`limit` is ignored there" in each for each in told["differences"])
    assert any("administrator's" in each for each in told["differences"])
    assert any("heptapod_paas_runner_helper_image: has no effect" in each for each in told["warnings"])
    assert told["state"] == {"file": str(config.parent / "state.json"), "from": "1.1.1"}
    assert (told["kept"], told["written"], told["checks"]) == ([], [], [])
    assert "canary" not in json.dumps(told)


def test_each_job_of_the_state_file_is_told_what_becomes_of_it(config, capsys):
    _, told = document(config, capsys, "--dry-run")
    fates = {each["job"]: (each["runner"], each["fate"]) for each in told["jobs"]}
    assert fates[21] == ("golden", "followed to its end, then its host is removed")
    assert fates[23] == ("golden", "run on a host that is made then, if the coordinator still wants it")
    assert fates[24] == ("golden", "run on its host, if the coordinator still wants it")
    assert fates[28] == ("departed", "kept until the configuration has its runner again")
    listed = json.loads(PEERS_STATE.read_text())
    everywhere = {entry["job_id"] for name in ("launched", "to_decommission") for entry in listed[name]}
    assert everywhere | {handle["job_id"] for handle, _ in listed["pending"]} <= fates.keys()
    assert told["possible_hosts"]


def test_both_files_are_kept_and_the_configuration_is_one_that_starts(config, capsys):
    before = files(config.parent)
    code, told = document(config, capsys)
    after = files(config.parent)
    assert code == Exit.OK
    assert after["config.toml.before-migration"] == before["config.toml"]
    assert after["state.json.before-migration"] == after["state.json"] == before["state.json"]
    assert told["written"] == [str(config)]
    assert {each["grade"] for each in told["checks"]} <= {"fine", "warning", "skipped"}
    for path in config.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert main(["check", str(config), "--offline"]) == Exit.OK
    capsys.readouterr()


def test_a_second_time_changes_nothing(config, capsys):
    migrate(config)
    once = files(config.parent)
    capsys.readouterr()
    code, told = document(config, capsys)
    assert code == Exit.OK
    assert files(config.parent) == once
    assert (told["changes"], told["written"]) == ([], [])


def test_copies_are_never_overwritten(config, capsys):
    (config.parent / "config.toml.before-migration").write_text("of somebody else")
    migrate(config)
    after = files(config.parent)
    assert after["config.toml.before-migration"] == b"of somebody else"
    assert b"job_progress_interval" in after["config.toml.before-migration.2"]


def test_what_is_to_be_done_next_is_said_where_it_would_work(config, capsys):
    migrate(config)
    assert capsys.readouterr().out.endswith(f"next: start this service with {config}\n")
    (config.parent / "state.json").chmod(0o666)
    (config.parent / "state.db").write_text("no store")
    assert migrate(config) != Exit.OK
    assert "next:" not in capsys.readouterr().out


def test_back_is_the_file_that_there_was_and_forward_again_works(config, capsys):
    before = files(config.parent)
    migrate(config)
    now = config.read_bytes()
    assert migrate(config, "--back") == Exit.OK
    assert "as the other program left it" in capsys.readouterr().out
    assert config.read_bytes() == before["config.toml"]
    assert files(config.parent)["config.toml.after-migration"] == now
    assert migrate(config) == Exit.OK
    assert config.read_bytes() == now
    assert len(files(config.parent)) == 5


HELPED = {"app_id": "hpd-job-abc123xy", "netloc": "helper:8000", "paas_token": "helper-canary"}


def test_what_becomes_of_jobs_at_helper_services_is_told_in_both_directions(config, capsys):
    """H130, H142."""
    state = config.parent / "state.json"
    listed = json.loads(PEERS_STATE.read_text())
    known = {key: listed["launched"][0][key] for key in ("runner_name", "token")}
    handles = [{**known, "job_id": number, "paas_resource": HELPED} for number in (91, 92)]
    strange = {**known, "job_id": 93, "paas_resource": {"app_id": "app_93"}}
    lists = {"launched": [handles[0], strange], "to_decommission": [handles[1]]}
    state.write_text(json.dumps({"pending": [], "standby_resources": []} | lists))
    _, told = document(config, capsys, "--dry-run")
    assert {each["job"]: each["fate"] for each in told["jobs"]} == {
        91: "followed to its end, then its helper service forgets it",
        92: "over: its helper service forgets it",
    }
    assert [each.partition(": ")[2] for each in told["aside"]] == [
        "its host app_93 is of a kind that is not known"
    ]
    assert migrate(config, "--dry-run") == Exit.OK
    assert "app_93 is of a kind that is not known; kept in a file" in capsys.readouterr().out
    migrate(config)
    capsys.readouterr()
    _, told = document(config, capsys, "--back", "--dry-run")
    assert {each["job"]: each["fate"] for each in told["jobs"]} == {
        91: "followed to its end there, then its helper service forgets it",
        92: "over: nothing is left to be done there",
    }


FATES_THERE = [
    (job_in(Phase.ACQUIRED), "run there, on a host that is made then"),
    (job_in(Phase.PROVISIONED), "run there, on its host"),
    (job_in(Phase.RUNNING), "followed to its end there, then its host is removed"),
    (job_in(Phase.FAILING, payload=None), "its host is removed there; that it failed is not reported"),
    (job_in(Phase.DECOMMISSIONING), "over: its host is removed there"),
    (job_in(Phase.STANDBY), "over: its host is removed there"),
    (
        job_in(Phase.STANDBY, host=Host(ref="app_1", details={"netloc": "x", "deploy_url": "y"})),
        "over: its host waits for another job there, for a while",
    ),
    (
        job_in(Phase.FAILING, payload=None, host=None),
        "it is not told of it: the coordinator ends the job by its timeout",
    ),
    (
        job_in(Phase.RUNNING, key=JobKey("departed", 1)),
        "in the way: it does not start while the configuration lacks its runner",
    ),
]


@pytest.mark.parametrize(("record", "fate"), FATES_THERE)
def test_each_phase_is_told_what_the_other_program_makes_of_it(record, fate):
    assert fate_there(record, known=record.key.runner != "departed") == fate


WORKS_ON_FILES = {work.__code__ for work in (migrated, gone_back, kept.keep, kept.replace, kept._write)}


class KilledAtLine:
    """Ends the process right before the so manieth line of what changes files."""

    def __init__(self, number):
        self.left = number

    def __call__(self, frame, event, _):
        if frame.f_code not in WORKS_ON_FILES:
            return None
        if event == "line":
            self.left -= 1
            if not self.left:
                os._exit(9)
        return self


def killed(work, number):
    """Whether the work was not at its end by then."""
    child = os.fork()
    if child == 0:
        sys.settrace(KilledAtLine(number))
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def as_at(folder, before):
    for path in folder.iterdir():
        path.unlink()
    for name, content in before.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)


@pytest.mark.long
def test_killed_at_any_line_it_can_go_on_and_back(config):
    plan = partial(planned, config, environ={}, executors=installed())
    there, before = plan(), files(config.parent)
    number = 1
    while killed(partial(migrated, there), number):
        left = files(config.parent)
        assert left["config.toml"] in (before["config.toml"], there.text.encode())
        with contextlib.suppress(RunnerError):  # nothing to go back from
            gone_back(way_back(config, environ={}, executors=installed()))
        assert config.read_bytes() == before["config.toml"]
        as_at(config.parent, left)
        migrated(plan())
        gone_back(way_back(config, environ={}, executors=installed()))
        assert config.read_bytes() == before["config.toml"]
        as_at(config.parent, before)
        number += 1
    assert number > 20


@pytest.mark.soak
@pytest.mark.long
def test_killed_at_any_line_on_its_way_back_it_can_go_it_once_more(config):
    before = files(config.parent)
    migrated(planned(config, environ={}, executors=installed()))
    (config.parent / "state.json").unlink()
    there = files(config.parent)
    number = 1
    way = way_back(config, environ={}, executors=installed())
    while killed(partial(gone_back, way), number):
        with contextlib.suppress(NothingKeptError):  # it was over
            gone_back(way_back(config, environ={}, executors=installed()))
        assert files(config.parent).items() >= before.items()
        as_at(config.parent, there)
        number += 1
    assert number > 20


def test_back_is_what_was_migrated_last(config):
    first = config.read_bytes()
    for content in (first, first + b"concurrent = 3\n", first):
        config.write_bytes(content)
        migrate(config)
        assert migrate(config, "--back") == Exit.OK
        assert config.read_bytes() == content


def test_a_link_stays_one_and_files_of_others_stay(config):
    config.rename(config.with_name("real.toml"))
    config.symlink_to("real.toml")
    config.with_name("real.toml.new").write_text("a draft")
    config.with_name("config.toml.new").write_text("another")
    migrate(config)
    assert config.is_symlink()
    assert "job_progress_poll_interval" in config.with_name("real.toml").read_text()
    assert config.with_name("real.toml.new").read_text() == "a draft"
    assert config.with_name("config.toml.new").read_text() == "another"


def test_a_second_one_at_the_same_time_is_refused(config, capsys):
    with only_one(config.parent):
        assert migrate(config) == Exit.IN_USE
        assert "another migration" in capsys.readouterr().err
        assert migrate(config, "--dry-run") == Exit.OK


def test_a_copy_that_is_none_is_no_way_back(config, capsys):
    config.with_name("config.toml.before-migration").mkdir()
    assert migrate(config, "--back") == Exit.FAILED
    assert "nothing to go back to" in capsys.readouterr().err


@pytest.mark.long
def test_hundreds_of_unknown_keys_become_comments(config, capsys):
    unknown = "".join(f"unknown_{number} = {number}\n" for number in range(250))
    config.write_text(unknown + "odd = nan\n" + config.read_text())
    code, told = document(config, capsys, "--dry-run")
    assert (code, len(told["changes"])) == (Exit.OK, 254)


def test_back_leaves_a_state_file_that_was_written_since(config, capsys):
    migrate(config)
    state = config.parent / "state.json"
    state.write_text('{"launched": [], "pending": [], "to_decommission": [], "standby_resources": []}')
    assert migrate(config, "--back") == Exit.OK
    assert "it has the jobs of meanwhile, and stays" in capsys.readouterr().out
    assert "launched" in state.read_text()


def test_back_puts_a_state_file_back_only_if_the_service_was_never_started(config, capsys):
    migrate(config)
    state = config.parent / "state.json"
    before = state.read_bytes()
    state.unlink()
    assert migrate(config, "--back", "--dry-run") == Exit.OK
    assert not state.exists()
    assert migrate(config, "--back") == Exit.OK
    assert state.read_bytes() == before


def test_back_is_refused_where_jobs_are_tracked_that_no_state_file_has(config, capsys):
    migrate(config)
    (config.parent / "state.json").unlink()

    async def killed():
        store = await SqliteStore.open(config.parent / "state.db")
        await store.installation()
        await store.save(job(7))
        await store.aclose()

    asyncio.run(killed())
    now = config.read_bytes()
    assert migrate(config, "--back") == Exit.FAILED
    assert "did not stop in an orderly way" in capsys.readouterr().err
    assert config.read_bytes() == now


def test_back_without_a_copy_is_refused(config, capsys):
    assert migrate(config, "--back") == Exit.FAILED  # it is of the other program still
    assert "nothing to go back to" in capsys.readouterr().err
    migrate(config)
    migrate(config, "--back")
    assert migrate(config, "--back") == Exit.FAILED
    assert "is what it was before the migration already" in capsys.readouterr().err
    migrate(config)
    (config.parent / "config.toml.before-migration").unlink()
    assert migrate(config, "--back") == Exit.FAILED
    assert "nothing to go back to" in capsys.readouterr().err


@contextlib.contextmanager
def our_service(config):
    with (config.parent / "state.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        yield


@contextlib.contextmanager
def the_other_program(config):
    program = config.parent / "heptapod-paas-runner"
    program.write_text("import time\nprint('up', flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, str(program), "config.toml"]
    with subprocess.Popen(command, cwd=config.parent, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield
        process.kill()


@pytest.mark.parametrize("service", [our_service, the_other_program])
def test_it_is_refused_while_one_of_the_programs_works_with_it(config, capsys, service):
    with service(config):
        before = files(config.parent)
        assert migrate(config) == Exit.IN_USE
        assert "stop it first" in capsys.readouterr().err
        assert files(config.parent) == before
        assert migrate(config, "--dry-run") == Exit.OK


def test_what_no_migration_mends_is_said_and_nothing_is_done(config, capsys):
    config.write_text(config.read_text().replace('cc_orga_id = "orga_1"', "concurrent = true"))
    before = files(config.parent)
    assert migrate(config) == Exit.CONFIG
    assert "cc_orga_id" in capsys.readouterr().err
    assert files(config.parent) == before


def test_a_state_file_that_is_damaged_ends_it(config, capsys):
    (config.parent / "state.json").write_text("{")
    assert migrate(config) == Exit.STATE
    assert "no state file that can be understood" in capsys.readouterr().err
    assert not (config.parent / "config.toml.before-migration").exists()


def test_a_state_file_of_0_5_0_is_told_from_one_of_1_1_1(config, capsys):
    state = json.loads(PEERS_STATE.read_text())
    del state["standby_resources"]
    (config.parent / "state.json").write_text(json.dumps(state))
    _, told = document(config, capsys, "--dry-run")
    assert told["state"]["from"] == "0.5.0"
    assert told["jobs"]


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.iterdir()))
def test_the_examples_of_both_versions_need_no_change(example, tmp_path, capsys):
    path = tmp_path / "config.toml"
    path.touch(mode=0o600)
    path.write_text((EXAMPLES / example).read_text().replace("/srv/heptapod-runner", str(tmp_path)))
    code, told = document(path, capsys)
    assert (code, told["changes"], told["written"]) == (Exit.OK, [], [])
    assert told["state"]["from"] is None


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
def test_root_leaves_files_to_whom_they_belong(config):
    for path in (config, config.parent / "state.json"):
        os.chown(path, 4711, 4711)
    os.chown(config.parent, 4711, 4711)
    migrate(config, "--dry-run")
    with contextlib.suppress(SystemExit):
        migrate(config)
    assert {path.stat().st_uid for path in config.parent.iterdir()} == {4711}
