"""`paas-runner expire`: removes the hosts whose written end is over, without the service and its records.

For executors whose hosts are on a machine that nobody else looks after; a timer calls it (`systemd/`).
"""

import argparse
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs

from paas_runner.commands.command import Command, add_config
from paas_runner.errors import Exit, RemoteError

if TYPE_CHECKING:
    from paas_runner.config import Config
    from paas_runner.executor.contract import Executor
    from paas_runner.executor.optional import OverdueHost
    from paas_runner.service.assembly import Edges

_EPILOG = """\
Each host of local-docker has its end as a label, `paas-runner.ends-at`: its job's timeout and 15 minutes
after its creation. It is later by what lay between creation and launch. What is over is removed with all that
the job has on the engine: containers, networks, volumes, images. Touched is nothing but what has this
installation's label, or that of none, and an end that is over. The service may run meanwhile, or be away.

fields of --json:
  installation  whose hosts were looked for
  overdue       how many are left of those whose time is over
  hosts         runner, name, host, ends_at, removed, why (it could not be removed, or null)
  not_asked     runner, why
  others        runners whose hosts have no end written on them: they end by their own means

exit codes:
  0   no host is over its time, or all such were removed
  1   one is left, or an engine could not be asked
  2   wrong arguments
  74  the installation's id is not known: the store cannot be read, and there is no other place with it
  78  the configuration is wrong, or cannot be served on this machine
"""


@attrs.frozen(kw_only=True)
class Judged:
    """One host whose time is over, and what became of it."""

    runner: str
    host: "OverdueHost"
    removed: bool = False
    why: str | None = None
    """It could not be removed."""

    @property
    def facts(self) -> Mapping[str, Any]:
        return {
            "runner": self.runner,
            "name": self.host.name,
            "host": self.host.ref,
            "ends_at": self.host.ends_at.isoformat(),
            "removed": self.removed,
            "why": self.why,
        }


@attrs.define(kw_only=True)
class Expiry:
    """What was found, and what was done."""

    installation: str
    hosts: list[Judged] = attrs.field(factory=list)
    not_asked: list[Mapping[str, str]] = attrs.field(factory=list)
    others: list[str] = attrs.field(factory=list)

    @property
    def overdue(self) -> int:
        return sum(not each.removed for each in self.hosts)

    @property
    def document(self) -> Mapping[str, Any]:
        return {
            "installation": self.installation,
            "overdue": self.overdue,
            "hosts": [each.facts for each in self.hosts],
            "not_asked": self.not_asked,
            "others": self.others,
        }


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--dry-run", action="store_true", help="show what would be removed, and leave it")
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")


def _call(arguments: argparse.Namespace) -> int:
    import asyncio

    from paas_runner.commands.output import Table, note, show, show_json
    from paas_runner.config import load
    from paas_runner.executor.contract import installed
    from paas_runner.logs import configure, redactor
    from paas_runner.service.process import real_edges

    config = load(arguments.config, environ=os.environ, executors=installed())
    configure(level="warning", form="text", stream=sys.stderr)
    redactor.add(config.secrets)
    now = datetime.now(UTC)
    installation = known_installation(config, now)
    if installation is None:
        note("paas-runner expire: the service has never been started here, so it has no hosts")
        return Exit.OK
    found = asyncio.run(expire(config, real_edges(), installation, now=now, remove=not arguments.dry_run))
    for each in found.not_asked:
        note(f"paas-runner expire: the hosts of {each['runner']} could not be looked for: {each['why']}")
    if arguments.json:
        show_json(found.document)
    else:
        removed = len(found.hosts) - found.overdue
        rows = [
            (each.host.name, each.host.ref[:12], each.host.ends_at.isoformat(timespec="seconds"), _fate(each))
            for each in found.hosts
        ]
        table = [Table(head=("NAME", "HOST", "ENDED", ""), rows=rows)] if rows else []
        show(*table, f"over their time: {len(rows)}, removed: {removed}")
    return Exit.FAILED if found.overdue or found.not_asked else Exit.OK


def _fate(judged: Judged) -> str:
    return "removed" if judged.removed else judged.why or "left"


def known_installation(config: "Config", now: datetime) -> str | None:
    """The id whose hosts may be removed, from wherever it is kept; None where nothing ever ran.

    Raises `StoreError` when the store cannot be read and no other place has the id.
    """
    from paas_runner.service.installation import in_force, waiting_state
    from paas_runner.store import NoStoreError, StoreError
    from paas_runner.store.snapshot import take

    try:
        return in_force(config, stored=take(config.store).installation, waiting=None)
    except StoreError as error:
        found = in_force(config, stored=None, waiting=waiting_state(config, now))
        if found is None and not isinstance(error, NoStoreError):
            raise
        return found


async def expire(
    config: "Config", edges: "Edges", installation: str, *, now: datetime, remove: bool
) -> Expiry:
    """Look on all engines of the configuration, one after another, and remove what is over."""
    from paas_runner.service.assembly import built_executor

    found = Expiry(installation=installation)
    for runner in config.runners:
        executor = built_executor(runner, edges, installation)
        try:
            await _expire_one(found, runner.title, executor, now=now, remove=remove)
        except RemoteError as error:
            found.not_asked.append({"runner": runner.title, "why": str(error)})
        finally:
            await executor.aclose()
    return found


async def _expire_one(
    found: Expiry, runner: str, executor: "Executor", *, now: datetime, remove: bool
) -> None:
    """Raises `RemoteError` when the hosts cannot be listed."""
    from paas_runner.commands.output import note
    from paas_runner.executor.optional import Expiring

    if not isinstance(executor, Expiring):
        found.others.append(runner)
        return
    seen = {each.host.ref for each in found.hosts}  # of another section with the same engine
    for host in await executor.overdue(now):
        if host.ref in seen:
            continue
        judged = Judged(runner=runner, host=host)
        if remove:
            note(f"removing {host.name} ({host.ref[:12]}), which was to end at {host.ends_at.isoformat()}")
            try:
                await executor.expire(host)
            except RemoteError as error:
                judged = attrs.evolve(judged, why=str(error))
            else:
                judged = attrs.evolve(judged, removed=True)
        found.hosts.append(judged)


COMMAND = Command(
    name="expire",
    help="remove the hosts that are over their time, without the service",
    description=(
        "Remove the hosts whose written end is over, with all that their jobs have left.\n"
        "Needs neither the service nor its records: a timer calls it, in case that both are away."
    ),
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
