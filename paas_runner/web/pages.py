"""The pages for people, served: what runs, waits, fails and costs, and one job's history.

They read, and change nothing: there are GETs alone, but for logging in and out.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import attrs
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from paas_runner.errors import UsageError
from paas_runner.store import StoreError
from paas_runner.web.contents import PAGES, Page, Shown
from paas_runner.web.moment import BusyError, Watched, Workroom
from paas_runner.web.parameters import WrongParameterError, read_all
from paas_runner.web.rendering import StaticFile, Templates

REFRESH_SECONDS = 5
_JOB = re.compile(
    r"#?(?:(?P<runner>[A-Za-z0-9_.-]{1,100})/|hpd-job-(?P<host_of>[A-Za-z0-9_.-]{1,100})-)?(?P<job>[0-9]{1,18})"
)


@attrs.frozen
class Pages:
    """All pages, on what they are made of."""

    watched: Watched
    workroom: Workroom
    templates: Templates
    files: Mapping[str, StaticFile]
    with_login: bool

    def routes(self) -> Sequence[BaseRoute]:
        """One for each page, and one for the files that they load."""
        found = [Route(page.path, self._endpoint(page), methods=["GET"]) for page in PAGES]
        return [
            Route("/find", _find, methods=["GET"]),
            *found,
            Route("/static/{name}", self._file, methods=["GET"]),
        ]

    def html(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page that is made at once."""
        return HTMLResponse(self._render(template, **values), status)

    def error(self, status: int, title: str, text: str) -> Response:
        """A page that says what is wrong."""
        return self.html("error", status, title=title, text=text)

    def _render(self, template: str, **values: Any) -> str:
        return self.templates.page(
            template,
            **{"at": None, "refresh": 0, "with_login": self.with_login, "active": template} | values,
        )

    def _endpoint(self, page: Page) -> Callable[[Request], Any]:
        def made(shown: Shown) -> str | None:
            values = page.find(shown)
            if values is None:
                return None
            return self._render(page.template, at=shown.moment.at, refresh=REFRESH_SECONDS, **values)

        async def endpoint(request: Request) -> Response:
            try:
                values = read_all(page.parameters, request.path_params, request.query_params.multi_items())
                text = await self.workroom.run(made, Shown(self.watched, self.watched.moment(), values))
            except (WrongParameterError, UsageError) as error:
                return self.error(400, "That cannot be asked", _in_words(error))
            except StoreError as error:
                return self.error(503, "The store cannot be read", str(error))
            except BusyError:
                return self.error(503, "Too much at a time", "More is asked for than can be answered now.")
            if text is None:
                return self.error(
                    404,
                    "Nothing is known of that job",
                    "It was never here, or so long ago that it is forgotten.",
                )
            return HTMLResponse(text)

        return endpoint

    async def _file(self, request: Request) -> Response:
        found = self.files.get(request.path_params["name"])
        if found is None:
            return self.error(404, "Nothing is here", "There is no such file.")
        return found.answer(request)


async def _find(request: Request) -> Response:
    """From the form on each page to the job's own page: its number, RUNNER/ID, or the name of its host."""
    found = _JOB.fullmatch(request.query_params.get("job", "").strip())
    if found is None:
        return RedirectResponse("/jobs", 303)
    runner = found["runner"] or found["host_of"]
    return RedirectResponse(f"/jobs/{int(found['job'])}{f'?runner={quote(runner)}' if runner else ''}", 303)


def _in_words(error: Exception) -> str:
    return f"{error.name}: {error}" if isinstance(error, WrongParameterError) else str(error)
