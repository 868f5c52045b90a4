"""What a request is permitted: the question to the statements, the answer where it is not, and its note.

Who may not read something gets the answer of what is not there; everybody else 403 with who, what and where.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TypeVar

from starlette.requests import Request

from paas_pipelines.access import resources
from paas_pipelines.access.actor import Way
from paas_pipelines.access.identity import Identity
from paas_pipelines.access.policy import ForbiddenError
from paas_pipelines.access.statements import AUDIT, READ
from paas_pipelines.api import requests
from paas_pipelines.api.access import COMMAND_AGENT, DeniedError
from paas_pipelines.api.requests import RefusedError
from paas_pipelines.api.served import Served
from paas_pipelines.api.shapes import Reads
from paas_pipelines.runs.book import UnknownRunError
from paas_pipelines.runs.run import Run, Task

T = TypeVar("T")


def identity_of(request: Request) -> Identity:
    """Whose request it is: the gate has said so."""
    found: Identity = request.state.identity
    return found


def way_of(request: Request) -> Way:
    """How a request to the API starts something: by our command, or by another program."""
    agent = request.headers.get("user-agent", "")
    return Way.COMMAND if agent.startswith(COMMAND_AGENT) else Way.API


def require(
    served: Served, identity: Identity, method: str, *asked: str, hidden: str = "Not found", status: int = 404
) -> None:
    """Raises `RefusedError` where the statements do not permit it.

    What is said of something that is not there, `hidden` with `status`, where even reading is not permitted,
    else 403. It is noted, but for reading: that is asked at every look.
    """
    try:
        served.access.require(identity, method, *asked)
    except ForbiddenError as error:
        if method != READ:
            served.audit.note(str(identity), method, error.resource, "refused")
        if error.hidden:
            raise RefusedError(status, hidden) from None
        raise RefusedError(403, str(error)) from None


class Rights:
    """What the requests to one server are permitted."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def require(
        self, request: Request, method: str, *asked: str, hidden: str = "Not found", status: int = 404
    ) -> Identity:
        """Who asks, if that is permitted; raises `RefusedError` as `require` has it."""
        who = identity_of(request)
        require(self._served, who, method, *asked, hidden=hidden, status=status)
        return who

    def reads(self, request: Request) -> Reads | None:
        """What whoever asks may see; None where it is everything."""
        return self.reads_of(identity_of(request))

    def reads_of(self, who: Identity) -> Reads | None:
        """The same for somebody who is known; of this moment, to be asked for again after an await."""
        access = self._served.access
        if access.is_open and not access.statements:
            return None
        return cache(lambda pipeline: access.reads(who, pipeline))

    def lasting(self, request: Request, *asked: str) -> Callable[[], bool]:
        """Whether token or log-in and statements still permit it: asked again while an answer goes on."""
        gate, who = self._served.gate, identity_of(request)

        def still() -> bool:
            try:
                is_same = gate.identity(request) == who
            except DeniedError:
                return False
            return is_same and all(self._served.access.may(who, READ, each).allowed for each in asked)

        return still

    def run(self, request: Request, method: str = READ) -> Run:
        """The run that is asked for; raises `RefusedError` with 400, 403 or 404."""
        run = requests.asked_run(request, self._served.engine.book)
        self.require(request, method, resources.pipeline(run.pipeline), hidden="Job not found")
        return run

    def task(self, request: Request) -> tuple[Run, Task]:
        """The task that is asked for, whose log may be read; raises `RefusedError` with 400, 403 or 404."""
        requests.run_id(request)
        if not requests.first(request, "task"):
            raise RefusedError(400, "Invalid task name")
        run = requests.asked_run(request, self._served.engine.book)
        self.require(request, READ, resources.pipeline(run.pipeline), hidden="Job not found")
        run, task = requests.asked_task(request, self._served.engine.book)
        log = resources.log(run.pipeline, task.name)
        self.require(request, READ, log, hidden="Task not found")
        return run, task


def run_of_path(served: Served, request: Request) -> Run:
    """The run that the path names, which may be read; raises `RefusedError` with 400 or 404."""
    run_id, missing = requests.checked_run_id(request.path_params["run"]), "Run not found"
    try:
        run = served.engine.book.run(run_id)
    except UnknownRunError:
        raise RefusedError(404, missing) from None
    require(served, identity_of(request), READ, resources.pipeline(run.pipeline), hidden=missing)
    return run


def sees_groups(served: Served, who: Identity, run: Run) -> bool:
    """Of whoever has started a run: himself, and who may read the audit."""
    mine = run.actor is not None and (str(who), who.kind) == (
        str(run.actor.identity),
        run.actor.identity.kind,
    )
    return mine or served.access.may(who, AUDIT, resources.SERVER).allowed


def task_of_path(served: Served, request: Request) -> tuple[Run, Task]:
    """The run and the task that the path names; raises `RefusedError` with 400 or 404."""
    run, missing = run_of_path(served, request), "Task not found"
    try:
        task = run.task(request.path_params["task"])
    except KeyError:
        raise RefusedError(404, missing) from None
    require(served, identity_of(request), READ, resources.task(run.pipeline, task.name), hidden=missing)
    return run, task


def visible(found: Iterable[T], reads: Reads | None, pipeline_of: Callable[[T], str]) -> Sequence[T]:
    """Those that may be seen."""
    return [each for each in found if reads is None or reads(pipeline_of(each))]
