"""The push by the git program: nothing of the operator's has a say in it, and the password shows nowhere."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from executors.build_context import Identity, build_context
from executors.clever.api import CleverApi
from executors.push.program import ProgramPush
from paas_runner.errors import Transient
from paas_runner.executor.contract import HostRequest
from paas_runner.job.tracked import HostName
from paas_runner.secret import Secret
from tests.executors.test_clever import SECTION
from tests.support.records import payload

TREE = {"Dockerfile": b"FROM x\n", "job.json": b"{}"}
IDENTITY = Identity(name="CI of Example", email="ci@example.com")


def git(*arguments):
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


def command_lines():
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                found.add((entry / "cmdline").read_bytes())
    return found


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
    await ProgramPush()(tree, application.push_url, user="Jenkins", password=clever.token, identity=IDENTITY)
    await api.aclose()
    return clever.cloud.application(clever.organisation, application.ref).last_push.commit


async def test_the_commit_depends_on_the_tree_alone(clever, connect, monkeypatch):
    first = await commit_of(clever, TREE, connect)
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody Else")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert await commit_of(clever, TREE, connect) == first
    assert await commit_of(clever, TREE | {"job.json": b"[]"}, connect) != first


async def test_the_commit_is_by_the_configured_identity(clever, connect, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody Else")
    commit = await commit_of(clever, TREE, connect)
    [repository] = [head.parent for head in (tmp_path / "git").rglob("HEAD")]
    shown = git("-C", repository, "log", "--format=%an <%ae>, %cn <%ce>", commit)
    assert shown == "CI of Example <ci@example.com>, CI of Example <ci@example.com>\n"


def test_the_same_job_gives_the_same_tree():
    request = HostRequest(host_name=HostName("h"), payload=payload(1, steps=[{"script": ["é", "\x1b[1m"]}]))
    once, twice = (build_context(request, SECTION, main_image="img:1") for _ in range(2))
    assert once == twice


async def test_the_password_is_in_no_argument_and_no_file_of_the_push(clever, connect):
    """Each process of this test's is looked at many times while one pushes."""
    seen, files, done = set(), set(), threading.Event()

    def watch():
        while not done.is_set():
            seen.update(command_lines())
            for config in Path(tempfile.gettempdir()).glob("paas-runner-push-*/.git/*"):
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
        await ProgramPush()(TREE, "http://127.0.0.1:9/x.git", user="u", password=password, identity=IDENTITY)
    assert list(tmp_path.iterdir()) == []


def test_without_git_only_who_wants_the_program_is_told_so():
    code = (
        "from executors.clever import _program_push\n"
        "try:\n    _program_push()\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    environment = {**os.environ, "PATH": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "RunnerError the program `git` was not found on PATH: install it\n"


def test_a_job_with_half_a_character_is_launched_as_it_came():
    half = payload(1, variables=[{"key": "A", "value": "\\ x\ud83d é"}])
    request = HostRequest(host_name=HostName("h"), payload=half)
    pushed = build_context(request, SECTION, main_image="img:1")["job.json"]
    assert json.loads(pushed) == half.raw
    assert "é".encode() in pushed


async def test_nothing_of_the_operators_git_has_a_say_in_a_push(clever, connect, tmp_path, monkeypatch):
    alone = await commit_of(clever, TREE, connect)
    hooks, marker = tmp_path / "hooks", tmp_path / "marker"
    hooks.mkdir()
    for name in ("pre-commit", "pre-push", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (hooks / name).chmod(0o755)
    settings = f"[core]\nhooksPath={hooks}\nfsmonitor='touch {marker};false'\n[user]\nname=Somebody\n"
    (tmp_path / ".gitconfig").write_text(settings)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'core.fsmonitor'='touch {marker};false'")
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_EXEC_PATH", str(hooks))
    assert await commit_of(clever, TREE, connect) == alone
    assert not marker.exists()


async def test_a_push_that_finds_no_room_is_tried_again_with_words(tmp_path, monkeypatch):
    full = tmp_path / "no-folder"
    monkeypatch.setattr("tempfile.tempdir", str(full))
    with pytest.raises(
        Transient, match="the runner's own machine, prepare the push: No such file or directory"
    ):
        await ProgramPush()(
            TREE, "http://127.0.0.1:9/x.git", user="u", password=Secret("p"), identity=IDENTITY
        )


async def test_a_push_that_hangs_ends_with_all_that_it_started(monkeypatch):
    monkeypatch.setattr("executors.push.program.PUSH_SECONDS", 1.0)
    silent = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.git"
    with silent, pytest.raises(Transient, match="not done within 1 seconds"):
        await ProgramPush()(TREE, url, user="u", password=Secret("p"), identity=IDENTITY)
    assert not [line for line in command_lines() if url.encode() in line]


def test_a_service_that_pushes_itself_needs_no_git_program():
    code = (
        "import sys\n"
        "from executors.push.built_in import HttpPush\n"
        "from executors.push.objects import commit_of, write_pack\n"
        "from executors.build_context import Identity\n"
        "write_pack(commit_of({'a': b''}, Identity(name='x', email='y')), bytes)\n"
        "print('git' in sys.modules, 'gitdb' in sys.modules)\n"
    )
    environment = {**os.environ, "PATH": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False True\n"
