"""The command line: the plans of a store are listed, shown, reported, watched and stopped.

It runs no plan and needs no plugin: it reads what is stored, while other processes write it.
"""

import argparse
import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from uuid import UUID

from paas_plans import __version__, document
from paas_plans.cli import terminal
from paas_plans.errors import PlansError
from paas_plans.plan import Plan, Status
from paas_plans.report import page
from paas_plans.stores.protocol import Filter, Store
from paas_plans.stores.sqlite import SQLiteStore

_STATUSES = {status.words.replace(" ", "-"): status for status in Status}


def main() -> int:
    """The exit status, which the help explains."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `paas-plans list … | head` ends in silence
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # names may have any letter
    given = _parser().parse_args()
    try:
        return asyncio.run(given.run(given)) or 0
    except KeyboardInterrupt:
        return 130
    except (PlansError, OSError, ImportError) as error:
        print(f"paas-plans: {error}", file=sys.stderr)
        return 3


def _parser() -> argparse.ArgumentParser:
    text, as_it_is = files("paas_plans.cli") / "help.txt", argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("paas-plans", epilog=text.read_text("utf-8"), formatter_class=as_it_is)
    parser.add_argument("--version", action="version", version=f"paas-plans {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: object, words: str, how_many: str | None = None) -> Callable[..., object]:
        one = commands.add_parser(name, help=words, description=f"{words}. Examples: paas-plans --help")
        one.set_defaults(run=run, id=None)
        one.add_argument("store", metavar="STORE", help="a file, or postgresql://USER@HOST/DATABASE")
        if name != "list":
            one.add_argument(
                "id", metavar="ID", nargs=how_many, help="any part of it that no other has will do"
            )
        return one.add_argument

    add = command("list", _list, "The plans of a store, newest first")
    add("--status", action="append", choices=_STATUSES, help="only those; may be repeated")
    add("--name", metavar="TEXT", help="only those with that in their name")
    add("--group", metavar="UUID", type=UUID, help="only those of the group")
    add("--since", metavar="WHEN", type=moment, help="submitted since then: 2026-03-14T09:30")
    add("--limit", metavar="N", type=int, help="at most that many")
    add("--json", action="store_true", help="one object of JSON a line")
    add = command("show", _show, "A plan with all its parts, their states, times and errors")
    add("--json", action="store_true", help="all that is stored but secrets, for programs and for `report`")
    add = command("report", _report, "A page for a browser, of a plan in a store or a file", "?")
    add("-o", "--output", metavar="FILE", help="instead of plan-ID.html; - is standard output")
    add = command("watch", _watch, "A plan while it runs; the exit status says how it ended")
    add("--interval", metavar="SECONDS", type=float, default=0.5, help="between two looks (%(default)s)")
    command("stop", _stop, "Ask whoever runs a plan to stop it; `watch` shows how it does")
    return parser


def moment(text: str) -> datetime:
    """Named so for argparse, which tells what is no valid one."""
    given = datetime.fromisoformat(text)
    return given if given.tzinfo else given.replace(tzinfo=UTC)


async def _list(given: argparse.Namespace) -> None:
    statuses = given.status and frozenset(map(_STATUSES.__getitem__, given.status))
    groups = given.group and frozenset({given.group})
    wanted = Filter(statuses=statuses, group_ids=groups, name_has=given.name, submitted_after=given.since)
    async with _opened(given.store) as store:
        async for summary in store.search(wanted, limit=given.limit):
            print(document.summary_to_json(summary) if given.json else terminal.row(summary))


async def _show(given: argparse.Namespace) -> None:
    plan = await _plan(given)
    print(document.to_json(plan).rstrip() if given.json else terminal.tree(plan, datetime.now(UTC)))


async def _report(given: argparse.Namespace) -> None:
    plan = await _plan(given)
    text, output = page(plan, now=datetime.now(UTC)), given.output or f"plan-{plan.id}.html"
    if output != "-":
        await asyncio.to_thread(Path(output).write_text, text, "utf-8")
    print(text if output == "-" else output)


async def _watch(given: argparse.Namespace) -> int:
    async with _opened(given.store) as store:
        plan_id, watcher = await _found(store, given.id), terminal.Watcher()
        while True:
            plan = document.plan_of(await store.read(plan_id), None, None)
            watcher.show(plan, datetime.now(UTC))
            if plan.state.status.is_terminal:
                return 0 if plan.state.status is Status.COMPLETED else 1
            await asyncio.sleep(given.interval)


async def _stop(given: argparse.Namespace) -> None:
    async with _opened(given.store) as store:
        plan_id = await _found(store, given.id)
        if not (summary := (await store.read(plan_id)).summary).status.is_terminal:
            await store.ask_to_stop(plan_id)
            print("No more of it is begun, what runs ends, and what is deferred is done.", flush=True)
            print("(If nobody runs it at present: as soon as a workstream opens the store.)", flush=True)
        print(terminal.row(summary))


@contextlib.asynccontextmanager
async def _opened(place: str) -> AsyncIterator[Store]:
    """The store, which must be there."""
    if place.startswith(("postgres://", "postgresql://")):
        if re.search("://[^@/]*:.*@|password=", place):
            raise PlansError("an address with a password can be seen by all: see paas-plans --help")
        from paas_plans.stores.postgres import PostgresStore

        store: Store = PostgresStore(place)
    else:
        store = SQLiteStore(place)
    await store.open(running_plans=False)
    try:
        yield store
    finally:
        await store.close()


async def _plan(given: argparse.Namespace) -> Plan:
    if given.id is None:
        text = await asyncio.to_thread(Path(given.store).read_text, "utf-8", "replace")
        if text.startswith("SQLite format"):
            raise PlansError(f"{given.store}: is a store; say which plan of it, see paas-plans list")
        return document.from_json(text)
    async with _opened(given.store) as store:
        return document.plan_of(await store.read(await _found(store, given.id)), None, None)


async def _found(store: Store, words: str) -> UUID:
    """Of a whole id, or of any part of it that no other plan has."""
    part = words.lower().replace("-", "")
    with contextlib.suppress(ValueError):
        return UUID(part)
    plans = [plan async for plan in store.search(Filter()) if part and part in plan.id.hex]
    if len(plans) != 1:
        some = "; ".join(f"{plan.id} {plan.name!r}" for plan in plans[:5]) or "see paas-plans list"
        raise PlansError(f"{len(plans) or 'no'} plans have an id with {words!r} in it: {some}")
    return plans[0].id
