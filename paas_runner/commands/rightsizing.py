"""What `paas-runner costs --rightsize` asks and shows."""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from paas_runner.commands import output
from paas_runner.config import Config, Runner
from paas_runner.errors import RunnerError
from paas_runner.executor.contract import installed
from paas_runner.executor.optional import sizes_of
from paas_runner.http import Http
from paas_runner.job.cost_report import Window
from paas_runner.job.rightsize import Advice, Spread
from paas_runner.job.use import FlavorSize, memory
from paas_runner.logs import configure
from paas_runner.service.assembly import Edges, built_executor
from paas_runner.store.opening import open_store

ANSWER_SECONDS = 10.0

_HEAD = ("PROJECT", "JOB", "RUNS", "MEMORY P50", "P95", "CPUS P50", "P95", "FLAVOR", "WOULD DO")
_NUMBERS = ("CONFIDENCE", "SAVED A MONTH")


def offers(config: Config) -> Mapping[str, Sequence[FlavorSize]]:
    """What flavors each runner's jobs may ask for, by its short token; empty where no one can be asked."""
    configure(level="fatal", form="text", stream=sys.stderr)  # what matters of it is noted
    return asyncio.run(_offers(config))


async def _offers(config: Config) -> Mapping[str, Sequence[FlavorSize]]:
    edges = Edges(connect=Http(), open_store=open_store, executors=installed())
    found = await asyncio.gather(*(_offer(runner, edges) for runner in config.runners))
    return {runner.short_token: offer for runner, offer in zip(config.runners, found, strict=True)}


async def _offer(runner: Runner, edges: Edges) -> Sequence[FlavorSize]:
    try:
        executor = built_executor(runner, edges, "")
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await sizes_of(executor)
        finally:
            await executor.aclose()
    except (RunnerError, TimeoutError) as error:
        why = str(error) or f"no answer within {ANSWER_SECONDS:g} s"
        output.note(
            f"paas-runner costs: {runner.title}: {why}; "
            "its flavors are taken to be those that its jobs had in that time"
        )
        return ()


def page(advice: Sequence[Advice], window: Window) -> Iterator[output.Line | output.Table]:
    """A table, and what has to be known of its numbers at hand."""
    title = f"{window.since:%F %R} to {window.until:%F %R} UTC, by project and job"
    if not advice:
        yield f"{title}: nothing was measured"
        return
    yield title
    yield ""
    yield output.Table(head=[*_HEAD, *_NUMBERS], rows=[_row(each) for each in advice], left=2)
    yield ""
    yield "MEMORY is a run's peak, CPUS are those it kept busy on average; P95: 19 of 20 runs took no more."
    yield "SAVED A MONTH: as if each month were like this time, at the provider's prices, in its own unit."
    if any(each.saved_per_month is None for each in advice):
        yield "-: there is no price, or the size of the flavors is not known."
    if any(each.measured < each.runs for each in advice):
        yield "RUNS a/b: only a of b were measured."


def _row(advice: Advice) -> Sequence[str]:
    saved = advice.saved_per_month
    return [
        advice.job.project or "-",
        advice.job.name,
        str(advice.runs) if advice.measured == advice.runs else f"{advice.measured}/{advice.runs}",
        memory(advice.memory_bytes.typical),
        memory(advice.memory_bytes.demanding),
        f"{advice.cpus.typical:.2f}",
        f"{advice.cpus.demanding:.2f}",
        ",".join(advice.flavors),
        advice.would_do or "-",
        advice.confidence,
        "-" if saved is None else f"{saved:.4f}",
    ]


def document(advice: Sequence[Advice], window: Window, names: Mapping[str, str]) -> Mapping[str, Any]:
    """The window and the rows; `names` are those of the configured runners by short token."""
    return {
        "since": window.since.isoformat(),
        "until": window.until.isoformat(),
        "rows": [
            {
                "runner": each.job.runner,
                "name": names.get(each.job.runner, ""),
                "project": each.job.project,
                "job": each.job.name,
                "runs": each.runs,
                "measured_runs": each.measured,
                "memory_bytes": _spread(each.memory_bytes),
                "cpus": _spread(each.cpus),
                "flavors": each.flavors,
                "would_do": each.would_do,
                "confidence": each.confidence,
                "saved_per_month": each.saved_per_month,
            }
            for each in advice
        ],
    }


def _spread(spread: Spread) -> Mapping[str, float]:
    return {"p50": spread.typical, "p95": spread.demanding}
