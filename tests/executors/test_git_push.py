"""The push as git does it: the same tree is the same commit, and the password shows nowhere."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from executors.build_context import Identity, build_context
from executors.clever.api import CleverApi
from executors.git_push import GitPush, clear_away_leftovers
from paas_runner.errors import Transient
from paas_runner.executor.contract import HostRequest
from paas_runner.job.tracked import HostName
from paas_runner.secret import Secret
from tests.executors.test_clever import SECTION
from tests.support.records import payload

TREE = {"Dockerfile": b"FROM x\n", "job.json": b"{}"}
IDENTITY = Identity(name="CI of Example", email="ci@example.com")


async def commit_of(clever, tree, connect):
    api = CleverApi(clever.url, organisation=clever.organisation, token=clever.token, connect=connect)
    offer = clever.cloud.catalogue.instance_types
    docker = next(kind for kind in offer if kind.variant == "70d676a0-a775-4dc9-a43d-3121036e8515")
    application = await api.create(
        {
            "name": "x",
            "zone": "par",
            "deploy": "git",
            "instanceType": docker.type,
            "instanceVersion": docker.version,
            "instanceVariant": docker.variant,
            "instanceLifetime": "TASK",
            "minInstances": 1,
            "maxInstances": 1,
            "minFlavor": "heptapod-runner-M",
            "maxFlavor": "heptapod-runner-M",
        }
    )
    await GitPush()(tree, application.push_url, user="Jenkins", password=clever.token, identity=IDENTITY)
    await api.aclose()
    return clever.cloud.application(clever.organisation, application.ref).last_push.commit


async def test_the_commit_depends_on_the_tree_alone(clever, connect, monkeypatch):
    first = await commit_of(clever, TREE, connect)
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody Else")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert await commit_of(clever, TREE, connect) == first
    assert await commit_of(clever, TREE | {"job.json": b"[]"}, connect) != first


def test_the_commit_is_by_the_configured_identity(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody Else")
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", remote], check=True)
    asyncio.run(GitPush()(TREE, str(remote), user="u", password=Secret("p"), identity=IDENTITY))
    shown = subprocess.run(
        ["git", "-C", remote, "log", "--format=%an <%ae>, %cn <%ce>", "master"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "CI of Example <ci@example.com>, CI of Example <ci@example.com>\n"


def test_the_same_job_gives_the_same_tree():
    request = HostRequest(host_name=HostName("h"), payload=payload(1, steps=[{"script": ["é", "\x1b[1m"]}]))
    once, twice = (build_context(request, SECTION, main_image="img:1") for _ in range(2))
    assert once == twice


async def test_the_password_is_in_no_argument_and_no_file_of_the_push(clever, connect):
    """Each process of this test's is looked at many times while one pushes."""
    seen, files, done = set(), set(), threading.Event()

    def watch():
        while not done.is_set():
            for entry in Path("/proc").iterdir():
                if entry.name.isdecimal():
                    try:
                        seen.add((entry / "cmdline").read_bytes())
                    except OSError:
                        continue
            for config in Path("/tmp").glob("paas-runner-push-*/.git/*"):
                try:
                    files.add(config.read_bytes())
                except OSError:
                    continue
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(10):  # a push may be too fast for a busy machine to be seen
            await commit_of(clever, TREE, connect)
            if files and any(b"git\0" in line and b"push" in line for line in seen.copy()):
                break
    finally:
        done.set()
        watcher.join()
    pushes = [line for line in seen if b"git\0" in line and b"push" in line]
    assert pushes, "the push was too fast to be seen"
    assert files
    assert not [line for line in seen if b"cloud-token-canary" in line]
    assert not [content for content in files if b"cloud-token-canary" in content]


async def test_no_one_there_is_transient_and_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    password = Secret("hidden-password")
    with pytest.raises(Transient, match=r"git remote 127\.0\.0\.1"):
        await GitPush()(TREE, "http://127.0.0.1:9/x.git", user="u", password=password, identity=IDENTITY)
    assert list(tmp_path.iterdir()) == []


def test_without_git_the_executor_says_so():
    code = (
        "from executors.clever import _git_push\n"
        "try:\n    _git_push()\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    environment = {**os.environ, "PATH": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "RunnerError the program `git` was not found on PATH: install it\n"


def test_what_a_killed_push_left_behind_is_cleared_away_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    for name in (f"paas-runner-push-{ended.pid}-abc", f"paas-runner-push-{os.getpid()}-def", "other-1-abc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "job.json").write_text("{}")
    GitPush()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "other-1-abc",
        f"paas-runner-push-{os.getpid()}-def",
    ]


def test_two_services_clear_away_the_same_folders(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    done = threading.Event()

    def leave_and_clear_away():
        while not done.is_set():
            for number in range(20):
                (tmp_path / f"paas-runner-push-{ended.pid}-{number}").mkdir(exist_ok=True)
            clear_away_leftovers()

    other = threading.Thread(target=leave_and_clear_away)
    other.start()
    try:
        for _ in range(300):
            clear_away_leftovers()
    finally:
        done.set()
        other.join()
