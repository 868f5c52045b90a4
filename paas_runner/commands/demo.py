"""`paas-runner demo`."""

import argparse
import sys
from pathlib import Path

from paas_runner.commands.command import Command
from paas_runner.errors import Exit

_EPILOG = """\
exit codes:
  0  all jobs and hosts are accounted for
  1  they are not; the reason is printed
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pipeline", type=Path, metavar="FILE", help="a .gitlab-ci.yml of your own to run")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document at the end, nothing else"
    )
    parser.add_argument(
        "--executor",
        choices=("clever-docker", "local-docker"),
        default="clever-docker",
        help="where hosts are: in the sandbox's cloud, or on this machine's Docker engine, $DOCKER_HOST or "
        "the standard socket (default: %(default)s)",
    )
    parser.add_argument(
        "--image",
        default="paas-runner-inner",
        help="image of hosts on a Docker engine, made by packaging/images/build (default: %(default)s)",
    )


def _call(arguments: argparse.Namespace) -> int:
    try:
        from paas_runner.demo import run
    except ModuleNotFoundError as error:
        print(
            f"paas-runner demo needs more packages ({error.name}): pip install 'paas-runner[demo]'",
            file=sys.stderr,
        )
        return Exit.FAILED
    return run(
        pipeline=arguments.pipeline,
        as_json=arguments.json,
        executor=arguments.executor,
        image=arguments.image,
    )


COMMAND = Command(
    name="demo",
    help="see real jobs run by the real service, without an account anywhere",
    description=(
        "Start a sandbox on loopback (a coordinator, a cloud, hosts that run scripts on this machine), "
        "start the service on it,\nsubmit a pipeline, restart the service in the middle, and account for "
        "every job and every host."
    ),
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
