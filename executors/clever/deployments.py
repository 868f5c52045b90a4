"""What became of a launched application: one look at it, and the verdict, which is pure.

A job is ended on the strength of a verdict. So only what the cloud says in so many words counts, and whatever
is unknown, contradictory or still going on is no verdict (spec `clever-cloud-api.md` §2.6, §4.6).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from executors.clever.api import CleverApi, NoSuchApplicationError
from paas_runner.errors import Transient

MOST_ROWS = 10

_GONE = frozenset({"DELETED", "GHOST"})
_BLOCKED = {
    "MODERATED": "could not be started: Clever Cloud has blocked its application (MODERATED)",
    "DEFAULT_OF_PAYMENT": "could not be started: Clever Cloud waits for a payment (DEFAULT_OF_PAYMENT)",
}


@attrs.frozen(kw_only=True)
class Row:
    """One deployment, under the cloud's own words."""

    number: int  # grows with each deployment of the application
    uuid: str
    state: str
    action: str
    cause: str

    @property
    def is_launch(self) -> bool:
        """Whether a push, or somebody's click, was its cause, and not the platform's own monitoring."""
        return self.action == "DEPLOY" and not self.cause.startswith("Monitoring/")


@attrs.frozen(kw_only=True)
class Machine:
    """One instance, and the deployment that it belongs to."""

    deployment: str
    state: str


@attrs.frozen(kw_only=True)
class Sighting:
    """One look at an application; what was not needed for a verdict was not read."""

    removed: bool = False
    state: str = ""  # read when there are no rows
    rows: Sequence[Row] = ()  # newest first
    machines: Sequence[Machine] = ()  # read when the rows leave it open whether the job goes on

    @property
    def launch(self) -> Row | None:
        """The deployment that has the job: there is one push per host, so it is the newest."""
        return next((row for row in self.rows if row.is_launch), None)

    @property
    def open(self) -> bool:
        """Whether only the machines can tell: a running task may be listed as OK, a later row may end it."""
        launch = self.launch
        return launch is not None and (launch.state == "OK" or launch is not self.rows[0])


@attrs.frozen(kw_only=True)
class Verdict:
    """The end of a host: `text` continues "The host …"; `deployment` is the one whose log may tell more."""

    text: str
    deployment: str = ""


async def look(api: CleverApi, ref: str) -> Sighting:
    """One request for a host that is well, up to two otherwise; raises `Transient` or `Rejected`."""
    try:
        rows = _rows(await api.deployments(ref, limit=MOST_ROWS))
        if not rows:
            return Sighting(state=(await api.application(ref)).state)
        seen = Sighting(rows=rows)
        if seen.open:
            seen = attrs.evolve(seen, machines=_machines(await api.machines(ref)))
    except NoSuchApplicationError:
        return Sighting(removed=True)
    return seen


def verdict(seen: Sighting) -> Verdict | None:
    """Why the job cannot go on, None as long as it may."""
    if seen.removed:
        return Verdict(text="was removed by somebody else: Clever Cloud no longer knows its application")
    launch = seen.launch
    if launch is None:
        blocked = _BLOCKED.get(seen.state)
        return Verdict(text=blocked) if blocked else None
    if launch.state == "FAIL":
        return Verdict(text="failed: its deployment ended with FAIL", deployment=launch.uuid)
    if launch.state == "CANCELLED":
        return Verdict(text="was stopped: its deployment was CANCELLED", deployment=launch.uuid)
    if not seen.open or any(_alive(machine, launch) for machine in seen.machines):
        return None
    return Verdict(text=f"stopped before the job had ended: {_story(seen)}", deployment=launch.uuid)


def _alive(machine: Machine, launch: Row) -> bool:
    return machine.state not in _GONE and machine.deployment in ("", launch.uuid)


def _story(seen: Sighting) -> str:
    newest, launch = seen.rows[0], seen.launch
    if newest is launch:
        return f"its deployment ended with {newest.state} and has no machine left"
    return f"its machine is gone after the deployment {newest.action} ({newest.cause or 'no cause given'})"


def _rows(found: Sequence[Mapping[str, Any]]) -> Sequence[Row]:
    rows = [
        Row(
            number=_number(entry.get("id")),
            uuid=str(entry.get("uuid", "")),
            state=str(entry.get("state", "")),
            action=str(entry.get("action", "")),
            cause=str(entry.get("cause") or ""),
        )
        for entry in found
    ]
    return sorted(rows, key=lambda row: row.number, reverse=True)


def _machines(found: Sequence[Mapping[str, Any]]) -> Sequence[Machine]:
    return [
        Machine(deployment=str(entry.get("deployId") or ""), state=str(entry.get("state", "")))
        for entry in found
    ]


def _number(found: object) -> int:
    if not isinstance(found, int):
        raise Transient("a deployment has no number", service="Clever Cloud", op="list the deployments")
    return found
