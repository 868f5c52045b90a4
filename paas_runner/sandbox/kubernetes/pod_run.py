"""One pod on its node: scheduled, volumes mounted, images pulled, containers run; what its status says."""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from paas_runner.sandbox.kubernetes.options import ClusterLedger, ClusterOptions
from paas_runner.sandbox.kubernetes.pod_inputs import MissingError, environment, expanded, mount
from paas_runner.sandbox.kubernetes.pod_logs import ContainerLog
from paas_runner.sandbox.kubernetes.resources import Object, set_condition, stamp
from paas_runner.sandbox.kubernetes.runtime import KILLED, Container, Exit, ImageError, Runtime
from paas_runner.sandbox.kubernetes.storage import Storage

NODE = "sandbox"
_MOST_PAUSE = 300.0
_INIT, _MAIN = "initContainers", "containers"
_STATUSES = {_INIT: "initContainerStatuses", _MAIN: "containerStatuses"}


@attrs.frozen(kw_only=True)
class Node:
    """What all its pods share."""

    storage: Storage
    runtime: Runtime
    ledger: ClusterLedger
    options: Callable[[], ClusterOptions]


class _StoppedError(Exception):
    """The pod is to end while it waits."""


class PodRun:
    """Its whole life; `logs` are those of each container's runs, `runs` is whether it is on its node now."""

    def __init__(self, pod: Object, node: Node) -> None:
        self.pod = pod
        self.logs: dict[str, list[ContainerLog]] = {}
        self.runs = False
        self._node, self._storage = node, node.storage
        self._stopping, self._killed = asyncio.Event(), asyncio.Event()
        self._lost = False
        self._failure: dict[str, str] = {}
        self._disruption = ""

    def stop(self, grace_seconds: float) -> None:
        """It is asked to end, and killed after its grace."""
        self._stopping.set()
        asyncio.get_running_loop().call_later(grace_seconds, self._killed.set)

    def fail(self, reason: str, message: str, *, disruption: str = "") -> None:
        """It is killed, and has failed for that reason."""
        if not self._stopping.is_set():
            self._failure, self._disruption = {"reason": reason, "message": message}, disruption
            self._record(reason, message, warning=True)
            self.stop(0)

    def lose(self) -> None:
        """It is killed, and nobody says so."""
        self._lost = True
        self.stop(0)

    async def run(self) -> None:
        """To its end, which its status tells; then it goes, if it was deleted."""
        exits: list[Exit] = []
        with (
            tempfile.TemporaryDirectory(prefix="paas-runner-pod-") as folder,
            contextlib.suppress(_StoppedError),
        ):
            await self._schedule()
            await self._mount(Path(folder))
            exits = await self._run_all(Path(folder))
        self.runs = False
        good = bool(exits) and not any(each.code for each in exits) and not self._failure

        def end(pod: Object) -> None:
            pod["status"] |= {"phase": "Succeeded" if good else "Failed", **self._failure}
            for kind in ("Ready", "ContainersReady"):
                reason = "PodCompleted" if good else "PodFailed"
                set_condition(pod, kind, self._storage.clock(), status="False", reason=reason)
            if self._disruption:
                words = {"reason": self._disruption, "message": self._failure["message"]}
                set_condition(pod, "DisruptionTarget", self._storage.clock(), **words)
            if "deletionTimestamp" in pod["metadata"]:
                pod["metadata"]["deletionGracePeriodSeconds"] = 0

        self._alter(end)

    async def _schedule(self) -> None:
        await self._pause(self._node.options().scheduling_delay.total_seconds())
        while self._node.options().unschedulable:
            text = "0/1 nodes are available: 1 Insufficient memory."
            self._set("PodScheduled", status="False", reason="Unschedulable", message=text)
            self._record("FailedScheduling", text, source="default-scheduler", warning=True)
            await self._pause(self._node.options().look_every.total_seconds())
        spec, metadata = self.pod["spec"], self.pod["metadata"]

        def bind(pod: Object) -> None:
            pod["spec"]["nodeName"] = NODE
            status = pod["status"]
            status |= {"startTime": stamp(self._storage.clock()), "hostIP": "127.0.0.1"}
            reason = "PodInitializing" if _INIT in spec else "ContainerCreating"
            for kind, told in ((_INIT, "PodInitializing"), (_MAIN, reason)):
                if kind in spec:
                    status[_STATUSES[kind]] = [_new_status(each, told) for each in spec[kind]]

        self._alter(bind)
        self._set("PodScheduled")
        self.runs = True
        text = f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {NODE}"
        self._record("Scheduled", text, source="default-scheduler")
        if seconds := spec.get("activeDeadlineSeconds"):
            text = "Pod was active on the node longer than the specified deadline"
            asyncio.get_running_loop().call_later(seconds, self.fail, "DeadlineExceeded", text)

    async def _mount(self, folder: Path) -> None:
        for volume in self.pod["spec"].get("volumes", ()):
            for pause in _pauses(0.5, 122.0):
                try:
                    mount(self._storage, self.pod, volume, folder / volume["name"])
                    break
                except MissingError as error:
                    text = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}'
                    self._record("FailedMount", text, warning=True)
                await self._pause(pause)

    async def _run_all(self, folder: Path) -> list[Exit]:
        """How the containers have ended, or the first of those before them that has failed."""
        spec = self.pod["spec"]
        again, running = spec["restartPolicy"], list[asyncio.Task[Exit]]()
        try:
            for each in spec.get(_INIT, ()):
                if each.get("restartPolicy") == "Always":
                    running.append(asyncio.create_task(self._container(each, _INIT, folder, "Always")))
                elif (
                    done := await self._container(each, _INIT, folder, again.replace("Always", "OnFailure"))
                ).code:
                    return [done]
            self._set("Initialized")
            main = [asyncio.create_task(self._container(each, _MAIN, folder, again)) for each in spec[_MAIN]]
            running += main
            await asyncio.wait(main)
            return [each.result() for each in main]
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _container(self, spec: Object, kind: str, folder: Path, again: str) -> Exit:
        number = 0
        while True:
            await self._pull(spec, kind)
            over = await self._run_once(spec, kind, folder, number)
            if self._stopping.is_set() or again == "Never" or (again == "OnFailure" and not over.code):
                return over
            number += 1
            if number > 1:
                text = f"Back-off restarting failed container {spec['name']}"
                self._wait_for(spec, kind, "CrashLoopBackOff", text, event="BackOff")
                await self._pause(min(2.5 * 2**number, _MOST_PAUSE))

    async def _pull(self, spec: Object, kind: str) -> None:
        image = spec["image"]
        for pause in _pauses(10.0, _MOST_PAUSE):
            self._record("Pulling", f'Pulling image "{image}"')
            await self._pause(self._node.options().pull_delay.total_seconds())
            try:
                if image in self._node.options().pulls_fail:
                    raise ImageError(f'failed to pull and unpack image "{image}": not found')  # noqa: TRY301
                await self._node.runtime.pull(image)
            except ImageError as error:
                self._wait_for(spec, kind, "ErrImagePull", str(error), event="Failed")
            else:
                self._record("Pulled", f'Successfully pulled image "{image}"')
                return
            await self._pause(1.0)
            self._wait_for(
                spec, kind, "ImagePullBackOff", f'Back-off pulling image "{image}"', event="BackOff"
            )
            await self._pause(pause)

    async def _run_once(self, spec: Object, kind: str, folder: Path, number: int) -> Exit:
        name, pod = spec["name"], self.pod["metadata"]
        given = await self._environment(spec, kind)
        log = ContainerLog(self._storage.clock)
        self.logs.setdefault(name, []).append(log)
        mounts = {
            each["mountPath"]: folder / each["name"] / each.get("subPath", "")
            for each in spec.get("volumeMounts", ())
        }
        container = Container(
            name=name,
            pod=pod["name"],
            image=spec["image"],
            command=[expanded(word, given) for word in spec.get("command", ())],
            arguments=[expanded(word, given) for word in spec.get("args", ())],
            environment=given,
            mounts=mounts,
            write=log.write,
            stopping=self._stopping,
        )
        run = {"startedAt": stamp(self._storage.clock())}
        run_id = f"sandbox://{self._storage.rng.getrandbits(128):032x}"
        self._tell(spec, kind, {"running": run}, ready=True, containerID=run_id, restartCount=number)
        if kind == _MAIN:
            self._alter(lambda pod: pod["status"].update(phase="Running"))
            self._set("ContainersReady")
            self._set("Ready")
        self._record("Started", f"Started container {name}")
        entry = self._node.ledger.began(
            namespace=pod["namespace"], pod=pod["name"], container=name, image=spec["image"]
        )
        over = Exit(KILLED)
        try:
            over = await self._killable(container)
        finally:
            log.close()
            self._node.ledger.ended(entry, None if self._lost else over.code)
        run |= {"finishedAt": stamp(self._storage.clock()), "containerID": run_id, "reason": over.reason}
        ready = kind == _INIT and not over.code
        self._tell(spec, kind, {"terminated": {"exitCode": over.code, **run}}, ready=ready)
        return over

    async def _killable(self, container: Container) -> Exit:
        work = asyncio.create_task(self._node.runtime.run(container), name=f"container {container.name}")
        killed = asyncio.create_task(self._killed.wait())
        try:
            await asyncio.wait({work, killed}, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else Exit(KILLED)
        finally:
            killed.cancel()
            work.cancel()
            await asyncio.wait({work})

    async def _environment(self, spec: Object, kind: str) -> dict[str, str]:
        while True:
            try:
                return environment(self._storage, self.pod, spec)
            except MissingError as error:
                self._wait_for(spec, kind, "CreateContainerConfigError", str(error), event="Failed")
            await self._pause(self._node.options().look_every.total_seconds())

    async def _pause(self, seconds: float) -> None:
        """Raises `_StoppedError` when the pod is to end meanwhile."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        if self._stopping.is_set():
            raise _StoppedError

    def _wait_for(self, spec: Object, kind: str, reason: str, message: str, *, event: str) -> None:
        self._tell(spec, kind, {"waiting": {"reason": reason, "message": message}})
        self._record(event, message, warning=True)

    def _tell(self, spec: Object, kind: str, state: Object, *, ready: bool = False, **more: object) -> None:
        def alter(pod: Object) -> None:
            for each in pod["status"][_STATUSES[kind]]:
                if each["name"] == spec["name"]:
                    if "terminated" in each["state"]:
                        each["lastState"] = each["state"]
                    each |= {"state": state, "ready": ready, "started": "running" in state, **more}

        self._alter(alter)

    def _set(self, kind: str, **words: str) -> None:
        self._alter(lambda pod: set_condition(pod, kind, self._storage.clock(), **words))

    def _alter(self, alter: Callable[[Object], None]) -> None:
        if not self._lost:
            self._storage.change(self.pod, alter)

    def _record(self, reason: str, text: str, *, source: str = "kubelet", warning: bool = False) -> None:
        if not self._lost:
            self._storage.record(self.pod, reason, text, source, warning=warning)


def _new_status(spec: Object, reason: str) -> Object:
    known = {"name": spec["name"], "image": spec["image"], "imageID": "", "ready": False, "started": False}
    return {**known, "restartCount": 0, "state": {"waiting": {"reason": reason}}, "lastState": {}}


def _pauses(pause: float, most: float) -> Iterator[float]:
    while True:
        yield pause
        pause = min(2 * pause, most)
