"""What an operator tells the running service: `paas-runner reload`, `pause` and `resume`."""

import argparse
from functools import partial

from paas_runner.commands import output
from paas_runner.commands.asking import answer
from paas_runner.commands.command import Command, add_config
from paas_runner.errors import Exit

_EXIT_CODES = """\
exit codes:
  0   done
  1   refused, nothing has changed; or the service is not running
  2   wrong arguments
  78  there is no such configuration file
"""


def _reload(arguments: argparse.Namespace) -> int:
    for done in answer({"ask": "reload"}, arguments.config):
        output.show("\n".join(done["changes"]) or "nothing has changed")
        output.show(*(f"{key}: waits for a restart" for key in done["restart_needed"]))
    return Exit.OK


def _runner(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("runner", metavar="RUNNER", help="its name, or its short token")


def _ask(question: str, arguments: argparse.Namespace) -> int:
    for done in answer({"ask": question, "runner": arguments.runner}, arguments.config):
        output.show(f'runner "{done["runner"]}" {question}d')
    return Exit.OK


RELOAD = Command(
    name="reload",
    help="make the running service read its configuration again",
    description=(
        "Make the running service read its configuration again, and wait until it works with it.\n"
        "A configuration that is wrong in any way is refused as a whole. Jobs keep what they began with."
    ),
    epilog=_EXIT_CODES,
    arguments=add_config,
    call=_reload,
)
PAUSE = Command(
    name="pause",
    help="let a runner ask for no more jobs",
    description=(
        "Let a runner ask for no more jobs; those that it has go on, and a request in flight may bring one.\n"
        "It stays paused until `paas-runner resume`, over restarts and reloads, too."
    ),
    epilog=_EXIT_CODES,
    arguments=_runner,
    call=partial(_ask, "pause"),
)
RESUME = Command(
    name="resume",
    help="let a paused runner ask for jobs again",
    description="Let a paused runner ask for jobs again.",
    epilog=_EXIT_CODES,
    arguments=_runner,
    call=partial(_ask, "resume"),
)
