"""A coordinator behind GitLab's runner API, for one runner (spec `gitlab-runner-api.md` §2 to §5).

Credentials travel in bodies and headers, never in URLs. Every status of the specification has a meaning here;
what is worth repeating is raised as `Transient`, anything else that is unexpected as `Rejected`.
"""

import re
from collections.abc import Mapping
from typing import Any

from paas_runner.addresses import coordinator_api
from paas_runner.coordinator.protocol import JobAnswer, JobStatus, TraceState
from paas_runner.coordinator.system_id import INFO
from paas_runner.errors import Rejected, Transient
from paas_runner.http import QUICK_TRIES, Connect, HttpClient, Response, Tls, coordinator_at
from paas_runner.job.failure import Failure
from paas_runner.job.payload import MOST_BYTES
from paas_runner.secret import Secret

LONG_POLL_SECONDS = 90.0  # a coordinator holds an empty request for 50 s, usually (§2.4)
JOB_CALLS_AT_ONCE = 10
MOST_UPDATE_CHARACTERS = 256  # a digest; it goes back with the next request
MOST_APPENDS = 3  # of one text: each tells the size at which the next one is right

_SIZE = re.compile(r"[0-9]{1,15}")


class GitLabCoordinator:
    """A `CoordinatorClient` of GitLab or Heptapod."""

    def __init__(
        self,
        url: str,
        *,
        token: Secret,
        system_id: str,
        connect: Connect,
        tls: Tls | None = None,
        requests_at_once: int = 1,
    ) -> None:
        """Open separate connections for asking and for following, so that neither waits for the other."""
        base = coordinator_api(url)
        self._token = token
        self._system_id = system_id
        asking = requests_at_once + 1  # beside all that are held the last update can be asked for
        self._requests = connect(base, service=coordinator_at(url), at_once=asking, tls=tls)
        self._jobs = connect(base, service=coordinator_at(url), at_once=JOB_CALLS_AT_ONCE, tls=tls)

    async def request_job(self, *, seen: str = "") -> JobAnswer:
        """§2.3; a request that tells the last update is held (§2.4).

        GitLab's proxy holds it, and ends it with a 204 of its own, which tells no last update.
        A payload that is too long is ours as well: enough of it is kept to say which job it is.
        """
        payload: dict[str, Any] = {
            "token": self._token.reveal(),
            "system_id": self._system_id,
            "info": INFO,
        }
        if seen:
            payload["last_update"] = seen
        answer = await self._requests.call(
            "POST",
            "/jobs/request",
            op="request a job",
            headers={"RUNNER-TOKEN": self._token, "Accept": "application/json"},
            payload=payload,
            within=LONG_POLL_SECONDS,
            most_bytes=MOST_BYTES,
            cut=True,
        )
        if answer.status not in (201, 204, 409):  # 409: another runner was faster
            raise self._unexpected(self._requests, answer, "request a job")
        told = answer.headers.get("x-gitlab-last-update", "")
        return JobAnswer(
            payload=answer.body if answer.status == 201 else None,
            last_update=told[:MOST_UPDATE_CHARACTERS],
            released=answer.status == 204 and bool(seen) and not told,
            holds=answer.headers.get("gitlab-ci-builds-polling") == "yes",
        )

    async def touch(self, job_id: int, token: Secret) -> JobStatus:
        """§2.8, §3.5: the answer to an update has the job's status."""
        op = "keep the job alive"
        status = await self._update(job_id, token, {"state": "running"}, op=op)
        if status is not None:
            return status
        if await self._own_status(token) is None:
            return JobStatus.ENDED
        raise Transient("refused, although the job runs", service=self._jobs.service, op=op)

    async def status(self, job_id: int, token: Secret) -> JobStatus:
        """§5, asked in two ways.

        A refusal means that the job's token died with the job, or that something on the way is broken; since
        hosts are removed on the strength of it, it is believed when both ways are refused.
        """
        status = await self._own_status(token)
        if status is None:
            status = await self._update(job_id, token, {"state": "running"}, op="job status")
        return status or JobStatus.ENDED

    async def trace_state(self, job_id: int, token: Secret) -> TraceState:
        """One byte is offered at offset 1.

        As long as the trace is empty or longer than that the coordinator refuses it with 416 and tells the
        size (§4.2). A trace of exactly one byte does not occur.
        """
        return await self._patch(job_id, token, start=1, content=b"\n", op="look at the job's log")

    async def append_trace(self, job_id: int, token: Secret, text: str, *, begun: bool) -> None:
        """§4: where the coordinator says the trace ends: after a lost answer that is behind `text`.

        A log of just this length holds `text`, then, unless the host has written it: there the size is asked
        for first.
        """
        content = text.encode(errors="replace")
        op = "write to the job's log"
        start = (await self.trace_state(job_id, token)).size if begun else 0
        for _ in range(MOST_APPENDS):
            state = await self._patch(job_id, token, start=start, content=content, op=op)
            if state.status is JobStatus.ENDED or state.size == start + len(content):
                return
            start = state.size
        raise Transient("the log keeps growing", service=self._jobs.service, op=op)

    async def report_failed(self, job_id: int, token: Secret, failure: Failure) -> None:
        """The failed state and its reason, by an update (§3.2), and the exit code that authors may know."""
        op = "report the job failed"
        body: dict[str, Any] = {"state": "failed", "failure_reason": str(failure.reason)}
        if failure.exit_code is not None:
            body["exit_code"] = failure.exit_code
        status = await self._update(job_id, token, body, op=op)
        if status is None and await self._own_status(token) is not None:
            raise Transient("refused, although the job runs", service=self._jobs.service, op=op)

    async def aclose(self) -> None:
        await self._requests.aclose()
        await self._jobs.aclose()

    async def _own_status(self, token: Secret) -> JobStatus | None:
        """What the job's own token shows; None when it is refused."""
        op = "job status"
        answer = await self._jobs.call(
            "GET", "/job", op=op, headers={"JOB-TOKEN": token}, attempts=QUICK_TRIES
        )
        if answer.status == 401:
            return None
        if answer.status != 200:
            raise self._unexpected(self._jobs, answer, op)
        try:
            return _status(str(answer.json()["status"]))
        except (ValueError, KeyError, TypeError):
            raise self._garbled(op, answer) from None

    async def _update(
        self, job_id: int, token: Secret, body: Mapping[str, Any], *, op: str
    ) -> JobStatus | None:
        """The job's status in the answer to an update; None when the coordinator takes no update of it."""
        answer = await self._jobs.call(
            "PUT",
            f"/jobs/{job_id}",
            op=op,
            headers={"JOB-TOKEN": token},
            payload={"token": token.reveal(), "info": INFO, **body},
            attempts=QUICK_TRIES,
        )
        status = _status(answer.headers.get("job-status", "running"))
        match answer.status:
            case 200:
                return status
            case 403 | 404 | 409:  # 409: another runner has it (§2.8), or a conflict of the moment
                return JobStatus.ENDED if status is JobStatus.ENDED else None
            case 202 | 412:  # 202: the log is still being stored, to be repeated later
                wait = answer.pause("x-gitlab-trace-update-interval")
                raise Transient(
                    f"answered {answer.status}",
                    service=self._jobs.service,
                    op=op,
                    status=answer.status,
                    retry_after=wait,
                )
            case _:
                raise self._unexpected(self._jobs, answer, op)

    async def _patch(self, job_id: int, token: Secret, *, start: int, content: bytes, op: str) -> TraceState:
        answer = await self._jobs.call(
            "PATCH",
            f"/jobs/{job_id}/trace",
            op=op,
            headers={
                "JOB-TOKEN": token,
                "Content-Type": "text/plain",
                "Content-Range": f"{start}-{start + len(content) - 1}",
            },
            content=content,
            attempts=QUICK_TRIES,
        )
        status = _status(answer.headers.get("job-status", "running"))
        if answer.status == 403:
            return TraceState(size=0, status=JobStatus.ENDED, sure=status is JobStatus.ENDED)
        if answer.status not in (202, 416):
            raise self._unexpected(self._jobs, answer, op)
        size = answer.headers.get("range", "").rpartition("-")[2]
        if not _SIZE.fullmatch(size):
            raise self._garbled(op, answer)
        return TraceState(size=int(size), status=status)

    def _garbled(self, op: str, answer: Response) -> Transient:
        return Transient("the answer makes no sense", service=self._jobs.service, op=op, status=answer.status)

    @staticmethod
    def _unexpected(api: HttpClient, answer: Response, op: str) -> Rejected:
        return Rejected(answer.summary, service=api.service, op=op, status=answer.status)


def _status(word: str) -> JobStatus:
    """§3.6 and §5: what is neither running nor on the way there is over."""
    match word:
        case "canceling":
            return JobStatus.CANCELING
        case "success" | "failed" | "canceled" | "skipped":
            return JobStatus.ENDED
        case _:
            return JobStatus.RUNNING
