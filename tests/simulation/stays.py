"""Worlds whose hosts stay: helper services that take one job after the other, and fail in ways of their own.

A mixin: what the worlds are otherwise like is up to the class beside it.
"""

import asyncio
import math
import random
from collections import defaultdict
from itertools import pairwise

import attrs

from paas_runner.helper.protocol import START_UNTIL_VARIABLE
from paas_runner.job.tracked import Phase
from paas_runner.job.variables import Variable
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.cloud import RUNNER_CONTEXT
from paas_runner.sandbox.helpers import HONEST, Cleaning, Manners
from paas_runner.testing.virtual_time import EPOCH
from tests.simulation.crowd import CrowdedWorld
from tests.simulation.neighbours import NeighbouringWorld
from tests.simulation.pairs import LATE_SECONDS, PairWorld
from tests.simulation.world import (
    HOUR,
    LONGEST_ANSWER_SECONDS,
    LOOK_GOOD_FOR_SECONDS,
    M_WEIGHT,
    Violation,
)

DAY = 24 * HOUR
SECTION = """executor = "clever-service-docker"
  paas_keep_resources_for_reuse_seconds = {standby}"""
JOBS = 14
FAULTS = (
    Manners(refuses=True),
    Manners(begins=False),
    Manners(runs_for_ever=True),
    Manners(loses_after=20),
    Manners(loses_after=200),
    Manners(dies_after=100),
    Manners(dies_after=500),
    Manners(hangs_after=60),
    Manners(hangs_after=900),
    Manners(listens_after=120),
    Manners(listens_after=float("inf")),
    Manners(answers_after=20),
    Manners(answers_after=200),
    Manners(cleaning_seconds=20),
    Manners(cleaning_seconds=100),
    Manners(cleaning=Cleaning.SAYS_NO),
)
"""None of which hides from us that a host is not clean: whoever does so is believed."""

RETRY_SECONDS = 35.0
"""A helper that is busy is asked once more: its answer, and the pause (H138)."""

OVERLAP_SECONDS = 1e-3


class Staying:
    """What these worlds have beside others."""

    late_seconds = 0.0
    """For so long hosts may be too heavy: where what one process knows, another learns later."""

    def __init__(self, folder, seed: int) -> None:
        dice = random.Random(f"hosts that stay {seed}")
        self._faulty = dice.choice([0.0, 0.0, 0.2, 0.6])
        self._standby = dice.choice([0, 120, 120, 600, 3000])
        self._day_without_us = dice.random() < 0.2
        self.helpers_dice = random.Random(f"helpers {seed}")
        self.slept = False
        self._within_at = 0.0
        self._launches_sent: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
        super().__init__(folder, seed)
        self.chaos.counts[f"standby of {self._standby} s"] += 1
        flavors = self.cloud.catalogue.flavors(RUNNER_CONTEXT)
        self._weights = {each.name: (each.mem / 1024) ** 1.25 for each in flavors}

    # --- what is configured ------------------------------------------------------------------------------

    def configuration_text(self) -> str:
        return self._with_hosts_that_stay(super().configuration_text())

    def configuration_text_of(self, member) -> str:
        return self._with_hosts_that_stay(super().configuration_text_of(member))

    def _with_hosts_that_stay(self, text: str) -> str:
        return text.replace('executor = "clever-docker"', SECTION.format(standby=self._standby))

    def manners_of(self, _host) -> Manners:
        """Most are as they should be."""
        if self.helpers_dice.random() >= self._faulty:
            return HONEST
        found = self.helpers_dice.choice(FAULTS)
        changed = attrs.asdict(found, filter=lambda field, value: value != field.default)
        self.chaos.counts[f"helper: {', '.join(changed)}"] += 1
        return found

    # --- the course --------------------------------------------------------------------------------------

    def note_helper_launch(self, job_id: int, configuration: str) -> None:
        """After what was known of the job then."""
        super().note_helper_launch(job_id, configuration)
        self._launches_sent[job_id].append((self.looked_at.get(job_id, 0.0), self.seconds()))

    async def _vandalise(self, rng) -> None:
        ours = [entry for entry in self.alive if entry.app_id not in self._foreign]
        if not ours:
            return
        victim = rng.choice(ours)
        if self.helpers_dice.random() < 0.5:
            self.chaos.counts["host deleted behind our back"] += 1
            await self.cloud.delete(victim.organisation_id, victim.app_id)
        else:
            self.chaos.counts["host replaced by a fresh one"] += 1
            app = self.cloud.application(victim.organisation_id, victim.app_id)
            self.cloud.lose_instance(app, replaced=True)

    async def before_calm(self) -> None:
        """Sometimes nobody is there for a day: then nothing that costs is left at its end."""
        if not self._day_without_us:
            return
        self.chaos.counts["day without us"] += 1
        self.slept = True
        self.allowed.clear()
        self.kill_all()
        await asyncio.sleep(DAY)
        up = [entry for entry in self.cloud.ledger.created if any(span.end is None for span in entry.spans)]
        self.allowed.set()
        if up:
            late = {entry.app_id: (entry.name, entry.launches, self._start_until(entry)) for entry in up}
            raise Violation(f"machines are there a day after anybody asked them: {late}")

    def _start_until(self, entry) -> str:
        """Until when its program may be started, by the seconds of this world."""
        app = self.cloud.application(entry.organisation_id, entry.app_id)
        until = app.env.get(START_UNTIL_VARIABLE)
        return f"{float(until) - EPOCH.timestamp():.0f}" if until else "for ever"

    # --- the judgement -----------------------------------------------------------------------------------

    def note_records(self) -> None:
        super().note_records()
        self.judge_weight()

    def judge_weight(self) -> None:
        """The machines themselves, of hosts that are recorded: those on standby count like all others.

        By the whole quota: no share of it bounds them, because they go where another needs their room.
        """
        quota = M_WEIGHT * self.reference_jobs
        if self.chaos.counts["store refusal"] or math.isinf(quota):  # stale records stay after a refusal
            return
        names = {job.host_name for job in self.weighing if job.phase is not Phase.GONE}
        heaviest: dict[str, float] = {}
        for entry in self.alive:
            if entry.name in names and entry.app_id not in self._foreign:
                heaviest[entry.name] = max(heaviest.get(entry.name, 0.0), self._weights[entry.flavor])
        if sum(heaviest.values()) <= quota + 1e-6:
            self._within_at = self.seconds()
        elif self.seconds() - self._within_at >= self.late_seconds:
            raise Violation(f"hosts weigh {heaviest}, {quota} is allowed")

    @property
    def weighing(self):
        """The records whose hosts count."""
        return self.store._jobs.values()

    def _judge(self) -> None:
        super()._judge()
        self.judge_helpers()
        self.judge_charges()
        self.chaos.counts["helpers"] += len(self.helpers.lives)
        self.chaos.counts["reused"] += self.helpers.reused
        self.chaos.counts["started too late"] += self.helpers.refused_starts

    def judge_helpers(self) -> None:
        """Whose jobs each has had, after which others, and what they found."""
        jobs = {job.job_id: job for job in self.gitlab.jobs.values()}
        for life in self.helpers.lives:
            turns = [jobs[turn.job.job_id] for turn in life.turns]
            for before, after in pairwise(turns):
                self._judge_reuse(life, before, after)
            for turn in life.turns:
                if turn.met:
                    raise Violation(f"{turn.job} met the files of {turn.met} on {life.host}")
            home = self.cloud.ledger.entry(life.app_id).organisation_id
            if strangers := [job for job in turns if self._payer(job) != home]:
                raise Violation(f"{life.host}, paid by {home}, had jobs of others: {strangers}")

    def _judge_reuse(self, life, before, after) -> None:
        what = f"job {after.job_id} had the host of job {before.job_id}, {life.host}"
        if before.status != "success":
            raise Violation(f"{what}, which is {before.status} ({before.failure_reason})")

    def _payer(self, job) -> str:
        """The organisation in which its host has to be."""
        return self.organisation

    def judge_charges(self) -> None:
        """Those of one host follow each other: nothing is charged twice, and nothing is left out."""
        if self.chaos.counts["clock jump"]:
            return
        by_host = defaultdict(list)
        for charge in self.store.charges:
            by_host[charge.host].append(charge)
        for host, charges in by_host.items():
            for before, after in pairwise(sorted(charges, key=lambda each: (each.since, each.until))):
                apart = (after.since - before.until).total_seconds()
                if abs(apart) > OVERLAP_SECONDS:
                    raise Violation(f"charges of {host} are {apart} s apart: {before}, {after}")

    def _judge_cancellation(self, job, what: str) -> None:
        cancelled = next(entry.at for entry in job.ledger if entry.kind is LedgerKind.CANCELING)
        at = (cancelled - EPOCH).total_seconds()
        for looked_at, sent_at in self._launches_sent[job.job_id]:
            if looked_at > at:
                raise Violation(f"{what}: launched although the last look was after its cancellation")
            if sent_at - looked_at > LONGEST_ANSWER_SECONDS + LOOK_GOOD_FOR_SECONDS + RETRY_SECONDS:
                raise Violation(f"{what}: launched {sent_at - looked_at:.0f} s after the last look")

    def _excused(self, job) -> bool:
        return self.slept or super()._excused(job)


class StayingWorld(Staying, NeighbouringWorld):
    """Two runners and several payers: jobs come so that some of them find a host on standby."""

    async def _users(self) -> None:
        rng = self.helpers_dice
        for number in range(JOBS):
            await asyncio.sleep(rng.choice([1, 20, 90, 300, 900]))
            flavor = rng.choice(["M", "M", "M", "S", "XL", "9XL"])
            script = (f"sleep {rng.choice([1, 30, 30, 600])}", rng.choice(["echo done"] * 4 + ["exit 3"]))
            variables = (Variable(key="CI_CLEVER_CLOUD_FLAVOR", value=flavor),)
            job = self.submitted_job(JobSpec(name=f"job {number}", script=script, variables=variables))
            self.submitted.append(job)
            if rng.random() < self.chaos.mood.cancels:
                self.detached(self._cancel_later(job.job_id, rng.expovariate(1 / 300)))

    def _payer(self, job) -> str:
        if job.runner and job.runner.runner_id == self.shared.runner_id:
            return self._homes[job.project.full_path.partition("/")[0]]
        return self.organisation


class StayingCrowd(Staying, CrowdedWorld):
    """Swarms of jobs, and too small a quota for them: hosts on standby make room."""


class StayingPairs(Staying, PairWorld):
    """Several processes on one store, one of which has a host on standby of which the others know nothing."""

    late_seconds = LATE_SECONDS

    @property
    def weighing(self):
        """Not what a process has recorded that had lost its section: nobody could have foreseen it."""
        return [job for job in super().weighing if job.key not in self._late]

    def judge_weight(self) -> None:
        """The world goes on, as for all that is judged while several processes are about."""
        try:
            super().judge_weight()
        except Violation as violation:
            self.accuse(str(violation))
