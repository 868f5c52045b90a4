"""One simulated installation with its coordinator, its cloud, its users and its bad luck, from one seed."""

import asyncio
import contextlib
import functools
import math
import random
from collections import Counter
from datetime import timedelta

from executors.clever import CleverDocker
from executors.clever_service import CleverService
from executors.push.built_in import LOOK_SECONDS
from paas_runner.errors import RunnerError
from paas_runner.http import Exchanges, Http
from paas_runner.job.capacity import Load
from paas_runner.job.limits import Limits
from paas_runner.job.tracked import Phase
from paas_runner.job.variables import Variable
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.cloud.application import DOMAIN, Definition, Lifetime
from paas_runner.sandbox.scripted import PLAYED_BYTES
from paas_runner.server.waiting import keep_sweeping
from paas_runner.service.app import serve
from paas_runner.service.assembly import Edges
from paas_runner.service.site import listen
from paas_runner.testing.virtual_time import virtual_now
from tests.simulation.chaos import Chaos
from tests.simulation.configurations import Configurations
from tests.simulation.edges import ChaoticStore, ChaoticTransport, Incarnation
from tests.simulation.operator import Operator, answered
from tests.simulation.traces import RECEIVER, FollowedTraces
from tests.support.virtual_world import CLOUD, VirtualWorld

HOUR = 3600.0
STORM_SECONDS = 2 * HOUR
EXECUTORS = {
    "clever-docker": CleverDocker,
    "clever-service-docker": functools.partial(CleverService, clock=virtual_now),
}
QUIET_SECONDS = 12 * HOUR
JOBS = 8
M_WEIGHT = 8**1.25
LONGEST_ANSWER_SECONDS = 30.0 + LOOK_SECONDS
LOOK_GOOD_FOR_SECONDS = 1.0
"""How old a look may be at the push that follows it: it is good for a second after its answer, and both that
answer and the one to the question with which the push begins were on the way."""


def reference_jobs(seed: int) -> float:
    """The weight quota in jobs of flavor M; drawn apart, so that old seeds keep their stories."""
    return random.Random(f"quota {seed}").choice([math.inf, math.inf, 1, 2, 6])


def traced(seed: int) -> bool:
    """Whether the service traces its jobs; drawn apart, too."""
    return random.Random(f"traces {seed}").random() < 0.25


def _tables(seed: int) -> str:
    return f'{_bounds(seed)}[traces]\nendpoint = "{RECEIVER}"\n' if traced(seed) else _bounds(seed)


def _bounds(seed: int) -> str:
    rng = random.Random(f"bounds {seed}")
    bounds = f"paas_min_seconds_between_launches = {rng.choice([0, 0, 20])}\n"
    bounds += f"paas_max_looks_per_minute = {random.Random(f'looks {seed}').choice([60, 2000])}\n"
    jobs = reference_jobs(seed)
    if math.isinf(jobs):
        return bounds
    return (
        f"{bounds}[quota_computation]\n"
        f'reference_runner = "virtual"\nreference_flavor = "M"\nreference_jobs_count = {jobs}\n'
    )


def side_of(url: str) -> str:
    """Who is asked there: hosts are behind the cloud's load balancer."""
    of_cloud = url.startswith(CLOUD) or url.rstrip("/").endswith(f".{DOMAIN}")
    return "cloud" if of_cloud else "coordinator"


class Violation(AssertionError):  # noqa: N818 - the word of the report
    """The promise was broken."""


class SimulatedWorld(VirtualWorld):
    """Two hours of storm, then calm weather until everything has come to its end."""

    runner_more = ""
    """More of the runner's section."""

    two_phases_likely = 0.5
    transport_kind = ChaoticTransport

    def __init__(self, folder, seed: int) -> None:
        self.chaos = Chaos(seed)
        rng = self.chaos.rng
        self.seed = seed
        self.two_phases = rng.random() < self.two_phases_likely
        super().__init__(
            folder,
            seed=seed,
            concurrent=rng.choice([1, 3, 10]),
            check_interval=rng.choice([3, 30, 30, 30]),  # polls cost most of a run and show least
            runner=f"limit = {rng.choice([0, 0, 2])}{self.runner_more}",
            more=_tables(seed),
            cloud=CloudOptions(
                repository_delay=timedelta(seconds=rng.uniform(0, 10)),
                deployment_delay=timedelta(seconds=rng.uniform(0, 10)),
                boot_delay=timedelta(seconds=rng.uniform(0, 60)),
                build_delay=timedelta(seconds=rng.uniform(0, 60)),
                env_at_creation=rng.random() < 0.8,
                env_in_lists=rng.random() < 0.8,
                logs_refused=seed % 5 == 0,
            ),
            coordinator={
                "acknowledgement_seconds": 120.0 if self.two_phases else 0.0,
                "long_poll_seconds": rng.choice([0.0, 50.0]),
                "stuck_after": timedelta(seconds=STORM_SECONDS) + timedelta(hours=1),  # to sweep what is lost
            },
        )
        self._key = super().key
        self.keys = (self._key,)
        self.traces = FollowedTraces(self.cloud)
        self._apps[RECEIVER] = self.traces.receiver.app
        self.reference_jobs = reference_jobs(seed)
        self.share = 1.0  # of the quota, for the jobs of a runner
        self.latency = 0.0
        self._asking = 0
        self.looked_at: dict[int, float] = {}
        self._last_look: dict[str, float] = {}
        self.looks_before_pushes: dict[str, list[tuple[float, float]]] = {}
        self.operator = Operator(self, seed)
        self.broken = False
        self.allowed = asyncio.Event()
        """Whether the service may be started."""

        self.allowed.set()
        self.life: Incarnation | None = None
        self.lives = 0
        self.submitted = []
        self.recorded: set[int] = set()
        self.acted: set[int] = set()
        self._down: dict[str, float] = {"coordinator": 0.0, "cloud": 0.0}
        self._wall = timedelta()
        self.configurations = Configurations(self.executors)
        self._tasks: set[asyncio.Task] = set()
        self._foreign = self._plant_foreign_hosts()

    # --- what the edges ask and tell ---------------------------------------------------------------------

    @property
    def key(self):
        """The runner's, whatever becomes of its token."""
        return self._key

    def configuration(self):
        return self.configurations.of(self.folder / "config.toml", self.configuration_text())

    def reread(self):
        if self.broken:
            raise RunnerError("the file is broken")
        return self.configuration()

    async def asked(self, question: str, **more) -> bool:
        return await answered(self.life.answers if self.life else {}, question, **more)

    def is_down(self, side: str) -> bool:
        return self.seconds() < self._down[side]

    @contextlib.contextmanager
    def one_more_asking(self):
        """Inside, one more request for a job is in flight."""
        self._asking += 1
        if self._asking > 1:
            self.chaos.counts["several requests in flight"] += 1
        try:
            yield
        finally:
            self._asking -= 1

    def detached(self, coroutine) -> asyncio.Task:
        """Something of the other side's, which goes on whatever becomes of us."""
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    def note_look(self, job_id: int) -> None:
        """The coordinator says now how the job is, whether its answer arrives or not."""
        self.looked_at[job_id] = self.seconds()

    def note_push(self, app_id: str, *, sent: bool) -> None:
        """A push begins with a question to the remote; what was known then it is sent with."""
        name = next((entry.name for entry in self.cloud.ledger.created if entry.app_id == app_id), "-0")
        if sent:
            looks = self.looks_before_pushes.setdefault(app_id, [])
            looks.append((self._last_look.get(app_id, 0.0), self.seconds()))
        else:
            self._last_look[app_id] = self.looked_at.get(int(name.rpartition("-")[2]), 0.0)

    def note_helper_launch(self, job_id: int, configuration: str) -> None:
        """A helper is asked to begin a job."""
        self.traces.note_launch(str(job_id), configuration)

    def note_records(self) -> None:
        """At every write: who was ever recorded, and whether the limits are kept."""
        tracked = [job for job in self.store._jobs.values() if job.phase is not Phase.GONE]
        self.recorded |= {job.key.job_id for job in tracked}
        if self.chaos.counts["store refusal"]:  # stale records stay then
            return
        concurrent = self._config["concurrent"]
        taking = [job for job in tracked if job.takes_place]
        if len(taking) > concurrent:
            raise Violation(f"{len(taking)} jobs take room, {concurrent} are allowed")
        limits = Limits(concurrent=concurrent, provisioning=concurrent)
        weight, quota = Load.of(taking, limits).weight, M_WEIGHT * self.reference_jobs * self.share
        if weight > quota + 1e-6:
            raise Violation(f"the jobs' hosts may weigh {weight}, {quota} is allowed")

    # --- the course --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live through the storm, then judge."""
        async with asyncio.TaskGroup() as life:
            helpers = [
                life.create_task(self._users()),
                life.create_task(self.misfortunes()),
                life.create_task(self.operator.work()),
                life.create_task(keep_sweeping(self.gitlab)),
            ]
            keeping = life.create_task(self._keep_it_running())
            await asyncio.sleep(STORM_SECONDS)
            await helpers[0]
            helpers[1].cancel()
            helpers[2].cancel()
            self.chaos.calm_down()
            await self.before_calm()
            await self._quiet()
            keeping.cancel()
            for helper in helpers:
                helper.cancel()
        await self._end_of_service()
        self._judge()

    async def before_calm(self) -> None:
        """What comes between storm and calm."""

    async def _keep_it_running(self) -> None:
        """The service manager: starts the service again, however it ended."""
        while True:
            await self.allowed.wait()
            self.life = Incarnation(self.chaos)
            self.lives += 1
            serving, self.stopping = self._start(self.life)
            self.life.serving = serving
            await asyncio.wait([serving])
            if not serving.cancelled() and serving.exception():
                raise serving.exception()
            self.life.dead = True
            await asyncio.sleep(self.chaos.rng.choice([0, 1, 5, 30, 300]))

    def _start(self, life: Incarnation):
        exchanges = Exchanges()
        http = Http(
            rng=self.rng,
            transport=functools.partial(self._chaotic, life),
            on_exchange=exchanges,
        )

        async def open_store(_path):
            return ChaoticStore(self.store, world=self, incarnation=life)

        edges = Edges(
            connect=http,
            exchanges=exchanges,
            open_store=open_store,
            executors=EXECUTORS,
            rng=self.rng,
            started_at=virtual_now() + self._wall,
            control=life.control,
            reread=self.reread,
            listen=self.sites(life),
        )
        stopping = asyncio.Event()
        return asyncio.ensure_future(serve(self.configuration(), edges, stopping)), stopping

    def kill_all(self) -> None:
        """As a power failure does."""
        if self.life:
            self.life.kill()

    def sites(self, _life: Incarnation):
        """How a life of the service listens, where it is watched."""
        return listen

    def _chaotic(self, life: Incarnation, url: str):
        if url.startswith(RECEIVER):  # no job hangs on it: it draws no misfortune from those that do
            return self._transport(url)
        return self.transport_kind(self._transport(url), side=side_of(url), world=self, incarnation=life)

    async def _users(self) -> None:
        """Jobs of all kinds over the first hour, some cancelled at some time."""
        rng = self.chaos.rng
        for number in range(JOBS):
            await asyncio.sleep(rng.uniform(0, HOUR / JOBS))
            flavor = rng.choice(["M", "M", "XL", "", "9XL"])
            variables = (Variable(key="CI_CLEVER_CLOUD_FLAVOR", value=flavor),) if flavor else ()
            script = (f"sleep {rng.choice([1, 30, 600])}", rng.choice(["echo done", "echo done", "exit 3"]))
            spec = JobSpec(name=f"job {number}", script=script, variables=variables)
            job = self.submitted_job(spec)
            self.submitted.append(job)
            if rng.random() < self.chaos.mood.cancels:
                self.detached(self._cancel_later(job.job_id, rng.expovariate(1 / 300)))

    def submitted_job(self, spec: JobSpec):
        return self.gitlab.submit_job(spec)

    async def _cancel_later(self, job_id: int, delay: float) -> None:
        await asyncio.sleep(delay)
        self.gitlab.cancel(self.gitlab.latest(job_id).job_id)

    async def misfortunes(self) -> None:
        """What happens now and then, by the hour."""
        rng, mood = self.chaos.rng, self.chaos.mood
        while True:
            await asyncio.sleep(60)
            if rng.random() < mood.restarts / 60:
                self.chaos.counts["orderly stop"] += 1
                self.stopping.set()
            if rng.random() < mood.outages / 60:
                side = rng.choice(["coordinator", "cloud"])
                self.chaos.counts[f"{side} outage"] += 1
                self._down[side] = self.seconds() + rng.choice([10, 120, 1200])
            if rng.random() < mood.vandalism / 60:
                await self._vandalise(rng)
            if rng.random() < 0.02:
                self.chaos.counts["clock jump"] += 1
                self._wall += timedelta(seconds=rng.choice([-7200, -60, 60, 7200]))

    async def _vandalise(self, rng) -> None:
        ours = [entry for entry in self.alive if entry.app_id not in self._foreign]
        if ours:
            victim = rng.choice(ours)
            self.chaos.counts["host deleted behind our back"] += 1
            await self.cloud.delete(victim.organisation_id, victim.app_id)

    async def _quiet(self) -> None:
        """Until nothing is left to do, which must come."""
        for _ in range(int(QUIET_SECONDS / 60)):
            await asyncio.sleep(60)
            ended = all(self.gitlab.latest(job.job_id).ended for job in self.submitted) and not self.owes()
            if ended and not self.store._jobs and self._foreign.issuperset(e.app_id for e in self.alive):
                await self._nothing_is_held()
                return
        raise Violation(f"not everything came to an end: {self._leftovers()}")

    def owes(self) -> bool:
        """Whether something is begun that is no job's."""
        return False

    async def _nothing_is_held(self) -> None:
        """After calm weather no living job needs anything: so nothing is taken of any bound."""
        while not self.life.answers or not self.life.serving or self.life.serving.done():
            await asyncio.sleep(10)
        [status] = [part async for part in self.life.answers["status"]({"ask": "status"})]
        if status["jobs"] or any(use["used"] for use in status["capacity"].values() if _is_use(use)):
            raise Violation(f"something is held for no job: {status['capacity']}, {status['jobs']}")

    async def _end_of_service(self) -> None:
        if self.life:
            self.life.kill()
            await asyncio.gather(self.life.serving, return_exceptions=True)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- the judgement -----------------------------------------------------------------------------------

    def _plant_foreign_hosts(self) -> frozenset[str]:
        """Other people's applications, two of them with names that our jobs' hosts will have."""
        kind = self.cloud.catalogue.instance_types[0]
        flavor = kind.flavors[0]
        planted = set()
        for name in ("another team's", f"hpd-job-{self.key}-1", f"hpd-job-{self.key}-2"):
            definition = Definition(
                fields={"zone": "par", "minInstances": 1, "maxInstances": 1},
                name=name,
                instance_type=kind,
                lifetime=Lifetime.TASK,
                min_flavor=flavor,
                max_flavor=flavor,
                build_flavor=flavor,
            )
            env = {"PAAS_RUNNER_INSTALLATION": "somebody else's"}
            planted.add(self.cloud.create(self.organisation, definition, env).id)
        return frozenset(planted)

    def _leftovers(self):
        jobs = {
            job.job_id: (str(job.status), job.failure_reason)
            for job in self.gitlab.jobs.values()
            if not job.ended
        }
        records = {str(key): (str(job.phase), job.trouble) for key, job in self.store._jobs.items()}
        hosts = [(entry.name, entry.app_id) for entry in self.alive if entry.app_id not in self._foreign]
        return {"jobs": jobs, "records": records, "hosts": hosts}

    def _judge(self) -> None:
        """At the end: nothing lost, leaked, doubled or touched."""
        launches = self._launches()
        doubled = {name: count for name, count in launches.items() if count > 1}
        if doubled:
            raise Violation(f"launched more than once: {doubled}")
        for job in self.gitlab.jobs.values():
            self._judge_job(job, sum(launches.get(name, 0) for name in self._host_names(job)))
        if contradiction := self.traces.contradiction():
            raise Violation(contradiction)
        self.chaos.counts["spans"] += len(self.traces.receiver.spans)
        for charge in self.store.charges:
            self.chaos.counts["measured" if charge.use else "not measured"] += 1
            if charge.use and charge.use.memory_bytes != PLAYED_BYTES:
                raise Violation(f"of job {charge.key} another use was kept than its host told: {charge.use}")

    def _launches(self) -> Counter[str]:
        """How often each job was begun, by the name of a host of its own."""
        launches: Counter[str] = Counter()
        for entry in self.cloud.ledger.created:
            if entry.app_id in self._foreign:
                if not entry.alive or entry.deletions or entry.pushes:
                    raise Violation(f"a foreign host was touched: {entry}")
            elif entry.app_id not in self.helpers.app_ids:
                launches[entry.name] += entry.launches
        for key, times in self.helpers.begun.items():
            launches[f"hpd-job-{key.runner_name}-{key.job_id}"] += times
        return launches

    def _host_names(self, job) -> list[str]:
        """By the keys with which runners were first recorded: those of tokens rotated before, maybe."""
        known = self.store._runners
        if len(known) > len(self.keys):
            raise Violation(f"one runner was taken for several: {known}")
        return [f"hpd-job-{key}-{job.job_id}" for key in ([each.key for each in known] or self.keys)]

    def _judge_job(self, job, launches: int) -> None:
        what = f"job {job.job_id} ({job.status}, {job.failure_reason}, launches {launches})"
        if job.status == "success" and launches != 1:
            raise Violation(f"{what}: success without having run")
        if job.failure_reason == "stuck_or_timeout_failure" and not self._excused(job):
            raise Violation(f"{what}: lost; the coordinator had to sweep it")
        if job.failure_reason == "runner_provisioning_timeout" and not self.two_phases:
            raise Violation(f"{what}: how?")
        trace = self.gitlab.trace(job.job_id)
        told = b"ERROR: Job failed" in trace
        if job.failure_reason == "runner_system_failure" and not told and not self._excused(job):
            raise Violation(f"{what}: its author was not told why; log: {trace[-200:]!r}")
        if job.status == "failed" and job.exit_code == 3 and launches != 1:
            raise Violation(f"{what}: an exit code without a launch")
        if launches and job.count(LedgerKind.CANCELING):
            self._judge_cancellation(job, what)

    def _excused(self, job) -> bool:
        """Handed out by a coordinator without two phases, and lost before we had it on the disk."""
        return not self.two_phases and job.job_id not in self.recorded

    def _judge_cancellation(self, job, what: str) -> None:
        cancelled = next(entry.at for entry in job.ledger if entry.kind is LedgerKind.CANCELING)
        at = (cancelled - virtual_now()).total_seconds() + self.seconds()
        hosts = [entry for name in self._host_names(job) for entry in self.cloud.ledger.named(name)]
        for entry in hosts:
            for looked_at, pushed_at in self.looks_before_pushes.get(entry.app_id, ()):
                if looked_at > at:
                    raise Violation(f"{what}: pushed although the last look was after its cancellation")
                if pushed_at - looked_at > LONGEST_ANSWER_SECONDS + LOOK_GOOD_FOR_SECONDS:
                    raise Violation(f"{what}: pushed {pushed_at - looked_at:.0f} s after the last look")


def _is_use(value) -> bool:
    return isinstance(value, dict) and "used" in value
