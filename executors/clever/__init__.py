"""`executor = "clever-docker"`: hosts are Clever Cloud applications."""

import functools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import attrs

from executors.build_context import Push
from executors.clever.accounts import CloudAccounts, OneAccount, TenantAccounts
from executors.clever.catalogue import Catalogue
from executors.clever.executor import CleverDockerExecutor
from executors.clever.groups import GroupsApi
from executors.clever.questions import QUESTIONS
from executors.clever.settings import PROGRAM, CleverSettings
from executors.clever.tenants import Tenants
from executors.clever.watch import HostWatch
from executors.push.built_in import HttpPush
from paas_runner.executor.contract import RunnerSection
from paas_runner.executor.questions import Question
from paas_runner.http import Connect


@attrs.frozen
class CleverDocker:
    """The executor's entry point; without a `push` of its own it pushes as configured."""

    push: Push | None = None
    clock: Callable[[], datetime] = functools.partial(datetime.now, UTC)
    second_look_after: timedelta = timedelta(seconds=5)
    settings: type[Any] = CleverSettings
    questions: Sequence[Question] = QUESTIONS
    scale: ClassVar[str] = "memory"

    def build(
        self, settings: CleverSettings, section: RunnerSection, connect: Connect
    ) -> CleverDockerExecutor:
        """The executor of one section; raises `RunnerError` when it cannot be served on this machine."""
        return CleverDockerExecutor(
            settings,
            section,
            catalogue=Catalogue(settings, connect),
            accounts=accounts_of(settings, section, connect),
            push=self.push or push_of(settings, connect),
            watch=HostWatch(settings=settings, clock=self.clock, second_look_after=self.second_look_after),
        )


def accounts_of(settings: CleverSettings, section: RunnerSection, connect: Connect) -> CloudAccounts:
    """Who pays for the hosts of the section."""
    if not settings.cc_multi_tenant:
        return OneAccount(settings, connect)
    return TenantAccounts(settings, Tenants(settings, GroupsApi(settings, section, connect)), connect)


def push_of(settings: CleverSettings, connect: Connect) -> Push:
    """Who pushes, as the section has it; raises `RunnerError` when the program cannot be used."""
    return _program_push() if settings.paas_push == PROGRAM else HttpPush(connect)


@functools.cache
def _program_push() -> Push:
    """One for all sections; raises `RunnerError` when the program cannot be used."""
    from executors.push.program import ProgramPush

    return ProgramPush()


KIND = CleverDocker()
