"""What a coordinator believes a runner to run, read and put right by a user's tokens (GitLab's public API).

Facts are of GitLab's `lib/api/ci/runners.rb`, `lib/api/ci/jobs.rb` and `app/policies/ci/runner_policy.rb`:

- `GET /runners/:id/jobs` takes a token with `read_api` or `manage_runner`, of somebody who may see the
  runner's jobs, and lists those of projects in which that person is a reporter at least. `system_id` chooses
  one machine of the runner; releases that do not know it list all.
- A cancelation of a job whose runner can wind it down makes it `canceling`, which only that runner ends, or
  `force` (of a maintainer). A job that cannot be canceled is answered with 201, too, and its own status.
- A job is retried once: what was retried already is refused with 403.

Addresses in answers are not followed, only the page that they name: a token goes to no other host.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from paas_runner.addresses import coordinator_api
from paas_runner.coordinator.runner_records import RunnerRecords
from paas_runner.errors import Rejected, Transient
from paas_runner.http import QUICK_TRIES, Connect, Response, Tls, coordinator_at
from paas_runner.job.audit import Believed, BelievedJob
from paas_runner.secret import Secret

PER_PAGE = 100
MOST_PAGES = 20
NO_MACHINE = "r_000000000000"
"""A `system_id` that no machine has: whoever lists jobs of it does not look at it."""

_MOST_LIST_BYTES = 8 * 1024 * 1024  # of a page: a job with commit, pipeline and user has some 4 KiB
_NEXT = re.compile(r'<([^<>]{1,4096})>; *rel="?next"?')
_NUMBER = re.compile(r"[0-9]{1,9}")
_MOST_CURSOR = 2048


class GitLabAuditor:
    """An `Auditor` of one runner."""

    def __init__(
        self,
        url: str,
        *,
        runner_token: Secret,
        token: Secret,
        cancel_token: Secret | None,
        system_id: str,
        connect: Connect,
        tls: Tls | None = None,
    ) -> None:
        """`token` reads; with `cancel_token` jobs are canceled and retried."""
        self._records = RunnerRecords(url=url, connect=connect, tls=tls)
        self._api = connect(coordinator_api(url), service=coordinator_at(url), at_once=1, tls=tls)
        self._runner_token = runner_token
        self._token = token
        self._cancel_token = cancel_token
        self._system_id = system_id
        self._runner_id: int | None = None

    @property
    def cancels(self) -> bool:
        return self._cancel_token is not None

    async def running(self) -> Believed:
        number = await self._number()
        jobs: dict[int, BelievedJob] = {}
        query: Mapping[str, str] = {"page": "1"}
        for _ in range(MOST_PAGES):
            answer = await self._list(number, self._system_id, query, per_page=PER_PAGE)
            jobs |= {job.job_id: job for job in self._jobs(answer)}
            if not (query := _next_page(answer)):
                return Believed(jobs=[*jobs.values()])
        return Believed(jobs=[*jobs.values()], complete=False)

    async def tells_machines_apart(self) -> bool:
        answer = await self._list(await self._number(), NO_MACHINE, {"page": "1"}, per_page=1)
        return not any(self._jobs(answer))

    async def has_log(self, job: BelievedJob) -> bool:
        op = "look at the log of a lost job"
        answer = await self._call("GET", f"{_path(job)}/trace", self._acting, op=op, most_bytes=1, cut=True)
        if answer.status not in (200, 206):
            raise self._rejected(answer, op)
        return bool(answer.body)

    async def cancel(self, job: BelievedJob, *, force: bool = False) -> str:
        op = "cancel a lost job"
        payload = {"force": True} if force else {}
        answer = await self._call("POST", f"{_path(job)}/cancel", self._acting, op=op, payload=payload)
        if answer.status not in (200, 201):
            raise self._rejected(answer, op)
        try:
            return str(answer.json()["status"])
        except (ValueError, KeyError, TypeError):
            raise self._garbled(op, answer) from None

    async def retry(self, job: BelievedJob) -> int | None:
        op = "retry a lost job"
        answer = await self._call("POST", f"{_path(job)}/retry", self._acting, op=op, payload={})
        if answer.status not in (200, 201):
            raise self._rejected(answer, op)
        try:
            found = answer.json().get("id")
        except (ValueError, AttributeError):
            return None
        return found if type(found) is int else None

    async def scopes(self) -> frozenset[str] | None:
        """What the token that cancels may do; None where the coordinator does not say it. For a check."""
        op = "look at the token"
        answer = await self._call("GET", "/personal_access_tokens/self", self._acting, op=op)
        if answer.status == 401:
            raise self._rejected(answer, op)
        try:
            found = answer.json()["scopes"]
        except (ValueError, KeyError, TypeError):
            return None
        return frozenset(map(str, found)) if answer.status == 200 and isinstance(found, list) else None

    async def aclose(self) -> None:
        await self._api.aclose()

    @property
    def _acting(self) -> Secret:
        return self._cancel_token or self._token

    async def _number(self) -> int:
        """The runner's, by which its jobs are listed; asked for once."""
        if self._runner_id is None:
            self._runner_id = (await self._records.verify(self._runner_token)).runner_id
        if self._runner_id is None:
            text = "does not tell the runner's number, without which its jobs cannot be listed"
            raise Rejected(text, service=self._api.service, op="verify the runner's token")
        return self._runner_id

    async def _list(self, number: int, system_id: str, page: Mapping[str, str], *, per_page: int) -> Response:
        """The oldest first: what was lost stays where it is while others end."""
        op = "list the runner's jobs"
        params = {
            "status": "running",
            "system_id": system_id,
            "order_by": "id",
            "sort": "asc",
            "per_page": str(per_page),
            **page,
        }
        answer = await self._call("GET", f"/runners/{number}/jobs", self._token, op=op, params=params)
        if answer.status != 200:
            raise self._rejected(answer, op)
        return answer

    def _jobs(self, answer: Response) -> Iterator[BelievedJob]:
        try:
            for each in answer.elements():
                if job := _believed(each):
                    yield job
        except ValueError:
            raise self._garbled("list the runner's jobs", answer) from None

    async def _call(self, method: str, path: str, token: Secret, *, op: str, **more: Any) -> Response:
        """All of them may be repeated: what was canceled or retried already stays as it is."""
        headers: dict[str, Secret | str] = {"PRIVATE-TOKEN": token, "Accept": "application/json"}
        bounds = {"most_bytes": _MOST_LIST_BYTES, "attempts": QUICK_TRIES, **more}
        return await self._api.call(method, path, op=op, headers=headers, redirects=False, **bounds)

    def _rejected(self, answer: Response, op: str) -> Rejected:
        return Rejected(answer.summary, service=self._api.service, op=op, status=answer.status)

    def _garbled(self, op: str, answer: Response) -> Transient:
        return Transient("the answer makes no sense", service=self._api.service, op=op, status=answer.status)


def _path(job: BelievedJob) -> str:
    return f"/projects/{job.project_id}/jobs/{job.job_id}"


def _believed(found: Any) -> BelievedJob | None:
    """None of what is no job, or one that does not run."""
    if not isinstance(found, dict) or found.get("status") != "running" or not (number := _id(found)):
        return None
    pipeline, project = found.get("pipeline"), found.get("project")
    in_pipeline = _id(pipeline, "project_id") if isinstance(pipeline, dict) else None
    in_project = _id(project) if isinstance(project, dict) else None
    return BelievedJob(job_id=number, project_id=in_pipeline or in_project)


def _id(found: Mapping[str, Any], key: str = "id") -> int | None:
    number = found.get(key)
    return number if type(number) is int and 0 < number < 10**18 else None


def _next_page(answer: Response) -> Mapping[str, str]:
    """What to ask for the next page with; empty on the last one (pages by number, or by a cursor)."""
    number = answer.headers.get("x-next-page", "")
    if _NUMBER.fullmatch(number):
        return {"page": number}
    found = _NEXT.search(answer.headers.get("link", ""))
    if found is None:
        return {}
    try:
        query = parse_qs(urlsplit(found[1]).query, max_num_fields=50)
    except ValueError:
        return {}
    if cursor := query.get("cursor", [""])[0][:_MOST_CURSOR]:
        return {"cursor": cursor, "pagination": "keyset"}
    page = query.get("page", [""])[0]
    return {"page": page} if _NUMBER.fullmatch(page) else {}
