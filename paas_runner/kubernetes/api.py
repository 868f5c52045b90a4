"""The calls to a cluster that are used here, on objects as JSON has them; all in one namespace.

Source of paths, options and kinds: kubernetes.io, "Kubernetes API Reference", v1.29 and later.
"""

import enum
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import quote

import attrs

from paas_runner.errors import Rejected, Transient
from paas_runner.http import QUICK_TRIES, Connect, HttpClient, Response, Stream
from paas_runner.kubernetes.answers import AbsentError, ExpiredError, refusal
from paas_runner.kubernetes.config import Configuration
from paas_runner.kubernetes.credentials import Credentials, Shown
from paas_runner.plain_text import short_line

Object: TypeAlias = Mapping[str, Any]
Objects: TypeAlias = list[Object]

PAGE = 500
MOST_PAGES = 200
MOST_PAGE_BYTES = 64 * 1024 * 1024
CERTIFICATES_KEPT = 3
LISTINGS = 3
"""How often a list is begun that expires while it is read."""


class Kind(enum.Enum):
    """What is spoken of: the group's path and the plural."""

    JOB = ("apis/batch/v1", "jobs")
    POD = ("api/v1", "pods")
    SECRET = ("api/v1", "secrets")
    EVENT = ("api/v1", "events")
    QUOTA = ("api/v1", "resourcequotas")

    @property
    def group(self) -> str:
        """The API group; empty is the core's."""
        parts = self.value[0].split("/")
        return parts[1] if parts[0] == "apis" else ""

    @property
    def plural(self) -> str:
        return self.value[1]

    @property
    def word(self) -> str:
        return self.name.capitalize()


@attrs.frozen
class Right:
    """What RBAC may allow."""

    verb: str
    kind: Kind
    part: str = ""
    """A subresource, such as a pod's `log`."""

    def __str__(self) -> str:
        return f"{self.verb} {'/'.join(filter(None, (self.kind.plural, self.part)))}"


class Cluster:
    """One namespace of one cluster; every call raises `Transient`, or `Rejected` as `answers` has it."""

    def __init__(
        self,
        configuration: Configuration,
        connect: Connect,
        *,
        namespace: str | None = None,
        make_credentials: Callable[..., Credentials] = Credentials,
    ) -> None:
        """Touch nothing outside yet."""
        self.service = f"Kubernetes at {configuration.server}"
        self.namespace = namespace or configuration.namespace
        self.place = (configuration.server, self.namespace)
        self.source = configuration.source
        self._configuration = configuration
        self._connect = connect
        self._credentials = make_credentials(configuration, service=self.service)
        self._clients: dict[object, HttpClient] = {}

    async def create(self, kind: Kind, manifest: Object, *, dry_run: bool = False) -> Object:
        """Raises `ExistsError` where there is one of that name: ours, too, if an earlier answer was lost.

        With `dry_run` the cluster only says whether it would.
        """
        op = f"create {kind.word} {manifest['metadata'].get('name', '')}"
        params = {"dryRun": "All"} if dry_run else None
        path = self._all(kind)
        return await self._asked("POST", path, op=op, payload=manifest, params=params, attempts=QUICK_TRIES)

    async def get(self, kind: Kind, name: str) -> Object:
        """Raises `AbsentError`."""
        path = self._path(kind, name)
        return await self._asked("GET", path, op=f"read {kind.word} {name}", attempts=QUICK_TRIES)

    async def found(self, kind: Kind, name: str) -> Object | None:
        """The same; None where there is none."""
        try:
            return await self.get(kind, name)
        except AbsentError:
            return None

    async def list(self, kind: Kind, *, labels: Mapping[str, str] | None = None, fields: str = "") -> Objects:
        """All with these labels, page by page; `fields` is a field selector."""
        for _ in range(LISTINGS):
            try:
                return await self._pages(kind, labels or {}, fields)
            except ExpiredError as error:
                expired = error
        raise expired

    async def delete(
        self,
        kind: Kind,
        name: str,
        *,
        uid: str = "",
        propagation: str = "Background",
        grace: int | None = None,
    ) -> None:
        """An absent one is a success, and so is one of that name with another uid, which stays."""
        options: dict[str, Any] = {"propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            path = self._path(kind, name)
            await self._asked(
                "DELETE", path, op=f"delete {kind.word} {name}", payload=options, attempts=QUICK_TRIES
            )
        except AbsentError:
            return
        except Transient as error:
            if error.status != 409:
                raise
            present = await self.found(kind, name)
            if present and present["metadata"].get("uid") == uid:
                raise

    async def pods_of(self, job: str) -> Objects:
        """Those that the Job of that name has made."""
        return await self.list(Kind.POD, labels={"job-name": job})  # old and new clusters have this label

    async def events_of(self, uid: str) -> Objects:
        """What has been told of an object, the oldest first."""
        events = await self.list(Kind.EVENT, fields=f"involvedObject.uid={uid}")
        return sorted(
            events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or "")
        )

    async def log(self, pod: str, container: str = "", *, last_lines: int, most_bytes: int) -> bytes:
        """The end of what a container has written, or its beginning where that is more than `most_bytes`."""
        params = {"container": container, "tailLines": str(last_lines), "limitBytes": str(most_bytes)}
        answer = await self._answered("GET", self._log_path(pod), op=f"read log of Pod {pod}", params=params)
        return answer.body

    @asynccontextmanager
    async def follow(self, pod: str, container: str = "", *, since: str = "") -> AsyncIterator[Stream]:
        """What a container writes, with a moment before each line, for as long as the stream holds."""
        op = f"follow log of Pod {pod}"
        params = {"container": container, "sinceTime": since, "follow": "true", "timestamps": "true"}
        params = {key: value for key, value in params.items() if value}
        shown = await self._credentials.current()
        client = await self._client(shown)
        async with client.stream(
            "GET", self._log_path(pod), op=op, headers=_headers(shown), params=params
        ) as stream:
            if stream.status != 200:
                answer = await stream.answer()
                if self._may_pass(answer, shown):
                    raise Transient(answer.summary, service=self.service, op=op, status=answer.status)
                raise refusal(answer, service=self.service, op=op)
            yield stream

    async def version(self) -> str:
        """As the cluster calls it: `v1.33.1`."""
        return short_line(
            str((await self._asked("GET", "version", op="ask its version")).get("gitVersion")), 60
        )

    async def may(self, right: Right) -> bool:
        """Whether we have a right in the namespace, by the cluster's own word."""
        wanted = {
            "namespace": self.namespace,
            "verb": right.verb,
            "group": right.kind.group,
            "resource": right.kind.plural,
            "subresource": right.part,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted},
        }
        path = "apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = await self._asked("POST", path, op=f"ask whether we may {right}", payload=review)
        return bool((answer.get("status") or {}).get("allowed"))

    async def aclose(self) -> None:
        """Close connections."""
        for client in self._clients.values():
            await client.aclose()

    def _all(self, kind: Kind) -> str:
        return f"{kind.value[0]}/namespaces/{self.namespace}/{kind.plural}"

    def _path(self, kind: Kind, name: str) -> str:
        return f"{self._all(kind)}/{quote(name, safe='')}"

    def _log_path(self, pod: str) -> str:
        return f"{self._path(Kind.POD, pod)}/log"

    async def _pages(self, kind: Kind, labels: Mapping[str, str], fields: str) -> Objects:
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        params = {"limit": str(PAGE), "labelSelector": selector, "fieldSelector": fields}
        params = {key: value for key, value in params.items() if value}
        found: Objects = []
        for _ in range(MOST_PAGES):
            page = await self._asked(
                "GET", self._all(kind), op=f"list {kind.plural}", params=params, attempts=QUICK_TRIES
            )
            if "items" not in page:  # of something before the cluster
                raise Transient("answered with no list", service=self.service, op=f"list {kind.plural}")
            found += page["items"] or []
            params["continue"] = (page.get("metadata") or {}).get("continue") or ""
            if not params["continue"]:
                return found
        raise Transient("the list does not end", service=self.service, op=f"list {kind.plural}")

    async def _asked(self, method: str, path: str, *, op: str, **call: Any) -> Object:
        answer = await self._answered(method, path, op=op, most_bytes=MOST_PAGE_BYTES, **call)
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Transient("answered with no object", service=self.service, op=op, status=answer.status)
        return found

    async def _answered(self, method: str, path: str, *, op: str, **call: Any) -> Response:
        """A success; of credentials that are refused others are tried once, where there may be any."""
        headers = call.pop("headers", {})
        for last in (False, True):
            shown = await self._credentials.current()
            client = await self._client(shown)
            answer = await client.call(method, path, op=op, headers={**headers, **_headers(shown)}, **call)
            if answer.status < 300:
                return answer
            if last or not self._may_pass(answer, shown):
                raise refusal(answer, service=self.service, op=op)
        raise AssertionError("the second answer is returned or raised")

    def _may_pass(self, answer: Response, shown: Shown) -> bool:
        """Whether another answer may come with other credentials, or later."""
        if answer.status == 401:
            return self._credentials.refused(shown)
        return answer.status in (408, 425, 429) or answer.status >= 500

    async def _client(self, shown: Shown) -> HttpClient:
        """By the certificate that is shown: a plugin may give another one from time to time."""
        client = self._clients.get(shown.identity)
        if client is None:
            tls = self._configuration.tls
            tls = attrs.evolve(tls, identity=shown.identity or tls.identity)
            try:
                client = self._connect(
                    self._configuration.server, service=self.service, tls=tls, proxy=self._configuration.proxy
                )
            except (OSError, ValueError):
                text = "the certificate that we are to show cannot be used"
                raise Rejected(text, service=self.service, op="connect") from None
            self._clients[shown.identity] = client
            if len(self._clients) > CERTIFICATES_KEPT:
                await self._clients.pop(next(iter(self._clients))).aclose()
        return client


def _headers(shown: Shown) -> Mapping[str, Any]:
    return {"Authorization": shown.authorization} if shown.authorization else {}
