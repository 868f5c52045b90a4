"""The API by HTTP: one ASGI application for a cluster (kubernetes.io, "Kubernetes API Concepts")."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from paas_runner.sandbox.kubernetes import discovery, errors, selectors
from paas_runner.sandbox.kubernetes.access import Account
from paas_runner.sandbox.kubernetes.cluster import Cluster
from paas_runner.sandbox.kubernetes.deletion import delete
from paas_runner.sandbox.kubernetes.errors import StatusError
from paas_runner.sandbox.kubernetes.pod_logs import LogQuery, read_log, since
from paas_runner.sandbox.kubernetes.requests import (
    Target,
    body_of,
    checked,
    flag,
    is_dry,
    number,
    patched,
    target_of,
)
from paas_runner.sandbox.kubernetes.resources import PODS, REVIEWS, Object
from paas_runner.sandbox.kubernetes.tables import table
from paas_runner.sandbox.kubernetes.watching import Watch, events_of


def create_app(cluster: Cluster) -> Starlette:
    """The cluster's web application."""
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return Starlette(routes=[Route("/{path:path}", Api(cluster).answer, methods=methods)])


class Api:
    """What is raised is answered as a Status."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._storage = cluster.storage

    async def answer(self, request: Request) -> Response:
        path, version = request.url.path, self._cluster.options.version
        if path in ("/healthz", "/livez", "/readyz"):
            return PlainTextResponse("ok")
        try:
            if path == "/version":
                return JSONResponse(discovery.document(["version"], version))
            account = self._cluster.accounts.of(request.headers.get("authorization", ""))
            target = target_of(request)
            if target is None:
                return JSONResponse(discovery.document(path.strip("/").split("/"), version))
            return await self._perform(request, target, account)
        except StatusError as error:
            return JSONResponse(error.status, error.code, error.headers)

    async def _perform(self, request: Request, target: Target, account: Account) -> Response:
        of, verb = target.of, target.verb
        self._cluster.ledger.requests[f"{verb} {target.path}"] += 1
        if (of, verb) == (REVIEWS, "create"):
            return await self._review(request, target, account)
        account.check(verb, of, target.path, target.namespace, target.name)
        needs_one = of.namespaced and verb not in ("list", "watch")
        if verb not in of.verbs or (needs_one and not target.namespace):
            text = "the server does not allow this method on the requested resource"
            raise StatusError(405, "MethodNotAllowed", text)
        match verb:
            case "get" if target.part == "log" and of is PODS:
                return self._log(request, target)
            case _ if target.part:
                raise StatusError(404, "NotFound", "the server could not find the requested resource")
            case "get":
                return self._shown(request, target, self._storage.get(of, target.namespace, target.name))
            case "list":
                return self._list(request, target)
            case "watch":
                return self._watch(request, target)
            case "create":
                return await self._create(request, target)
            case "update" | "patch":
                return await self._update(request, target)
            case "delete":
                return await self._delete(request, target)
        return await self._delete_all(request, target)

    def _list(self, request: Request, target: Target) -> Response:
        found, version = self._selected(request, target), self._storage.version
        metadata: Object = {"resourceVersion": str(version)}
        if token := request.query_params.get("continue"):
            version, after = self._continued(token)
            found = [each for each in found if _place(each) > after]
        limit = number(request.query_params, "limit")
        if limit and len(found) > limit:
            metadata["remainingItemCount"] = len(found) - limit
            found = found[:limit]
            place = json.dumps([version, *_place(found[-1])])
            metadata["continue"] = base64.urlsafe_b64encode(place.encode()).decode()
        if _wants_table(request):
            return JSONResponse(table(target.of, found, self._storage.clock(), metadata))
        items = [{name: each[name] for name in each if name not in ("kind", "apiVersion")} for each in found]
        return _collection(target, metadata, items)

    def _continued(self, token: str) -> tuple[int, list[str]]:
        try:
            version, *after = json.loads(base64.urlsafe_b64decode(token))
        except ValueError as error:
            raise errors.bad_request("continue key is not valid") from error
        if version < self._storage.forgotten:
            raise errors.expired(
                "The provided continue parameter is too old to display a consistent list result."
            )
        return version, after

    def _watch(self, request: Request, target: Target) -> Response:
        query = request.query_params
        first = flag(query, "sendInitialEvents") or query.get("resourceVersion", "") in ("", "0")
        watch = Watch(
            of=target.of,
            namespace=target.namespace,
            wanted=self._wanted(request, target),
            since=None if first else number(query, "resourceVersion"),
            bookmarks=flag(query, "allowWatchBookmarks"),
            marks_beginning=flag(query, "sendInitialEvents"),
            seconds=number(query, "timeoutSeconds") or 1800,
            bookmark_seconds=self._cluster.options.bookmark_every.total_seconds(),
        )
        rows = _wants_table(request)

        async def lines() -> AsyncIterator[bytes]:
            async for kind, found in events_of(self._storage, watch):
                is_row = rows and kind not in ("ERROR", "BOOKMARK")
                shown = table(target.of, [found], self._storage.clock(), {}) if is_row else found
                yield json.dumps({"type": kind, "object": shown}).encode() + b"\n"

        return StreamingResponse(lines(), media_type="application/json")

    async def _create(self, request: Request, target: Target) -> Response:
        given, headers = checked(target, await body_of(request), request.query_params)
        dry = is_dry(request.query_params)
        made = self._cluster.create(target.of, target.namespace or "", given, dry=dry)
        return self._shown(request, target, made, 201, headers)

    async def _update(self, request: Request, target: Target) -> Response:
        raw = await body_of(request)
        present = self._storage.get(target.of, target.namespace, target.name)
        if target.verb == "patch":
            raw = patched(request, present, raw)
        wanted, headers = checked(target, raw, request.query_params)
        made = self._cluster.update(present, wanted, dry=is_dry(request.query_params))
        return self._shown(request, target, made, 200, headers)

    async def _delete(self, request: Request, target: Target) -> Response:
        options = await _deletion(request)
        found = self._storage.get(target.of, target.namespace, target.name)
        left = None if is_dry(options) else delete(self._storage, found, options)
        if left is not None or target.of is PODS:
            return self._shown(request, target, left or found)
        details = {"name": target.name, "kind": target.of.plural, "uid": found["metadata"]["uid"]}
        details |= {"group": target.of.group} if target.of.group else {}
        head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return JSONResponse({**head, "details": details})

    async def _delete_all(self, request: Request, target: Target) -> Response:
        options = await _deletion(request)
        found = self._selected(request, target)
        for each in () if is_dry(options) else found:
            delete(self._storage, each, options)
        return _collection(target, {"resourceVersion": str(self._storage.version)}, found)

    async def _review(self, request: Request, target: Target, account: Account) -> Response:
        given, headers = checked(target, await body_of(request), request.query_params)
        asked = given.get("spec", {}).get("resourceAttributes", {})
        path = "/".join(filter(None, (asked.get("resource"), asked.get("subresource"))))
        allowed = account.may(asked.get("verb", ""), asked.get("group", ""), path, asked.get("namespace"))
        return JSONResponse({**given, "status": {"allowed": allowed}}, 201, headers)

    def _log(self, request: Request, target: Target) -> Response:
        query, pod = request.query_params, self._storage.get(PODS, target.namespace, target.name)
        main = [each["name"] for each in pod["spec"]["containers"]]
        names = [*main, *(each["name"] for each in pod["spec"].get("initContainers", ()))]
        name = query.get("container") or (main[0] if len(main) == 1 else "")
        if name not in names:
            wrong = f"container {name} is not valid" if name else "a container name must be specified"
            choice = f"choose one of: [{' '.join(names)}]"
            raise errors.bad_request(f"{wrong} for pod {target.name}, {choice}")
        logs, which = self._cluster.kubelet.logs(pod, name), f'container "{name}" in pod "{target.name}"'
        if flag(query, "previous"):
            logs = logs[:-1]
            if not logs:
                raise errors.bad_request(f"previous terminated {which} not found")
        if not logs:
            raise errors.bad_request(f"{which} is waiting to start: {_why(pod, name)}")
        try:
            begin = since(self._storage.clock(), number(query, "sinceSeconds"), query.get("sinceTime"))
        except ValueError as error:
            raise errors.bad_request(f"sinceTime: {error}") from error
        wanted = LogQuery(
            follow=flag(query, "follow"),
            since=begin,
            tail=number(query, "tailLines"),
            limit_bytes=number(query, "limitBytes"),
            timestamps=flag(query, "timestamps"),
        )
        return StreamingResponse(read_log(logs[-1], wanted), media_type="text/plain")

    def _wanted(self, request: Request, target: Target) -> selectors.Wanted:
        by_label = selectors.labels(request.query_params.get("labelSelector", ""))
        by_field = selectors.fields(target.of, request.query_params.get("fieldSelector", ""))
        return lambda each: by_label(each) and by_field(each)

    def _selected(self, request: Request, target: Target) -> list[Object]:
        return list(filter(self._wanted(request, target), self._storage.every(target.of, target.namespace)))

    def _shown(
        self, request: Request, target: Target, found: Object, code: int = 200, headers: Any = None
    ) -> Response:
        if _wants_table(request):
            version = {"resourceVersion": found["metadata"].get("resourceVersion", "")}
            found = table(target.of, [found], self._storage.clock(), version)
        return JSONResponse(found, code, headers)


def _collection(target: Target, metadata: Object, items: list[Object]) -> Response:
    head = {"kind": f"{target.of.kind}List", "apiVersion": target.of.api_version}
    return JSONResponse({**head, "metadata": metadata, "items": items})


async def _deletion(request: Request) -> Mapping[str, Any]:
    """`DeleteOptions`, of the body and of the query."""
    query = request.query_params
    options = {name: query[name] for name in ("propagationPolicy", "dryRun") if name in query}
    grace = number(query, "gracePeriodSeconds")
    return {**options, **({} if grace is None else {"gracePeriodSeconds": grace}), **await body_of(request)}


def _wants_table(request: Request) -> bool:
    return "as=Table" in request.headers.get("accept", "").partition(",")[0]


def _place(found: Object) -> list[str]:
    return [found["metadata"].get("namespace", ""), found["metadata"]["name"]]


def _why(pod: Object, name: str) -> str:
    status = pod["status"]
    every = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    states = [each["state"].get("waiting", {}) for each in every if each["name"] == name]
    return str(states[0].get("reason", "ContainerCreating")) if states else "PodScheduled"
