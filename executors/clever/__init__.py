"""`executor = "clever-docker"`: hosts are Clever Cloud applications."""

import functools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from executors.clever.api import CleverApi
from executors.clever.executor import CleverDockerExecutor
from executors.clever.settings import CleverSettings
from executors.clever.watch import HostWatch
from executors.push import Push
from paas_runner.errors import RunnerError
from paas_runner.executor import RunnerSection
from paas_runner.http import Connect


@attrs.frozen
class CleverDocker:
    """The executor's entry point; without a `push` of its own it pushes with git."""

    push: Push | None = None
    clock: Callable[[], datetime] = functools.partial(datetime.now, UTC)
    second_look_after: timedelta = timedelta(seconds=5)
    settings: type[Any] = CleverSettings

    def build(
        self, settings: CleverSettings, section: RunnerSection, connect: Connect
    ) -> CleverDockerExecutor:
        """The executor of one section; raises `RunnerError` when it cannot be served on this machine."""
        if settings.cc_orga_id is None or settings.cc_token is None:
            raise RunnerError(
                f"runner {section.name!r}: `cc_multi_tenant` is not supported yet; "
                "give `cc_orga_id` and `cc_token` instead"
            )
        api = CleverApi(
            settings.cc_api_url, organisation=settings.cc_orga_id, token=settings.cc_token, connect=connect
        )
        watch = HostWatch(
            api=api, settings=settings, clock=self.clock, second_look_after=self.second_look_after
        )
        push = self.push or _git_push()
        return CleverDockerExecutor(
            settings, section, api=api, push=push, token=settings.cc_token, watch=watch
        )


@functools.cache
def _git_push() -> Push:
    """One for all sections; imported late, because the library cannot be imported without the program."""
    try:
        from executors.git_push import GitPush
    except ImportError as error:
        raise RunnerError("the program `git` was not found on PATH: install it") from error
    return GitPush()


KIND = CleverDocker()
