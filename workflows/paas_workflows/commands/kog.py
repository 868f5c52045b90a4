"""`kog`, with the command line that it has elsewhere (spec kog-jobs.md §9)."""

import argparse
from collections.abc import Sequence

from paas_runner.commands.command import exit_code_of
from paas_runner.commands.output import note
from paas_runner.errors import RunnerError, UsageError
from paas_runner.lean_imports import import_structlog_without_rich
from paas_workflows import __version__
from paas_workflows.commands.options import add_run_options
from paas_workflows.commands.workflow import OUR_CODES, RUN_CODES, run_file

KOG_CODES = """\
  2       an error of ours: a wrong file, option, engine or record
"""
_INSTALLED = "this kog is a part of paas-workflows %s, which a package manager has installed"


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script."""
    return exit_code_of("kog", lambda: _main(arguments))


def parser() -> argparse.ArgumentParser:
    """What it takes."""
    made = argparse.ArgumentParser(prog="kog", description="Run a job file, a workflow of containers.")
    made.add_argument("--version", action="version", version=f"paas-workflows {__version__}")
    commands = made.add_subparsers(metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run",
        help="run a job file to its end",
        epilog=RUN_CODES.replace(OUR_CODES, KOG_CODES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("-f", "--file", required=True, metavar="FILE", help="a path or URL, in JSON or YAML")
    add_run_options(run)
    run.set_defaults(call=_run)
    upgrade = commands.add_parser("upgrade", help="says how to install the newest version")
    upgrade.set_defaults(call=_upgrade)
    switch = commands.add_parser("switch-to", help="says how to install another version")
    wanted = switch.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--version", metavar="#.#.#", help="the version that is wanted")
    wanted.add_argument("--list", action="store_true", help="says how to see which ones there are")
    switch.set_defaults(call=_switch)
    return made


def _main(arguments: Sequence[str] | None) -> int:
    import_structlog_without_rich()
    chosen = parser().parse_args(arguments)
    return int(chosen.call(chosen))


def _run(arguments: argparse.Namespace) -> int:
    """Whatever is wrong with us is 2, since 1 is a job that has failed."""
    from paas_workflows.machine.deciding import OWN_ERROR, exit_code

    try:
        return exit_code(run_file(arguments), use_job_rc=arguments.use_job_rc)
    except RunnerError as error:
        note(str(error) if error.names_its_place else f"kog: {error}")
        return OWN_ERROR


def _upgrade(_arguments: argparse.Namespace) -> int:
    raise UsageError(f"{_INSTALLED % __version__}: in a newer checkout, pip install . ./workflows")


def _switch(arguments: argparse.Namespace) -> int:
    install = f"in a checkout of {arguments.version}, pip install . ./workflows"
    advice = "CHANGELOG.md of a checkout has the others" if arguments.list else install
    raise UsageError(f"{_INSTALLED % __version__}: {advice}")
