"""A service at one fixed moment, as page and API see it: records, a store with a past, searches."""

import asyncio
import atexit
import functools
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs

from paas_runner.dispatch.registry import Backoff
from paas_runner.job import events as ev
from paas_runner.job.capacity import Load
from paas_runner.job.cost import Charge
from paas_runner.job.decision import Policy
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.lifecycle import acquired, apply
from paas_runner.job.limits import Flavors, Limits, QuotaRule
from paas_runner.job.orphans import HostKind, HostVerdict, SearchResult
from paas_runner.job.payload import read
from paas_runner.job.tracked import Host, HostName, JobKey, Phase, SeenHost
from paas_runner.service.status import Glance
from paas_runner.status.reach import Reached, ReachState
from paas_runner.store.sqlite import SqliteStore
from paas_runner.web.moment import LastSearches, StoredPast, Watched, Workroom
from paas_runner.web.page import page_app
from tests.support.views import dispatch_view

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
BUILD, DEPLOY = "Kq3vTn8x", "Zr7mWp2d"
NAMES = {BUILD: "build", DEPLOY: "deploy"}

_FLAVORS = (("S", 1.0, 0.0152), ("M", 2.0, 0.0304), ("XL", 8.0, 0.1208))
_TENANTS = ("orga_blue", "orga_green", "orga_red")
_NAMES = ("compile", "unit tests", "lint", "browser tests", "package", "documentation")


def payload(job_id, name):
    facts = {"job_info": {"name": name}, "runner_info": {"timeout": 6 * 3600}}
    return read({"id": job_id, "token": f"job-token-{job_id}-0123456789", **facts})


def record(job_id, age, *, runner=BUILD, name=None, until=None, tenant=None):
    """A job that was acquired so long ago, and has come as far as jobs usually do by then."""
    name = _NAMES[job_id % len(_NAMES)] if name is None else name
    tenant = _TENANTS[job_id % 3] if tenant is None else tenant
    at = NOW - age
    flavor, weight, price = _FLAVORS[job_id % 3]
    host = Host(ref=f"app_{job_id:08x}", flavor=flavor, weight=weight, price=price)
    job = acquired(runner, payload(job_id, name), at, tenant=tenant, expected_weight=weight)
    way = [
        (1 * SECOND, ev.Checked()),
        (1 * SECOND, ev.ProvisionIntended()),
        (4 * SECOND, ev.HostCreated(host=host, doubtful=False)),
        (9 * SECOND, ev.HostReady()),
        (10 * SECOND, ev.LaunchIntended()),
        (12 * SECOND, ev.Launched()),
        (48 * SECOND, ev.LifeSeen()),
    ]
    for after, event in way:
        if at + after <= NOW and (until is None or type(event) is not until):
            job = apply(job, event, at + after)
        else:
            return job
    looked = NOW - (job_id * 7 % 25) * SECOND
    return apply(job, ev.Checked(), looked) if job.phase is Phase.RUNNING and looked > job.since else job


def failed(job, after, text, reason=FailureReason.SYSTEM):
    return apply(job, ev.Failed(failure=Failure(reason=reason, text=text)), job.acquired_at + after)


def gone(job, after):
    """The job at its end, however it came to it."""
    at = job.acquired_at + after
    for event in (ev.Ended(), ev.Decommissioned()):
        job = apply(job, event, at) if job.phase != "gone" else job
    return job


def usual_jobs():
    """A lively afternoon, with some that wait and one that fails."""
    waiting = record(4711, 3 * MINUTE, until=ev.ProvisionIntended)
    trouble = "clever-cloud, create: 503 Service Unavailable (request 5f0c)"
    deferred = ev.Deferred(until=NOW + 20 * SECOND, trouble=trouble)
    stuck = apply(record(4713, 95 * SECOND, until=ev.HostCreated), deferred, NOW - 10 * SECOND)
    stuck = apply(stuck, deferred, NOW - 5 * SECOND)
    failing = failed(
        record(4712, 400 * SECOND, until=ev.LifeSeen),
        340 * SECOND,
        "The job's host did not begin with it within 300 s.\n  Host: hpd-job-Kq3vTn8x-4712",
    )
    return [
        record(4690, 2 * HOUR + 13 * MINUTE, name="nightly benchmark"),
        record(4704, 24 * MINUTE),
        record(4706, 11 * MINUTE, runner=DEPLOY, name="deploy to staging"),
        record(4708, 7 * MINUTE),
        failing,
        waiting,
        stuck,
        record(4714, 40 * SECOND),
        record(4715, 11 * SECOND),
        record(4716, 6 * SECOND),
        record(4717, 1 * SECOND),
    ]


def glance(jobs, *, sharing=None, **more):
    """A service that has those jobs."""
    runners = {BUILD: "build", DEPLOY: "deploy"}
    quota = QuotaRule(reference_runner=BUILD, reference_flavor="M", reference_jobs=24, shares={})
    limits = Limits(concurrent=20, provisioning=10, per_runner={DEPLOY: 1}, quota=quota)
    weights = Flavors(weights={flavor: weight for flavor, weight, _ in _FLAVORS})
    values = {
        "load": Load.of(jobs, limits, flavors=dict.fromkeys(runners, weights)),
        "runners": runners,
        "policies": dict.fromkeys(runners, Policy()),
        "answered": frozenset(runners),
    }
    view = dispatch_view(jobs=jobs, **(values | more))
    return Glance(
        view=view,
        at=NOW,
        since=NOW - 26 * HOUR,
        state_file=Path("/var/lib/paas-runner/state.json"),
        counters=dict.fromkeys(("orphans_found", "duplicates_prevented", "drift"), 0),
        notices={},
        sharing=sharing,
        pid=4242,
    )


_CAUSES = (
    "The host for this job could not be made.\n  Answer: clever-cloud: 503 Service Unavailable",
    "The job's host did not begin with it within 300 s.\n  What to do: retry the job",
    'The flavor "HUGE" of this job is not on offer.',
)


async def remember(store, *, failures=9, ended=30):
    """Put a past into a store: jobs that failed, jobs that ended, and what their hosts have cost."""
    for number in range(ended):
        job = gone(record(4500 + number, (60 - number) * 8 * MINUTE), (80 + 37 * number) * SECOND)
        await store.forget(job.key, ended=True, history=job.history)
        await store.charge(_charge(4500 + number, job), keep_from=NOW - 400 * 24 * HOUR)
    for number in range(failures):
        job = record(4600 + number, (failures - number) * 47 * MINUTE, until=ev.HostCreated)
        reason = FailureReason.SCRIPT if number % 6 == 2 else FailureReason.SYSTEM
        cause = _CAUSES[(0, 0, 2, 0, 1, 0, 1)[number % 7]]
        job = gone(failed(job, 60 * SECOND, cause, reason), 70 * SECOND)
        await store.forget(job.key, ended=True, history=job.history)


def _charge(number, job):
    flavor, _, price = _FLAVORS[number % 3]
    return Charge(
        key=job.key,
        tenant=_TENANTS[number % 3],
        host=f"app_{number:08x}",
        flavor=flavor,
        since=job.acquired_at + 4 * SECOND,
        until=job.acquired_at + (80 + 37 * (number - 4500)) * SECOND,
        price=price,
    )


def usual_searches():
    """One search that found an orphan, one of a tenant that could not be asked."""
    searches = LastSearches()
    seen = SeenHost(
        name=HostName(f"hpd-job-{BUILD}-4402"), ref="app_0000dead", created_at=NOW - 3 * HOUR, busy=False
    )
    verdicts = [HostVerdict(host=seen, kind=HostKind.SEEN_ONCE, why="its job is over; the next look decides")]
    searches.searched(SearchResult(runner=BUILD, tenant="orga_blue", at=NOW - 2 * MINUTE, verdicts=verdicts))
    searches.searched(
        SearchResult(
            runner=BUILD,
            tenant="orga_red",
            at=NOW - 2 * MINUTE,
            not_asked="clever-cloud, applications: 401 Unauthorized",
        )
    )
    return searches


def usual_services():
    """All that is called, and it answers."""
    return [
        Reached(service=name, state=ReachState.REACHED, last_success=NOW - ago)
        for name, ago in (("coordinator https://gitlab.example", 2 * SECOND), ("Clever Cloud", 5 * SECOND))
    ]


def silent(service):
    """It has not answered for a while."""
    since = NOW - 3 * MINUTE
    return attrs.evolve(
        service, state=ReachState.UNREACHABLE, failures=9, last_success=since, failing_since=since
    )


@attrs.define
class WatchedWorld:
    """What is watched, and the application that shows it; `jobs` and `more` may be changed between looks."""

    path: Path
    jobs: list = attrs.field(factory=usual_jobs)
    more: dict = attrs.field(factory=dict)
    services: list = attrs.field(factory=usual_services)
    searches: LastSearches = attrs.field(factory=usual_searches)
    workroom: Workroom = attrs.field(factory=Workroom)

    def watched(self):
        return Watched(
            moment=lambda: glance(self.jobs, **self.more),
            reached=lambda: {each.service: each for each in self.services},
            past=StoredPast(self.path),
            searches=self.searches,
        )

    def app(self, **options):
        return page_app(self.watched(), self.workroom, **({"token": None} | options))

    def close(self):
        self.workroom.close()


@functools.cache
def _store_with_a_past():
    """Made once, in a folder that goes with the process: most of the time of a store is for the disk."""
    folder = tempfile.TemporaryDirectory(prefix="watched-world-")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "state.db"

    async def make():
        store = await SqliteStore.open(path)
        await store.installation()
        await remember(store)
        await store.aclose()

    asyncio.run(make())
    return path


def watched_world(folder):
    """A world with its store in that folder."""
    return WatchedWorld(Path(shutil.copy(_store_with_a_past(), folder)))


def outage():
    """What `more` is while a coordinator does not answer and the disk takes nothing."""
    return {
        "backoffs": {BUILD: Backoff(until=NOW + 40 * SECOND, why="coordinator.example: 502 Bad Gateway")},
        "refused": {JobKey(BUILD, 4717): "No space left on device"},
    }
