"""The commands for people who decide and look after triggers; what they do is in `automating`."""

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from paas_pipelines.cli.client import AS, RUN, argument, command, words
from paas_runner.commands.command import Command
from paas_runner.errors import Exit

if TYPE_CHECKING:
    from paas_pipelines.cli.asking import Server

_JSON = argument("--json", action="store_true", help="print one JSON document, as the API has it")
_TASK = argument("--task", metavar="TASK", help="which approval, where the run asks for several")
_TRIGGER = argument("trigger", metavar="PIPELINE/TRIGGER", help="as `triggers` shows it")


def _call(name: str) -> Callable[[argparse.Namespace, "Server"], Exit | None]:
    """The function of that name in `automating`, imported when it is called."""

    def called(arguments: argparse.Namespace, server: "Server") -> None:
        from paas_pipelines.cli import automating

        getattr(automating, name)(arguments, server)

    return called


AUTOMATION: Sequence[Command] = (
    command(
        *("approvals", "what waits for people to decide", _call("approvals")),
        argument("--mine", action="store_true", help="only what you can decide"),
        _JSON,
        AS,
    ),
    command(
        *("approve", "approve what a run asks for, after showing what it is about", _call("approve")),
        RUN,
        words("values", metavar="NAME=value", help="what the approval asks for"),
        _TASK,
        argument("--reason", metavar="TEXT", help="why; some approvals need it"),
        AS,
    ),
    command(
        *("reject", "reject what a run asks for: one rejection is enough", _call("reject")),
        RUN,
        _TASK,
        argument("--reason", metavar="TEXT", help="why; some approvals need it"),
        AS,
    ),
    command(
        *("rerun", "start a run again with the same variables; approvals are asked anew", _call("rerun")),
        RUN,
        AS,
    ),
    command(
        *("outputs", "what a run and its tasks have told those after them", _call("outputs")),
        RUN,
        _JSON,
        AS,
    ),
    command(
        *("triggers", "what starts pipelines without anybody: next times, paused or not", _call("triggers")),
        _JSON,
        AS,
    ),
    command(
        *("fire", "start what a trigger starts, now, whatever its condition says", _call("fire")),
        _TRIGGER,
        AS,
    ),
    command(
        *("pause", "have a trigger start nothing until it is resumed", _call("pause")),
        _TRIGGER,
        AS,
    ),
    command(
        *("resume", "have a paused trigger start runs again; nothing is caught up", _call("resume")),
        _TRIGGER,
        AS,
    ),
    command(
        *("events", "what has happened that might start runs, and what became of it", _call("events")),
        argument("event", metavar="EVENT", nargs="?", help="that one alone, with what came with it"),
        argument("--retry", action="store_true", help="have a dead event handled again"),
        argument("--last", type=int, default=20, metavar="N", help="so many events (default: %(default)s)"),
        _JSON,
        AS,
    ),
    command(
        *("leaks", "what of executors could not be taken away, for people to look after", _call("leaks")),
        _JSON,
        AS,
    ),
)
