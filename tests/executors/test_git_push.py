"""The push as git does it: the same tree is the same commit, and the password shows nowhere."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from executors.build_context import Identity, build_context
from executors.clever.api import CleverApi
from executors.git_push import GitPush
from paas_runner.errors import RemoteError, Transient
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
    await GitPush()(tree, application.push_url, user="Jenkins", password=clever.token, identity=IDENTITY)
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


def test_a_job_with_half_a_character_is_launched_as_it_came():
    half = payload(1, variables=[{"key": "A", "value": "\\ x\ud83d é"}])
    request = HostRequest(host_name=HostName("h"), payload=half)
    pushed = build_context(request, SECTION, main_image="img:1")["job.json"]
    assert json.loads(pushed) == half.raw
    assert "é".encode() in pushed


@asynccontextmanager
async def remote_that(answer):
    """An HTTP server that answers each request so; yields its address and the requests."""
    asked = []

    async def serve(reader, writer):
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(answer.encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_push_follows_no_redirect(status):
    async with remote_that("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as (elsewhere, stolen):
        moved = (
            f"HTTP/1.1 {status} Moved\r\nLocation: {elsewhere}/x.git/info/refs?service=git-receive-pack\r\n"
        )
        async with remote_that(f"{moved}Content-Length: 0\r\n\r\n") as (url, asked):
            with pytest.raises(Transient, match="redirects the push to another address"):
                await GitPush()(
                    TREE, f"{url}/x.git", user="u", password=Secret("hidden-password"), identity=IDENTITY
                )
    assert "authorization: basic" in asked[0].lower()
    assert stolen == []


@pytest.mark.parametrize("kind", ["ext::sh -c touch% {marker}", "file://{remote}", "{remote}"])
async def test_a_push_speaks_http_alone(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "ext:file:https")
    remote, marker = tmp_path / "remote.git", tmp_path / "marker"
    git("init", "-q", "--bare", remote)
    url = kind.format(remote=remote, marker=marker)
    with pytest.raises(RemoteError):
        await GitPush()(TREE, url, user="u", password=Secret("p"), identity=IDENTITY)
    assert not marker.exists()
    assert not list((remote / "objects").rglob("*.pack"))
    assert not list((remote / "refs/heads").iterdir())


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
        await GitPush()(TREE, "http://127.0.0.1:9/x.git", user="u", password=Secret("p"), identity=IDENTITY)


async def test_a_push_that_hangs_ends_with_all_that_it_started(monkeypatch):
    monkeypatch.setattr("executors.git_push.PUSH_SECONDS", 1.0)
    silent = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.git"
    with silent, pytest.raises(Transient, match="not done within 1 seconds"):
        await GitPush()(TREE, url, user="u", password=Secret("p"), identity=IDENTITY)
    assert not [line for line in command_lines() if url.encode() in line]
