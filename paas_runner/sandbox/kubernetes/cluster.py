"""The cluster: objects, what acts on them, and how they are made and changed.

On one event loop, without threads of its own; time comes from the injected clock and from timers of the
loop, names and identifiers from the injected `random.Random`.
"""

import copy
from collections.abc import Callable
from datetime import datetime
from functools import partial
from random import Random

from paas_runner.sandbox.kubernetes import errors
from paas_runner.sandbox.kubernetes.access import Accounts
from paas_runner.sandbox.kubernetes.deletion import collect
from paas_runner.sandbox.kubernetes.job_controller import JobController
from paas_runner.sandbox.kubernetes.kubelet import Kubelet
from paas_runner.sandbox.kubernetes.options import ClusterLedger, ClusterOptions
from paas_runner.sandbox.kubernetes.quantities import admit, recount
from paas_runner.sandbox.kubernetes.resources import (
    BY_KIND,
    EVENTS,
    JOBS,
    NAMESPACES,
    PODS,
    RESOURCES,
    SECRETS,
    Object,
    Resource,
)
from paas_runner.sandbox.kubernetes.runtime import Runtime
from paas_runner.sandbox.kubernetes.storage import Change, Storage
from paas_runner.sandbox.kubernetes.validation import encoded, unaltered, validated

_NAME_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"
_OBLIGING = ClusterOptions()
_GIVEN_BY_SERVER = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
)
_JOB: Object = {
    "parallelism": 1,
    "completions": 1,
    "backoffLimit": 6,
    "suspend": False,
    "manualSelector": False,
}
_JOB |= {"completionMode": "NonIndexed", "podReplacementPolicy": "TerminatingOrFailed"}
_POD: Object = {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst"}
_POD |= {"schedulerName": "default-scheduler", "securityContext": {}}


class Cluster:
    """One cluster with one node; close it with `aclose`, which ends every container."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        rng: Random,
        runtime: Runtime,
        options: ClusterOptions = _OBLIGING,
    ) -> None:
        self.options = options
        self.accounts = Accounts()
        self.ledger = ClusterLedger(clock)
        self.storage = Storage(clock, rng)
        self.kubelet = Kubelet(self.storage, runtime, self.ledger, lambda: self.options)
        jobs = JobController(self.storage, lambda pod: self.create(PODS, pod["metadata"]["namespace"], pod))
        for name in options.namespaces:
            self.add_namespace(name)
        self.storage.listeners += [self.kubelet.observe, jobs.observe, self._collect]

    def add_namespace(self, name: str) -> None:
        metadata = {**self.storage.new_metadata(), "name": name}
        head = {"kind": NAMESPACES.kind, "apiVersion": NAMESPACES.api_version, "metadata": metadata}
        self.storage.add({**head, "status": {"phase": "Active"}})

    def objects(self, of: Resource) -> list[Object]:
        """All that exist of a kind."""
        return self.storage.every(of)

    @property
    def left(self) -> list[str]:
        """What exists that somebody has made, as `kind/name`; events are nobody's."""
        kinds = [each for each in RESOURCES if each not in (EVENTS, NAMESPACES)]
        return [f"{each.kind}/{found['metadata']['name']}" for each in kinds for found in self.objects(each)]

    def create(self, of: Resource, namespace: str, given: Object, *, dry: bool = False) -> Object:
        """An object as the server makes it of what was given; raises `StatusError`."""
        self.storage.get(NAMESPACES, None, namespace)
        made = copy.deepcopy(given)
        own = made["metadata"]
        metadata = {name: own[name] for name in own if name not in (*_GIVEN_BY_SERVER, "resourceVersion")}
        made |= {"metadata": {**metadata, "namespace": namespace}, "status": {}}
        if not own.get("name") and (prefix := own.get("generateName")):
            suffix = "".join(self.storage.rng.choices(_NAME_CHARACTERS, k=5))
            made["metadata"]["name"] = f"{prefix[:58]}{suffix}"
        if of is SECRETS:
            encoded(made)
        validated(of, made)
        made["metadata"] |= self.storage.new_metadata()
        _complete(of, made)
        if self.storage.find(of, namespace, made["metadata"]["name"]):
            raise errors.already_exists(of, made["metadata"]["name"])
        admit(self.storage, made)
        return made if dry else self.storage.add(made)

    def update(self, found: Object, wanted: Object, *, dry: bool = False) -> Object:
        """Replace an object by what is wanted of it; raises `StatusError`."""
        of, before = BY_KIND[found["kind"]], found["metadata"]
        if wanted["metadata"].get("resourceVersion") not in (None, before["resourceVersion"]):
            why = (
                "the object has been modified; please apply your changes to the latest version and try again"
            )
            raise errors.conflict(of, before["name"], why)
        if of is SECRETS:
            encoded(wanted)
        kept = {name: before[name] for name in (*_GIVEN_BY_SERVER, "resourceVersion") if name in before}
        metadata = {"namespace": before["namespace"], **wanted["metadata"], **kept}
        after = {**wanted, "metadata": metadata, **({"status": found["status"]} if "status" in found else {})}
        validated(of, after)
        unaltered(of, found, after)
        return after if dry else self.storage.change(found, partial(_replace, by=after)) or after

    async def aclose(self) -> None:
        """End every container and wait for its end."""
        self.storage.listeners.clear()
        await self.kubelet.aclose()

    def _collect(self, change: Change) -> None:
        collect(self.storage, change)
        recount(self.storage, change.object["metadata"].get("namespace"))


def _replace(each: Object, by: Object) -> None:
    each.clear()
    each.update(by)


def _complete(of: Resource, made: Object) -> None:
    """What the server fills in; a job's pods carry the labels by which they are found."""
    metadata = made["metadata"]
    if of is JOBS:
        metadata["generation"] = 1
        uid, template = {"controller-uid": metadata["uid"]}, made["spec"]["template"]
        labels = {**uid, "job-name": metadata["name"]}
        labels |= {f"batch.kubernetes.io/{name}": value for name, value in labels.items()}
        own = template.setdefault("metadata", {})
        own["labels"] = {**own.get("labels", {}), **labels}
        selector = {"matchLabels": {f"batch.kubernetes.io/{name}": value for name, value in uid.items()}}
        made["spec"] = {**_JOB, "selector": selector, **made["spec"]}
        _complete_pod(template["spec"])
    elif of is PODS:
        made["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
        _complete_pod(made["spec"])
    elif of is SECRETS:
        del made["status"]
        made["type"] = made.get("type") or "Opaque"


def _complete_pod(spec: Object) -> None:
    spec.update({**_POD, **spec})
    for container in (*spec["containers"], *spec.get("initContainers", ())):
        container.update({"imagePullPolicy": "IfNotPresent", "resources": {}, **container})
