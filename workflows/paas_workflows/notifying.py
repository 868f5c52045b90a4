"""Those who are told at each step and at the end (spec kog-jobs.md §8); no trouble of theirs is ours."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import SplitResult, urlsplit

import attrs
import structlog

from paas_runner.commands.output import note
from paas_runner.errors import RemoteError, UsageError
from paas_runner.http import Http, HttpClient, receiver_of

CONSOLE = "console"
WITHIN_SECONDS = 10.0
ATTEMPTS = 3

log = structlog.stdlib.get_logger(__name__)


@attrs.frozen(kw_only=True)
class Notified:
    """How the last telling has gone: `success`, or `failure` with a message if one could not be told."""

    status: str = ""
    message: str = ""


class Notifier:
    """All that are to be told."""

    def __init__(self, *, console: bool, receivers: Sequence[tuple[HttpClient, str]]) -> None:
        """`receivers` are clients with the path that each is asked by."""
        self._console = console
        self._receivers = receivers

    async def notify(self, job: Mapping[str, Any]) -> Notified:
        """Tell all, side by side; what fails is logged, and the answer says so."""
        if self._console:
            note(json.dumps(job, ensure_ascii=False))
        told = await asyncio.gather(*(self._post(client, path, job) for client, path in self._receivers))
        failures = [each for each in told if each]
        for each in failures:
            log.warning("notification_failed", reason=each)
        if not told and not self._console:
            return Notified()
        return Notified(status="failure" if failures else "success", message="; ".join(failures))

    async def _post(self, client: HttpClient, path: str, job: Mapping[str, Any]) -> str:
        """What went wrong; empty where nothing did."""
        try:
            answer = await client.call(
                "POST",
                path,
                op="tell of a job",
                payload=job,
                within=WITHIN_SECONDS,
                attempts=ATTEMPTS,
                redirects=False,
            )
        except RemoteError as error:
            return str(error)
        is_good = 200 <= answer.status < 300
        return "" if is_good else f"{client.service} answers {answer.status}"


def check(targets: Sequence[str]) -> None:
    """Raises `UsageError` for what is neither `console` nor a URL."""
    for target in {*targets} - {CONSOLE}:
        _address(target)


def _address(target: str) -> SplitResult:
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("--notifier wants `console` or an http(s) URL")
    return parts


@asynccontextmanager
async def opened(targets: Sequence[str]) -> AsyncIterator[Notifier]:
    """`console` and URLs; raises `UsageError` for anything else."""
    async with AsyncExitStack() as stack:
        receivers = []
        for target in (each for each in targets if each != CONSOLE):
            parts = _address(target)
            base = f"{parts.scheme}://{parts.netloc}"
            client = Http()(base, service=receiver_of(f"notifications {parts.hostname}"), at_once=1)
            stack.push_async_callback(client.aclose)
            receivers.append((client, target.removeprefix(base)))
        yield Notifier(console=CONSOLE in targets, receivers=receivers)
