"""Watching launched hosts: is this job lost, why is it silent, and what may its author read about it.

Part of that is the end of the application's log, which comes as server-sent events; its messages may contain
colours and carriage returns, which have no place in a job log (spec `clever-cloud-api.md` §5.1).
"""

import asyncio
import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import attrs
import structlog

from executors.clever.accounts import Account
from executors.clever.causes import Case, standstill, verdict
from executors.clever.deployments import Sighting, look, look_closer
from executors.clever.failure_account import HostFacts, ended, particulars
from executors.clever.settings import CleverSettings
from executors.host_log import clean_lines
from paas_runner.errors import RemoteError
from paas_runner.executor.contract import ProvisionedHost
from paas_runner.job.tracked import Host
from paas_runner.job.use import MARK, Use, last_in

log = structlog.stdlib.get_logger(__name__)

SHOWN_LINES = 10
READ_LINES = 10_000  # the stream has no other way to its end
SHORTEST_SECRET = 8
_LINE_END = re.compile(r"\r\n|\r|\n")  # str.splitlines would also split inside of a message


@attrs.frozen(kw_only=True)
class HostWatch:
    """Looks at the hosts of one `[[runners]]` section."""

    settings: CleverSettings
    clock: Callable[[], datetime]
    second_look_after: timedelta
    """A verdict must hold that long; the log lags behind it, too (§5.3)."""

    stays: bool = False
    """Whether hosts run helper services, not one job each."""

    async def trouble(self, payer: Account, provisioned: ProvisionedHost) -> str | None:
        """The account for the job's author, None while the host may go on; raises `Transient`, `Rejected`."""
        host = provisioned.host
        if verdict(await look(payer.api, host.ref)) is None:
            return None
        await asyncio.sleep(self.second_look_after.total_seconds())
        seen = await look(payer.api, host.ref)
        case = verdict(seen)
        if case is None:
            return None
        seen = await look_closer(seen, payer.api, host.ref)
        return ended(await self._facts(payer, provisioned, case, seen))

    async def silence(self, payer: Account, provisioned: ProvisionedHost) -> str:
        """What is known of a host whose job never wrote to its trace; raises `Transient`, `Rejected`."""
        host = provisioned.host
        seen = await look_closer(await look(payer.api, host.ref), payer.api, host.ref)
        return particulars(await self._facts(payer, provisioned, standstill(seen), seen))

    async def use(self, payer: Account, host: Host) -> Use | None:
        """What the job has used, by its log, which may lag behind (§5.3); raises `Transient`, `Rejected`.

        With a limit the stream ends where the line is, whatever the cloud's clock says.
        """
        return last_in(_lines(await payer.api.log(host.ref, until=self.clock(), limit=1, filter=MARK)))

    async def _facts(
        self, payer: Account, provisioned: ProvisionedHost, case: Case, seen: Sighting
    ) -> HostFacts:
        host = provisioned.host
        return HostFacts(
            host=host,
            zone=host.details.get("zone", self.settings.zones[0]),
            seen=seen,
            case=case,
            now=self.clock(),
            lines=await self._log(payer, host, case, seen),
            hidden=[payer.token.reveal(), *self._environment, *provisioned.hidden],
            stays=self.stays,
        )

    async def _log(self, payer: Account, host: Host, case: Case, seen: Sighting) -> Sequence[str] | None:
        """The last lines; None when the log cannot be read: the account is given without it."""
        if seen.launch is None or not case.has_log:
            return None
        try:
            stream = await payer.api.log(
                host.ref, deploymentId=seen.launch.uuid, until=self.clock(), limit=READ_LINES
            )
        except RemoteError as error:
            log.info("host_log_unavailable", host=host.ref, reason=str(error))
            return None
        return tail(stream)

    @property
    def _environment(self) -> Sequence[str]:
        """Line by line, as in a log; values like `true` are no secrets, and part of other words."""
        lines = [line for value in self.settings.cc_extra_env.values() for line in value.splitlines()]
        return [line for line in lines if len(line) >= SHORTEST_SECRET]


def tail(stream: bytes) -> Sequence[str] | None:
    """The last lines that say something, without escape sequences and control characters.

    None when a stream without lines has no proper end, either: then it is unknown whether the log is empty.
    """
    lines = list(deque(_lines(stream), maxlen=SHOWN_LINES))
    whole = any(event == "END_OF_STREAM" for event, _ in _events(stream))
    return lines if lines or whole else None


def _lines(stream: bytes) -> Iterator[str]:
    for event, data in _events(stream):
        if event == "APPLICATION_LOG":
            yield from clean_lines(_message(data))


def _events(stream: bytes) -> Iterator[tuple[str, str]]:
    """Names and data; heartbeats are events, too, and what cannot be read is passed over."""
    event, data = "", ""
    for line in (*_LINE_END.split(stream.decode(errors="replace")), ""):
        name, _, value = line.partition(":")
        if name == "event":
            event = value.strip()
        elif name == "data":
            data += value
        elif not line:
            if event:
                yield event, data
            event, data = "", ""


def _message(data: str) -> str:
    try:
        message = json.loads(data)["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return message if isinstance(message, str) else ""
