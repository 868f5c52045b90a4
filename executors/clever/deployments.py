"""One look at a launched application: what the cloud says of it, under the cloud's own words (§2.6).

Section numbers are those of spec `clever-cloud-api.md`.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
import structlog

from executors.clever.api import CleverApi
from executors.clever.refusals import SERVICE, NoSuchApplicationError
from paas_runner.errors import RemoteError, Transient

log = structlog.stdlib.get_logger(__name__)

MOST_ROWS = 10
_MOST_OF_A_WORD = 60

_GONE = frozenset({"DELETED", "GHOST"})


@attrs.frozen(kw_only=True)
class Deployment:
    """One deployment, as the cloud lists it."""

    number: int  # grows with each deployment of the application
    uuid: str
    state: str
    action: str
    cause: str
    at: datetime | None = None

    @property
    def is_launch(self) -> bool:
        """Whether a push, or a click in the console, was its cause, not the platform's own monitoring."""
        return self.action == "DEPLOY" and not self.monitored

    @property
    def monitored(self) -> bool:
        """Whether the platform's own monitoring was its cause."""
        return self.cause.startswith("Monitoring/")


@attrs.frozen(kw_only=True)
class Machine:
    """One instance, and the deployment that it belongs to."""

    deployment: str
    state: str


@attrs.frozen(kw_only=True)
class Sighting:
    """One look at an application; what was not needed was not read."""

    removed: bool = False
    state: str = ""  # read when there are no rows, and by a closer look
    created_at: datetime | None = None  # read with the state
    rows: Sequence[Deployment] = ()  # newest first
    machines: Sequence[Machine] | None = None  # read when only they can tell, and by a closer look

    @property
    def launch(self) -> Deployment | None:
        """The deployment that has the job: there is one push per host, so it is the newest."""
        return next((row for row in self.rows if row.is_launch), None)

    @property
    def later(self) -> Deployment | None:
        """What came after the deployment that has the job, the newest of it."""
        return self.rows[0] if self.launch and self.launch is not self.rows[0] else None

    @property
    def open(self) -> bool:
        """Whether only the machines can tell: a running task may be listed as OK, a later row may end it."""
        launch = self.launch
        return launch is not None and (launch.state == "OK" or self.later is not None)

    @property
    def alive(self) -> Sequence[Machine]:
        """The machines that the job may be on."""
        ours = ("", self.launch.uuid if self.launch else "")
        return [each for each in self.machines or () if each.state not in _GONE and each.deployment in ours]


async def look(api: CleverApi, ref: str) -> Sighting:
    """One request for a host that is well, up to two otherwise; raises `Transient` or `Rejected`."""
    try:
        seen = Sighting(rows=_rows(await api.deployments(ref, limit=MOST_ROWS)))
        if not seen.rows:
            return await _with_application(seen, api, ref)
        return await _with_machines(seen, api, ref) if seen.open else seen
    except NoSuchApplicationError:
        return Sighting(removed=True)


async def look_closer(seen: Sighting, api: CleverApi, ref: str) -> Sighting:
    """The same with what else an account of the host can use, as far as that can be read."""
    if seen.removed:
        return seen
    try:
        if seen.launch and seen.machines is None:
            seen = await _with_machines(seen, api, ref)
        if not seen.state:
            seen = await _with_application(seen, api, ref)
    except RemoteError as error:
        log.info("host_details_unavailable", host=ref, reason=str(error))
    return seen


async def _with_application(seen: Sighting, api: CleverApi, ref: str) -> Sighting:
    found = await api.application(ref)
    return attrs.evolve(seen, state=_word(found.state), created_at=_moment(found.created_at))


async def _with_machines(seen: Sighting, api: CleverApi, ref: str) -> Sighting:
    machines = [
        Machine(deployment=_word(entry.get("deployId")), state=_word(entry.get("state")))
        for entry in await api.machines(ref)
    ]
    return attrs.evolve(seen, machines=machines)


def _rows(found: Sequence[Mapping[str, Any]]) -> Sequence[Deployment]:
    rows = [
        Deployment(
            number=_number(entry.get("id")),
            uuid=_word(entry.get("uuid")),
            state=_word(entry.get("state")),
            action=_word(entry.get("action")),
            cause=_word(entry.get("cause")),
            at=_moment(entry.get("date")),
        )
        for entry in found
    ]
    return sorted(rows, key=lambda row: row.number, reverse=True)


def _number(found: object) -> int:
    if not isinstance(found, int):
        raise Transient("a deployment has no number", service=SERVICE, op="list the deployments")
    return found


def _word(found: object) -> str:
    """The longest known one is a uuid with its kind; what is longer is none of the cloud's."""
    return str(found or "")[:_MOST_OF_A_WORD]


def _moment(milliseconds: object) -> datetime | None:
    """A date of the API's second version (§2.1)."""
    if not isinstance(milliseconds, int) or not milliseconds:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None
