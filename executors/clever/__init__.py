"""`executor = "clever-docker"`: hosts are Clever Cloud applications."""

import functools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

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

    def build(
        self, settings: CleverSettings, section: RunnerSection, connect: Connect
    ) -> CleverDockerExecutor:
        """The executor of one section; raises `RunnerError` when it cannot be served on this machine."""
        accounts: CloudAccounts = OneAccount(settings, connect)
        if settings.cc_multi_tenant:
            accounts = TenantAccounts(
                settings, Tenants(settings, GroupsApi(settings, section, connect)), connect
            )
        return CleverDockerExecutor(
            settings,
            section,
            catalogue=Catalogue(settings, connect),
            accounts=accounts,
            push=self.push or (_program_push() if settings.paas_push == PROGRAM else HttpPush(connect)),
            watch=HostWatch(settings=settings, clock=self.clock, second_look_after=self.second_look_after),
        )


@functools.cache
def _program_push() -> Push:
    """One for all sections; raises `RunnerError` when the program cannot be used."""
    from executors.push.program import ProgramPush

    return ProgramPush()


KIND = CleverDocker()
