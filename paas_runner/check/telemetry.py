"""What takes traces and the log elsewhere: whether it can be reached, and would take what is sent.

Jobs run without it, so what does not work is a warning; what ends the start is a fault.
"""

import asyncio
from collections.abc import Sequence

from paas_runner.config import Config
from paas_runner.config.telemetry import LogRemote, Traces
from paas_runner.errors import RemoteError, RunnerError
from paas_runner.executor.checks import CheckResult, fault, fine, warning
from paas_runner.http import Http
from paas_runner.service.traces import tracing_room

_TRACES, _LOG = "traces", "log_remote"
"""The subjects of the results."""

_WITHOUT = "jobs are run all the same"


async def check_telemetry(config: Config, *, offline: bool, seconds: float) -> Sequence[CheckResult]:
    """One result for each that is configured, within so many seconds; `offline` asks nothing."""
    checks = [
        *([_traces(config.traces, offline, seconds)] if config.traces else []),
        *([_log(config.log_remote, offline, seconds)] if config.log_remote else []),
    ]
    return [result for results in await asyncio.gather(*checks) for result in results]


async def _traces(traces: Traces, offline: bool, seconds: float) -> Sequence[CheckResult]:
    try:
        export = tracing_room().span_export(traces, Http())
        if offline:
            return [fine(_TRACES, f"{traces.endpoint}, not asked")]
        async with asyncio.timeout(seconds):
            await export.probe()
    except TimeoutError:
        return [warning(_TRACES, f"{traces.endpoint} did not answer in time", _WITHOUT)]
    except RemoteError as error:
        return [warning(_TRACES, f"{traces.endpoint}: {error}", _WITHOUT)]
    except (OSError, RunnerError) as error:
        return [fault(_TRACES, str(error))]
    return [fine(_TRACES, f"{traces.endpoint} takes spans")]


async def _log(wanted: LogRemote, offline: bool, seconds: float) -> Sequence[CheckResult]:
    from paas_runner.logs.syslog import why_not_reached

    try:
        receiver = wanted.receiver
        receiver.context()
        if offline:
            return [fine(_LOG, f"{wanted.address}, not asked")]
        async with asyncio.timeout(seconds):
            why = await asyncio.to_thread(why_not_reached, receiver)
    except TimeoutError:
        why = "no connection in time"
    except RunnerError as error:
        return [fault(_LOG, str(error))]
    if why:
        return [warning(_LOG, f"{wanted.address}: {why}", _WITHOUT)]
    return [fine(_LOG, f"{wanted.address} can be reached{'' if wanted.tls else ', without TLS'}")]
