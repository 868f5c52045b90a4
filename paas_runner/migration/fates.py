"""What becomes of each job of a state file, here and there, in words for who goes from one to the other."""

from collections.abc import Mapping, Sequence

import attrs

from paas_runner.config import Config
from paas_runner.job.tracked import Phase, TrackedJob
from paas_runner.store.peer_hosts import has_helper, is_fixed
from paas_runner.store.state_file import State


@attrs.frozen(kw_only=True)
class JobFate:
    """One job of the state file."""

    runner: str
    """Its name, or what the file calls it."""

    job: int
    host: str
    phase: str
    fate: str


def fates(state: State, config: Config) -> Sequence[JobFate]:
    """Once this service is started."""
    titles = {runner.short_token: runner.title for runner in config.runners}
    return [_told(job, titles, _fate(job, known=job.key.runner in titles)) for job in state.jobs]


def fates_there(state: State, config: Config) -> Sequence[JobFate]:
    """Once the other program is started: 1.1.1, whose sources say what it does with each list."""
    titles = {runner.short_token: runner.title for runner in config.runners}
    return [_told(job, titles, fate_there(job, known=job.key.runner in titles)) for job in state.jobs]


def _told(job: TrackedJob, titles: Mapping[str, str], fate: str) -> JobFate:
    return JobFate(
        runner=titles.get(job.key.runner, job.key.runner),
        job=job.key.job_id,
        host=job.host.ref if job.host else "",
        phase=str(job.phase),
        fate=fate,
    )


def _fate(job: TrackedJob, *, known: bool) -> str:
    if not known:
        return "kept until the configuration has its runner again"
    fixed = job.host is not None and is_fixed(job.host)
    match job.phase:
        case Phase.LAUNCHED | Phase.RUNNING if fixed:
            return "followed to its end, then its helper service forgets it"
        case Phase.LAUNCHED | Phase.RUNNING:
            return "followed to its end, then its host is removed"
        case Phase.FAILING:
            return "reported as failed, as its author was told already"
        case Phase.DECOMMISSIONING:
            return "over: its helper service forgets it" if fixed else "over: its host is removed"
        case Phase.STANDBY:
            return "over: its host waits for another job"
    if job.failure:
        return "reported as failed, with the reason in its log"
    where = "on its host" if job.host else "on a host that is made then"
    return f"run {where}, if the coordinator still wants it"


def fate_there(job: TrackedJob, *, known: bool) -> str:
    """In words; `known`: whether the configuration has its runner."""
    if job.host is None and job.payload is None:
        return "it is not told of it: the coordinator ends the job by its timeout"
    if not known:
        return "in the way: it does not start while the configuration lacks its runner"
    fixed = job.host is not None and is_fixed(job.host)
    helped = job.host is not None and has_helper(job.host)
    end = "its host waits for another job for a while" if helped else "its host is removed"
    match job.phase:
        case Phase.LAUNCHED | Phase.RUNNING:
            return f"followed to its end there, then {'its helper service forgets it' if fixed else end}"
        case Phase.FAILING if job.payload is None:
            return "its host is removed there; that it failed is not reported"
        case Phase.DECOMMISSIONING | Phase.STANDBY if fixed:
            return "over: nothing is left to be done there"
        case Phase.STANDBY if helped:
            return "over: its host waits for another job there, for a while"
        case Phase.DECOMMISSIONING | Phase.STANDBY:
            return "over: its host is removed there"
    return f"run there, {'on its host' if job.host else 'on a host that is made then'}"
