"""The ways to people: what each of them is, and how it is made from its settings."""

from collections.abc import Mapping
from typing import Protocol

from paas_pipelines.notices.notice import Notice
from paas_pipelines.notices.plugged import PluggedNotifier
from paas_pipelines.notices.settings import MAIL, NotifierSettings
from paas_pipelines.plugins.registry import Built
from paas_runner.errors import Exit, RunnerError
from paas_runner.http import Connect
from paas_runner.loop.timing import Clock


class Notifier(Protocol):
    """One way to somebody."""

    async def deliver(self, notice: Notice) -> None:
        """Raises `UndeliveredError`; it has a deadline of its own."""

    async def aclose(self) -> None:
        """Let go of connections."""


class NotifierError(RunnerError):
    """One that cannot be used on this machine."""

    exit_code = Exit.CONFIG


def notifiers_of(
    settings: Mapping[str, NotifierSettings | Built], connect: Connect, clock: Clock
) -> Mapping[str, Notifier]:
    """By name; raises `NotifierError` for certificates or a proxy that cannot be used."""
    return {name: _notifier(name, each, connect, clock) for name, each in settings.items()}


def _notifier(name: str, settings: NotifierSettings | Built, connect: Connect, clock: Clock) -> Notifier:
    if isinstance(settings, Built):
        return PluggedNotifier(made=settings)
    from paas_pipelines.notices.mail import Mail
    from paas_pipelines.notices.posting import Posting

    try:
        return Mail(settings) if settings.type == MAIL else Posting(name, settings, connect, clock)
    except (OSError, RunnerError) as error:
        raise NotifierError(f"notifier {name}: cannot be used: {error}") from error
