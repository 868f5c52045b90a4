"""Signals that ask the service what commands ask it: one way in, however one comes."""

import asyncio
import signal
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import structlog

from paas_runner.control import Answer, ControlServer
from paas_runner.errors import RunnerError

log = structlog.stdlib.get_logger(__name__)

QUESTIONS: Mapping[signal.Signals, str] = {
    signal.SIGHUP: "reload",
    signal.SIGQUIT: "drain",
    signal.SIGUSR1: "dump",
}
"""SIGQUIT as GitLab Runner has it: no new jobs, and the end after the last."""


class AskingSignals:
    """Asks the answers that are put on the control socket, without the socket."""

    def __init__(self) -> None:
        """Nobody answers yet."""
        self._answers: Mapping[str, Answer] = {}
        self._asking: set[asyncio.Task[None]] = set()

    def control(self, path: Path, answers: Mapping[str, Answer]) -> AbstractAsyncContextManager[object]:
        """A `Control`: the socket, with these answers for signals, too."""
        self._answers = answers
        return ControlServer(path, answers)

    def ask(self, question: str) -> None:
        """For a signal handler; whatever comes of it is told in the log."""
        if question not in self._answers:
            log.warning("a signal came too early: the service is still starting", asked=question)
            return
        task = asyncio.create_task(self._asked(question), name=question)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _asked(self, question: str) -> None:
        try:
            async for _ in self._answers[question]({}):
                pass
        except RunnerError:
            log.debug("a signal was refused", asked=question)  # whoever refused has told why
        except Exception:
            # a bug in an answer must not end the service
            log.exception("unexpected error: a signal was not answered", asked=question)
