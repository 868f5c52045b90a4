"""The inner runner's side of the protocol: trace by PATCH, state by PUT, obedience to `Job-Status`.

Promises: nothing is sent once the coordinator has said that the job is over (`JobOverError`); a lost answer
costs a repetition, never a byte of the trace (spec gitlab-runner-api.md §3 and §4).
"""

import asyncio
import platform
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import attrs
import httpx

from paas_runner import __version__
from paas_runner.errors import RunnerError
from paas_runner.inner.ending import StateUpdate
from paas_runner.inner.settings import Timings
from paas_runner.inner.trace import Trace
from paas_runner.secret import Secret

FEATURES = (
    *("variables", "raw_variables", "masking", "refspecs", "multi_build_steps", "return_exit_code"),
    *("artifacts", "artifacts_exclude", "upload_multiple_artifacts", "upload_raw_artifacts"),
    *("cache", "fallback_cache_keys"),
    *("cancelable", "cancel_gracefully", "trace_reset", "trace_checksum", "trace_size"),
)
INFO: Mapping[str, Any] = {
    "name": "paas-runner-inner",
    "version": __version__,
    "platform": sys.platform,
    "architecture": platform.machine(),
    "shell": "bash",
    "features": dict.fromkeys(FEATURES, True),
}
_RANGE = re.compile(r"0-([0-9]{1,15})")
_LONGEST_INTERVAL_SECONDS = 900.0  # spec §4.3
_LEAST_PAUSE_SECONDS = 0.01


class JobOverError(RunnerError):
    """For the coordinator the job is over: stop everything, send nothing."""


@attrs.frozen(kw_only=True)
class _Reply:
    status: int  # 0: none came
    headers: Mapping[str, str] = attrs.field(factory=dict)

    def seconds(self, header: str) -> float:
        """A header's number; 0 when there is none."""
        value = self.headers.get(header, "")
        return min(float(value), _LONGEST_INTERVAL_SECONDS) if value.isascii() and value.isdigit() else 0.0


class JobLink:
    """One job's connection; `on_canceling` is called when the job is to be wound down."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        job_id: int,
        token: Secret,
        trace: Trace,
        *,
        timings: Timings,
        on_canceling: Callable[[], None],
        debug: bool = False,
    ) -> None:
        self._client = client
        self._path = f"/api/v4/jobs/{job_id}"
        self._token = token
        self._trace = trace
        self._timings = timings
        self._on_canceling = on_canceling
        self._debug = "true" if debug else "false"  # such a trace is hidden from most readers (§4.1)
        self._interval = timings.interval
        self._keep_alive = timings.keep_alive
        self._asked_pause = 0.0  # by an answer to the last piece
        self._sent = 0
        self._last_call_at = asyncio.get_running_loop().time()

    async def stream(self) -> NoReturn:
        """Send the trace as it grows and signs of life when it does not; raises `JobOverError`."""
        while True:
            await self._send_piece()
            await self._sleep(max(self._interval, self._asked_pause))

    async def finish(self, update: StateUpdate) -> None:
        """Send what is left and the result until both are stored; raises `JobOverError`."""
        self._interval = self._timings.interval
        backoff = self._timings.first_backoff
        while True:
            await self._flush()
            reply = await self._put(update)
            match reply.status:
                case 200 | 404:
                    return
                case 202:
                    wait = reply.seconds("x-gitlab-trace-update-interval") or self._interval
                case _:
                    self._sent = 0 if reply.status == 412 else self._sent
                    wait = reply.seconds("retry-after") or backoff
                    backoff = min(backoff * 2, self._timings.longest_backoff)
            await asyncio.sleep(wait)

    async def _sleep(self, seconds: float) -> None:
        """Wait, with a sign of life after each long silence."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while (now := clock()) < end:
            silent_until = self._last_call_at + self._keep_alive
            if silent_until <= now:
                await self._put(StateUpdate(state="running"))
            else:
                await asyncio.sleep(max(min(end, silent_until) - now, _LEAST_PAUSE_SECONDS))

    async def _flush(self) -> None:
        while self._trace.piece(self._sent):
            if not await self._send_piece():
                await asyncio.sleep(max(self._interval, self._asked_pause))

    async def _send_piece(self) -> bool:
        """Send what comes next, if anything; whether it was stored."""
        piece = self._trace.piece(self._sent)
        if not piece:
            return False
        last = self._sent + len(piece) - 1
        headers = {"Content-Type": "text/plain", "Content-Range": f"{self._sent}-{last}"}
        path = f"{self._path}/trace?debug_trace={self._debug}"
        reply = await self._call("PATCH", path, headers=headers, content=piece)
        if asked := reply.seconds("x-gitlab-trace-update-interval"):
            self._interval = asked
            self._keep_alive = self._timings.keep_alive_for(asked)
        self._asked_pause = reply.seconds("retry-after")
        if reply.status == 202:
            self._sent += len(piece)
        elif reply.status == 416 and (size := _RANGE.fullmatch(reply.headers.get("range", ""))):
            self._sent = int(size[1])
        return reply.status == 202

    async def _put(self, update: StateUpdate) -> _Reply:
        body: dict[str, Any] = {
            "info": INFO,
            "token": self._token.reveal(),
            "state": update.state,
            "checksum": self._trace.checksum,
            "output": {"checksum": self._trace.checksum, "bytesize": self._trace.size},
        }
        if update.failure_reason:
            body["failure_reason"] = update.failure_reason
        if update.exit_code:
            body["exit_code"] = update.exit_code
        return await self._call("PUT", self._path, json=body)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        json: Any = None,
    ) -> _Reply:
        """One try; `Job-Status` and 403 are looked at before anything else (§3.2)."""
        sent_headers = {"JOB-TOKEN": self._token.reveal(), **(headers or {})}
        try:
            response = await self._client.request(
                method, path, headers=sent_headers, content=content, json=json
            )
        except httpx.RequestError:
            return _Reply(status=0)
        finally:
            self._last_call_at = asyncio.get_running_loop().time()
        status = response.headers.get("job-status", "")
        if response.status_code == 403 or status in ("canceled", "failed"):
            raise JobOverError(f"{method}: {response.status_code} {status}".rstrip())
        if status == "canceling":
            self._on_canceling()
        return _Reply(status=response.status_code, headers=response.headers)
