"""What an operator tells the running service: `paas-runner reload`, `pause` and `resume`."""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

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
        waiting = [f"{key}: waits for a restart" for key in done["restart_needed"]]
        output.show(*([*done["changes"], *waiting] or ["nothing has changed"]))
        output.show(*others_told(done, "each reads its own configuration, and its log says what has changed"))
    return Exit.OK


def others_told(part: Mapping[str, Any], what: str) -> Sequence[str]:
    """A line where other processes with the same store were told, too, and what that means."""
    return [f"told {', '.join(part['told'])}: {what}"] if part.get("told") else []


def _runner(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("runner", metavar="RUNNER", help="its name, or its short token")


def _ask(question: str, arguments: argparse.Namespace) -> int:
    for done in answer({"ask": question, "runner": arguments.runner}, arguments.config):
        output.show(f'runner "{done["runner"]}" {question}d', *others_told(done, "it holds there, too"))
    return Exit.OK


RELOAD = Command(
    name="reload",
    help="make the running service read its configuration again",
    description=(
        "Make the running service read its configuration again, and wait until it works with it.\n"
        "A configuration that is wrong in any way is refused as a whole. Jobs keep what they began with.\n"
        "All processes with the same `state_store` do so, each with its own file; this one is waited for."
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
        "It stays paused until `paas-runner resume`, over restarts and reloads, too, and in all\n"
        "processes with the same `state_store`, whichever has it."
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
