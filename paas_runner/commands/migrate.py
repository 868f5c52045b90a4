"""`paas-runner migrate`."""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from paas_runner.commands import output
from paas_runner.commands.command import Command, add_config
from paas_runner.errors import Exit

if TYPE_CHECKING:
    from paas_runner.executor.checks import CheckResult
    from paas_runner.migration.fates import JobFate
    from paas_runner.migration.migration import Done, Plan, WayBack

_EPILOG = """\
what is done:
  The configuration is read as this service reads it. Old names of keys become ours, and keys that would be
  refused become comments; comments, order and all else stay. Then what was written is checked as
  `paas-runner check --offline` does. The state file is not changed: the first start takes it in.
  Before that both files are copied, for their owner alone: CONFIG.before-migration, and so the state file.
  No copy is ever overwritten. Where nothing has to be done nothing is; so it is a second time.

--back:
  The configuration is put back, and what was in its place kept as CONFIG.after-migration. A state file that
  was written since stays: this service writes it in the other program's form whenever it stops. It is
  refused where jobs are tracked and no state file tells of them.

fields of --json:
  changes         keys that are written otherwise: line, key, what
  differences     what means something else here
  warnings        what is deprecated, or has no effect
  state           file, from (the version that wrote it, or null)
  jobs            those of the state file: runner, job, host, phase, fate
  possible_hosts  names of hosts that the other program may have been making when it stopped
  aside           what of the state file makes no sense here: the first start keeps it in a file beside it
  kept, written   files; empty with --dry-run
  checks          results, as those of `paas-runner check --json`
  with --back: copy, state (what the other program finds, in words), jobs (what becomes of them there),
                  kept, written

exit codes:
  0   done; with --dry-run: it would work
  1   what was written would not work as it is: the checks say why; or there is nothing to go back to
  2   wrong arguments
  74  a file cannot be read, kept or written, or the state file cannot be understood
  75  one of the programs works with it: stop it first
  78  the configuration is wrong in a way that no migration mends
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--from",
        dest="origin",
        required=True,
        choices=("heptapod-paas-runner",),
        help="the program that served this configuration",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--back", action="store_true", help="go back to that program")
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")


def _call(arguments: argparse.Namespace) -> int:
    from paas_runner.logs import configure
    from paas_runner.migration import migration

    configure(level="fatal", form="text", stream=sys.stderr)  # what matters of it is in the answer
    if arguments.dry_run:
        return _either_way(arguments)
    with migration.only_one(arguments.config.parent):
        return _either_way(arguments)


def _either_way(arguments: argparse.Namespace) -> int:
    from paas_runner.config.load import state_path, store_place
    from paas_runner.config.model import store_path
    from paas_runner.executor.contract import installed
    from paas_runner.migration import migration

    kinds = installed()
    if not arguments.dry_run:
        state = state_path(arguments.config, os.environ)
        place = store_place(arguments.config, os.environ, kinds)
        migration.refuse_while_in_use(arguments.config, place, store_path(state))
    if arguments.back:
        way = migration.way_back(arguments.config, environ=os.environ, executors=kinds)
        return _back(way, arguments)
    plan = migration.planned(arguments.config, environ=os.environ, executors=kinds)
    return _there(plan, arguments)


# --- there -------------------------------------------------------------------------------------------------


def _there(plan: "Plan", arguments: argparse.Namespace) -> int:
    from paas_runner.check.configuration import worst
    from paas_runner.executor.checks import Grade
    from paas_runner.logs import redactor
    from paas_runner.migration import migration

    redactor.add(plan.config.secrets)
    done, results = migration.Done(), []
    if not arguments.dry_run:
        done = migration.migrated(plan)
        results = list(_checked(plan))
    if arguments.json:
        output.show_json(_document(plan, done, results))
    else:
        output.show(*_page(plan, done, results, dry_run=arguments.dry_run))
    return Exit.FAILED if worst(results) is Grade.FAULT else Exit.OK


def _checked(plan: "Plan") -> "Sequence[CheckResult]":
    """As `paas-runner check --offline`, of the file as it is on the disk now."""
    import asyncio

    from paas_runner.check.configuration import ConfigurationCheck, read_configuration
    from paas_runner.commands import progress
    from paas_runner.executor.contract import installed

    kinds = installed()
    config, results = read_configuration(plan.config.path, environ=os.environ, executors=kinds)
    if config is None:
        return results
    check = ConfigurationCheck(config=config, executors=kinds, progress=progress.Waiting(), offline=True)
    return [*results, *asyncio.run(check.results())]


def _page(
    plan: "Plan", done: "Done", results: "Sequence[CheckResult]", *, dry_run: bool
) -> Iterator[output.Line | output.Table]:
    from paas_runner.check.configuration import worst
    from paas_runner.commands.check import page
    from paas_runner.executor.checks import Grade

    changes = [(f"  line {change.line}", change.key, change.what) for change in plan.changes]
    yield from _part(f"{plan.config.path}: written otherwise", changes)
    yield from _part("means something else here", [("  -", each) for each in plan.differences])
    yield from _part("deprecated, or without effect", [("  -", each) for each in plan.warnings])
    yield from _state(plan)
    yield ""
    if dry_run:
        yield "nothing was changed: --dry-run"
        return
    yield from _files(done)
    yield ""
    yield from page(results)
    if worst(results) is not Grade.FAULT:
        yield f"next: start this service with {plan.config.path}"


def _part(title: str, rows: Sequence[Sequence[str]]) -> Iterator[output.Line | output.Table]:
    if not rows:
        yield f"{title}: nothing"
        return
    yield f"{title}:"
    yield output.Table(rows=rows)


def _state(plan: "Plan") -> Iterator[output.Line | output.Table]:
    from paas_runner.migration.meaning import OURS

    path = plan.config.state_file
    if not plan.state_from:
        yield f"{path}: not there; the other program writes it when it stops"
        return
    writer = plan.state_from if plan.state_from == OURS else f"heptapod-paas-runner {plan.state_from}"
    yield f"{path}: written by {writer}, tracked jobs: {len(plan.jobs)}"
    yield from _fates(plan.jobs)
    for name in plan.possible_hosts:
        yield f"  {name} may have been in the making: look for it at the provider, and remove it there"
    for about in plan.aside:
        yield f"  {about}; kept in a file beside it at the first start: look for its host at the provider"


def _fates(jobs: "Sequence[JobFate]") -> Iterator[output.Table]:
    if jobs:
        rows = [(each.runner, str(each.job), each.host or "-", each.fate) for each in jobs]
        yield output.Table(head=["RUNNER", "JOB", "HOST", "WHAT BECOMES OF IT"], rows=rows)


def _files(done: "Done") -> Iterator[str]:
    yield from (f"kept: {path}" for path in done.kept)
    yield from (f"written: {path}" for path in done.written)
    if not done.written:
        yield "no file had to be changed"


def _document(plan: "Plan", done: "Done", results: "Sequence[CheckResult]") -> Mapping[str, Any]:
    from paas_runner.commands.check import result_document

    return {
        "changes": [attrs.asdict(change) for change in plan.changes],
        "differences": list(plan.differences),
        "warnings": list(plan.warnings),
        "state": {"file": str(plan.config.state_file), "from": plan.state_from or None},
        "jobs": [attrs.asdict(job) for job in plan.jobs],
        "possible_hosts": list(plan.possible_hosts),
        "aside": list(plan.aside),
        **_file_names(done),
        "checks": [result_document(result) for result in results],
    }


def _file_names(done: "Done") -> Mapping[str, Any]:
    return {"kept": list(map(str, done.kept)), "written": list(map(str, done.written))}


# --- back --------------------------------------------------------------------------------------------------


def _back(way: "WayBack", arguments: argparse.Namespace) -> int:
    from paas_runner.migration import migration

    done = migration.Done()
    if not arguments.dry_run:
        done = migration.gone_back(way)
    if arguments.json:
        jobs = [attrs.asdict(job) for job in way.jobs]
        output.show_json({"copy": str(way.copy), "state": way.state, "jobs": jobs, **_file_names(done)})
        return Exit.OK
    output.show(f"{way.config}: put back from {way.copy.name}", way.state, *_fates(way.jobs), "")
    if arguments.dry_run:
        output.show("nothing was changed: --dry-run")
    else:
        output.show(*_files(done), f"next: start heptapod-paas-runner with {way.config}")
    return Exit.OK


COMMAND = Command(
    name="migrate",
    help="from heptapod-paas-runner to this service, and back: what changes, and what becomes of its jobs",
    description=(
        "Prepare the configuration of heptapod-paas-runner (0.5.0, 1.1.1) for this service, and say what\n"
        "means something else and what becomes of each job in its state file. Stop that program first."
    ),
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
