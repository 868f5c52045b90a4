"""The command line.

`heptapod-paas-runner CONFIG` is the service, as in the program that we replace; `paas-runner` has commands.
"""

import argparse
from collections.abc import Sequence

from paas_runner import __version__
from paas_runner.commands import (
    check,
    costs,
    demo,
    drain,
    explain,
    list_runners,
    orphans,
    pause,
    register,
    reload,
    run,
    status,
    unregister,
    verify,
)
from paas_runner.commands.command import Command, exit_code_of

_DESCRIPTION = "Run CI jobs of GitLab or Heptapod on hosts that exist only while a job needs them."

# In the order of --help. Those that another distribution may bring (entry-point group `paas_runner.commands`)
# have their place here, too.
COMMANDS: Sequence[Command] = (
    run.COMMAND,
    register.COMMAND,
    unregister.COMMAND,
    verify.COMMAND,
    list_runners.COMMAND,
    check.COMMAND,
    status.COMMAND,
    explain.COMMAND,
    reload.COMMAND,
    drain.COMMAND,
    pause.PAUSE,
    pause.RESUME,
    orphans.COMMAND,
    costs.COMMAND,
    demo.COMMAND,
)


def service(arguments: Sequence[str] | None = None) -> int:
    """`heptapod-paas-runner`."""
    parser = argparse.ArgumentParser(
        prog="heptapod-paas-runner",
        description=_DESCRIPTION,
        epilog=run.COMMAND.epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.COMMAND.arguments(parser)
    chosen = parser.parse_args(arguments)
    return exit_code_of(parser.prog, lambda: run.COMMAND.call(chosen))


def main(arguments: Sequence[str] | None = None) -> int:
    """`paas-runner`."""
    parser = argparse.ArgumentParser(
        prog="paas-runner", description=_DESCRIPTION, epilog="Each command has its own --help."
    )
    parser.add_argument("--version", action="version", version=f"paas-runner {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.name,
            help=command.help,
            description=command.description,
            epilog=command.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.arguments(subparser)
        subparser.set_defaults(call=command.call, program=subparser.prog)
    chosen = parser.parse_args(arguments)
    return exit_code_of(chosen.program, lambda: int(chosen.call(chosen)))
