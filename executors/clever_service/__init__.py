"""`executor = "clever-service-docker"`: hosts are Clever Cloud applications that stay up."""

import functools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import attrs

from executors.build_context import Push
from executors.clever import accounts_of, push_of
from executors.clever.catalogue import Catalogue
from executors.clever.questions import QUESTIONS as OF_CLEVER_DOCKER
from executors.clever.watch import HostWatch
from executors.clever_service.executor import CleverServiceExecutor
from executors.clever_service.settings import REFERENCE_IMAGE, CleverServiceSettings
from paas_runner.executor.contract import RunnerSection
from paas_runner.executor.questions import Question, names_an_image
from paas_runner.http import Connect

QUESTIONS: Sequence[Question] = (
    *OF_CLEVER_DOCKER,
    Question(
        key="heptapod_paas_runner_helper_image",
        prompt="Image of the helper service",
        default=REFERENCE_IMAGE,
        check=names_an_image,
    ),
)


@attrs.frozen
class CleverService:
    """The executor's entry point; without a `push` of its own it pushes as configured."""

    push: Push | None = None
    clock: Callable[[], datetime] = functools.partial(datetime.now, UTC)
    second_look_after: timedelta = timedelta(seconds=5)
    settings: type[Any] = CleverServiceSettings
    questions: Sequence[Question] = QUESTIONS
    scale: ClassVar[str] = "memory"

    def build(
        self, settings: CleverServiceSettings, section: RunnerSection, connect: Connect
    ) -> CleverServiceExecutor:
        """The executor of one section; raises `RunnerError` when it cannot be served on this machine."""
        return CleverServiceExecutor(
            settings,
            section,
            catalogue=Catalogue(settings, connect),
            accounts=accounts_of(settings, section, connect),
            push=self.push or push_of(settings, connect),
            watch=HostWatch(
                settings=settings, clock=self.clock, second_look_after=self.second_look_after, stays=True
            ),
            connect=connect,
        )


KIND = CleverService()
