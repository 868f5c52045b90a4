"""Clever Cloud's API and the git remotes of its applications, as far as both programs ask them.

Left out: deployments that fail, redeployment, logs, other organisations, validation of what is asked for
beyond flavor, version and variant. Nothing runs on a host: a push sets the moments of its job.
"""

import asyncio
import base64
import time
import uuid
from collections.abc import Awaitable, Mapping
from typing import Any

import attrs

from benchmarks.world.books import Books, Job
from benchmarks.world.git import Repository
from benchmarks.world.http import Answer, Request, json_answer
from benchmarks.world.payloads import CloudPayloads
from paas_runner.sandbox.cloud.errors import CloudRefusedError, MalformedError

_API = "/v2/organisations/"


@attrs.frozen(kw_only=True)
class Distance:
    """How far away the cloud is, in seconds."""

    call: float = 0.0
    """Each request to the API."""

    create: float = 0.0
    """More, for the creation of an application."""

    repository: float = 0.0
    """From the creation until its repository takes pushes."""


@attrs.define(kw_only=True)
class _Application:
    ref: str
    wanted: Mapping[str, Any]
    env: dict[str, str]
    created: float
    job: Job | None
    repository: Repository = attrs.field(factory=Repository)


class Cloud:
    """One organisation, with one token."""

    def __init__(self, books: Books, *, organisation: str, token: str, distance: Distance) -> None:
        self._books = books
        self._distance = distance
        self._applications: dict[str, _Application] = {}
        self._payloads = CloudPayloads()
        self._below = f"{_API}{organisation}/applications"
        self._token = token
        self.url = ""
        self.user_in_url = False
        """Whether git URLs carry the credentials: 1.1.1 puts them there, but only where TLS is spoken."""

    def answer(self, request: Request) -> Answer | Awaitable[Answer]:
        if request.path.startswith("/git/"):
            return self._git(request)
        try:
            operation, made = self._api(request)
        except CloudRefusedError as error:
            body = {"id": error.number, "message": error.message, "type": "error"}
            operation, made = "refused", json_answer(body, error.status)
        except MalformedError as error:
            operation, made = "refused", json_answer(dict(error.problems), 400)
        self._books.count("cloud", operation)
        made = attrs.evolve(made, headers={**made.headers, "sozu-id": str(uuid.uuid4())})
        seconds = self._distance.call + (self._distance.create if operation == "create" else 0.0)
        return _later(made, seconds) if seconds else made

    def _api(self, request: Request) -> tuple[str, Answer]:
        path = request.path
        if path.startswith("/v2/products/"):
            return "catalogue", self._product(path.rpartition("/")[2], request.query)
        if request.headers.get("authorization") != f"token {self._token}":
            return "refused", json_answer({"id": 2001, "message": "Not connected", "type": "error"}, 401)
        ref, _, below = path.removeprefix(self._below).strip("/").partition("/")
        if not ref:
            return self._create(request) if request.method == "POST" else ("list", self._list())
        app = self._applications.get(ref)
        if app is None:
            body = {"id": 4004, "message": "The application does not exist.", "type": "error"}
            return f"{request.method} of one that is gone", json_answer(body, 404)
        match request.method, below:
            case "GET", "":
                return "look at an application", self._shown(app)
            case "DELETE", "":
                return "delete", self._delete(app)
            case "PUT", "env":
                app.env = {str(name): str(value) for name, value in request.json().items()}
                return "set the environment", self._shown(app)
            case "GET", "env":
                return "read the environment", json_answer(_listed(app.env))
            case "GET", "deployments":
                return "list the deployments", json_answer(self._deployments(app))
            case "GET", "instances":
                return "list the instances", json_answer([])
            case _:
                return f"{request.method} {below}", json_answer({"message": "not played"}, 404)

    def _product(self, name: str, query: str) -> Answer:
        match name:
            case "flavors":
                return Answer(200, self._payloads.flavors(query.removeprefix("context=") or None))
            case "instances":
                return Answer(200, self._payloads.instances)
            case "zones":
                return Answer(200, self._payloads.zones)
        return Answer(404)

    def _create(self, request: Request) -> tuple[str, Answer]:
        wanted = request.json()
        number = str(wanted.get("name")).rpartition("-")[2]
        app = _Application(
            ref=f"app_{uuid.uuid4()}",
            wanted=wanted,
            env={str(name): str(value) for name, value in (wanted.get("env") or {}).items()},
            created=time.monotonic() + self._distance.call + self._distance.create,
            job=self._books.jobs.get(int(number)) if number.isdecimal() else None,
        )
        shown = self._shown(app)
        self._applications[app.ref] = app
        if app.job:
            self._books.note(app.job, "created")
        return "create", shown

    def _delete(self, app: _Application) -> Answer:
        del self._applications[app.ref]
        if app.job:
            self._books.note(app.job, "deleted")
        return json_answer(
            {"id": 302, "message": "The application has successfully been deleted.", "type": "success"}
        )

    def _list(self) -> Answer:
        return Answer(200, b"[" + b", ".join(map(self._body, self._applications.values())) + b"]")

    def _shown(self, app: _Application) -> Answer:
        return Answer(200, self._body(app))

    def _body(self, app: _Application) -> bytes:
        pushed = bool(app.repository.heads)
        scheme, _, place = self.url.partition("://")
        credentials = f"Jenkins:{self._token}@" if self.user_in_url else ""
        url = f"{scheme}://{credentials}{place}/git/{app.ref}.git"
        state = "CREATED" if self._takes_pushes(app) else "CREATING"
        own = {
            "id": app.ref,
            "name": app.wanted.get("name"),
            "description": app.wanted.get("description") or app.wanted.get("name"),
            "creationDate": round(time.time() * 1000),
            "state": "SHOULD_BE_UP" if pushed else "SHOULD_BE_DOWN",
            "last_deploy": int(pushed),
            "commitId": next(iter(app.repository.heads.values()), None),
            "vhosts": [],
            "env": _listed(app.env),
            "deployment": {
                "shutdownable": False,
                "type": "GIT",
                "repoState": state,
                "url": url,
                "httpUrl": url,
            },
            "deployUrl": url,
        }
        return self._payloads.application(dict(app.wanted), own)

    def _takes_pushes(self, app: _Application) -> bool:
        return time.monotonic() >= app.created + self._distance.repository

    def _deployments(self, app: _Application) -> list[dict[str, Any]]:
        """Its launch, under way for as long as its job runs."""
        if not app.repository.heads or app.job is None or app.job.pushed is None:
            return []
        age = time.monotonic() - app.job.pushed
        return [
            {
                "id": 1,
                "uuid": f"deployment_{app.ref}",
                "date": round((time.time() - age) * 1000),
                "state": "WIP" if app.job.runs(time.monotonic()) else "OK",
                "action": "DEPLOY",
                "commit": next(iter(app.repository.heads.values())),
                "cause": "Git",
                "instances": 1,
                "author": {"id": "user", "name": "Benchmark"},
            }
        ]

    def _git(self, request: Request) -> Answer:
        ref, _, service = request.path.removeprefix("/git/").partition(".git/")
        expected = base64.b64encode(f"Jenkins:{self._token}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            self._books.count("git", "challenge")
            challenge = {"www-authenticate": 'Basic realm="Git"'}
            return Answer(401, b"Unauthorized", challenge, "text/plain")
        app = self._applications.get(ref)
        if app is None or not self._takes_pushes(app):
            self._books.count("git", "no such repository")
            return json_answer({"id": 4004, "message": "The application does not exist."}, 404)
        self._books.count("git", f"{service} {request.query.removeprefix('service=')}".strip())
        match request.method, service:
            case "GET", "info/refs":
                return app.repository.info_refs(request)
            case "POST", "git-upload-pack":
                return app.repository.ls_refs()
            case "POST", "git-receive-pack":
                told, moved = app.repository.receive(request.body)
                if moved and app.job is not None and app.job.pushed is None:
                    self._books.note(app.job, "pushed")
                    app.job.ends = time.monotonic() + app.job.run_seconds
                return told
            case _:
                return json_answer({"id": 4004, "message": "The application does not exist."}, 404)


async def _later(made: Answer, seconds: float) -> Answer:
    await asyncio.sleep(seconds)
    return made


def _listed(env: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in env.items()]
