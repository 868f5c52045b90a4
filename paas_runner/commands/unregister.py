"""`paas-runner unregister`."""

import argparse
import os

from paas_runner.commands.command import Command, add_config
from paas_runner.secret import Secret

_EPILOG = """\
A runner that was created at the coordinator (token glrt-…) stays there, and only loses this machine; any
other is removed. Its section goes from CONFIG once the coordinator has agreed; what its `secrets_file` has
stays. A runner with tracked jobs is refused: they could not be followed to their end.

exit codes:
  0   unregistered, and no longer in CONFIG
  1   the coordinator did not agree or cannot be reached, there are tracked jobs, or CONFIG cannot be written
  2   wrong arguments, or no such runner
  78  the configuration is wrong, or the section does not stand in one piece
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--name", help="the runner of this name, or with this short token")
    parser.add_argument("--all-runners", action="store_true", help="all runners of the file")
    parser.add_argument("-t", "--token", help="the runner with this token at --url [$CI_SERVER_TOKEN]")
    parser.add_argument("-u", "--url", help="its coordinator's address [$CI_SERVER_URL]")
    parser.add_argument("--force", action="store_true", help="although jobs of it are tracked")


def _call(arguments: argparse.Namespace) -> int:
    from register.removal import Request, run

    token = arguments.token or os.environ.get("CI_SERVER_TOKEN")
    return run(
        Request(
            config=arguments.config,
            name=arguments.name,
            token=Secret(token) if token else None,
            url=arguments.url or os.environ.get("CI_SERVER_URL"),
            every=arguments.all_runners,
            forced=arguments.force,
        )
    )


COMMAND = Command(
    name="unregister",
    help="remove a runner at its coordinator, and its section",
    description="Remove a runner at its coordinator, and its section from the configuration.",
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
