"""`paas-runner check`."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from paas_runner.commands import output, progress
from paas_runner.commands.command import Command, add_config
from paas_runner.errors import Exit

if TYPE_CHECKING:
    from paas_runner.executor.checks import CheckResult

_MARKS: Mapping[str, tuple[str, str]] = {
    "fine": ("✓", "green"),
    "warning": ("!", "yellow"),
    "fault": ("✗", "red"),
    "skipped": ("-", "dim"),
}
"""By the grade of a result: its mark, and how it is painted."""

_EPILOG = """\
what is checked:
  the file      everything that the service would say about it, with file and line
  this machine  git; whether the state can be written, what is in it, who works on it; modes of files;
                whether listen_address is free, while no service runs, and its packages are there
  the database  of `state_store`: whether it can be reached and takes records, its version and tables, what
                this user may do there, who works on it, and whether their runners and modes are ours
  each runner   its token at the coordinator (which lists this machine under the runner from then on); its
                executor: credentials, organisation or tenants, flavors, zones, weight quota
  who is told   whether programs of [[notify]] can be started, and receivers of traces and log be reached
  the clock     ours against those of the coordinator and the cloud
Nothing is created or changed, and the service may run meanwhile. Whatever is asked over the network has a
deadline of 20 seconds; all runners are asked side by side.

marks:
  ✓ fine    ! works, but should be known    ✗ would not work    - not looked at

fields of --json:
  verdict       the worst grade: fine, warning or fault
  counts        how many results have each grade
  results       runner (or null), subject, grade (fine, warning, fault, skipped), text, advice (or null)
  with --show: configuration (the file's own keys) and meaning (sentences, by key)

exit codes:
  0   everything would work; there may be warnings
  1   something would not work
  2   wrong arguments
  78  the configuration is wrong: every complaint is printed with its file and line
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    parser.add_argument("--offline", action="store_true", help="leave out everything that needs the network")
    parser.add_argument(
        "--show",
        action="store_true",
        help=(
            "check the file alone, and print the configuration that is in effect: defaults filled in, "
            "secrets hidden, and what the settings mean in numbers; as TOML, or as JSON with --json"
        ),
    )


def _call(arguments: argparse.Namespace) -> int:
    import asyncio

    from paas_runner.check import shown
    from paas_runner.check.configuration import ConfigurationCheck, read_configuration, worst
    from paas_runner.executor.checks import Grade
    from paas_runner.executor.contract import installed
    from paas_runner.logs import configure, redactor

    configure(level="fatal", form="text", stream=sys.stderr)  # what matters of it is in the results
    kinds = installed()
    config, results = read_configuration(arguments.config, environ=os.environ, executors=kinds)
    if config is None:
        show(results, as_json=arguments.json)
        return Exit.CONFIG
    redactor.add(config.secrets)
    check = ConfigurationCheck(
        config=config, executors=kinds, progress=progress.Waiting(), offline=arguments.offline
    )
    if arguments.show:
        flavors = asyncio.run(check.flavors())
        if arguments.json:
            output.show_json(shown.document(config, flavors))
        else:
            output.show(shown.text(config, flavors))
        return Exit.OK
    results = [*results, *asyncio.run(check.results())]
    show(results, as_json=arguments.json)
    return Exit.FAILED if worst(results) is Grade.FAULT else Exit.OK


def show(results: "Sequence[CheckResult]", *, as_json: bool) -> None:
    """Print them, for people or as one document."""
    if as_json:
        output.show_json(_document(results))
    else:
        output.show(*page(results))


def page(results: "Sequence[CheckResult]") -> Iterator[output.Line | output.Table]:
    """A line for each result, what to do below it, and a summary."""
    yield output.Table(rows=[row for result in results for row in _rows(result)])
    counts = _counts(results)
    yield f"faults: {counts['fault']}, warnings: {counts['warning']}, fine: {counts['fine']}"


def _rows(result: "CheckResult") -> Iterator[Sequence[output.Line]]:
    subject = ": ".join(filter(None, (result.runner, result.subject)))
    yield (output.Painted(*_MARKS[result.grade]), f" {subject}"), result.text
    if result.advice:
        yield "", f"→ {result.advice}"


def _document(results: "Sequence[CheckResult]") -> Mapping[str, Any]:
    """`verdict` is the worst grade."""
    from paas_runner.check.configuration import worst

    return {
        "verdict": str(worst(results)),
        "counts": _counts(results),
        "results": list(map(result_document, results)),
    }


def result_document(result: "CheckResult") -> Mapping[str, Any]:
    """One result, for JSON."""
    return {
        "runner": result.runner or None,
        "subject": result.subject,
        "grade": str(result.grade),
        "text": result.text,
        "advice": result.advice or None,
    }


def _counts(results: "Sequence[CheckResult]") -> Mapping[str, int]:
    from paas_runner.executor.checks import Grade

    found = Counter(result.grade for result in results)
    return {str(grade): found[grade] for grade in Grade}


COMMAND = Command(
    name="check",
    help="whether a configuration would work here: file, tokens, accounts, flavors, state, modes, clock",
    description=(
        "Look at everything that the service needs, without starting it, and say what would not work and "
        "what to do about it."
    ),
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
