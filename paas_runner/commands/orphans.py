"""`paas-runner orphans`: the hosts that no job needs, and why; with `--delete` they go.

Hosts with this runner's name and another installation's label are shown, and go only where the operator names
that installation. A tenant that cannot be asked is named: nothing is said of its hosts.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from paas_runner.commands.command import Command, add_config
from paas_runner.errors import Exit, UsageError

if TYPE_CHECKING:
    from paas_runner.commands.orphan_search import Found, Row
    from paas_runner.commands.output import Line, Table
    from paas_runner.config import Config

_EPILOG = """\
fields of --json:
  orphans                  how many are left; null when no tenant's hosts could be listed; with --all those
                           count that jobs have, too
  installation             whose hosts were judged
  of_another_installation  how many hosts of this runner's name carry another label (verdict: foreign)
  hosts                    runner, name, host, installation (its label), created_at (or null), verdict,
                           why, removed
  not_asked                runner, tenant ("" where all pay alike, null where none is known), why
  records_lost             why the records cannot be read; null when they can

Without records, since the store is lost or damaged, hosts are shown, and none is removed unless the
installation is named. Make sure that no service works with an installation before its hosts are removed.

With --all the records do not matter: with --delete every host of ours goes, and the jobs on it fail; without
it what would go is shown.

exit codes:
  0   no orphans, or all of them removed
  1   orphans remain, the provider could not be asked, or the records are lost
  2   wrong arguments
  75  with --all --delete: a service works with the records
  74  store and state file cannot be read, and the installation's id is not known either
  78  the configuration is wrong, or cannot be served on this machine
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--delete", action="store_true", help="remove the orphans, as the service would")
    parser.add_argument(
        "--installation",
        metavar="ID",
        type=_installation,
        help="judge the hosts with this label instead, and with --delete remove the orphans among them",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="with --delete remove every host of ours, those of jobs that run, too, while no service works",
    )
    parser.add_argument("--runner", metavar="NAME", help="only the hosts of the runner of this name")
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")


def _installation(text: str) -> str:
    from paas_runner.store.installation import is_installation

    if not is_installation(text):
        raise argparse.ArgumentTypeError("an id has 8 to 64 letters, digits, - and _")
    return text


def _call(arguments: argparse.Namespace) -> int:
    import asyncio
    import contextlib

    from paas_runner.commands.orphan_search import no_service, search_stored
    from paas_runner.commands.output import note, show, show_json
    from paas_runner.config import load
    from paas_runner.executor.contract import installed
    from paas_runner.logs import configure, redactor
    from paas_runner.service.process import real_edges

    config = load(arguments.config, environ=os.environ, executors=installed())
    configure(level="warning", form="text", stream=sys.stderr)
    redactor.add(config.secrets)
    if arguments.runner is not None:
        config = _only(config, arguments.runner)
    with no_service(config) if arguments.all and arguments.delete else contextlib.nullcontext():
        found = asyncio.run(
            search_stored(
                config,
                real_edges(),
                delete=arguments.delete,
                named=arguments.installation,
                everything=arguments.all,
            )
        )
    for each in found.not_asked:
        note(f"paas-runner orphans: {each}")
    if found.of_others:
        note(
            f"{found.of_others} of the hosts carry another installation's label: they go only with "
            "--installation ID --delete, once no service works with that id any more"
        )
    if arguments.json:
        show_json(found.document)
    elif found.listed:
        show(*_page(found))
    return Exit.FAILED if found.orphans or found.not_asked or found.lost else Exit.OK


def _only(config: "Config", runner: str) -> "Config":
    """The configuration with the runners of that name alone; raises `UsageError` where there is none."""
    import attrs

    named = tuple(each for each in config.runners if each.title == runner)
    if not named:
        names = ", ".join(each.title for each in config.runners)
        raise UsageError(f"{config.path}: no runner is called {runner!r}; there are: {names}")
    return attrs.evolve(config, runners=named)


def _page(found: "Found") -> "Sequence[Line | Table]":
    from paas_runner.commands.output import Table

    removed = sum(row.removed for row in found.rows)
    left = "left" if found.condemned else "orphans"
    summary = f"hosts: {len(found.ours)}, {left}: {found.orphans}, removed: {removed}"
    if found.condemned:
        summary += f", ignored: {found.ignored}"
    if found.of_others:
        summary += f", of another installation: {found.of_others}"
    if found.not_asked:
        summary += f", not asked: {len(found.not_asked)}"
    table = Table(head=("NAME", "HOST", "AGE", "VERDICT", "WHY"), rows=[*map(_cells, found.rows)])
    return [table, summary] if found.rows else [summary]


def _cells(row: "Row") -> Sequence[str]:
    from paas_runner.plain_text import span

    host = row.verdict.host
    age = span(datetime.now(UTC) - host.created_at, whole_minutes=True) if host.created_at else "?"
    verdict = f"{row.verdict.kind}, removed" if row.removed else str(row.verdict.kind)
    return host.name, host.ref, age, verdict, row.verdict.why


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
