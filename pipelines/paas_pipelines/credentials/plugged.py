"""Credentials whose values another distribution fetches: in the TOML alone, each asked for when it is used.

What a plug-in raises may have the secret in its text, so only that of a `FailedError` is told.
"""

import asyncio
from collections.abc import Sequence

import attrs
import structlog

from paas_pipelines.plugins.contract import FailedError
from paas_pipelines.plugins.registry import Built, PluginError
from paas_runner.secret import Secret

log = structlog.stdlib.get_logger(__name__)

WITHIN_SECONDS = 30.0


class SourceError(Exception):
    """No value; the text is for its user."""


@attrs.frozen(kw_only=True)
class PluggedCredential:
    """One of the settings file."""

    type: str
    fields: Sequence[str]
    """What it has; the first is meant where none is named."""

    made: Built = attrs.field(repr=False)

    async def value(self, field: str) -> Secret:
        """Raises `SourceError`."""
        plugin = self.made.plugin
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                found = await self.made.get().value(field)
        except (FailedError, PluginError) as error:
            raise SourceError(str(error)) from None
        except TimeoutError:
            raise SourceError(f"{plugin} took longer than {WITHIN_SECONDS:g} s") from None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - of foreign code
            where = f"{type(error).__module__}.{type(error).__name__}"
            log.error("plugin_error", distribution=plugin.distribution, reason=where)
            raise SourceError(str(plugin.broken(error))) from None
        value = found if isinstance(found, Secret) else Secret(found) if isinstance(found, str) else None
        if value is None or not value.reveal():
            raise SourceError(f'{plugin} gives no value for "{field}"')
        return value
