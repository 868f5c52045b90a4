"""`paas-runner register`, which is `heptapod-paas-runner-register`, too."""

import argparse

from paas_runner.commands.command import Command
from register import options


def _call(arguments: argparse.Namespace) -> int:
    from register.command import run

    return run(arguments)


COMMAND = Command(
    name="register",
    help="register a runner, and write its section: asked for on a terminal, or scripted",
    description=options.DESCRIPTION,
    epilog=options.EPILOG,
    arguments=options.add_arguments,
    call=_call,
)
