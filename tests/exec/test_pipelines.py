"""Ten pipelines, as docs/exec.md compares them: each job is really run, in this machine's shell."""

import json
import os
import shutil

import pytest

from tests.support.git_server import git

VARIABLES = """\
TOKEN: {value: abcdefgh-secret, masked: true}
KEY_FILE: {value: a very private key, masked: true, type: file}
"""


def run(called, *arguments, code=0):
    """The lines of all logs, without what the runner says of itself."""
    found, answer, messages = called(*arguments)
    assert found == code, (answer, messages)
    return [line for line in answer.splitlines() if not line.startswith(("==", "$ "))]


def test_a_job_gets_the_artifacts_of_what_it_needs_and_they_stay_for_later_runs(project, called):
    project.use("artifacts")
    assert "no artifacts of `build` here yet: --needs runs" in called("test")[2]
    found = run(called, "test", "--needs")
    assert "made by build" in found
    assert (
        found.index("job build: success; archive.zip in .paas-runner/exec/artifacts/build") < len(found) - 1
    )
    assert {"made by build", "a fresh copy", "job test: success"} <= {*run(called, "test")}
    assert "--needs" not in called("test")[2]
    assert git(project.root, "status", "--short") == "M README\n?? .gitlab-ci.yml\n?? new.txt\n?? templates/"


def test_what_a_job_finds_is_the_tree_as_it_is_at_the_commit_that_it_is_at(project, called):
    git(project.root, "config", "user.name", "Ann")
    found = run(called, "commit") if project.use("repository") else []
    assert {
        "HEAD is the commit",
        "The title on main of group/words",
        "in the project",
        "changed",
        "new",
        "nothing that is ignored",
        "changed: README",
    } <= {*found}


def test_rules_see_what_is_given(project, called):
    project.use("rules")
    assert "deploys yes" in run(called, "on-demand", "-e", "DEPLOY=yes")
    code, _, messages = called("on-demand")
    assert code == 2
    assert ".gitlab-ci.yml:13: job `on-demand`, `rules`: none holds for a push to `main`" in messages


def test_a_failure_has_its_after_script_and_its_artifacts(project, called, tmp_path):
    found = run(project.use("failure") and called, "fails", "--artifacts-dir", tmp_path / "out", code=1)
    assert {"before", "after_script sees failed", "ERROR: Job failed: exit code 7"} <= {*found}
    assert "never" not in found
    assert (tmp_path / "out/README").read_text() == "first\nchanged\n"


def test_files_of_the_repository_are_included_with_their_inputs(project, called):
    assert "ruff is strict" in run(project.use("include") and called, "lint ruff")


def test_masked_values_are_in_no_log_and_in_no_file_that_stays(project, called, tmp_path):
    (tmp_path / "given.yml").write_text(VARIABLES)
    project.use("secrets")
    code, answer, messages = called("--json", "deploy", "--variables-file", tmp_path / "given.yml")
    [job] = json.loads(answer)["jobs"]
    assert (code, job["status"]) == (0, "success")
    assert {"token [MASKED]", "abcdefgh", "[MASKED]"} <= {*job["log"]}
    assert "abcdefgh-secret" not in answer + messages
    stayed = [path.read_bytes() for path in (project.root / ".paas-runner").rglob("*") if path.is_file()]
    assert not [each for each in stayed if b"secret" in each or b"private" in each]


LATER = [
    ("dotenv", ("use", "--needs"), 0, ["version 4.2, a b"]),
    ("rules", ("always",), 0, ["on the main branch"]),
    ("rules", ("by-hand",), 0, ["by hand"]),
    ("matrix", ("shard",), 0, ["1 of 3", "2 of 3", "3 of 3", "job shard 3/3: success"]),
    ("failure", ("tolerated",), 1, ["job tolerated: failed (it is allowed to: a pipeline would go on)"]),
    ("failure", ("in-a-pipe",), 1, ["job in-a-pipe: failed"]),
    ("include", ("own",), 0, ["common words"]),
    ("repository", ("nothing",), 0, ["job nothing: success"]),
    ("inheritance", ("whole",), 0, ["from the reference", "hello world", "after hello"]),
    ("matrix", ("build: [mac, arm64]",), 0, ["mac on arm64", "job build: [mac, arm64]: success"]),
]


@pytest.mark.long
@pytest.mark.parametrize("job", LATER, ids=lambda job: " ".join((job[0], *job[1])))
def test_each_other_job_does_what_its_author_wants(project, called, job):
    pipeline, arguments, code, lines = job
    found = run(project.use(pipeline) and called, *arguments, code=code)
    assert [line for line in found if line in lines] == lines
    if arguments == ("nothing",):
        assert "README" not in found


@pytest.mark.long
def test_a_cache_stays_from_one_run_to_the_next(project, called):
    project.use("cache")
    assert [("lines: 1" in run(called, "job")), ("lines: 2" in run(called, "job"))] == [True, True]


def test_a_secret_that_could_not_be_masked_is_refused(project, called, monkeypatch):
    monkeypatch.setitem(os.environb, b"TOKEN", b"secret-\xff")
    project.use("secrets")
    code, answer, messages = called("deploy", "--secret", "TOKEN")
    assert (code, answer) == (2, "")
    assert "--secret TOKEN: its value is no UTF-8" in messages


def test_a_folder_that_is_gone_is_told(called, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, _, messages = called("test")
    assert code == 2
    assert "the current folder is gone" in messages


def test_a_job_that_is_interrupted_before_it_began_is_canceled(project, called, tmp_path, monkeypatch):
    """The interrupt comes while git makes the copy."""
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    usual = shutil.which("git")
    program.write_text(f'#!/bin/sh\n[ "$1" = init ] && kill -INT $PPID && sleep 0.2\nexec {usual} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    project.use("failure")
    code, answer, _ = called("fails", "--shell")
    assert code == 130
    assert "job fails: canceled" in answer
