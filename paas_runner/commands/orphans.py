"""`paas-runner orphans`: the hosts that no job needs, and why; with `--delete` they go.

The search is the service's own. The service may run meanwhile: its records are read, never written, and read
again right before each removal. A tenant that cannot be asked is named: nothing is said of its hosts.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs

from paas_runner.commands.command import Command, add_config
from paas_runner.errors import Exit, RemoteError

if TYPE_CHECKING:
    from paas_runner.commands.output import Line, Table
    from paas_runner.config import Config
    from paas_runner.dispatch.search import KnownRecords, NotAsked, RunnerSearch, Search
    from paas_runner.job.orphans import HostVerdict
    from paas_runner.job.tracked import SeenHost
    from paas_runner.service.assembly import Edges

SECONDS_BETWEEN_SEARCHES = 3.0

_EPILOG = """\
fields of --json:
  orphans       how many are left; null when no tenant's hosts could be listed
  hosts         runner, name, host, created_at (or null), verdict, why, removed
  not_asked     runner, tenant ("" where all pay alike, null where none is known yet), why

exit codes:
  0   no orphans, or all of them removed
  1   orphans remain, or the provider could not be asked
  2   wrong arguments
  74  the store or the state file cannot be read
  78  the configuration is wrong, or cannot be served on this machine
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--delete", action="store_true", help="remove the orphans, as the service would")
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")


def _call(arguments: argparse.Namespace) -> int:
    import asyncio

    from paas_runner.commands.output import note, show, show_json
    from paas_runner.config import load
    from paas_runner.executor.contract import installed
    from paas_runner.logs import configure, redactor
    from paas_runner.service.process import real_edges

    config = load(arguments.config, environ=os.environ, executors=installed())
    configure(level="warning", form="text", stream=sys.stderr)
    redactor.add(config.secrets)
    found = asyncio.run(_search_stored(config, real_edges(), delete=arguments.delete))
    for each in found.not_asked:
        note(f"paas-runner orphans: {each}")
    if arguments.json:
        show_json(found.document)
    elif found.listed:
        show(*_page(found))
    return Exit.FAILED if found.orphans or found.not_asked else Exit.OK


@attrs.frozen(kw_only=True)
class Row:
    """One host in the answer."""

    runner: str
    verdict: "HostVerdict"
    removed: bool


@attrs.frozen(kw_only=True)
class Found:
    """What was found out."""

    rows: Sequence[Row]
    not_asked: "Sequence[NotAsked]"
    listed: bool
    """Whether the hosts of any tenant could be listed."""

    @property
    def orphans(self) -> int:
        return sum(row.verdict.to_delete and not row.removed for row in self.rows)

    @property
    def document(self) -> Mapping[str, Any]:
        return {
            "orphans": self.orphans if self.listed else None,
            "hosts": [_facts(row) for row in self.rows],
            "not_asked": [attrs.asdict(each) for each in self.not_asked],
        }


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


def _page(found: Found) -> "Sequence[Line | Table]":
    from paas_runner.commands.output import Table

    removed = sum(row.removed for row in found.rows)
    summary = f"hosts: {len(found.rows)}, orphans: {found.orphans}, removed: {removed}"
    if found.not_asked:
        summary += f", not asked: {len(found.not_asked)}"
    table = Table(head=("NAME", "HOST", "AGE", "VERDICT", "WHY"), rows=[*map(_cells, found.rows)])
    return [table, summary] if found.rows else [summary]


def _cells(row: Row) -> Sequence[str]:
    from paas_runner.plain_text import span

    host = row.verdict.host
    age = span(datetime.now(UTC) - host.created_at, whole_minutes=True) if host.created_at else "?"
    verdict = f"{row.verdict.kind}, removed" if row.removed else str(row.verdict.kind)
    return host.name, host.ref, age, verdict, row.verdict.why


# --- the search -------------------------------------------------------------------------------------------


async def _search_stored(config: "Config", edges: "Edges", *, delete: bool) -> Found:
    from paas_runner.store.snapshot import StoredRecords

    records = StoredRecords(
        store=config.store_path, state_file=config.state_file, peer_names=config.peer_names
    )
    snapshot = await records.read()
    config, _ = config.recognised(snapshot.runners)
    return await search(config, edges, records, installation=snapshot.installation, delete=delete)


async def search(
    config: "Config",
    edges: "Edges",
    records: "KnownRecords",
    *,
    installation: str,
    delete: bool,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Found:
    """Search the hosts of all runners for orphans, a second time where the first raises a suspicion."""
    import asyncio
    from contextlib import AsyncExitStack

    from paas_runner.commands.output import note
    from paas_runner.dispatch.search import RunnerSearch, SearchedRunner
    from paas_runner.service.assembly import built_executor

    async with AsyncExitStack() as owned:
        searches: list[RunnerSearch] = []
        for runner in config.runners:
            executor = built_executor(runner, edges, installation)
            owned.push_async_callback(executor.aclose)
            searched = SearchedRunner(
                key=runner.short_token,
                name=runner.title,
                executor=executor,
                policy=config.policy_of(runner),
            )
            searches.append(RunnerSearch(searched, records=records, clock=clock))
        await asyncio.gather(*(each.compare() for each in searches))
        if suspects := sum(verdict.undecided for each in searches for _, verdict in each.verdicts):
            note(f"{suspects} of the hosts may be orphans: a second look in {SECONDS_BETWEEN_SEARCHES:g} s")
            await asyncio.sleep(SECONDS_BETWEEN_SEARCHES)
            await asyncio.gather(*(each.compare() for each in searches))
        return Found(
            rows=[row for each in searches for row in await _rows(each, delete=delete)],
            not_asked=[tenant for each in searches for tenant in each.not_asked],
            listed=any(each.listed for each in searches),
        )


async def _rows(search: "RunnerSearch", *, delete: bool) -> Sequence[Row]:
    """What was found out about the hosts of a runner; with `delete` the orphans are removed."""
    return [
        Row(
            runner=search.runner.name,
            verdict=verdict,
            removed=delete and verdict.to_delete and await _removed(of_tenant, verdict.host),
        )
        for of_tenant, verdict in search.verdicts
    ]


async def _removed(search: "Search", host: "SeenHost") -> bool:
    from paas_runner.commands.output import note

    note(f"removing {host.name} ({host.ref})")
    try:
        removed = await search.remove(host)
    except RemoteError as error:
        note(f"{host.name} cannot be removed: {error}")
        return False
    if not removed:
        note(f"{host.name} is not removed: by now a record says that it is needed")
    return removed


COMMAND = Command(
    name="orphans",
    help="the hosts at the provider that no job needs, and why",
    description=(
        "Compare the provider's hosts with the records, and show each of ours: age, verdict and why.\n"
        "A host is an orphan only after two looks some seconds apart. The service may run meanwhile."
    ),
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
