"""`python -m paas_runner.sandbox`: a sandbox to play with, until Ctrl-C."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from paas_runner.errors import RunnerError
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.server import Sandbox, SandboxOptions

_EPILOG = """\
In a second terminal, run the service on the configuration that was written:

  paas-runner run sandbox.toml

In a third one, submit a pipeline and look at its jobs (the variables are printed at the start):

  curl -H "PRIVATE-TOKEN: $ADMIN" --data-binary @.gitlab-ci.yml $COORDINATOR/sandbox/pipelines
  curl -H "PRIVATE-TOKEN: $ADMIN" $COORDINATOR/sandbox/jobs

Clever Cloud's own command line (clever-tools 4.6 or newer) takes the cloud for the real one, after the
exports that are printed at the start; the first line keeps your own settings out of it:

  export XDG_CONFIG_HOME=$(mktemp -d)
  clever features enable system-git
  clever applications list --org $ORGANISATION

Anyone who has these secrets may run commands as you on this machine. They are made anew at each start, and
the servers answer on 127.0.0.1 alone.

Exit codes: 0 ended by Ctrl-C or SIGTERM; 1 it could not start; 2 wrong arguments.
"""

_SLOW = CloudOptions(
    repository_delay=timedelta(seconds=3),
    deployment_delay=timedelta(seconds=2),
    boot_delay=timedelta(seconds=20),
    build_delay=timedelta(seconds=10),
    deletion_delay=timedelta(seconds=10),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Start one sandbox, print how to use it, and stop it on a signal."""
    parser = argparse.ArgumentParser(
        prog="python -m paas_runner.sandbox",
        description="A GitLab-style coordinator and a Clever Cloud on this machine, without an account "
        "anywhere. Jobs really run: their scripts are executed here, with your rights.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=Path("sandbox.toml"),
        help="where to write the configuration for the service; a file that exists is not replaced "
        "(default: %(default)s, removed at the end)",
    )
    parser.add_argument(
        "--slow", action="store_true", help="let repositories, machines and deletions take about real time"
    )
    options = parser.parse_args(arguments)
    cloud = _SLOW if options.slow else CloudOptions()
    try:
        asyncio.run(_serve(options.config, SandboxOptions(cloud=cloud)))
    except (OSError, RunnerError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(config: Path, options: SandboxOptions) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Sandbox(options) as sandbox:
        with _private_file(config, sandbox.configuration):
            print(f"COORDINATOR={sandbox.coordinator_url}")
            print(f"ADMIN={sandbox.admin_token.reveal()}")
            print(f"CLOUD={sandbox.cloud_api_url}")
            print(f"ORGANISATION={sandbox.organisation_id}")
            for name, value in sandbox.clever_environment.items():
                print(f"export {name}={value}")
            print(f"\n# {config}\n{sandbox.configuration}")
            print("Ready; Ctrl-C ends it.", flush=True)
            await stop.wait()


@contextlib.contextmanager
def _private_file(path: Path, text: str) -> Iterator[None]:
    """A new file that only its owner can read, for as long as the block lasts."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
