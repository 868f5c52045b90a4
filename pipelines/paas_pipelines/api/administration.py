"""What administrators ask (§10): credentials without their values, the audit, why something is permitted."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from paas_pipelines.access import resources
from paas_pipelines.access.identity import Identity, identity_written
from paas_pipelines.access.statements import AUDIT, CREDENTIAL_READ, CREDENTIAL_WRITE, METHODS
from paas_pipelines.api import requests
from paas_pipelines.api.requests import RefusedError, json_answer
from paas_pipelines.api.rights import Rights, identity_of
from paas_pipelines.api.served import Served
from paas_pipelines.api.shapes import encoded, moment
from paas_pipelines.credentials.uses import uses
from paas_pipelines.credentials.vault import CredentialError, Described, Vault
from paas_pipelines.store.audit import Line
from paas_pipelines.tasks.executing.executions import Execution
from paas_runner.plain_text import did_you_mean

MOST_LINES = 1000
_KNOWN = frozenset({"type", "values"})


class AdministrationRoutes:
    """All of them."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._rights = Rights(served)

    def routes(self) -> list[Route]:
        return [
            Route("/credentials", self.credentials, methods=["GET"]),
            Route("/credentials/rekey", self.rekey, methods=["POST"]),
            Route("/credentials/{name}", self.credential, methods=["GET"]),
            Route("/credentials/{name}", self.put, methods=["PUT"]),
            Route("/credentials/{name}", self.remove, methods=["DELETE"]),
            Route("/audit", self.audit, methods=["GET"]),
            Route("/audit/verify", self.verify, methods=["GET"]),
            Route("/leaks", self.leaks, methods=["GET"]),
            Route("/access/explain", self.explain, methods=["GET"]),
        ]

    async def credentials(self, request: Request) -> Response:
        """Those that whoever asks may know of."""
        who, access = identity_of(request), self._served.access
        found = [
            credential_shape(each)
            for each in self._vault.described()
            if access.may(who, CREDENTIAL_READ, resources.credential(each.name)).allowed
        ]
        await self._served.durable()
        return json_answer(encoded({"credentials": found}))

    async def credential(self, request: Request) -> Response:
        """One, with where it is used: 200, 403, 404."""
        name = self._permitted(request, CREDENTIAL_READ)
        try:
            shape = credential_shape(self._vault.description(name))
        except CredentialError as error:
            raise RefusedError(error.status, str(error)) from None
        await self._served.durable()
        return json_answer(encoded({**shape, "uses": self._uses(name)}))

    async def put(self, request: Request) -> Response:
        """A new version: 201, 400, 403, 409, 413."""
        name = self._permitted(request, CREDENTIAL_WRITE)
        given = await requests.json_object(request)
        for key in given:
            if key not in _KNOWN:
                hint = did_you_mean(key, _KNOWN)
                raise RefusedError(400, f"unknown key {key!r}" + (hint and f", {hint}"))
        values, type_name = given.get("values"), given.get("type")
        if not isinstance(values, dict) or not isinstance(type_name, str):
            raise RefusedError(400, '"type" must be a text and "values" an object')
        try:
            version = self._vault.put(name, type_name, values, identity_of(request))
        except CredentialError as error:
            raise RefusedError(error.status, str(error)) from None
        await self._served.durable()
        return json_answer(encoded({"name": name, "type": type_name, "version": version}), 201)

    async def remove(self, request: Request) -> Response:
        """204, 403, 404; 409 where something uses it."""
        name = self._permitted(request, CREDENTIAL_WRITE)
        try:
            self._vault.type_of(name)
            if used := self._uses(name):
                raise RefusedError(409, f'credential "{name}" is in use: {"; ".join(used[:5])}')
            self._vault.remove(name, identity_of(request))
        except CredentialError as error:
            raise RefusedError(error.status, str(error)) from None
        await self._served.durable()
        return Response(status_code=204)

    async def rekey(self, request: Request) -> Response:
        """All are encrypted with the first key: 200, 403, 409."""
        who = self._rights.require(request, CREDENTIAL_WRITE, resources.credential("*"))
        try:
            count = self._vault.rekey(who)
        except CredentialError as error:
            raise RefusedError(error.status, str(error)) from None
        await self._served.durable()
        return json_answer(encoded({"rekeyed": count}))

    async def audit(self, request: Request) -> Response:
        """The last lines, newest first; `who`, `what`, `resource` are whole texts."""
        self._rights.require(request, AUDIT, resources.SERVER)
        before, most = requests.whole_number(request, "before"), requests.whole_number(request, "limit")
        asked = {name: requests.first(request, name) for name in ("who", "what", "resource")}

        def is_wanted(line: Line) -> bool:
            return all(text in ("", getattr(line, name)) for name, text in asked.items())

        found = await self._served.audit.newest(
            min(most or 100, MOST_LINES), before=before or None, wanted=is_wanted
        )
        return json_answer(encoded({"lines": [audit_shape(line) for line in found]}))

    async def verify(self, request: Request) -> Response:
        """Whether all lines are as they were written."""
        self._rights.require(request, AUDIT, resources.SERVER)
        broken = await self._served.audit.broken()
        return json_answer(encoded({"whole": not broken, **({"broken": broken} if broken else {})}))

    async def leaks(self, request: Request) -> Response:
        """What is left outside of runs that whoever asks may see."""
        who = identity_of(request)
        found = [each for each in self._served.leaks() if self._served.access.reads(who, each.pipeline)]
        await self._served.durable()
        return json_answer(encoded({"leaks": [leak_shape(each) for each in found]}))

    async def explain(self, request: Request) -> Response:
        """Whether somebody may do something, and which statements decide it; of others with `audit` alone."""
        who, method = identity_of(request), requests.first(request, "method")
        resource = requests.first(request, "resource")
        if method not in METHODS:
            hint = did_you_mean(method, METHODS)
            raise RefusedError(
                400, f'"method" is none: {", ".join(sorted(METHODS))}' + (hint and f"; {hint}")
            )
        try:
            asked = resources.pattern_of(resource)
        except ValueError as error:
            raise RefusedError(400, str(error)) from None
        if name := requests.first(request, "identity"):
            other = identity_written(name, tuple(request.query_params.getlist("group")))
            if (str(other), other.groups) != (str(who), who.groups):
                self._rights.require(request, AUDIT, resources.SERVER)
            who = other
        await self._served.durable()
        return json_answer(encoded(explanation(self._served, who, method, asked)))

    @property
    def _vault(self) -> Vault:
        if self._served.vault is None:
            raise RefusedError(404, "This server has no credentials")
        return self._served.vault

    def _permitted(self, request: Request, method: str) -> str:
        """The name of the credential, before anybody learns whether it is there."""
        name: str = request.path_params["name"]
        self._rights.require(request, method, resources.credential(name))
        return name

    def _uses(self, name: str) -> list[str]:
        engine = self._served.engine
        unfinished = [run for run in engine.book.runs() if not run.ended]
        return list(uses(engine.definitions.values(), unfinished, name))


def credential_shape(found: Described) -> Mapping[str, Any]:
    """All that is ever told of one."""
    told = {
        "version": found.version,
        "changed": moment(found.changed) if found.changed else None,
        "by": found.by or None,
        "key": found.key or None,
    }
    return {
        "name": found.name,
        "type": found.type,
        "source": found.source,
        **{name: value for name, value in told.items() if value is not None},
    }


def audit_shape(line: Line) -> Mapping[str, Any]:
    """One line."""
    return {
        "number": line.number,
        "at": line.at,
        "who": line.who,
        "what": line.what,
        "resource": line.resource,
        "outcome": line.outcome,
        "details": dict(line.details),
        "digest": line.digest,
    }


def leak_shape(found: Execution) -> Mapping[str, Any]:
    """One, with why it is still there."""
    return {
        "run": found.run_id,
        "pipeline": found.pipeline,
        "task": found.task,
        "executor": found.executor.name or found.executor.type,
        "left": found.leak,
    }


def explanation(served: Served, who: Identity, method: str, resource: str) -> Mapping[str, Any]:
    """What the statements say of that."""
    verdict, people = served.access.may(who, method, resource), served.access.people
    person = people.person_of(who)
    return {
        "identity": str(who),
        "groups": list(who.groups),
        **({"person": person, "identities": people.of_person(person)} if person else {}),
        "method": method,
        "resource": resource,
        "allowed": verdict.allowed,
        "reason": verdict.reason,
        "statements": [str(each) for each in verdict.deciding],
    }
