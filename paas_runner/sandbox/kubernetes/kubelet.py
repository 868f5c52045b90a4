"""The only node: it takes pods, and runs each as a task of its own until it ends or is removed."""

import asyncio
from collections.abc import Callable
from functools import partial

from paas_runner.sandbox.kubernetes.deletion import delete
from paas_runner.sandbox.kubernetes.options import ClusterLedger, ClusterOptions
from paas_runner.sandbox.kubernetes.pod_logs import ContainerLog
from paas_runner.sandbox.kubernetes.pod_run import NODE, Node, PodRun
from paas_runner.sandbox.kubernetes.resources import PODS, Object, set_condition
from paas_runner.sandbox.kubernetes.runtime import Runtime
from paas_runner.sandbox.kubernetes.storage import Change, Storage


class Kubelet:
    """Scheduler and kubelet in one; closed with `aclose`, after which nothing runs."""

    def __init__(
        self, storage: Storage, runtime: Runtime, ledger: ClusterLedger, options: Callable[[], ClusterOptions]
    ) -> None:
        self._node = Node(storage=storage, runtime=runtime, ledger=ledger, options=options)
        self._runs: dict[str, PodRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def observe(self, change: Change) -> None:
        """Begin with a new pod, end one that is deleted."""
        pod = change.object
        if pod["kind"] != PODS.kind:
            return
        uid = pod["metadata"]["uid"]
        if change.before is None:
            run = self._runs[uid] = PodRun(pod, self._node)
            task = asyncio.create_task(run.run(), name=f"pod {pod['metadata']['name']}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif change.after is None:
            self._runs.pop(uid).stop(0)
        elif "deletionTimestamp" in pod["metadata"]:
            self._runs[uid].stop(pod["metadata"]["deletionGracePeriodSeconds"])

    def logs(self, pod: Object, container: str) -> list[ContainerLog]:
        """Of all runs of a container, the last one last."""
        run = self._runs.get(pod["metadata"]["uid"])
        return run.logs.get(container, []) if run else []

    def evict(self, pod: Object, message: str = "The node was low on resource: memory.") -> None:
        """End a pod because its node needs the room."""
        self._runs[pod["metadata"]["uid"]].fail("Evicted", message, disruption="TerminationByKubelet")

    def lose_node(self) -> None:
        """Everything that runs dies without a word, which is noticed later; what comes next has a node."""
        patience = self._node.options().node_patience.total_seconds()
        for run in self._runs.values():
            if run.runs:
                run.lose()
                asyncio.get_running_loop().call_later(patience, self._forget, run.pod)

    def _forget(self, pod: Object) -> None:
        """As the collector of pods does: `PodGC`."""
        storage, words = self._node.storage, {"message": f"PodGC: node {NODE} no longer exists"}
        told = partial(set_condition, kind="DisruptionTarget", now=storage.clock(), reason="DeletionByPodGC")
        storage.change(pod, partial(told, **words))
        storage.change(pod, lambda each: each["status"].update(phase="Failed"))
        delete(storage, pod, {"gracePeriodSeconds": 0})

    async def aclose(self) -> None:
        """Kill whatever runs, and wait for its end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
