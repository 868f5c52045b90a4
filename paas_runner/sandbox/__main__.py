"""`python -m paas_runner.sandbox`: a sandbox to play with, until Ctrl-C."""

import argparse
import asyncio
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from paas_runner.any_locale import print_in_any_locale
from paas_runner.errors import MissingPackagesError, RunnerError

_EPILOG = """\
In a second terminal, run the service on the configuration that was written:

  paas-runner run sandbox.toml

In a third one, submit a pipeline, and look at its jobs and at the log of one (the variables are printed at
the start):

  curl -H "PRIVATE-TOKEN: $ADMIN" --data-binary @.gitlab-ci.yml $COORDINATOR/sandbox/pipelines
  curl -H "PRIVATE-TOKEN: $ADMIN" $COORDINATOR/sandbox/jobs
  curl -H "PRIVATE-TOKEN: $ADMIN" $COORDINATOR/sandbox/jobs/1/trace

With --kubernetes, kubectl and other clients take the sandbox for a cluster, after the export of KUBECONFIG:

  kubectl get jobs,pods --watch

Registration can be rehearsed, after the exports that are printed at the start: what it writes serves this
sandbox.

  paas-runner register --set cc_api_url=$CLOUD rehearsal.toml

Clever Cloud's own command line (clever-tools 4.6 or newer) takes the cloud for the real one, after the same
exports; the first line keeps your own settings out of it:

  export XDG_CONFIG_HOME=$(mktemp -d)
  clever features enable system-git
  clever applications list --org $ORGANISATION

Anyone who has these secrets may run commands as you on this machine. They are made anew at each start, and
the servers answer on 127.0.0.1 alone.

Exit codes: 0 ended by Ctrl-C or SIGTERM; 1 it could not start; 2 wrong arguments.
"""


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
        "--files",
        metavar="FOLDER",
        type=Path,
        default=Path(),
        help="the repository out of which pipelines may include files (default: the current folder)",
    )
    parser.add_argument(
        "--kubernetes",
        metavar="FILE",
        type=Path,
        nargs="?",
        const=Path("sandbox.kubeconfig"),
        help="serve a Kubernetes API, too, and write how it is reached: a new file, removed at the end "
        "(default: %(const)s)",
    )
    parser.add_argument(
        "--slow", action="store_true", help="let repositories, machines and deletions take about real time"
    )
    print_in_any_locale()
    options = parser.parse_args(arguments)
    try:
        _serve(options)
    except (OSError, RunnerError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return 0


def _serve(options: argparse.Namespace) -> None:
    if shutil.which("git") is None:
        raise RunnerError("the program `git` was not found on PATH: install it, jobs are launched by a push")
    try:
        from paas_runner.sandbox.playground import serve
    except ModuleNotFoundError as error:
        raise MissingPackagesError(error) from error
    kubeconfig = options.kubernetes and options.kubernetes.absolute()
    asyncio.run(serve(options.config, options.files, kubeconfig, slow=options.slow))


if __name__ == "__main__":
    sys.exit(main())
