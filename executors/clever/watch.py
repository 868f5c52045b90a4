"""Watching launched hosts: is this job lost, and what may its author be told about it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import attrs
import structlog

from executors.clever.accounts import Account
from executors.clever.api import CleverApi
from executors.clever.deployments import Verdict, look, verdict
from executors.clever.log_tail import tail
from executors.clever.settings import CleverSettings
from paas_runner.errors import RemoteError
from paas_runner.job.tracked import Host
from paas_runner.secret import Secret

log = structlog.stdlib.get_logger(__name__)

MOST_LOG_LINES = 10_000  # read, not shown: the stream has no other way to its end
MOST_CHARACTERS = 200  # of a line
SHORTEST_SECRET = 8


@attrs.frozen(kw_only=True)
class HostWatch:
    """Looks at the hosts of one `[[runners]]` section."""

    settings: CleverSettings
    clock: Callable[[], datetime]
    second_look_after: timedelta
    """A verdict must hold that long; the log lags behind it, too (§5.3)."""

    async def trouble(self, payer: Account, host: Host) -> str | None:
        """The account for the job's author, None while the host may go on; raises `Transient`, `Rejected`."""
        if verdict(await look(payer.api, host.ref)) is None:
            return None
        await asyncio.sleep(self.second_look_after.total_seconds())
        found = verdict(await look(payer.api, host.ref))
        if found is None:
            return None
        lines = await self._log(payer.api, host.ref, found.deployment) if found.deployment else ()
        return account(found, host, self.settings, payer.token, lines)

    async def _log(self, api: CleverApi, ref: str, deployment: str) -> Sequence[str]:
        """The last lines; none when the log cannot be had, which is no reason to keep the rest quiet."""
        try:
            stream = await api.log(ref, deployment=deployment, until=self.clock(), limit=MOST_LOG_LINES)
        except RemoteError as error:
            log.info("no log of the host available", host=ref, reason=str(error))
            return ()
        return tail(stream)


def account(found: Verdict, host: Host, settings: CleverSettings, token: Secret, lines: Sequence[str]) -> str:
    """What was asked for, what the cloud says of it, the end of the log, and what operators can look up."""
    size = f"flavor {host.flavor}, " if host.flavor else ""
    zone = host.details.get("zone", settings.zones[0])
    text = f"The host of this job ({size}zone {zone}) {found.text}."
    if lines:
        shown = "\n".join(f"    {_cut(_masked(line, settings, token))}" for line in lines)
        text += f" The last lines of its own log:\n{shown}\n"
    elif found.deployment:
        text += " Its own log is not available. "
    else:
        text += " "
    return f"{text}Reference for the operators of this runner: {host.ref} {found.deployment}".rstrip()


def _masked(line: str, settings: CleverSettings, token: Secret) -> str:
    """A build may print its environment, which is the operator's, in front of the job's readers."""
    secrets = [token.reveal()]
    secrets += [value for value in settings.cc_extra_env.values() if len(value) >= SHORTEST_SECRET]
    for secret in sorted(secrets, key=len, reverse=True):
        line = line.replace(secret, "[MASKED]")
    return line


def _cut(line: str) -> str:
    return line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 1]}…"
