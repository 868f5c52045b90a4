"""The page of the server itself: its workers and what waits for one, its credentials by name, its audit."""

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from paas_pipelines.access import resources
from paas_pipelines.access.statements import AUDIT, CREDENTIAL_READ
from paas_pipelines.api.rights import identity_of
from paas_pipelines.pages.framing import Frame
from paas_pipelines.store.audit import Line
from paas_pipelines.tasks.executing.executions import Execution
from paas_pipelines.tasks.workers import Waiting
from paas_runner.pipelines.workers import Worker

REFRESH_SECONDS = 10
MOST_LINES = 50


class ServerPages:
    """All of them; `workers` take tasks, nobody has taken those `waiting`, `leaks` need somebody's care."""

    def __init__(
        self,
        frame: Frame,
        *,
        workers: Callable[[], Sequence[Worker]] = tuple,
        waiting: Callable[[], Sequence[Waiting]] = tuple,
        leaks: Callable[[], Sequence[Execution]] = tuple,
    ) -> None:
        self._frame = frame
        self._workers = workers
        self._waiting = waiting
        self._leaks = leaks

    def routes(self) -> Sequence[Route]:
        return [Route("/more", self._frame.guarded(self.more), methods=["GET"])]

    async def more(self, request: Request) -> Response:
        """What whoever asks may see of it."""
        served, who = self._frame.served, identity_of(request)
        may = served.access.may
        waiting = [each for each in self._waiting() if served.access.reads(who, each.pipeline)]
        credentials = [
            each
            for each in (served.vault.described() if served.vault else ())
            if may(who, CREDENTIAL_READ, resources.credential(each.name)).allowed
        ]
        lines: Sequence[Line] | None = None
        if may(who, AUDIT, resources.SERVER).allowed:
            lines = await served.audit.newest(MOST_LINES)
        return self._frame.html(
            "more",
            refresh=REFRESH_SECONDS,
            workers=self._workers(),
            waiting=waiting,
            leaks=[each for each in self._leaks() if served.access.reads(who, each.pipeline)],
            credentials=credentials,
            lines=lines,
        )
