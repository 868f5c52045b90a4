"""Whether one more job may be asked for, and if not, why: computed from what jobs take whenever it is asked.

What they take is counted in whole jobs (`shares.py`), never summed up over time, so nothing can drift. A
request in flight takes a place until its answer is a record. A job takes its place from its acquisition until
no host of it is left, or until it turns out that nobody can reach its host; its weight as soon as there is
room for it (`room.py`). A host on standby takes weight, too, but is in nobody's way: it goes when a job has
been acquired that wants its room, so whoever asks for jobs need not mind it.
"""

import enum
import functools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Self

import attrs

from paas_runner.job.lease import Allotment
from paas_runner.job.limits import NOTHING_KNOWN, Flavors, Limits, QuotaRule
from paas_runner.job.room import Distribution, Promise, Room, Short, Waiting, fits, order
from paas_runner.job.shares import Share, share_of, shares_of
from paas_runner.job.tracked import JobKey, Phase, TrackedJob

_ELSEWHERE = ""
"""Stands for all runners that other processes have, where weights are added up."""

MOST_REPORTS_OWED = 10
"""Of jobs of one runner that failed without a host."""


class Bound(enum.StrEnum):
    """What keeps a runner from asking for a job."""

    STORE = "store"
    PAUSED = "paused"
    CREDENTIALS = "credentials refused"
    REPORTS = "reports refused"
    CONCURRENT = "concurrent"
    PROVISIONING = "provisioning"
    LIMIT = "limit"
    UNKNOWN_WEIGHTS = "unknown weights"
    QUOTA_TOO_SMALL = "quota too small"
    QUOTA = "quota"
    SHARE = "share of the quota"


@attrs.frozen
class Reservation:
    """A request in flight: the job that it may bring is promised a host of at most this weight."""

    runner: str
    most_weight: float = math.inf


@attrs.frozen(kw_only=True)
class Obstacle:
    """Why a runner may not ask now; `text` is for the operator."""

    bound: Bound
    text: str


@attrs.frozen(kw_only=True)
class Load:
    """All that capacity depends on at one moment."""

    limits: Limits
    shares: Mapping[Share, int] = attrs.field(factory=dict)
    """How many jobs take what."""

    recent: Sequence[TrackedJob] = ()
    """All jobs since the first that has no host yet, in the order of their acquisition."""

    reservations: Sequence[Reservation] = ()
    flavors: Mapping[str, Flavors] = attrs.field(factory=dict)
    """What is known of each runner's hosts."""

    refused: Mapping[str, str] = attrs.field(factory=dict)
    """The runners whose provider refuses their credentials, and what it says."""

    suspended: str = ""
    """Why no runner may ask at all; empty when nothing is in the way of all."""

    @classmethod
    def of(cls, jobs: Iterable[TrackedJob], limits: Limits, **more: Any) -> Self:
        """The load of these jobs; `more` as the fields."""
        ordered = sorted(jobs, key=order)
        first = next((number for number, job in enumerate(ordered) if job.needs_room), len(ordered))
        return cls(limits=limits, shares=shares_of(ordered), recent=ordered[first:], **more)

    # --- the weight quota ---------------------------------------------------------------------------------

    @functools.cached_property
    def without_requests(self) -> "Load":
        """The same without the places kept for requests in flight: what lasts."""
        return attrs.evolve(self, reservations=())

    @functools.cached_property
    def quota(self) -> float | None:
        """The weight that all hosts together may have; None without a rule and while it is unknown."""
        rule = self.limits.quota
        if rule is None:
            return None
        reference = self._flavors(rule.reference_runner).weights.get(rule.reference_flavor)
        return None if reference is None else reference * rule.reference_jobs

    @functools.cached_property
    def weight(self) -> float:
        """What the hosts of jobs weigh, and may come to weigh with what requests in flight bring."""
        taken = self._distribution.taken if self._distribution else sum(self._held.values())
        return taken - self.elsewhere.weight

    @functools.cached_property
    def standby_weight(self) -> float:
        """What the hosts weigh that no job has: it is not in `weight`."""
        standing = {share: count for share, count in self.shares.items() if share.on_standby}
        return sum((self._weight_of_host(share) * count for share, count in standing.items()), 0.0)

    @functools.cached_property
    def waiting(self) -> Mapping[JobKey, Waiting]:
        """The jobs that have no room for their hosts, in the order of their acquisition."""
        distribution = self._with_standby
        return {each.job.key: each for each in distribution.waiting} if distribution else {}

    def lacking(self, job: TrackedJob) -> float:
        """How much weight must become free before there is room for the job that waits; what goes counts."""
        waiting = self.waiting.get(job.key)
        if waiting is None or waiting.room is Room.NEVER or waiting.short is not Short.QUOTA:
            return 0.0
        going = sum(
            self._weight_of_host(share) * count
            for share, count in self.shares.items()
            if share.phase is Phase.DECOMMISSIONING and share.takes_room
        )
        return max(0.0, waiting.taken + waiting.weight - waiting.bound - going)

    def room(self, job: TrackedJob) -> Room:
        """What a job finds for its host."""
        if self.limits.quota is None or not job.needs_room:
            return Room.THERE
        if self._distribution is None:
            return Room.LATER
        return self.waiting[job.key].room if job.key in self.waiting else Room.THERE

    def may_reuse(self, job: TrackedJob, weight: float) -> bool:
        """Whether a job without a host may take one on standby that weighs so much.

        As if nothing were on standby: its runner's share and the claims of older jobs bound it as a new host.
        """
        if self.limits.quota is None:
            return True
        distribution = self._distributed(standby=0.0, instead={job.key: weight})
        return distribution is not None and all(each.job.key != job.key for each in distribution.waiting)

    def why_it_waits(self, job: TrackedJob) -> str:
        """Why there is no room for its host; empty where there is."""
        if self.room(job) is Room.THERE:
            return ""
        return self.waiting[job.key].why if job.key in self.waiting else "what hosts weigh is not known yet"

    @functools.cached_property
    def _held(self) -> Mapping[str, float]:
        """What the hosts of each runner's jobs weigh."""
        held: dict[str, float] = {}
        for share, count in self.shares.items():
            held[share.runner] = held.get(share.runner, 0.0) + self._weight(share) * count
        return {**held, _ELSEWHERE: self.elsewhere.weight}

    @functools.cached_property
    def _distribution(self) -> Distribution | None:
        """As if the hosts on standby were gone; None while the quota is unknown, or where there is none."""
        return self._distributed(standby=0.0)

    @functools.cached_property
    def _with_standby(self) -> Distribution | None:
        """As it is now."""
        standby = self.standby_weight
        return self._distributed(standby=standby) if standby else self._distribution

    def _distributed(
        self, *, standby: float, instead: Mapping[JobKey, float] | None = None
    ) -> Distribution | None:
        if self.quota is None:
            return None
        instead = instead or {}
        requests: dict[str, int] = {}
        for each in self.reservations:
            requests[each.runner] = requests.get(each.runner, 0) + 1
        taking = [job for job in self.recent if job.takes_room]
        runners = {job.key.runner for job in taking} | requests.keys()
        return Distribution(
            quota=self.quota,
            allowances={runner: self.allowance(runner) or 0.0 for runner in runners},
            held=self._held,
            recent=[(job, instead.get(job.key, self._weight_or_wish(job))) for job in taking],
            promises={
                runner: Promise(requests=count, heaviest=self._promised(runner))
                for runner, count in requests.items()
            },
            standby=standby,
        )

    def _promised(self, runner: str) -> float:
        """What a job may weigh that a request of the runner in flight brings."""
        most = max(each.most_weight for each in self.reservations if each.runner == runner)
        return self.heaviest(runner) if math.isinf(most) else most

    def _weight_or_wish(self, job: TrackedJob) -> float:
        if not job.needs_room:
            return self.weight_of(job)
        return self.heaviest(job.key.runner) if job.expected_weight is None else job.expected_weight

    def allowance(self, runner: str) -> float | None:
        """The part of the quota that the runner may use."""
        rule, quota = self.limits.quota, self.quota
        return None if rule is None or quota is None else quota * rule.shares.get(runner, 1.0)

    def heaviest(self, runner: str) -> float:
        """The weight of the heaviest host that a job of the runner may get: the quota caps it."""
        allowed = self.allowance(runner)
        return self._flavors(runner).heaviest(math.inf if allowed is None else allowed)

    def weight_of(self, job: TrackedJob) -> float:
        """What the job's host weighs, or may come to weigh: at worst as any; 0 until it is asked for."""
        return self._weight(share_of(job))

    def _weight(self, share: Share) -> float:
        return self._weight_of_host(share) if share.takes_room and not share.needs_room else 0.0

    def _weight_of_host(self, share: Share) -> float:
        return self._flavors(share.runner).heaviest() if share.weight is None else share.weight

    def _flavors(self, runner: str) -> Flavors:
        return self.flavors.get(runner, NOTHING_KNOWN)

    # --- who may ask --------------------------------------------------------------------------------------

    def obstacle(self, runner: str) -> Obstacle | None:
        """What keeps the runner from asking for one more job; None when nothing does."""
        return (
            self._suspended()
            or self._paused(runner)
            or self._refused(runner)
            or self._too_many_reports_owed(runner)
            or self._too_many()
            or self._too_many_of(runner)
            or self._too_heavy(runner)
        )

    def room_besides(self, others: Collection[str]) -> bool:
        """Whether each of `others` could still begin to ask, all at the same time."""
        elsewhere = self.elsewhere
        if self._count + elsewhere.jobs + len(others) > self.limits.concurrent:
            return False
        return self._preparing + elsewhere.provisioning + len(others) <= self.limits.provisioning

    @property
    def total(self) -> Allotment:
        """The bounds of all processes together; nothing of a quota that is not there, or not known."""
        return Allotment(
            jobs=self.limits.concurrent, provisioning=self.limits.provisioning, weight=self.quota or 0.0
        )

    @functools.cached_property
    def elsewhere(self) -> Allotment:
        """What of these other processes may use: all that is not ours."""
        allotted = self.limits.allotted
        return Allotment() if allotted is None else self.total.without(allotted)

    @property
    def in_use(self) -> Allotment:
        """What jobs, requests in flight and hosts on standby take of these.

        What can wait, for a host on standby to go or as a job yet to come, takes no weight of others.
        """
        hosts = sum((self._weight(each) * count for each, count in self.shares.items()), self.standby_weight)
        weight = max(hosts, min(self.weight + self.standby_weight, self.total.weight - self.elsewhere.weight))
        return Allotment(jobs=self._count, provisioning=self._preparing, weight=weight)

    @property
    def _count(self) -> int:
        return self._jobs(lambda share: share.takes_place) + len(self.reservations)

    @property
    def _preparing(self) -> int:
        return self.preparing + len(self.reservations)

    @property
    def preparing(self) -> int:
        """How many jobs are not known to run yet."""
        return self._jobs(lambda share: share.being_provisioned)

    @property
    def jobs(self) -> int:
        """How many there are."""
        return self._jobs(lambda share: not share.on_standby)

    @property
    def hosts_on_standby(self) -> int:
        """How many hosts wait for another job."""
        return self._jobs(lambda share: share.on_standby)

    def _jobs(self, counted: Callable[[Share], bool]) -> int:
        return sum(count for share, count in self.shares.items() if counted(share))

    def _suspended(self) -> Obstacle | None:
        return Obstacle(bound=Bound.STORE, text=self.suspended) if self.suspended else None

    def _paused(self, runner: str) -> Obstacle | None:
        if runner in self.limits.paused:
            return Obstacle(bound=Bound.PAUSED, text="the operator has paused the runner")
        return None

    def _refused(self, runner: str) -> Obstacle | None:
        if reason := self.refused.get(runner):
            text = f"no host can be had until the provider takes the credentials: {reason}"
            return Obstacle(bound=Bound.CREDENTIALS, text=text)
        return None

    def _too_many_reports_owed(self, runner: str) -> Obstacle | None:
        """They take no room, so that a coordinator that refuses them is in the way of no other."""
        owed = self._jobs(lambda share: share.runner == runner and share.owes_a_report_only)
        if owed < MOST_REPORTS_OWED:
            return None
        text = f"the coordinator has yet to take the reports of {owed} failed jobs"
        return Obstacle(bound=Bound.REPORTS, text=text)

    def _too_many(self) -> Obstacle | None:
        limits, elsewhere = self.limits, self.elsewhere
        if self._count + elsewhere.jobs >= limits.concurrent:
            text = f"`concurrent` = {limits.concurrent} is reached{_besides(elsewhere.jobs)}"
            return Obstacle(bound=Bound.CONCURRENT, text=text)
        if self._preparing + elsewhere.provisioning >= limits.provisioning:
            text = f"`paas_max_concurrent_provisioning` = {limits.provisioning} is reached"
            text += _besides(elsewhere.provisioning)
            return Obstacle(bound=Bound.PROVISIONING, text=text)
        return None

    def _too_many_of(self, runner: str) -> Obstacle | None:
        limit = self.limits.per_runner.get(runner, 0)
        taken = self._jobs(lambda share: share.runner == runner and share.takes_place)
        if limit and taken + sum(each.runner == runner for each in self.reservations) >= limit:
            return Obstacle(bound=Bound.LIMIT, text=f"the runner's `limit` = {limit} is reached")
        return None

    def _too_heavy(self, runner: str) -> Obstacle | None:
        if self.limits.quota is None:
            return None
        quota, allowed = self.quota, self.allowance(runner)
        if quota is None or allowed is None or not self._flavors(runner).weights:
            return Obstacle(
                bound=Bound.UNKNOWN_WEIGHTS, text=self._what_is_unknown(runner, self.limits.quota)
            )
        heaviest = self.heaviest(runner)
        if not heaviest:
            text = f"the runner may use {allowed:.1f} of the quota, and its lightest host weighs more"
            return Obstacle(bound=Bound.QUOTA_TOO_SMALL, text=text)
        return self._no_room(runner, heaviest, quota, allowed)

    def _no_room(self, runner: str, heaviest: float, quota: float, allowed: float) -> Obstacle | None:
        """Where nothing more may wait, the heaviest job must find room at once."""
        distribution = self._distribution
        if distribution is None or distribution.may_wait(runner):
            return None
        own = [each for each in distribution.waiting if each.job.key.runner == runner]
        if first := (own or distribution.waiting)[:1]:
            [each] = first
            bound = Bound.SHARE if each.short is Short.SHARE else Bound.QUOTA
            return Obstacle(bound=bound, text=f"job {each.job.key.job_id} waits for room: {each.why}")
        taken, taken_by = distribution.taken, distribution.taken_by(runner)
        needed = distribution.needed_for_one_more(runner, heaviest)
        if not fits(taken + needed, quota):
            text = f"a job may weigh {needed:.1f}, and {taken:.1f} of the quota of {quota:.1f} is taken"
            return Obstacle(bound=Bound.QUOTA, text=text)
        if not fits(taken_by + needed, allowed):
            text = (
                f"a job may weigh {needed:.1f}, and the runner uses {taken_by:.1f} of its share of "
                f"{allowed:.1f}"
            )
            return Obstacle(bound=Bound.SHARE, text=text)
        return None

    def _what_is_unknown(self, runner: str, rule: QuotaRule) -> str:
        if not self._flavors(runner).weights:
            return "what its hosts weigh is not known yet"
        flavors = self._flavors(rule.reference_runner).weights
        if not flavors:
            return "what the hosts of `reference_runner` weigh is not known yet"
        offered = ", ".join(flavors)
        return f'`reference_flavor` = "{rule.reference_flavor}" is not on offer; there are: {offered}'


def _besides(elsewhere: float) -> str:
    return f"; {elsewhere:g} of it may be used by other processes" if elsewhere else ""


def next_to_ask(waiting: Sequence[str], load: Load) -> str | None:
    """Which of the waiting runners may ask now: the one that has waited longest and has no obstacle."""
    return next((runner for runner in waiting if load.obstacle(runner) is None), None)
