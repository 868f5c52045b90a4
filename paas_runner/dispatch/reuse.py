"""How a job takes a host on standby: looked for, proved alive, and both records changed in one.

Nothing outside is changed by it. Killed before the records are written, the host is on standby as before;
killed after it, the job has its host and is launched by the next start.
"""

from collections.abc import Collection

import attrs
import structlog

from paas_runner.dispatch.effects import Effects
from paas_runner.dispatch.records import Records
from paas_runner.dispatch.standing import Place
from paas_runner.dispatch.tenure import SOLE, Tenure
from paas_runner.dispatch.view import Observer
from paas_runner.errors import RemoteError
from paas_runner.executor.contract import ProvisionedHost
from paas_runner.executor.optional import renewal_of, series_of, weight_of
from paas_runner.job.cost import closed_by
from paas_runner.job.events import Event, HostReused, HostTaken
from paas_runner.job.failure import JobRefusedError
from paas_runner.job.lifecycle import apply
from paas_runner.job.masks import masked
from paas_runner.job.standing import Parting
from paas_runner.job.standing import weight_of as host_weight
from paas_runner.job.tracked import TrackedJob
from paas_runner.loop.timing import Clock

log = structlog.stdlib.get_logger(__name__)


@attrs.frozen
class _Wanted:
    """What a job can use."""

    series: str
    weight: float


class Reuse:
    """Of one job that has no host yet."""

    def __init__(
        self, effects: Effects, *, records: Records, observer: Observer, tenure: Tenure, clock: Clock
    ) -> None:
        self._effects = effects
        self._records = records
        self._observer = observer
        self._clock = clock
        self._only_own = tenure is not SOLE  # two sections need not change hands together
        self._wanted: _Wanted | None = None

    def is_possible(self, job: TrackedJob) -> bool:
        """Whether some host on standby may fit: it is not known before what the job wants is."""
        if not job.needs_room:
            return False
        if self._wanted is None:
            return bool(self._records.standing.jobs)
        return bool(self._places(job, self._wanted))

    async def taken(self, job: TrackedJob) -> tuple[Event, TrackedJob] | None:
        """The job with the first host that fits and lives, both records on the disk; None where none does.

        Raises `StaleLeaseError`.
        """
        if self._wanted is None:
            self._wanted = await self._what_it_wants(job)
        for place in self._places(job, self._wanted):
            async with place.lock:
                if place.job.on_standby and not place.let_go and await self._lives(place, job):
                    return await self._handed_on(place, job)
        return None

    def _places(self, job: TrackedJob, wanted: _Wanted) -> Collection[Place]:
        runners = {job.key.runner} if self._only_own else None
        places = self._records.standing.places_for(
            job.key.runner, wanted.series, wanted.weight, of_runners=runners
        )
        weights = {host_weight(place.job) for place in places}
        allowed = {weight for weight in weights if self._records.may_reuse(job, weight)}
        return [place for place in places if host_weight(place.job) in allowed]

    async def _what_it_wants(self, job: TrackedJob) -> _Wanted:
        """Nothing, where that cannot be found out: the job gets a host of its own, or reads why not."""
        request, executor = self._effects.host_request(job), self._effects.runner.executor
        try:
            series = await series_of(executor, request)  # first: with it the executor knows its flavors
            weight = job.expected_weight
            if weight is None:
                weight = weight_of(executor, request.payload, most=request.most_weight)
            return _Wanted(series, weight)
        except (JobRefusedError, RemoteError) as error:
            log.info("no_host_reused", reason=masked(str(error), job.hidden))
            return _Wanted("", 0.0)

    async def _lives(self, place: Place, job: TrackedJob) -> bool:
        """Whether the host takes a job; one that does not say so goes, and so is looked at but once."""
        why = await self._why_not(place.job, job)
        if why:
            log.info("no_host_reused", host=place.job.host.ref if place.job.host else "", reason=why)
            place.let_go = why
            place.changed.set()
        return not why

    async def _why_not(self, left: TrackedJob, job: TrackedJob) -> str:
        if left.host is None or (left.lease_end and self._clock() >= left.lease_end):
            return Parting.LEASE
        provisioned = ProvisionedHost(
            name=left.host_name, tenant=job.tenant, host=left.host, hidden=[*left.hidden, *job.hidden]
        )
        try:
            lease = await renewal_of(self._effects.runner.executor, provisioned)
        except RemoteError as error:
            return masked(str(error), provisioned.hidden)
        return Parting.REFUSED if lease is None else ""

    async def _handed_on(self, place: Place, job: TrackedJob) -> tuple[Event, TrackedJob] | None:
        left, now = place.job, self._clock()
        if left.host is None:
            return None
        given = HostTaken(by=job.key)
        host = attrs.evolve(left.host, name=left.host_name)
        event = HostReused(host=host, doubtful=left.host_doubtful)
        giver, taker = apply(left, given, now), apply(job, event, now)
        if charge := closed_by(given, left, now):
            self._records.charge(charge)
        if not await self._records.hand_on(giver, taker):
            return None
        place.job = giver
        place.changed.set()
        self._tell(giver, given, left)
        return event, taker

    def _tell(self, giver: TrackedJob, event: HostTaken, left: TrackedJob) -> None:
        self._observer.job_changed(giver, event, left)
        host, waited = left.host, (giver.since - left.since).total_seconds()
        log.info(
            "host_reused",
            host=host.ref if host else "",
            flavor=host.flavor if host else "",
            left_by=str(left.key),
            waited_seconds=round(waited, 2),
        )
