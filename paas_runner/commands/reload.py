"""`paas-runner reload`."""

import argparse

from paas_runner.commands import output
from paas_runner.commands.asking import EXIT_CODES, answer
from paas_runner.commands.command import Command, add_config
from paas_runner.errors import Exit


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)


def _call(arguments: argparse.Namespace) -> int:
    for done in answer({"ask": "reload"}, arguments.config):
        output.show("\n".join(done["changes"]) or "nothing has changed")
        output.show(*(f"{key}: waits for a restart" for key in done["restart_needed"]))
    return Exit.OK


COMMAND = Command(
    name="reload",
    help="make the running service read its configuration again",
    description=(
        "Make the running service read its configuration again, and wait until it works with it.\n"
        "A configuration that is wrong in any way is refused as a whole. Jobs keep what they began with."
    ),
    epilog=EXIT_CODES,
    arguments=_arguments,
    call=_call,
)
