"""`paas-runner orphans`: the hosts that no job needs, and why; with `--delete` they go.

The rules are the service's own. It may run meanwhile: its records are read, never written, and read again
right before each removal.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from paas_runner.config import Config, ConfigError, Runner, load
from paas_runner.errors import Exit, RemoteError, RunnerError
from paas_runner.executor.contract import Executor, Removal, installed
from paas_runner.job.orphans import Kind, KnownJobs, Verdict, judge, merged, strays
from paas_runner.job.tracked import Host, SeenHost
from paas_runner.logs import configure, redactor
from paas_runner.service.assembly import built_executor, store_path
from paas_runner.service.process import real_edges
from paas_runner.store import StoreError, state_file
from paas_runner.store.snapshot import Snapshot, take
from paas_runner.store.state_file import StateFileError

SECONDS_BETWEEN_LOOKS = 3.0


@attrs.frozen(kw_only=True)
class Row:
    """One host in the answer."""

    runner: str
    verdict: Verdict
    removed: bool = False


def run(path: Path, *, delete: bool, as_json: bool) -> int:
    """Show the hosts of all runners, with `delete` remove the orphans; returns the exit code."""
    try:
        config = load(path, environ=os.environ, executors=installed())
    except ConfigError as error:
        print(error, file=sys.stderr)
        return Exit.CONFIG
    configure(level="warning", form="text", stream=sys.stderr)
    redactor.add(config.secrets)
    try:
        rows = asyncio.run(_searched(config, delete=delete))
    except (StoreError, StateFileError) as error:
        return _refused(error, Exit.STATE)
    except RemoteError as error:
        return _refused(error, Exit.FAILED)
    except RunnerError as error:
        return _refused(error, Exit.CONFIG)
    left = [row for row in rows if row.verdict.condemned and not row.removed]
    print(_document(rows, orphans=len(left)) if as_json else _table(rows, orphans=len(left)))
    return Exit.FAILED if left else Exit.OK


def _refused(error: RunnerError, code: Exit) -> Exit:
    print(f"paas-runner orphans: {error}", file=sys.stderr)
    return code


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def _searched(config: Config, *, delete: bool) -> Sequence[Row]:
    """Two looks where the first one raises a suspicion."""
    async with AsyncExitStack() as owned:
        searches = []
        records = await _records(config)
        config, _ = config.recognised(records.runners)
        for runner in config.runners:
            executor = built_executor(runner, real_edges(), records.installation)
            owned.push_async_callback(executor.aclose)
            searches.append(_Search(config, runner, executor))
        for search in searches:
            await search.look()
        suspects = sum(verdict.kind is Kind.SEEN_ONCE for search in searches for verdict in search.verdicts)
        if suspects:
            _progress(f"{suspects} of the hosts may be orphans: a second look in {SECONDS_BETWEEN_LOOKS:g} s")
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            for search in searches:
                await search.look()
        return [row for search in searches for row in await search.rows(delete=delete)]


async def _records(config: Config) -> Snapshot:
    """What the service has on the disk; a state file that waits for the next start counts, too."""
    snapshot = await asyncio.to_thread(take, store_path(config.state_file))
    waiting = await asyncio.to_thread(
        state_file.read, config.state_file, config.peer_names, datetime.now(UTC)
    )
    if waiting is None:
        return snapshot
    return attrs.evolve(snapshot, jobs=[*snapshot.jobs, *waiting.jobs])


class _Search:
    """The hosts of one runner."""

    def __init__(self, config: Config, runner: Runner, executor: Executor) -> None:
        self._config = config
        self._runner = runner
        self._executor = executor
        self._strays: frozenset[str] = frozenset()
        self.verdicts: Sequence[Verdict] = ()

    async def look(self) -> None:
        """The records are read on both sides of the listing, so that no job slips between."""
        before = await _records(self._config)
        hosts = await self._executor.hosts("")
        self._strays = strays(self.verdicts)
        self.verdicts = await self._judged(hosts, before)

    async def rows(self, *, delete: bool) -> Sequence[Row]:
        """What was found out; with `delete` the orphans are removed."""
        return [
            Row(
                runner=self._runner.name or self._runner.short_token,
                verdict=verdict,
                removed=delete and verdict.condemned and await self._remove(verdict.host),
            )
            for verdict in sorted(self.verdicts, key=lambda verdict: verdict.host.name)
        ]

    async def _judged(self, hosts: Sequence[SeenHost], before: Snapshot) -> Sequence[Verdict]:
        after = await _records(self._config)
        config = self._config
        books = KnownJobs(
            runner=self._runner.short_token,
            jobs=merged(before.jobs, after.jobs),
            ended=after.ended,
            strays=self._strays,
            keeping=config.paas_finished_jobs_keep_resources or not config.paas_decommission_launch_failures,
        )
        return judge(hosts, books, datetime.now(UTC))

    async def _remove(self, host: SeenHost) -> bool:
        [verdict] = await self._judged([host], await _records(self._config))
        if not verdict.condemned:
            return False
        _progress(f"removing {host.name} ({host.ref})")
        try:
            await self._executor.decommission(Removal(name=host.name, host=Host(ref=host.ref), search=False))
        except RemoteError as error:
            _progress(f"{host.name} cannot be removed: {error}")
            return False
        return True


def _document(rows: Sequence[Row], *, orphans: int) -> str:
    return json.dumps({"orphans": orphans, "hosts": [_facts(row) for row in rows]}, indent=2)


def _facts(row: Row) -> Mapping[str, Any]:
    host = row.verdict.host
    return {
        "runner": row.runner,
        "name": host.name,
        "host": host.ref,
        "created_at": host.created_at.isoformat() if host.created_at else None,
        "verdict": row.verdict.kind,
        "why": row.verdict.why,
        "removed": row.removed,
    }


def _table(rows: Sequence[Row], *, orphans: int) -> str:
    lines = [("NAME", "HOST", "AGE", "VERDICT", "WHY"), *map(_line, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines] if rows else []
    removed = sum(row.removed for row in rows)
    return "\n".join([*shown, f"hosts: {len(rows)}, orphans: {orphans}, removed: {removed}"])


def _line(row: Row) -> tuple[str, ...]:
    host = row.verdict.host
    verdict = f"{row.verdict.kind}, removed" if row.removed else str(row.verdict.kind)
    return host.name, host.ref, _age(host.created_at), verdict, row.verdict.why


def _age(since: datetime | None) -> str:
    if since is None:
        return "?"
    minutes = int((datetime.now(UTC) - since).total_seconds() // 60)
    days, hours = minutes // 1440, minutes % 1440 // 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
