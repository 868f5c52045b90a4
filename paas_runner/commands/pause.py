"""`paas-runner pause` and `paas-runner resume`."""

import argparse
from functools import partial

from paas_runner.commands import output
from paas_runner.commands.asking import EXIT_CODES, answer
from paas_runner.commands.command import Command, add_config
from paas_runner.errors import Exit


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("runner", metavar="RUNNER", help="its name, or its short token")


def _call(question: str, arguments: argparse.Namespace) -> int:
    for done in answer({"ask": question, "runner": arguments.runner}, arguments.config):
        output.show(f'runner "{done["runner"]}" {question}d')
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
    call=partial(_call, "pause"),
)
RESUME = Command(
    name="resume",
    help="let a paused runner ask for jobs again",
    description="Let a paused runner ask for jobs again.",
    epilog=EXIT_CODES,
    arguments=_arguments,
    call=partial(_call, "resume"),
)
