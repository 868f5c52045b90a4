"""The job controller: a job's pod is made, made again after a failure, counted; the job ends, and expires.

As `batch/v1` has it for jobs of one completion (kubernetes.io, "Jobs"). It looks at what is, whenever a job
or a pod of it has changed, or a time has come.
"""

import asyncio
import copy
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import attrs

from paas_runner.sandbox.kubernetes.deletion import delete
from paas_runner.sandbox.kubernetes.errors import StatusError
from paas_runner.sandbox.kubernetes.resources import (
    JOBS,
    PODS,
    Object,
    condition,
    ended,
    set_condition,
    stamp,
)
from paas_runner.sandbox.kubernetes.storage import Change, Storage

_FAILURE_PAUSE, _MOST_FAILURE_PAUSE = timedelta(seconds=10), timedelta(minutes=10)
_REFUSAL_PAUSE, _MOST_REFUSAL_PAUSE = timedelta(seconds=1), timedelta(minutes=1)
_SUCCESS = "CompletionsReached"
_WORDS = {
    _SUCCESS: "Reached expected number of succeeded pods",
    "BackoffLimitExceeded": "Job has reached the specified backoff limit",
    "DeadlineExceeded": "Job was active longer than specified deadline",
}


@attrs.define(eq=False)
class _Book:
    """What the controller knows of one job beyond its status."""

    counted: set[str] = attrs.field(factory=set)
    refusals: int = 0
    not_before: datetime | None = None


class JobController:
    """`create_pod` makes an object like any other client, and is refused like any other."""

    def __init__(self, storage: Storage, create_pod: Callable[[Object], Object]) -> None:
        self._storage = storage
        self._create_pod = create_pod
        self._books: dict[str, _Book] = {}

    def observe(self, change: Change) -> None:
        """Look at the job that a change is of, or is of a pod of."""
        found = change.object
        if found["kind"] == JOBS.kind:
            self._look(found["metadata"]["uid"])
        elif found["kind"] == PODS.kind:
            for owner in found["metadata"].get("ownerReferences", ()):
                self._count(owner["uid"], found, gone=change.after is None)
                self._look(owner["uid"])

    def _look(self, uid: str) -> None:
        job = self._storage.with_uid(uid)
        if job is None:
            self._books.pop(uid, None)
        elif job["kind"] == JOBS.kind and "deletionTimestamp" not in job["metadata"]:
            self._go_on(job, self._books.setdefault(uid, _Book()))

    def _count(self, uid: str, pod: Object, *, gone: bool) -> None:
        """Each pod once: one that is deleted before its end has failed, unless we delete it ourselves."""
        job, book = self._storage.with_uid(uid), self._books.get(uid)
        if job is None or book is None or pod["metadata"]["uid"] in book.counted:
            return
        waits = job["spec"]["podReplacementPolicy"] == "Failed" or "deletionTimestamp" not in pod["metadata"]
        if waits and not gone and not ended(pod):
            return
        book.counted.add(pod["metadata"]["uid"])
        word = "succeeded" if pod["status"]["phase"] == "Succeeded" else "failed"
        pause = _FAILURE_PAUSE * 2 ** job["status"].get("failed", 0)
        book.not_before = self._storage.clock() + min(pause, _MOST_FAILURE_PAUSE)
        status = {**job["status"], word: job["status"].get(word, 0) + 1}
        self._storage.change(job, partial(dict.update, status=status))

    def _go_on(self, job: Object, book: _Book) -> None:
        if condition(job, "Complete") or condition(job, "Failed"):
            self._expire(job)
            return
        pods = [each for each in self._storage.owned_by(job["metadata"]["uid"]) if each["kind"] == PODS.kind]
        live = [each for each in pods if not ended(each)]
        active = [each for each in live if "deletionTimestamp" not in each["metadata"]]
        after, spec, now = copy.deepcopy(job), job["spec"], self._storage.clock()
        status = after["status"]
        status |= {"active": len(active), "terminating": len(live) - len(active)}
        status["ready"] = sum(each["status"]["phase"] == "Running" for each in active)
        suspended, told = bool(spec["suspend"]), []
        if reason := self._end(job, live):
            suspended = False
            words = {"reason": reason, "message": _WORDS[reason]}
            success = reason == _SUCCESS
            if not condition(job, "SuccessCriteriaMet") and not condition(job, "FailureTarget"):
                set_condition(after, "SuccessCriteriaMet" if success else "FailureTarget", now, **words)
            if not live:
                set_condition(after, "Complete" if success else "Failed", now, **words)
                status |= {"completionTime": stamp(now)} if success else {}
                told.append(("Completed", "Job completed") if success else (reason, _WORDS[reason]))
        elif suspended != bool(condition(job, "Suspended")):
            word, status_ = ("Suspended", "True") if suspended else ("Resumed", "False")
            words = {"status": status_, "reason": f"Job{word}", "message": f"Job {word.lower()}"}
            set_condition(after, "Suspended", now, **words)
            told.append((word, f"Job {word.lower()}"))
        if suspended:
            status.pop("startTime", None)
        else:
            status.setdefault("startTime", stamp(now))
        self._storage.change(job, partial(dict.update, status=status))
        for word, text in told:
            self._storage.record(job, word, text, "job-controller", warning=word in _WORDS)
        if suspended or reason == _SUCCESS:
            book.counted |= {each["metadata"]["uid"] for each in live}
        for each in live if suspended or reason else ():
            delete(self._storage, each)
        if not (suspended or reason or (live if spec["podReplacementPolicy"] == "Failed" else active)):
            self._make_pod(job, book)

    def _end(self, job: Object, live: list[Object]) -> str:
        """Why the job is to end, which it has when none of its pods runs any more; empty where it is not."""
        spec, status = job["spec"], job["status"]
        if begun := condition(job, "SuccessCriteriaMet") or condition(job, "FailureTarget"):
            return str(begun["reason"])
        if status.get("succeeded", 0):
            return _SUCCESS
        restarts = sum(c["restartCount"] for pod in live for c in pod["status"].get("containerStatuses", ()))
        if status.get("failed", 0) > spec["backoffLimit"] or restarts >= max(spec["backoffLimit"], 1):
            return "BackoffLimitExceeded"
        limit, start = spec.get("activeDeadlineSeconds"), status.get("startTime")
        over = (
            limit is not None and start and not spec["suspend"] and not self._later(job, _after(start, limit))
        )
        return "DeadlineExceeded" if over else ""

    def _make_pod(self, job: Object, book: _Book) -> None:
        now, metadata, template = self._storage.clock(), job["metadata"], job["spec"]["template"]
        if book.not_before is not None and now < book.not_before:
            self._later(job, book.not_before)
            return
        reference = {"apiVersion": JOBS.api_version, "kind": JOBS.kind, "controller": True}
        reference |= {"name": metadata["name"], "uid": metadata["uid"], "blockOwnerDeletion": True}
        own = {"generateName": f"{metadata['name']}-", "ownerReferences": [reference]}
        pod = {
            "kind": PODS.kind,
            "apiVersion": PODS.api_version,
            "metadata": {**template["metadata"], **own, "namespace": metadata["namespace"]},
            "spec": template["spec"],
        }
        try:
            name = self._create_pod(pod)["metadata"]["name"]
        except StatusError as error:
            pause = min(_REFUSAL_PAUSE * 2**book.refusals, _MOST_REFUSAL_PAUSE)
            book.refusals, book.not_before = book.refusals + 1, now + pause
            told = "FailedCreate", f"Error creating: {error.message}"
            self._later(job, book.not_before)
        else:
            book.refusals, book.not_before = 0, None
            told = "SuccessfulCreate", f"Created pod: {name}"
        self._storage.record(job, *told, "job-controller", warning=book.refusals > 0)

    def _expire(self, job: Object) -> None:
        """By its `ttlSecondsAfterFinished`, with all that it owns."""
        over = condition(job, "Complete") or condition(job, "Failed")
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        if over and ttl is not None and not self._later(job, _after(over["lastTransitionTime"], ttl)):
            delete(self._storage, job, {"propagationPolicy": "Foreground"})

    def _later(self, job: Object, moment: datetime) -> bool:
        """Look again then; False if that is over."""
        left = moment - self._storage.clock()
        if left > timedelta():
            look = partial(self._look, job["metadata"]["uid"])
            asyncio.get_running_loop().call_later(left.total_seconds(), look)
        return left > timedelta()


def _after(moment: str, seconds: int) -> datetime:
    return datetime.fromisoformat(moment) + timedelta(seconds=seconds)
