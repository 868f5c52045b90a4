"""What people ask the pipelines server: over HTTP, with the secret that it has itself.

Whatever is asked for may raise `ServerError`; `UnreachableError` where no server answers. Each request has a
token of its own that is good for a minute, as prunner's PHP client has it.
"""

import getpass
import re
import time
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import quote

import httpx

from paas_pipelines.api.access import COMMAND_AGENT, signed_token
from paas_pipelines.server.dynamic_config import SecretError, secret_of
from paas_pipelines.server.listening import place_of
from paas_pipelines.server.settings import Settings
from paas_runner.errors import Exit, RunnerError, UsageError
from paas_runner.plain_text import short_line

ANSWER_SECONDS = 30.0
TOKEN_SECONDS = 60
LATEST = "latest"
SHORT = 8
"""So much of an id is shown; any beginning that only one run has names it."""

_ERRNO = re.compile(r"^\[Errno -?\d+\] ")
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - what a server listens on; asked is this machine

Job = Mapping[str, Any]
"""A run as the API has it (spec §7)."""


class ServerError(RunnerError):
    """The server does not do what it is asked; the text says why, and what can be done."""


class UnreachableError(ServerError):
    """No server answers."""


class DeniedError(ServerError):
    """It has another secret."""

    exit_code = Exit.CONFIG


class Server:
    """One server; to be closed."""

    def __init__(self, settings: Settings, *, user: str | None = None) -> None:
        place = place_of(settings.address)
        if not settings.jwt_secret and not settings.config.exists():
            raise SecretError(
                f"there is no {settings.config} with the server's secret: call it in the server's folder, or "
                "name the file by --config or $PRUNNER_CONFIG, or give the secret as $PRUNNER_JWT_SECRET"
            )
        self._secret = secret_of(settings)
        self._user = _login() if user is None else user
        self._address = str(place)
        host = "localhost" if place.host in _EVERYWHERE else place.host
        self._http = httpx.Client(
            base_url=f"http://{f'[{host}]' if ':' in host else host}:{place.port}",
            transport=httpx.HTTPTransport(uds=place.path or None),
            timeout=ANSWER_SECONDS,
            headers={"User-Agent": COMMAND_AGENT},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def token(self, seconds: int) -> str:
        """For this user, good for so long."""
        now = int(time.time())
        return signed_token(self._secret, {"sub": self._user, "iat": now, "exp": now + seconds})

    @property
    def registration_token(self) -> str:
        """With it runners are registered at the server."""
        from paas_pipelines.tasks.job_server import registration_token

        return registration_token(self._secret).reveal()

    def overview(self) -> Mapping[str, Any]:
        """All pipelines, and all runs, newest first."""
        return self._json("GET", "/pipelines/jobs", "jobs")

    def run(self, run_id: str) -> Job:
        """How it is now."""
        return self._json("GET", f"/job/detail?id={run_id}", "tasks")

    def schedule(self, pipeline: str, variables: Mapping[str, Any], partition: str) -> str:
        """The id of a new run."""
        asked = {"pipeline": pipeline, "variables": variables, "queuePartition": partition}
        return str(self._json("POST", "/pipelines/schedule", "jobId", asked)["jobId"])

    def definition(self, pipeline: str) -> Mapping[str, Any] | None:
        """What a pipeline wants to be given; None where it is not known, or the server does not tell."""
        answer = self._asked("GET", f"/definitions/{quote(pipeline, safe='')}")
        if answer.status_code != 200:
            return None
        found: Mapping[str, Any] = answer.json()
        return found

    def cancel(self, run_id: str) -> None:
        """It is wanted no more; its tasks end soon."""
        self._answer("POST", f"/job/cancel?id={run_id}")

    def output(self, run_id: str, task: str, stream: str, offset: int) -> bytes:
        """What a task has written to one of its streams since that byte."""
        asked = httpx.QueryParams(id=run_id, task=task, stream=stream, offset=offset)
        return self._answer("GET", f"/job/logs?{asked}").content

    def found(self, name: str) -> Job:
        """The run of that id, or of the only one that begins so, or the latest; raises `UsageError`."""
        overview = self.overview()
        runs = overview["jobs"]
        if not runs and not overview.get("pipelines"):
            raise UsageError(
                f'there is no run "{name}", nor a pipeline that {self._user} may see: '
                "--user says as whom it is asked"
            )
        if name == LATEST:
            matching = runs[:1]
        else:
            matching = [run for run in runs if name and run["id"].startswith(name.lower())]
        if not matching:
            raise UsageError(f'there is no run "{name}": `paas-runner pipelines list` shows them')
        if len(matching) > 1:
            raise UsageError(f'"{name}" is the beginning of {len(matching)} runs: give more of the id')
        found: Job = matching[0]
        return found

    def asked(self, method: str, path: str, body: Any = None) -> Any:
        """What it answers, as JSON; None where that is nothing."""
        answer = self._answer(method, path, body)
        try:
            return answer.json() if answer.content else None
        except ValueError:
            raise ServerError(f"{self._address} answers as no pipelines server does") from None

    def _json(self, method: str, path: str, wanted: str, body: Any = None) -> Mapping[str, Any]:
        answer = self._answer(method, path, body)
        try:
            value = answer.json()
        except ValueError:
            value = None
        if not isinstance(value, dict) or wanted not in value:
            raise ServerError(f"{self._address} answers as no pipelines server does")
        return value

    def _answer(self, method: str, path: str, body: Any = None) -> httpx.Response:
        answer = self._asked(method, path, body)
        if answer.status_code == 401:
            raise DeniedError(
                f"the server on {self._address} says {short_line(answer.text, 80)!r}: its secret is "
                "another one than that of --config, $PRUNNER_CONFIG or $PRUNNER_JWT_SECRET"
            )
        if answer.is_error:
            raise ServerError(_told(answer))
        return answer

    def _asked(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token(TOKEN_SECONDS)}"}
        try:
            answer = self._http.request(method, path, json=body, headers=headers)
        except httpx.TransportError as error:
            reason = _ERRNO.sub("", str(error)) or type(error).__name__
            raise UnreachableError(
                f"no pipelines server answers on {self._address} ({reason}): `paas-runner pipelines serve` "
                "starts one, --address or $PRUNNER_ADDRESS says where it is"
            ) from None
        return answer


def _told(answer: httpx.Response) -> str:
    try:
        text = str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        text = f"{answer.status_code} {short_line(answer.text, 200)}"
    if text.endswith("is not defined"):
        text += ", or this user may not see it: `paas-runner pipelines list` shows those that are"
    if "queue limit reached" in text or "queueing disabled" in text:
        text += ": `paas-runner pipelines list` shows what runs and waits"
    return text


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return ""
