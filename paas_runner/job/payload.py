"""The job as the coordinator hands it out (the body of a 201), kept whole because the host gets it whole.

Source of the fields: spec `gitlab-runner-api.md` §2.6. Unknown fields are carried along untouched.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import attrs

from paas_runner import foreign_json
from paas_runner.errors import RunnerError
from paas_runner.job.failure import Failure, FailureReason, JobRefusedError
from paas_runner.job.variables import Budget, BudgetExceededError, Variable, value_of
from paas_runner.secret import Secret

DEFAULT_TIMEOUT = timedelta(seconds=7200)  # what GitLab Runner takes for an absent or zero timeout
MOST_BYTES = 32 * 1024 * 1024
MOST_VARIABLES = 50_000
MOST_ID = 2**63 - 1  # what a coordinator's database has, and ours
MOST_VALUE_CHARACTERS = 4096
_MOST_NAME_CHARACTERS = 255  # GitLab's own bound
_FRONT_BYTES = 65_536

_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")  # it travels in headers
_JOB_ID_IN_TEXT = re.compile(rb'"id"\s*:\s*([1-9][0-9]{0,18})\b')
_JOB_TOKEN_IN_TEXT = re.compile(rb'"token"\s*:\s*"([A-Za-z0-9_.=~-]{1,4096})"')


class PayloadError(RunnerError):
    """A job was assigned to us in a form that we do not understand.

    `why` is for the operator and has none of the payload's values; `job_id` and `token` are set when at least
    they could be found, so that the job can be reported failed.
    """

    def __init__(self, why: str, *, job_id: int | None = None, token: Secret | None = None) -> None:
        super().__init__(f"undecodable job payload: {why}")
        self.why = why
        self.job_id = job_id
        self.token = token


@attrs.frozen(kw_only=True)
class Payload:
    """One job's definition: `raw` is the truth, the other fields are read from it."""

    raw: Mapping[str, Any] = attrs.field(repr=False)
    job_id: int
    token: Secret
    timeout: timedelta
    variables: tuple[Variable, ...] = attrs.field(repr=False)

    def variable(self, name: str, *, most: int = MOST_VALUE_CHARACTERS) -> str | None:
        """The expanded value of one variable, or None when the job has no such variable.

        Raises `JobRefusedError` when it has more than `most` characters, or is written in as many: whoever
        asks knows how long a sensible value is. No other variable is expanded.
        """
        among = {variable.key: variable for variable in self.variables}
        if name not in among:
            return None
        try:
            value = value_of(among[name], among, Budget(2 * most))
        except BudgetExceededError:
            raise JobRefusedError(_too_long(name, most)) from None
        if len(value) > most:
            raise JobRefusedError(_too_long(name, most))
        return value

    @property
    def job_name(self) -> str:
        """The name its author gave the job; empty when the coordinator did not say."""
        return str(self._info.get("name", ""))[:_MOST_NAME_CHARACTERS]

    @property
    def project_id(self) -> str:
        """Of the job's project; empty when the coordinator did not say."""
        return str(self._info.get("project_id", ""))[:_MOST_NAME_CHARACTERS]

    @property
    def project_path(self) -> str:
        """The full path of the job's project; empty when the coordinator did not say, as older ones do."""
        found = self._info.get("project_full_path")
        return found if isinstance(found, str) else ""

    @property
    def project(self) -> str:
        """The project as people know it: its path, else its id; empty when the coordinator said neither.

        Coordinators that do not say the path have it in the first variables, before those of any author.
        """
        named = (each.value for each in self.variables if each.key == "CI_PROJECT_PATH")
        return (self.project_path or next(named, "") or self.project_id)[:_MOST_NAME_CHARACTERS]

    @property
    def root_namespace_id(self) -> int | None:
        """The coordinator's id of the project's top-level namespace, a group's or a user's; None: unsaid."""
        found = self._info.get("root_namespace_id")
        known = isinstance(found, int) and not isinstance(found, bool) and 0 < found < 2**63
        return found if known else None

    @property
    def _info(self) -> Mapping[str, Any]:
        info = self.raw.get("job_info")
        return info if isinstance(info, Mapping) else {}


def decode(body: bytes) -> Payload:
    """The payload in the body of a 201.

    Raises `PayloadError`, with the job's id and token whenever they can be made out.
    """
    if len(body) > MOST_BYTES:
        raise _salvaged(body, f"more than {MOST_BYTES // 1024 // 1024} MiB")
    try:
        raw = foreign_json.loads(body)
    except ValueError as error:
        raise _salvaged(body, f"not JSON that can be read ({error})") from None
    return read(raw)


def read(raw: object) -> Payload:
    """The payload in decoded JSON; raises `PayloadError`."""
    if not isinstance(raw, Mapping):
        raise PayloadError(f"a JSON object was expected, found {type(raw).__name__}")
    job_id, token = raw.get("id"), raw.get("token")
    if not isinstance(job_id, int) or isinstance(job_id, bool) or not 0 < job_id <= MOST_ID:
        raise PayloadError("`id` is no positive number of 63 bits")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise PayloadError("`token` is missing, or none", job_id=job_id)
    secret = Secret(token)
    try:
        return Payload(
            raw=raw,
            job_id=job_id,
            token=secret,
            timeout=_timeout(raw.get("runner_info")),
            variables=_variables(raw),
        )
    except (TypeError, ValueError, KeyError) as error:
        raise PayloadError(str(error), job_id=job_id, token=secret) from None


def _timeout(info: object) -> timedelta:
    seconds = info.get("timeout") if isinstance(info, Mapping) else None
    if seconds is None or seconds == 0:
        return DEFAULT_TIMEOUT
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 < seconds < 10**9:
        raise ValueError("`runner_info.timeout` is no number of seconds")
    return timedelta(seconds=seconds)


def _variables(raw: Mapping[str, Any]) -> tuple[Variable, ...]:
    entries = _list(raw, "variables")
    if len(entries) > MOST_VARIABLES:
        raise ValueError(f"more than {MOST_VARIABLES} variables")
    return tuple(map(_variable, entries))


def _list(raw: Mapping[str, Any], key: str) -> list[object]:
    found = raw.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise TypeError(f"`{key}` is no list")
    return found


def _variable(entry: object) -> Variable:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("key"), str):
        raise TypeError("an entry of `variables` has no `key`")
    value = entry.get("value")
    return Variable(
        key=entry["key"],
        value="" if value is None else str(value),
        public=bool(entry.get("public")),
        masked=bool(entry.get("masked")),
        file=bool(entry.get("file")),
        raw=bool(entry.get("raw")),
    )


def _salvaged(body: bytes, why: str) -> PayloadError:
    """A payload cut off in the middle still begins with the job's id and token."""
    front = body[:_FRONT_BYTES]
    job_id, token = _JOB_ID_IN_TEXT.search(front), _JOB_TOKEN_IN_TEXT.search(front)
    return PayloadError(
        why,
        job_id=int(job_id[1]) if job_id and int(job_id[1]) <= MOST_ID else None,
        token=Secret(token[1].decode("ascii")) if token else None,
    )


def _too_long(name: str, most: int) -> Failure:
    text = (
        f"The variable {name} is too long for what it is used for here: "
        f"more than {most} characters with the variables in it. Shorten it in the job's definition."
    )
    return Failure(reason=FailureReason.SCRIPT, text=text)
