"""Values of labels: a bounded number of each, and no text of unknown length or content.

A series costs memory here and in Prometheus for as long as both run. So nothing that a job, an author or
another system chooses becomes a label as it is: what is not one of a closed set is one of the first so many,
and what comes after them is `other`.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeAlias

from paas_runner.http import Exchange, ServiceKind, kind_of
from paas_runner.status.reach import REQUEST_A_JOB

RUNNER = ("runner", "runner_name", "system_id")
"""As GitLab Runner labels what belongs to one `[[runners]]` section; `runner` is the short token."""

RunnerValues: TypeAlias = tuple[str, str, str]

OTHER = "other"
MOST_RUNNERS = 200
MOST_TENANTS = 50
MOST_FLAVORS = 50
MOST_SERVICES = 20
MOST_OPERATIONS = 80
LONGEST = 64

_IN_BRACKETS = re.compile(r"\s*[(\[].*")
_ENDPOINTS: Mapping[str, str] = {"PUT": "update_job", "PATCH": "patch_trace"}
_STATUSES = frozenset(map(int, HTTPStatus))
_QUEUE_LABELS = frozenset({"0", "1", "2", "3", "4", "5+", "+Inf"})


def clean(text: str, longest: int = LONGEST) -> str:
    """One line of printable characters, of a bounded length."""
    return "".join(character if character.isprintable() else "?" for character in text[:longest])


class Capped:
    """The first values as they are, all others as `other`; a value keeps its label as long as we run."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, str] = {}

    def __call__(self, value: str) -> str:
        if (known := self._known.get(value)) is not None:
            return known
        if len(self._known) >= self._most:
            return OTHER
        return self._known.setdefault(value, clean(value))


class Labels:
    """All bounded labels of one exposition."""

    def __init__(self, system_id: str) -> None:
        self.tenant = Capped(MOST_TENANTS)
        self.flavor = Capped(MOST_FLAVORS)
        self._runner = Capped(MOST_RUNNERS)
        self._service = Capped(MOST_SERVICES)
        self._operation = Capped(MOST_OPERATIONS)
        self.system_id = system_id
        self._names: dict[str, str] = {}

    def runner(self, key: str, name: str | None = None) -> RunnerValues:
        """The three values for `RUNNER`; a runner keeps the name that it had first."""
        label = self._runner(key)
        if label == OTHER:
            return OTHER, OTHER, self.system_id
        return label, self._names.setdefault(key, clean(name or key)), self.system_id

    def service(self, exchange: Exchange) -> str:
        """`coordinator`, `git`, `receiver` (of traces and notices), `host`, or the name of a cloud."""
        kind = kind_of(exchange.service)
        return self._service(exchange.service) if kind is ServiceKind.CLOUD else str(kind)

    def operation(self, exchange: Exchange) -> str:
        """What was wanted, without what differs from call to call."""
        return self._operation(_IN_BRACKETS.sub("", exchange.op))


def status_class(status: int | None) -> str:
    """`2xx`, …; `none` where there was no answer."""
    return "none" if status is None else f"{min(max(status // 100, 1), 9)}xx"


def api_status(status: int) -> str:
    """A status that HTTP knows, else its class: an answer may have any number."""
    return str(status) if status in _STATUSES else status_class(status)


def endpoint(exchange: Exchange) -> str | None:
    """GitLab Runner's name of an endpoint of a coordinator's; None for what it does not ask."""
    if kind_of(exchange.service) is not ServiceKind.COORDINATOR:
        return None
    return "request_job" if exchange.op == REQUEST_A_JOB else _ENDPOINTS.get(exchange.method)


def jobs_of_the_project(said: object) -> str:
    """`project_jobs_running_on_instance_runners_count` of a payload (spec `gitlab-runner-api.md` §2.6)."""
    return said if isinstance(said, str) and said in _QUEUE_LABELS else ""
