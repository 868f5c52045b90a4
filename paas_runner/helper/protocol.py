"""The words of the helper service's wire, for both of its ends: paths, headers, methods, environment.

The verbs and both ways to say them, HTTP/1 and gRPC, are those of heptapod-paas-runner 1.1.1. Ours are the
headers that begin with `PaaS-Runner-`, which neither its clients nor services of its kind need or mind, and
what follows from them. In gRPC the same headers are metadata, in lower case:

- `PaaS-Runner-Instance` in each answer to who has the token: the id of this host's beginning, and another for
  a host that took its place. In a request to launch it says which one is meant: any other refuses, since the
  job may have begun before;
- `PaaS-Runner-Lease` in each such answer: for how many seconds the helper stays without being asked anything;
  0 for as long as the machine does. A job that runs keeps it until its own deadline;
- `PaaS-Runner-Clean: no` in each such answer, once something of a job could not be removed, or cannot be
  known to be gone: the helper takes no other job then.

| verb | HTTP/1 | answers | gRPC |
|---|---|---|---|
| can take a job | `GET /can-take-job` | `true` or `false` | `CanTakeJob` |
| launch | `POST /launch-job` | 201, also for the job that is there | `LaunchJob` |
| | | 400: no job can be made of it | INVALID_ARGUMENT |
| | | 409: meant for another instance, or it was here before | FAILED_PRECONDITION |
| | | 503 with `Retry-After`: not now | RESOURCE_EXHAUSTED |
| status | `GET /<runner>/<job id>` | `{"running": …, "exit_code": …}` | `JobStatus` |
| | | 404: no such job | NOT_FOUND |
| forget | `DELETE /<runner>/<job id>` | 200: it is gone, or never was | `ForgetJob` |
| | | 202: what it left is still being removed | OK |

To forget a job that still runs ends it first. Without the token the answer is 401, UNAUTHENTICATED.
"""

import enum
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

import attrs

from paas_runner import foreign_json
from paas_runner.job import lifetime
from paas_runner.job.payload import MOST_BYTES as MOST_SPECIFICATION_BYTES
from paas_runner.job.payload import MOST_ID

INSTANCE_HEADER = "PaaS-Runner-Instance"
LEASE_HEADER = "PaaS-Runner-Lease"
CLEAN_HEADER = "PaaS-Runner-Clean"
NOT_CLEAN = "no"

TOKEN_VARIABLE = "HEPTAPOD_PAAS_RUNNER_TOKEN"  # noqa: S105 - its name, which 1.1.1 has chosen
LEASE_VARIABLE = "PAAS_RUNNER_LEASE_SECONDS"
MARGIN_VARIABLE = lifetime.MARGIN_VARIABLE
START_UNTIL_VARIABLE = "PAAS_RUNNER_START_UNTIL"
"""Unix time after which the service refuses to start: platforms start again what has ended."""

DEFAULT_LEASE_SECONDS = 600
DEFAULT_MARGIN_SECONDS = int(lifetime.MARGIN.total_seconds())
RETRY_AFTER_SECONDS = 5  # 1.1.1 waits no longer
FORGET_SECONDS = 60.0  # within which the answer to forgetting comes, clean or not

CAN_TAKE_JOB_PATH = "/can-take-job"
LAUNCH_JOB_PATH = "/launch-job"

GRPC_SERVICE = "heptapod.runner.PAASResourceRunner"

MOST_REQUEST_BYTES = 2 * MOST_SPECIFICATION_BYTES
"""Of a launch: a definition is a text within the message, in JSON with a backslash before each quote."""

_MOST_RUNNER_CHARACTERS = 255
_JOB_PATH = re.compile(r"/(.+)/([1-9][0-9]{0,18})")


class GrpcMethod(enum.StrEnum):
    """The methods of the service by their names; `path` is what a channel calls."""

    CAN_TAKE_JOB = "CanTakeJob"
    LAUNCH_JOB = "LaunchJob"
    JOB_STATUS = "JobStatus"
    FORGET_JOB = "ForgetJob"

    @property
    def path(self) -> str:
        """As gRPC writes it."""
        return f"/{GRPC_SERVICE}/{self.value}"


@attrs.frozen
class JobKey:
    """A job as the helper knows it: 1.1.1's name of the runner, and the job's id at its coordinator."""

    runner_name: str
    job_id: int

    def __str__(self) -> str:
        return f"job {self.job_id} of runner {self.runner_name}"

    @property
    def path(self) -> str:
        """Of its status, below the service's URL."""
        return f"/{quote(self.runner_name)}/{self.job_id}"

    def checked(self) -> "JobKey":
        """The same; raises ValueError for what is none."""
        if not 0 < len(self.runner_name) <= _MOST_RUNNER_CHARACTERS or not self.runner_name.isprintable():
            raise ValueError("`runner_name` is no name of a runner")
        if not 0 < self.job_id <= MOST_ID:
            raise ValueError("`job_id` is no positive number of 63 bits")
        return self


@attrs.frozen(kw_only=True)
class LaunchRequest:
    """All that is needed to run a job."""

    job: JobKey
    specification: str = attrs.field(repr=False)
    """The coordinator's answer to the job request, as JSON."""

    config: str = attrs.field(repr=False)
    """The inner runner's `runner.toml`."""

    def as_json(self) -> dict[str, Any]:
        """The body of `POST /launch-job`."""
        return {
            "job_id": self.job.job_id,
            "runner_name": self.job.runner_name,
            "specification": self.specification,
            "config": self.config,
        }

    @classmethod
    def from_json(cls, body: bytes) -> "LaunchRequest":
        """What such a body says; raises ValueError, in words that quote nothing of it."""
        found = _mapping(foreign_json.loads(body))
        texts = [found.get(name) for name in ("runner_name", "specification", "config")]
        job_id = found.get("job_id")
        if not isinstance(job_id, int) or isinstance(job_id, bool):
            raise ValueError("`job_id` is no number")
        runner_name, specification, config = (text if isinstance(text, str) else None for text in texts)
        if runner_name is None or specification is None or config is None:
            raise ValueError("`runner_name`, `specification` and `config` have to be texts")
        return cls(job=JobKey(runner_name, job_id).checked(), specification=specification, config=config)


@attrs.frozen(kw_only=True)
class JobStatus:
    """Whether a job runs; if not, how it ended."""

    running: bool
    exit_code: int | None = None
    """None while it runs; gRPC has 0 for that."""

    def as_json(self) -> dict[str, Any]:
        """The body of the answer to `GET /<runner>/<job id>`."""
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, body: bytes) -> "JobStatus":
        """What such a body says; raises ValueError."""
        found = _mapping(foreign_json.loads(body))
        running, code = found.get("running"), found.get("exit_code")
        if not isinstance(running, bool):
            raise ValueError("`running` is neither true nor false")
        if code is not None and (not isinstance(code, int) or isinstance(code, bool)):
            raise ValueError("`exit_code` is no number")
        return cls(running=running, exit_code=None if running else code)


def job_at(path: str) -> JobKey | None:
    """Whose status is at a path; None for another path. Slashes in a name may be quoted or not."""
    found = _JOB_PATH.fullmatch(path)
    try:
        return JobKey(unquote(found[1], errors="strict"), int(found[2])).checked() if found else None
    except ValueError:
        return None


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a JSON object was expected")
    return value
