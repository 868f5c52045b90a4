"""Real pushes with git, over real sockets."""

import asyncio
import gzip
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import attrs
import httpx
import pytest
from starlette.requests import Request

from paas_runner.sandbox.cloud import Application, Cloud, CloudOptions, GitRemote, Organisation, create_app
from paas_runner.sandbox.cloud.git_remote import _cgi
from paas_runner.sandbox.cloud.git_repositories import GitRepositories
from paas_runner.sandbox.faults import DropAfter, FaultInjector, FaultPlan
from paas_runner.server.listening import Listener
from tests.support.clouds import KEYS, OTHER_TOKEN, TOKEN, Program, new_application, real_cloud

GIT_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@localhost",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@localhost",
    "no_proxy": "127.0.0.1",
}


@attrs.frozen
class Remote:
    """A cloud with its git remote on a real port."""

    cloud: Cloud
    organisation: Organisation
    program: Program
    faults: FaultPlan
    url: str

    def of(self, app: Application, password: str = TOKEN.reveal(), user: str = "Jenkins") -> str:
        return f"{self.url.replace('://', f'://{user}:{password}@')}/git/{app.id}.git"


@pytest.fixture
async def remote(tmp_path: Path) -> AsyncIterator[Remote]:
    program = Program(seconds=None)
    cloud, organisation = real_cloud(program)
    git = await GitRemote.open(cloud, tmp_path / "remote")
    faults = FaultPlan()
    listener = Listener(FaultInjector(create_app(cloud, remote=git), faults))
    await listener.start()
    yield Remote(cloud, organisation, program, faults, listener.url)
    await listener.stop()
    await git.aclose()
    await cloud.aclose()


@attrs.frozen
class Scratch:
    """A repository to push from."""

    path: Path

    async def git(self, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            "git",
            *arguments,
            cwd=self.path,
            env=GIT_ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    async def commit(self, **files: bytes) -> str:
        for name, content in files.items():
            (self.path / name).write_bytes(content)
        await self.git("add", "--all")
        await self.git("commit", "--quiet", "--allow-empty", "--message", "Job definition")
        return (await self.git("rev-parse", "HEAD"))[1].strip()

    async def push(self, url: str, *arguments: str, to: str = "refs/heads/master") -> tuple[int, str]:
        return await self.git("push", *arguments, "--", url, f"HEAD:{to}")


@pytest.fixture
async def scratch(tmp_path: Path) -> Scratch:
    repository = Scratch(tmp_path / "scratch")
    repository.path.mkdir()
    await repository.git("init", "--quiet", ".")
    return repository


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_push_to_master_launches_the_commit(remote: Remote, scratch: Scratch) -> None:
    app = new_application(remote.cloud, remote.organisation)
    commit = await scratch.commit(Dockerfile=b"FROM x\n", data=b"\x00\xff")
    code, output = await scratch.push(remote.of(app))
    assert code == 0, output
    assert "remote: [SUCCESS] The application has successfully been queued for redeploy." in output
    await until(lambda: remote.program.running)
    assert remote.program.started[0].files == {"Dockerfile": b"FROM x\n", "data": b"\x00\xff"}
    assert app.deployments[1].commit == commit
    assert remote.cloud.ledger.calls[-1].by == TOKEN


async def test_the_same_commit_again_is_up_to_date_and_starts_nothing(
    remote: Remote, scratch: Scratch
) -> None:
    app = new_application(remote.cloud, remote.organisation)
    await scratch.commit(Dockerfile=b"FROM x\n")
    await scratch.push(remote.of(app))
    code, output = await scratch.push(remote.of(app))
    assert (code, "Everything up-to-date" in output) == (0, True)
    assert remote.cloud.ledger.entry(app.id).pushes == 1


async def test_only_master_is_accepted(remote: Remote, scratch: Scratch) -> None:
    app = new_application(remote.cloud, remote.organisation)
    await scratch.commit(Dockerfile=b"FROM x\n")
    for ref in ("refs/heads/main", "refs/tags/v1"):
        code, output = await scratch.push(remote.of(app), to=ref)
        assert code == 1
        assert "remote: Error: You tried to push to a custom branch. This is not allowed." in output
        assert f"remote: error: hook declined to update {ref}" in output
        assert "(hook declined)" in output
    assert remote.cloud.ledger.entry(app.id).pushes == 0


async def test_another_history_is_refused_unless_forced(remote: Remote, scratch: Scratch) -> None:
    app = new_application(remote.cloud, remote.organisation)
    await scratch.commit(Dockerfile=b"FROM x\n")
    await scratch.push(remote.of(app))
    await scratch.git("checkout", "--quiet", "--orphan", "other")
    forced = await scratch.commit(Dockerfile=b"FROM y\n")
    code, output = await scratch.push(remote.of(app))
    assert (code, "[rejected]" in output) == (1, True)
    assert remote.cloud.ledger.entry(app.id).pushes == 1
    assert (await scratch.push(remote.of(app), "--force"))[0] == 0
    assert app.last_push is not None
    assert app.last_push.commit == forced


async def test_master_cannot_be_deleted(remote: Remote, scratch: Scratch) -> None:
    app = new_application(remote.cloud, remote.organisation)
    await scratch.commit(Dockerfile=b"FROM x\n")
    await scratch.push(remote.of(app))
    assert (await scratch.git("push", "--", remote.of(app), ":refs/heads/master"))[0] == 1
    assert remote.cloud.ledger.entry(app.id).pushes == 1


async def test_wrong_passwords_are_refused(remote: Remote, scratch: Scratch) -> None:
    app = new_application(remote.cloud, remote.organisation)
    remote.cloud.add_organisation("Other", OTHER_TOKEN)
    await scratch.commit(Dockerfile=b"FROM x\n")
    code, output = await scratch.push(remote.of(app, "wrong"))
    assert (code, "Authentication failed" in output) == (128, True)
    code, output = await scratch.push(remote.of(app, OTHER_TOKEN.reveal()))
    assert (code, "not found" in output) == (128, True)


async def test_a_user_pushes_with_the_oauth_token_and_its_secret(remote: Remote, scratch: Scratch) -> None:
    app = new_application(remote.cloud, remote.organisation)
    foreign = new_application(remote.cloud, remote.cloud.add_organisation("Other"))
    remote.cloud.accounts.add_user("Somebody", KEYS, remote.organisation.id)
    await scratch.commit(Dockerfile=b"FROM x\n")
    code, output = await scratch.push(remote.of(app, "wrong", user="user-token"))
    assert (code, "Authentication failed" in output) == (128, True)
    code, output = await scratch.push(remote.of(foreign, "user-secret", user="user-token"))
    assert (code, "not found" in output) == (128, True)
    code, output = await scratch.push(remote.of(app, "user-secret", user="user-token"))
    assert code == 0, output
    assert remote.cloud.ledger.calls[-1].by == KEYS.token


async def test_without_credentials_git_is_asked_for_them(remote: Remote) -> None:
    app = new_application(remote.cloud, remote.organisation)
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(f"{remote.url}/git/{app.id}.git/info/refs?service=git-receive-pack")
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic realm=")


async def test_there_is_no_repository_before_it_is_created_nor_after_the_deletion(
    remote: Remote, scratch: Scratch
) -> None:
    remote.cloud.options = CloudOptions(repository_delay=timedelta(hours=1))
    early = new_application(remote.cloud, remote.organisation)
    remote.cloud.options = CloudOptions()
    late = new_application(remote.cloud, remote.organisation)
    await remote.cloud.delete(remote.organisation.id, late.id)
    await scratch.commit(Dockerfile=b"FROM x\n")
    for app in (early, late):
        code, output = await scratch.push(remote.of(app))
        assert (code, "not found" in output) == (128, True)


async def test_the_remote_can_be_listed_and_fetched(remote: Remote, scratch: Scratch) -> None:
    app = new_application(remote.cloud, remote.organisation)
    assert await scratch.git("ls-remote", remote.of(app), "refs/heads/master") == (0, "")
    commit = await scratch.commit(Dockerfile=b"FROM x\n")
    await scratch.push(remote.of(app))
    listed = await scratch.git("ls-remote", remote.of(app), "refs/heads/master")
    assert listed == (0, f"{commit}\trefs/heads/master\n")
    assert (await scratch.git("fetch", "--quiet", remote.of(app), "master"))[0] == 0


async def test_a_big_push_arrives_in_chunks(remote: Remote, scratch: Scratch) -> None:
    app = new_application(remote.cloud, remote.organisation)
    big = os.urandom(3_000_000)
    await scratch.commit(Dockerfile=b"FROM x\n", big=big)
    code, output = await scratch.push(remote.of(app))
    assert code == 0, output
    await until(lambda: remote.program.started)
    assert remote.program.started[0].files["big"] == big


async def test_a_compressed_request_is_understood(remote: Remote) -> None:
    app = new_application(remote.cloud, remote.organisation)
    async with httpx.AsyncClient(auth=("x", TOKEN.reveal()), trust_env=False) as client:
        response = await client.post(
            f"{remote.url}/git/{app.id}.git/git-upload-pack",
            content=gzip.compress(b"0014command=ls-refs\n00010009peel\n0000"),
            headers={
                "Content-Type": "application/x-git-upload-pack-request",
                "Content-Encoding": "gzip",
                "Git-Protocol": "version=2",
            },
        )
    assert (response.status_code, response.content) == (200, b"0000")


async def test_nothing_else_of_the_repository_is_served(remote: Remote) -> None:
    app = new_application(remote.cloud, remote.organisation)
    async with httpx.AsyncClient(auth=("x", TOKEN.reveal()), trust_env=False) as client:
        for path in ("HEAD", "config", "objects/info/packs", "../hooks/update", "git-receive-pack"):
            assert (await client.get(f"{remote.url}/git/{app.id}.git/{path}")).status_code == 404


async def test_a_push_whose_answer_is_lost_is_deployed_and_repeating_it_is_harmless(
    remote: Remote, scratch: Scratch
) -> None:
    app = new_application(remote.cloud, remote.organisation)
    await scratch.commit(Dockerfile=b"FROM x\n")
    remote.faults.add(DropAfter(), method="POST", path="/git/*/git-receive-pack", times=1)
    assert (await scratch.push(remote.of(app)))[0] != 0
    await until(lambda: remote.program.running)
    assert (await scratch.push(remote.of(app)))[0] == 0
    assert remote.cloud.ledger.launches(app.id) == 1


async def test_a_client_that_leaves_in_the_middle_starts_nothing(remote: Remote) -> None:
    app = new_application(remote.cloud, remote.organisation)

    async def half() -> AsyncIterator[bytes]:
        yield b"0000"
        raise ConnectionResetError

    async with httpx.AsyncClient(auth=("x", TOKEN.reveal()), trust_env=False) as client:
        with pytest.raises(ConnectionResetError):
            await client.post(
                f"{remote.url}/git/{app.id}.git/git-receive-pack",
                content=half(),
                headers={"Content-Type": "application/x-git-receive-pack-request"},
            )
    await asyncio.sleep(0.05)
    assert remote.cloud.ledger.entry(app.id).pushes == 0


async def test_a_push_that_ends_early_does_not_hold_up_the_next_one(remote: Remote, scratch: Scratch) -> None:
    app = new_application(remote.cloud, remote.organisation)
    await scratch.commit(Dockerfile=b"FROM x\n")

    async def half() -> AsyncIterator[bytes]:
        yield b"0000"
        await asyncio.sleep(0.1)
        raise ConnectionResetError

    async with httpx.AsyncClient(auth=("x", TOKEN.reveal()), trust_env=False) as client:
        with pytest.raises(ConnectionResetError):
            await client.post(
                f"{remote.url}/git/{app.id}.git/git-receive-pack",
                content=half(),
                headers={"Content-Type": "application/x-git-receive-pack-request", "Content-Length": "9"},
            )
    async with asyncio.timeout(60):
        assert (await scratch.push(remote.of(app)))[0] == 0


async def test_git_ends_when_its_sandbox_was_killed_in_the_middle_of_a_push(tmp_path: Path) -> None:
    """The end of the input comes before the length that was announced."""
    repositories = GitRepositories(tmp_path / "remote")
    repository = await repositories.of("app_1")
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/git/app_1.git/git-receive-pack",
        "path_params": {"service": "git-receive-pack"},
        "query_string": b"",
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "headers": [
            (b"content-type", b"application/x-git-receive-pack-request"),
            (b"content-length", b"5000"),
        ],
    }
    backend = await repositories.http_backend()
    environment = _cgi(Request(scope), repository)
    async with repositories.process(str(backend), environment=environment) as process:
        assert process.stdin is not None
        process.stdin.write(b"0094" + b"0" * 50)
        process.stdin.close()
        async with asyncio.timeout(60):
            await process.wait()
