"""A job in a container of its image, beside its service, on a real engine."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.support.git_server import git

NOBODY = 65534
AS_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),  # for the interpreter
)


@contextlib.contextmanager
def reachable(socket):
    """For everybody, as long as the context lasts."""
    places = [socket, *[each for each in socket.parents if each.stat().st_mode & 0o001 == 0]]
    before = {place: place.stat().st_mode for place in places}
    try:
        for place in places:
            place.chmod(0o777)
        yield
    finally:
        for place, mode in before.items():
            place.chmod(mode & 0o7777)


@pytest.fixture
def at_engine(engine, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", engine.url)
    return engine


def test_a_job_with_an_image_runs_in_a_container_beside_its_services(at_engine, project, called, tmp_path):
    project.use("containers")
    with at_engine.client() as client:
        before = {each["Id"] for each in client.containers(all=True)}
    arguments = ("job", "-e", f"IMAGE={at_engine.base}", "--artifacts-dir", tmp_path / "out")
    code, answer, messages = called(*arguments)
    assert code == 0, (answer, messages)
    assert {"in debian", "served", "given as root", "The title"} <= {*answer.splitlines()}
    assert (tmp_path / "out/made.txt").read_text() == "given as root\n"
    assert list((project.root / ".paas-runner/exec/builds").iterdir()) == []
    with at_engine.client() as client:
        left = {each["Id"] for each in client.containers(all=True)} - before
        ends = time.monotonic() + 60
        while left and time.monotonic() < ends:  # those of tests beside this one go by themselves
            time.sleep(0.2)
            left &= {each["Id"] for each in client.containers(all=True)}
    assert not left


def test_the_user_of_an_image_may_write_into_the_project(at_engine, project, called):
    image = at_engine.build("paas-runner-test/exec-user", f"FROM {at_engine.base}\nUSER nobody\n")
    project.write(".gitlab-ci.yml", "job: {script: [id -un, touch mine, cat new.txt]}\n")
    code, answer, messages = called("job", "--docker", "--image", image)
    assert code == 0, (answer, messages)
    assert {"nobody", "new"} <= {*answer.splitlines()}


@pytest.mark.skipif(os.getuid() != 0, reason="it needs another user than the caller")
def test_somebody_else_than_root_has_all_files_and_git_in_a_container_of_root(at_engine, tmp_path):
    command = (sys.executable, "-m", "paas_runner")
    folder = Path(tempfile.mkdtemp(prefix="exec-", dir="/tmp"))  # open to others, as pytest's are not
    socket = Path(at_engine.url.removeprefix("unix://"))
    try:
        (folder / ".gitlab-ci.yml").write_text(
            "job: {script: [id -un, git log -1 --format=%s, mkdir made, touch made/file]}\n"
        )
        git(folder, "init", "-q", "-b", "main")
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", "The title")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        with reachable(socket):
            done = subprocess.run(
                [*AS_NOBODY, *command, "exec", "job", "--docker", "--image", at_engine.base],
                cwd=folder,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(folder)}
                | {"DOCKER_HOST": at_engine.url},
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, (done.stdout, done.stderr)
        assert {"root", "The title"} <= {*done.stdout.splitlines()}
        assert list((folder / ".paas-runner/exec/builds").iterdir()) == []
    finally:
        shutil.rmtree(folder)


def test_files_that_root_has_made_are_given_back_to_whoever_calls(at_engine, tmp_path, monkeypatch):
    from paas_runner.exec.engine import give_back

    (tmp_path / "made").write_text("")
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    monkeypatch.setattr(os, "getgid", lambda: 1234)
    give_back(tmp_path, at_engine.base)
    assert (tmp_path / "made").stat().st_uid == 1234


@pytest.mark.long
def test_without_an_engine_it_is_told_and_the_shell_runs_the_job(project, called, monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
    project.write(".gitlab-ci.yml", "job: {image: debian, script: [echo here]}\n")
    code, answer, messages = called("job")
    assert code == 0
    assert "here" in answer.splitlines()
    assert (
        "warning: job `job` runs in this machine's shell, not in debian: Docker engine at unix://" in messages
    )
    assert called("job", "--docker")[0] == 2
