"""`paas-runner pause` and `paas-runner resume`."""

import argparse
from collections.abc import Callable
from functools import partial

from paas_runner.commands.asking import EXIT_CODES, Parts, asked
from paas_runner.commands.command import Command, add_config
from paas_runner.errors import Exit


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("runner", metavar="RUNNER", help="its name, or its short token")


def _call(command: str) -> Callable[[argparse.Namespace], int]:
    def call(arguments: argparse.Namespace) -> int:
        request = {"ask": command, "runner": arguments.runner}
        return asked(request, arguments.config, partial(_tell, command))

    return call


def _tell(command: str, parts: Parts) -> int:
    for done in parts:
        print(f'runner "{done["runner"]}" {command}d')
    return Exit.OK


PAUSE = Command(
    name="pause",
    help="let a runner ask for no more jobs",
    description=(
        "Let a runner ask for no more jobs; those that it has go on, and a request in flight may bring one.\n"
        "It stays paused until `paas-runner resume`, over restarts and reloads, too."
    ),
    epilog=EXIT_CODES,
    arguments=_arguments,
    call=_call("pause"),
)
RESUME = Command(
    name="resume",
    help="let a paused runner ask for jobs again",
    description="Let a paused runner ask for jobs again.",
    epilog=EXIT_CODES,
    arguments=_arguments,
    call=_call("resume"),
)
