"""What `run` takes, in `paas-runner workflow` as in kog (spec kog-jobs.md §9), and how it is read."""

import argparse
from pathlib import Path
from typing import Any

_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))

_TABLE = """
executor    | docker|k8s|runner | on the engine of $DOCKER_HOST, in the cluster of $KUBECONFIG, on --runners
runners     | FILE        | for --executor runner: a config.toml whose sections with url = "local:" take steps
address     | HOST:PORT   | where their hosts report to; localhost:9010 unless it is given
external-url | URL        | by which they reach that, where it is not http://HOST:PORT
workflow         | NAME        | begin in this workflow instead of `current_workflow`
step             | NAME        | begin with this step instead of `current_step`
context          | FILE        | an object in JSON or YAML (path or URL): its keys replace those of the file's
env              | NAME=value+ | a variable of all containers
env-file         | FILE+       | variables of all containers, in dotenv format (path or URL)
ignore-env       | NAMES+      | names or shell patterns, with commas between, that are not imported
volume           | SRC:DST+    | as of `docker run`, for all containers; with docker alone
notifier         | WHERE+      | `console`, or a URL to which the job is sent at each step's start
log-formatter    | logfmt|json | form of the log
remote-logger    | syslog      | where the log is sent, too
remote-logger-addr | HOST:PORT | and its address, usually with port 514
"""


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """All but the file; a `+` is for what may be repeated."""
    add_state(parser)
    for row in _TABLE.strip().splitlines():
        name, values, text = (cell.strip() for cell in row.split(" | "))
        more: dict[str, Any] = {"metavar": values}
        if values.islower():
            choices = values.split("|")
            more = {"choices": choices, "default": choices[0] if choices[1:] else None}
        elif values.endswith("+"):
            more = {"metavar": values[:-1], "action": "append", "default": []}
            text += "; repeatable"
        parser.add_argument(f"--{name}", help=text, **more)
    parser.add_argument("--import-current-env", action="store_true", help="all variables of this program")
    told = "end with the job's return code (the default); with =false with 0, however it has ended"
    parser.add_argument(
        "--use-job-rc", metavar="BOOL", type=_boolean, nargs="?", const=True, default=True, help=told
    )


def add_state(parser: argparse.ArgumentParser) -> None:
    """Of all commands that look for executions."""
    told = (
        "where executions are kept ($STATE_DIRECTORY/workflows, or paas-runner/workflows in $XDG_STATE_HOME)"
    )
    parser.add_argument("--state", type=Path, metavar="FOLDER", help=told)


def _boolean(text: str) -> bool:
    if text not in _TRUE | _FALSE:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text in _TRUE
