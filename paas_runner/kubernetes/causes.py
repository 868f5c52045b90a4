"""Why a pod did not start, or ended, in words. Pure: objects of the cluster in, a cause out.

Reasons are those of kubelet, scheduler and controllers, as their sources have them in v1.29 and later
(`pkg/kubelet/images`, `pkg/kubelet/container`, `pkg/kubelet/eviction`, `batch/v1`, `core/v1`).
"""

import enum
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from paas_runner.plain_text import short_line

_MOST_MESSAGE = 300

Object = Mapping[str, Any]


class Who(enum.Enum):
    """Who can do something about it."""

    AUTHOR = "author"
    OPERATORS = "operators"
    NOBODY = "nobody"
    """It happens; another try may succeed."""


@attrs.frozen
class Cause:
    """`final` is what waiting does not mend."""

    text: str
    who: Who = Who.NOBODY
    final: bool = False


_IMAGE = "its image cannot be fetched"
_WAITING: Mapping[str, Cause] = {
    "ErrImagePull": Cause(_IMAGE, Who.AUTHOR),
    "ImagePullBackOff": Cause(_IMAGE, Who.AUTHOR),
    "RegistryUnavailable": Cause("the registry of its image does not answer"),
    "ImageInspectError": Cause("its image cannot be used", Who.AUTHOR),
    "SignatureValidationFailed": Cause("the signature of its image is not accepted", Who.OPERATORS),
    "InvalidImageName": Cause("its image has no valid name", Who.AUTHOR, final=True),
    "ErrImageNeverPull": Cause(
        "its image is not on the node, and may not be fetched", Who.OPERATORS, final=True
    ),
    "CreateContainerConfigError": Cause("what it is configured with is missing or wrong", Who.OPERATORS),
    "CreateContainerError": Cause("the node could not make its container", Who.OPERATORS),
    "RunContainerError": Cause("the node could not start its container", Who.OPERATORS),
    "CrashLoopBackOff": Cause("it ends as soon as it is started", Who.OPERATORS),
}
_TERMINATED: Mapping[str, Cause] = {
    "OOMKilled": Cause("it needed more memory than it may use, and was killed", Who.AUTHOR, final=True),
    "ContainerCannotRun": Cause("its program cannot be run", Who.AUTHOR, final=True),
    "StartError": Cause("its program cannot be run", Who.AUTHOR, final=True),
    "DeadlineExceeded": Cause("it ran for longer than it may", Who.AUTHOR, final=True),
    "ContainerStatusUnknown": Cause("its node was lost, or has forgotten it", final=True),
}
_NO_ROOM = Cause("its node had no room for it after all", final=True)
_POD: Mapping[str, Cause] = {
    "Evicted": Cause("its node ran short of memory, disk or processes, and evicted it", final=True),
    "DeadlineExceeded": Cause("it ran for longer than it may", Who.AUTHOR, final=True),
    "NodeLost": Cause("its node does not answer any more", final=True),
    "Preempting": Cause("a pod that is more important took its place", final=True),
    "Preempted": Cause("a pod that is more important took its place", final=True),
    "Terminated": Cause("its node was shut down", final=True),
    "NodeShutdown": Cause("its node was shut down", final=True),
    "NodeAffinity": Cause("its node is none of those on which it may run", Who.OPERATORS, final=True),
    "UnexpectedAdmissionError": _NO_ROOM,
}
_DISRUPTED: Mapping[str, Cause] = {
    "PreemptionByScheduler": Cause("a pod that is more important took its place", final=True),
    "DeletionByTaintManager": Cause("its node does not answer any more, or is being emptied", final=True),
    "EvictionByEvictionAPI": Cause("it was evicted, as when a node is drained", final=True),
    "DeletionByPodGC": Cause("its node is gone", final=True),
    "TerminationByKubelet": Cause(
        "its node ended it: it ran short, was shut down or preempted it", final=True
    ),
}
_JOB: Mapping[str, Cause] = {
    "DeadlineExceeded": Cause("it took longer than it may", Who.AUTHOR, final=True),
    "BackoffLimitExceeded": Cause("its pod failed, or was removed", final=True),
}
_EVENTS: Mapping[str, Cause] = {
    "FailedCreate": Cause("its pod cannot be created", Who.OPERATORS),
    "FailedScheduling": Cause("no node has room for it", Who.OPERATORS),
    "FailedMount": Cause("a volume of it cannot be mounted", Who.OPERATORS),
    "FailedCreatePodSandBox": Cause("its node cannot prepare it", Who.OPERATORS),
    "NodeNotReady": Cause("its node does not answer any more"),
    "Preempted": Cause("a pod that is more important took its place", final=True),
}
_BY_MESSAGE = (
    ("exceeded quota", Cause("the namespace's quota has no room for it", Who.OPERATORS)),
    ("failed quota", Cause("the namespace's quota wants limits that it does not have", Who.OPERATORS)),
    ("violates PodSecurity", Cause("the namespace's pod security forbids it", Who.OPERATORS, final=True)),
)


def of_pod(pod: Object) -> Cause | None:
    """Why it waits or has failed; None where nothing is wrong as far as the pod itself tells."""
    status = pod.get("status") or {}
    for found in _of_status(status):
        return found
    for each in _containers(status):
        state = each.get("state") or {}
        for part, table in (("terminated", _TERMINATED), ("waiting", _WAITING)):
            told = state.get(part) or {}
            if cause := table.get(told.get("reason", "")):
                return _told(cause, told.get("message"))
    return _unscheduled(status)


def of_job(job: Object) -> Cause | None:
    """Why it has failed; None where it has not."""
    told = condition(job, "Failed") or condition(job, "FailureTarget")
    if told is None:
        return None
    cause = _JOB.get(told.get("reason", ""), Cause("it failed", final=True))
    return _told(cause, told.get("message"))


def of_events(events: Iterable[Object]) -> Cause | None:
    """By the last warning that says why; `events` are those of one object, the oldest first."""
    cause = None
    for event in events:
        known = _EVENTS.get(event.get("reason", ""))
        if known and event.get("type") != "Normal":
            message = str(event.get("message", ""))
            special = (each for part, each in _BY_MESSAGE if part in message)
            cause = _told(next(special, known), message)
    return cause


def condition(found: Object, kind: str) -> Object | None:
    """A condition of a Job or a pod that is true."""
    for each in (found.get("status") or {}).get("conditions") or []:
        if each.get("type") == kind and each.get("status") == "True":
            return dict(each)
    return None


def container_state(pod: Object, container: str) -> Object:
    """`waiting`, `running` or `terminated` of one container; empty where nothing is known yet."""
    for each in _containers(pod.get("status") or {}):
        if each.get("name") == container:
            return dict(each.get("state") or {})
    return {}


def is_over(pod: Object) -> bool:
    """Whether nothing of it runs, or will."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _of_status(status: Object) -> Iterator[Cause]:
    reason = str(status.get("reason") or "")
    if cause := _POD.get(reason) or (_NO_ROOM if reason.startswith("OutOf") else None):
        yield _told(cause, status.get("message"))
    disrupted = condition({"status": status}, "DisruptionTarget") or {}
    if cause := _DISRUPTED.get(disrupted.get("reason", "")):
        yield _told(cause, status.get("message") or disrupted.get("message"))


def _unscheduled(status: Object) -> Cause | None:
    for each in status.get("conditions") or []:
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            return _told(Cause("no node has room for it", Who.OPERATORS), each.get("message"))
    return None


def _containers(status: Object) -> Iterator[Object]:
    for key in ("initContainerStatuses", "containerStatuses"):
        yield from status.get(key) or []


def _told(cause: Cause, message: object) -> Cause:
    """With the cluster's own words."""
    words = short_line(str(message or ""), _MOST_MESSAGE)
    return attrs.evolve(cause, text=f"{cause.text}: {words}") if words else cause
