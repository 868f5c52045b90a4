"""The command: a configuration in, lines or a document out. The service may run meanwhile."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from paas_runner.check import shown
from paas_runner.check.survey import Survey, read_configuration
from paas_runner.checking import views
from paas_runner.checking.progress import TerminalProgress
from paas_runner.errors import Exit
from paas_runner.executor.checks import CheckResult, Grade
from paas_runner.executor.contract import installed
from paas_runner.logs import configure, redactor


def run(path: Path, *, show: bool, as_json: bool, offline: bool) -> int:
    """Check the configuration, or with `show` print it as it is in effect; returns the exit code."""
    configure(level="fatal", form="text", stream=sys.stderr)  # what matters of it is in the results
    kinds = installed()
    config, results = read_configuration(path, environ=os.environ, executors=kinds)
    if config is None:
        _print_results(results, as_json=as_json)
        return Exit.CONFIG
    redactor.add(config.secrets)
    survey = Survey(config=config, executors=kinds, progress=TerminalProgress(sys.stderr), offline=offline)
    if show:
        sizes = asyncio.run(survey.sizes())
        _print(shown.document(config, sizes) if as_json else shown.text(config, sizes))
        return Exit.OK
    results = [*results, *asyncio.run(survey.results())]
    _print_results(results, as_json=as_json)
    return Exit.FAILED if views.worst(results) is Grade.FAULT else Exit.OK


def _print_results(results: Sequence[CheckResult], *, as_json: bool) -> None:
    _print(views.document(results) if as_json else views.text(results, colours=sys.stdout.isatty()))


def _print(text: str) -> None:
    """The last guard: no registered secret leaves, wherever it may have come from."""
    print(redactor.text(text))
