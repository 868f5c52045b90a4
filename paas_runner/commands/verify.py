"""`paas-runner verify`."""

import argparse

from paas_runner.commands.command import Command, add_config

_EPILOG = """\
marks:
  ✓ known    ✗ not known    ! not to be told now: counted as known

exit codes:
  0   all are known, as far as can be told; or the others' sections are gone
  1   a runner is not known there, or CONFIG cannot be written
  2   wrong arguments, or no such runner
  78  the configuration is wrong, or a section does not stand in one piece
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--name", help="only the runner of this name, or with this short token")
    parser.add_argument("--delete", action="store_true", help="remove the sections of those not known")


def _call(arguments: argparse.Namespace) -> int:
    from register.verification import run

    return run(arguments.config, name=arguments.name, delete=arguments.delete)


COMMAND = Command(
    name="verify",
    help="whether the coordinators know the runners",
    description="Ask the coordinators whether they know the runners of a configuration.",
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
