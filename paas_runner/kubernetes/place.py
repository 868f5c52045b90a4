"""Containers that are run once, as Jobs of a cluster: `paas_runner.container.Place`.

A Job's pod waits for its environment, a Secret: so to create starts nothing, and to start is to make that.
That is never read, and goes with its Job, which alone names it. A pod that failed is not replaced.
"""

import asyncio
import base64
import hashlib
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from paas_runner.container import Ended, Image, Line, Wanted, by_signal
from paas_runner.errors import Rejected, Transient
from paas_runner.kubernetes import logs, parcels
from paas_runner.kubernetes.answers import AbsentError, ExistsError
from paas_runner.kubernetes.api import Cluster, Kind, Object
from paas_runner.kubernetes.causes import Who, container_state, is_over, of_events, of_job, of_pod
from paas_runner.secret import Secret

CONTAINER = "main"
MADE_BY = {"app.kubernetes.io/managed-by": "paas-runner"}
OURS = "paas-runner.container"
KEPT = timedelta(days=1)
"""How long a Job stays after its end for whoever looks for it."""

LOST = 125
"""The exit code of a container whose own is not known."""

START_WITHIN = timedelta(minutes=15)
IMAGE_WITHIN = timedelta(minutes=1)
REMOVAL_SECONDS = 60.0
LOOKS = 3
"""At a pod whose container has ended: one that others were put into goes on."""


_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]*")
_KEY = re.compile(r"([a-z0-9][a-z0-9.-]{0,251}[a-z0-9]/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


class KubernetesPlace:
    """Containers in one namespace; the caller closes the cluster."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        start_within: timedelta = START_WITHIN,
        pause: float = 1.0,
        service_account: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`start_within` is for a node and the image; `pause`, in seconds, is between two looks.

        With a `service_account` programs have its token; else they have none.
        """
        self._service_account = service_account
        self._cluster = cluster
        self._start_within = start_within
        self._pause = pause
        self._clock = clock
        self._created: dict[str, tuple[Object, Mapping[str, Secret]]] = {}  # Jobs, and their environments

    async def prepare(self, wanted: Wanted) -> Image:
        """Also `Rejected`, in words, for volumes, a standard input, and what the cluster itself refuses."""
        op = f"prepare {wanted.name}"
        if wanted.volumes:
            raise self._rejected(op, f"a cluster has no volumes as Docker has: {', '.join(wanted.volumes)}")
        if wanted.takes_input:
            raise self._rejected(op, "a container on a cluster has no standard input: use its environment")
        if not _NAME.fullmatch(wanted.name):
            raise self._rejected(op, f"{wanted.name!r} is no name of a Job: 63 of a-z, 0-9 and -")
        for name in wanted.environment:
            if not _VARIABLE.fullmatch(name):
                raise self._rejected(op, f"the variable {name!r} has a name that no Secret can have")
        job = self._job(wanted)
        for kind, manifest in ((Kind.JOB, job), (Kind.SECRET, _environment(job, wanted.environment))):
            with suppress(ExistsError):
                await self._cluster.create(kind, manifest, dry_run=True)
        return Image()

    async def create(self, wanted: Wanted) -> None:
        """`start` needs to be called by the same process: nobody else has the environment."""
        try:
            job = await self._cluster.create(Kind.JOB, self._job(wanted))
        except ExistsError as taken:
            job = await self._cluster.get(Kind.JOB, wanted.name)
            if (job["metadata"].get("annotations") or {}).get(OURS) != wanted.name:
                text = "a Job of that name exists that we have not made: remove it"
                raise self._rejected(taken.op, text) from taken
        for secret, data in parcels.secrets_of(wanted.name, wanted.parcel) if wanted.parcel else ():
            with suppress(ExistsError):
                await self._cluster.create(Kind.SECRET, _secret(job, secret, data))
        self._created[wanted.name] = job, wanted.environment

    async def start(self, name: str, data: bytes | None = None) -> None:
        """`Rejected` where this process has not created it, unless it was started."""
        op = f"start {name}"
        if data:
            raise self._rejected(op, "a container on a cluster has no standard input")
        if created := self._created.get(name):
            with suppress(ExistsError):
                await self._cluster.create(Kind.SECRET, _environment(*created))
        elif not any(map(_has_begun, await self._cluster.pods_of(name))):
            raise self._rejected(op, "create it again, which gives it its environment")

    async def lines(self, name: str) -> AsyncIterator[Line]:
        """What comes by which stream is not told."""
        pod = await self._begun(name)
        if pod is None:
            return
        texts = logs.lines(self._cluster, pod["metadata"]["name"], CONTAINER, pause=self._pause)
        with suppress(AbsentError):  # it was removed: nobody has more of it
            async with aclosing(cast(AsyncGenerator[bytes, None], texts)) as each:
                async for text in each:
                    yield Line(text)

    async def wait(self, name: str, limit: timedelta | None = None) -> Ended | None:
        """From the start of its program; `Rejected` where it does not start in time.

        That is when we see it begin: a node's clock may not be ours. For an adopted one they are compared.
        """
        looks, now = 0, asyncio.get_running_loop().time
        began: float | None = None
        while True:
            pod = await self._begun(name)
            if pod is None:
                return self._lost(of_job(await self._job_of(name)))
            state = container_state(pod, CONTAINER)
            told, looks = state.get("terminated"), looks + ("terminated" in state)
            if told and (is_over(pod) or looks > LOOKS):  # why is told with the end of the pod
                lasted = _moment(told, "finishedAt") - _moment(told, "startedAt")
                if limit is not None and lasted > limit + timedelta(seconds=1):  # both are whole seconds
                    return None
                cause, code = of_pod(pod), int(told.get("exitCode", LOST))
                return Ended(code=code, cause=cause.text if cause else by_signal(code))
            if is_over(pod):
                return self._lost(of_pod(pod))
            pause = self._pause
            if limit is not None and not told:
                if began is None:
                    before = self._clock() - _moment(state["running"], "startedAt")
                    began = now() - (0 if name in self._created else max(before.total_seconds(), 0))
                left = began + limit.total_seconds() - now()
                if left <= 0:
                    return None
                pause = min(pause, left)
            await asyncio.sleep(pause)

    async def stop(self, name: str, grace: timedelta) -> None:
        """Its pod is deleted, and its exit code with it."""
        for pod in await self._cluster.pods_of(name):
            metadata, seconds = pod["metadata"], int(grace.total_seconds())
            await self._cluster.delete(Kind.POD, metadata["name"], uid=metadata["uid"], grace=seconds)

    async def get(self, name: str, path: str, most_bytes: int) -> bytes:
        """The tar that its program has left, whatever its `path`; `Rejected` where that cannot be had."""
        op = f"fetch {path} of {name}"
        pods = await self._cluster.pods_of(name)
        if not pods:
            raise self._rejected(op, "its pod is gone")
        pod = pods[-1]["metadata"]["name"]
        return await parcels.fetched(self._cluster, pod, op, most_bytes=most_bytes, pause=self._pause)

    async def begun(self, name: str) -> bool | None:
        """Whether a pod of it has, or had, its environment; None where there is no Job."""
        if await self._cluster.found(Kind.JOB, name) is None:
            return None
        return any(map(_has_begun, await self._cluster.pods_of(name)))

    async def facts(self, name: str) -> Mapping[str, str]:
        """What the cluster tells of its last pod: node, image, reason, code and moments, as far as known."""
        pods = await self._cluster.pods_of(name)
        if not pods:
            return {}
        pod = pods[-1]
        statuses = (pod.get("status") or {}).get("containerStatuses") or ()
        status: Object = next((each for each in statuses if each.get("name") == CONTAINER), {})
        state = container_state(pod, CONTAINER)
        told = state.get("terminated") or state.get("running") or {}
        found = {
            "pod": pod["metadata"]["name"],
            "namespace": self._cluster.namespace,
            "node": pod.get("spec", {}).get("nodeName"),
            "image": status.get("imageID") or status.get("image") or pod["spec"]["containers"][0]["image"],
            "reason": told.get("reason"),
            "exit_code": told.get("exitCode"),
            "started": told.get("startedAt"),
            "finished": told.get("finishedAt"),
        }
        return {key: str(value) for key, value in found.items() if value not in (None, "")}

    async def remove(self, name: str) -> None:
        """Its Job, and with it pods and Secret; returns when no pod is left."""
        self._created.pop(name, None)
        ends = asyncio.get_running_loop().time() + REMOVAL_SECONDS
        while True:
            await self._cluster.delete(Kind.JOB, name)
            pods = await self._cluster.pods_of(name)
            for pod in pods:
                await self._cluster.delete(Kind.POD, pod["metadata"]["name"], grace=0)
            if not pods and await self._cluster.found(Kind.JOB, name) is None:
                return
            if asyncio.get_running_loop().time() > ends:
                raise Transient("it is still there", service=self._cluster.service, op=f"remove {name}")
            await asyncio.sleep(self._pause)

    async def _begun(self, name: str) -> Object | None:
        """Its pod, as soon as its program runs or has ended; None where its Job has failed without one."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            pods = await self._cluster.pods_of(name)
            for pod in pods:
                if _has_begun(pod):
                    return pod
            job = await self._job_of(name)
            if of_job(job) and not pods:
                return None
            cause = (
                of_pod(pods[0]) if pods else of_events(await self._cluster.events_of(job["metadata"]["uid"]))
            )
            within = self._start_within
            if cause and cause.who is Who.AUTHOR:
                within = min(within, IMAGE_WITHIN)
            if (cause and cause.final) or loop.time() - began > within.total_seconds():
                raise self._rejected(f"start {name}", cause.text if cause else "it does not start")
            await asyncio.sleep(self._pause)

    async def _job_of(self, name: str) -> Object:
        return await self._cluster.get(Kind.JOB, name)

    def _job(self, wanted: Wanted) -> dict[str, Any]:
        labels = MADE_BY | {_key(name): _value(text) for name, text in wanted.labels.items()}
        notes = {OURS: wanted.name} | {_key(name): text for name, text in wanted.labels.items()}
        container: dict[str, Any] = {
            "name": CONTAINER,
            "image": wanted.image,
            "envFrom": [{"secretRef": {"name": f"{wanted.name}-{secrets.token_hex(4)}"}}],
        }
        if wanted.command is not None:
            container["command"] = list(wanted.command)
        pod: dict[str, Any] = {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 10,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "containers": [container],
        }
        if self._service_account:
            pod |= {"serviceAccountName": self._service_account, "automountServiceAccountToken": True}
        if wanted.parcel:
            pod = parcels.with_parcel(pod, wanted, wanted.parcel)
        spec = {
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "ttlSecondsAfterFinished": int(KEPT.total_seconds()),
            "template": {"metadata": {"labels": labels, "annotations": notes}, "spec": pod},
        }
        if wanted.ends_after is not None:
            spec["activeDeadlineSeconds"] = int((wanted.ends_after + self._start_within).total_seconds())
        metadata = {"name": wanted.name, "labels": labels, "annotations": notes}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}

    def _lost(self, cause: Any) -> Ended:
        return Ended(code=LOST, cause=cause.text if cause else "nobody knows how it ended")

    def _rejected(self, op: str, text: str) -> Rejected:
        return Rejected(text, service=self._cluster.service, op=op)


def _environment(job: Object, environment: Mapping[str, Secret]) -> dict[str, Any]:
    """What the Job's pod waits for."""
    containers = job["spec"]["template"]["spec"]["containers"]
    [source] = next(each["envFrom"] for each in containers if each["name"] == CONTAINER)
    data = {key: value.reveal().encode(errors="surrogateescape") for key, value in environment.items()}
    return _secret(job, source["secretRef"]["name"], data)


def _secret(job: Object, name: str, data: Mapping[str, bytes]) -> dict[str, Any]:
    """One that goes with the Job."""
    uid = job["metadata"].get("uid", "")
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": uid}
    metadata = {"name": name, "labels": MADE_BY}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {**metadata, "ownerReferences": [owner] if uid else []},
        "immutable": True,
        "type": "Opaque",
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def _has_begun(pod: Object) -> bool:
    """Whether its program runs, has ended, or never will."""
    return bool(container_state(pod, CONTAINER).keys() & {"running", "terminated"}) or is_over(pod)


def _key(name: str) -> str:
    return name if _KEY.fullmatch(name) else _valid(name)


def _value(text: str) -> str:
    return text if _VALUE.fullmatch(text) else _valid(text)


def _valid(text: str) -> str:
    """What a label can be that follows from the text alone."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:54].strip("-_.")
    return f"{plain}-{digest}" if plain else digest


def _moment(told: Object, key: str) -> datetime:
    return datetime.fromisoformat(told[key])
