"""Notifiers of other distributions, as the outbox knows notifiers: what they raise is a notice not taken."""

import asyncio
from typing import Any

import attrs
import structlog

from paas_pipelines.notices.notice import Notice, UndeliveredError
from paas_pipelines.plugins.contract import FailedError, Message
from paas_pipelines.plugins.registry import Built, PluginError

log = structlog.stdlib.get_logger(__name__)

WITHIN_SECONDS = 30.0


@attrs.frozen(kw_only=True)
class PluggedNotifier:
    """One, built when it has something to tell."""

    made: Built

    async def deliver(self, notice: Notice) -> None:
        """As `Notifier` has it."""
        message = Message(
            key=notice.key,
            at=notice.at,
            subject=notice.subject,
            text=notice.text,
            channel=notice.channel,
            link=notice.link,
        )
        plugin = self.made.plugin
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                await self.made.get().deliver(message)
        except FailedError as error:
            raise UndeliveredError(str(error)) from error
        except PluginError as error:
            raise UndeliveredError(str(error)) from error
        except TimeoutError as error:
            raise UndeliveredError(f"{plugin} took longer than {WITHIN_SECONDS:g} s") from error
        except (Exception, SystemExit) as error:
            log.error("plugin_error", distribution=plugin.distribution, exc_info=error)
            raise UndeliveredError(str(plugin.broken(error))) from error

    async def aclose(self) -> None:
        """Let go of what it holds, where it can."""
        made: Any = self.made
        close = getattr(made.get(), "aclose", None) if made.is_made else None
        if close is not None:
            try:
                await close()
            except (Exception, SystemExit) as error:
                log.error("plugin_error", distribution=made.plugin.distribution, exc_info=error)
