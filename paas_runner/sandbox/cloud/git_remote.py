"""The git remote that a push goes to: smart HTTP by the real `git http-backend`.

A push that moved `master` is handed to the cloud whether or not its client is still there.
Requests: spec clever-cloud-api.md §7.6; credentials: §3.2.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Mapping
from functools import partial
from pathlib import Path

import attrs
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from paas_runner.sandbox.cloud import errors
from paas_runner.sandbox.cloud.auth import Caller, git_access
from paas_runner.sandbox.cloud.git_repositories import GitRepositories, kill
from paas_runner.sandbox.cloud.model import Cloud

MAX_PUSH_BYTES = 64 * 2**20
_CHUNK_BYTES = 65536
_SERVICES = {("GET", "info/refs"), ("POST", "git-upload-pack"), ("POST", "git-receive-pack")}


@attrs.frozen(kw_only=True)
class _Head:
    """Status and headers of an answer."""

    status: int
    headers: Mapping[str, str]


@attrs.frozen
class _BackendAnswer:
    """What comes from the backend, piece by piece; None ends the body."""

    head: asyncio.Future[_Head] = attrs.field(factory=lambda: asyncio.get_running_loop().create_future())
    chunks: asyncio.Queue[bytes | None] = attrs.field(factory=asyncio.Queue)
    left: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Whether the client has gone; then no more of the request will come, either."""

    def begin(self, head: _Head) -> None:
        """The client may have gone; what was pushed is pushed all the same."""
        if not self.head.done():
            self.head.set_result(head)

    async def body(self) -> AsyncIterator[bytes]:
        while (chunk := await self.chunks.get()) is not None:
            yield chunk

    def end(self, _: asyncio.Task[None]) -> None:
        self.head.cancel()
        self.chunks.put_nowait(None)


class _Streamed(StreamingResponse):
    """Leaves `receive` alone, because the request's body is still being read."""

    def __init__(self, answer: _BackendAnswer, head: _Head) -> None:
        super().__init__(answer.body(), head.status, head.headers)
        self._answer = answer

    async def __call__(self, _: Scope, __: Receive, send: Send) -> None:
        try:
            await self.stream_response(send)
        finally:
            self._answer.left.set()


class GitRemote:
    """The remotes of all applications, at `/git/<application>.git`; made by `open`, ended by `aclose`."""

    def __init__(self, cloud: Cloud, repositories: GitRepositories, backend: Path) -> None:
        self._cloud = cloud
        self._repositories = repositories
        self._backend = backend
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._exchanges: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, cloud: Cloud, root: Path) -> "GitRemote":
        """Remotes with their repositories below `root`; raises `GitError` when git cannot serve them."""
        repositories = GitRepositories(root)
        return cls(cloud, repositories, await repositories.http_backend())

    def routes(self) -> list[Route]:
        """The smart protocol's three requests, and nothing else of the repository."""
        return [Route("/git/{application}.git/{service:path}", self.serve, methods=["GET", "POST"])]

    async def aclose(self) -> None:
        """End every exchange and its processes."""
        exchanges = list(self._exchanges)
        for exchange in exchanges:
            exchange.cancel()
        await asyncio.gather(*exchanges, return_exceptions=True)

    async def serve(self, request: Request) -> Response:
        caller = git_access(request, self._cloud)
        if caller is None:
            challenge = {"WWW-Authenticate": 'Basic realm="Git"'}
            return PlainTextResponse("Unauthorized", 401, challenge)
        app_id, service = request.path_params["application"], request.path_params["service"]
        app = self._cloud.pushable(app_id)
        known = caller.organisation(app.organisation_id) is not None
        if not known or (request.method, service) not in _SERVICES:
            raise errors.no_such_application()
        repository = await self._repositories.of(app_id)
        answer = _BackendAnswer()
        if service == "git-receive-pack":
            self._spawn(self._receive(request, app_id, caller, repository, answer), answer)
        else:
            self._spawn(self._talk(request, repository, answer), answer)
        try:
            head = await answer.head
        except asyncio.CancelledError:
            answer.left.set()
            raise
        return _Streamed(answer, head)

    def _spawn(self, exchange: Coroutine[None, None, None], answer: _BackendAnswer) -> None:
        task = asyncio.create_task(exchange, name="git exchange")
        self._exchanges.add(task)
        task.add_done_callback(self._exchanges.discard)
        task.add_done_callback(answer.end)

    async def _receive(
        self, request: Request, app_id: str, caller: Caller, repository: Path, answer: _BackendAnswer
    ) -> None:
        async with self._locks[app_id]:
            before = self._repositories.master(repository)
            try:
                await self._talk(request, repository, answer)
            finally:
                after = self._repositories.master(repository)
            if after is not None and after != before:
                files = await self._repositories.files(repository, after)
                with contextlib.suppress(errors.CloudRefusedError):  # deleted while the push was under way
                    self._cloud.received_push(app_id, after, files, by=caller.token)

    async def _talk(self, request: Request, repository: Path, answer: _BackendAnswer) -> None:
        environment = _cgi(request, repository)
        async with self._repositories.process(str(self._backend), environment=environment) as process:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("a process without its pipes")
            feeder = asyncio.create_task(_feed(request, process.stdin))
            feeder.add_done_callback(partial(_ended_early, process))
            leaving = asyncio.create_task(_ended_with(answer.left, feeder))
            try:
                await _relay(process.stdout, answer)
                await process.wait()
            finally:
                feeder.cancel()
                leaving.cancel()
                await asyncio.gather(feeder, leaving, return_exceptions=True)


def _cgi(request: Request, repository: Path) -> dict[str, str]:
    """The request as CGI variables.

    Without its length, which means: until the end of the input. Told a length, git's program goes on reading
    for ever where that end comes earlier, as it does when this process is killed in the middle of a push.
    """
    headers = request.headers
    variables = {
        "GIT_PROJECT_ROOT": str(repository.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{repository.name}/{request.path_params['service']}",
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.url.query,
        "REMOTE_USER": "sandbox",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": headers.get("content-type"),
        "HTTP_CONTENT_ENCODING": headers.get("content-encoding"),
        "GIT_PROTOCOL": headers.get("git-protocol"),
    }
    return {name: value for name, value in variables.items() if value is not None}


async def _ended_with(left: asyncio.Event, feeder: asyncio.Task[None]) -> None:
    await left.wait()
    feeder.cancel()


async def _feed(request: Request, stdin: asyncio.StreamWriter) -> None:
    """Pass the request's body on; raises when the client leaves, or sends too much."""
    passed = 0
    async for chunk in request.stream():
        passed += len(chunk)
        if passed > MAX_PUSH_BYTES:
            raise errors.invalid_value("push", f"over {MAX_PUSH_BYTES} bytes")
        stdin.write(chunk)
        await stdin.drain()
    stdin.close()


def _ended_early(process: asyncio.subprocess.Process, feeder: asyncio.Task[None]) -> None:
    """End a backend that will not get the whole body: it would wait for the rest for ever, at full speed."""
    if feeder.cancelled() or feeder.exception() is not None:
        kill(process)


async def _relay(stdout: asyncio.StreamReader, answer: _BackendAnswer) -> None:
    """Pass the backend's answer on: a block of headers, then the body."""
    try:
        block = (await stdout.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        answer.begin(_Head(status=502, headers={}))
        return
    headers = dict(line.split(": ", 1) for line in block.strip().split("\r\n"))
    status = int(headers.pop("Status", "200").split()[0])
    answer.begin(_Head(status=status, headers=headers))
    while chunk := await stdout.read(_CHUNK_BYTES):
        answer.chunks.put_nowait(chunk)
