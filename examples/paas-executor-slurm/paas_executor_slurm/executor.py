"""Hosts are Slurm jobs: submitted when they are provisioned, ready on a node, and given their CI job there.

A Slurm job has its host's name, and labels in its comment; it is ours with both, and of our user. It waits in
the queue before the launch, since the CI job's time counts from then on. What begins a CI job once is in
`submission`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

from executors.build_context import authority_of, inner_configuration, job_text
from executors.host_log import clean_lines
from paas_executor_slurm import account, checks, jobs, submission
from paas_executor_slurm.folder import HostFolder
from paas_executor_slurm.jobs import Ending, SlurmJob
from paas_executor_slurm.programs import call
from paas_executor_slurm.settings import SlurmSettings
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.executor.checks import CheckResult
from paas_runner.executor.contract import HostRequest, ProvisionedHost, Removal, RunnerSection
from paas_runner.job.failure import Failure, FailureReason, JobRefusedError
from paas_runner.job.limits import Flavors
from paas_runner.job.payload import Payload
from paas_runner.job.tracked import Host, HostName, SeenHost, host_name_prefix
from paas_runner.job.use import Use, last_in

T = TypeVar("T")

FLAVOR_VARIABLE = "CI_SLURM_FLAVOR"
RECENT_SECONDS = 1.0
"""For so long one call of squeue answers what all jobs of a section ask."""

FILE_SECONDS = 60.0
REMOVAL_LOOKS, REMOVAL_STEP = 60, 0.3
"""How often, and after so many seconds, one call looks for what it has canceled: KillWait is 30 s usually."""


class SlurmExecutor:
    """Hosts of one `[[runners]]` section."""

    ready_every = timedelta(seconds=2)

    def __init__(self, settings: SlurmSettings, section: RunnerSection) -> None:
        self.ready_within = settings.queue_within
        self._settings = settings
        self._section = section
        self._label = f"paas-runner installation={section.installation} runner={section.short_token}"
        self._weights = {name: float(flavor.cpus) for name, flavor in settings.flavors.items()} or {"M": 1.0}
        self._files = ThreadPoolExecutor(4, thread_name_prefix="shared-folder")
        self._recent: tuple[float, Mapping[str, SlurmJob]] = (-RECENT_SECONDS, {})
        self._asking = asyncio.Lock()

    async def provision(self, request: HostRequest) -> Host:
        """The folder, without which a Slurm job ends at once, then the Slurm job."""
        flavor = self._flavor(request.payload, most=request.most_weight)
        folder = self._folder(request.host_name)
        arguments = self._arguments(request.host_name, request.payload.timeout, flavor)
        script = submission.script(request.host_name, folder.path, self._settings)
        await self._with_files("make the host's folder", folder.make)
        try:
            answer = await call("submit the host", "sbatch", *arguments, stdin=script)
        except Rejected:
            await self._with_files("remove the host's folder", folder.remove)
            raise
        return self._host(answer.strip().partition(";")[0], flavor)

    async def adopt(self, request: HostRequest) -> Host | None:
        """The one that is furthest, then the oldest; what lost answers have left beside it goes."""
        found = [job for job in (await self._ours(request.host_name)).values() if job.may_start]
        found.sort(key=lambda job: (job.state != jobs.RUNNING, int(job.ref)))
        if not found:
            return None
        await self._cancel(found[1:])
        await self._with_files("make the host's folder", self._folder(request.host_name).make)
        return self._host(found[0].ref, self._flavor(request.payload, most=request.most_weight))

    async def ready(self, provisioned: ProvisionedHost) -> bool:
        """Whether it has its node. While Slurm does not answer, its place in the queue is kept."""
        try:
            job = await self._found_of_late(provisioned)
        except Transient:
            return False
        if job and not job.over and not job.never_starts:
            return job.state == jobs.RUNNING
        ending = await self._ending(provisioned)
        cause, advice = account.explained(ending)
        if job and job.never_starts:
            cause, advice = f"it can never start ({job.reason})", account.OPERATORS
        text = f"{account.words(ending)}: {cause}"
        raise Rejected(text, service="Slurm", op="wait for a node", advice=advice)

    async def launch(self, request: HostRequest, host: Host) -> None:
        """The files, then the word to begin, which is for this Slurm job alone."""
        folder = self._folder(request.host_name)

        def hand_over() -> bool:
            authority = authority_of(self._section)
            trusted = "".join(str(folder.path / name) for name in authority)
            configuration = inner_configuration(
                self._section, inner_executor="shell", authority_file=trusted, trace=request.trace
            )
            texts = {"runner.toml": configuration, "job.json": job_text(request.payload)}
            files = {name: text.encode() for name, text in texts.items()}
            return folder.hand_over({**authority, **files}, host.ref)

        op = "launch the job"
        if not await self._with_files(op, hand_over):
            raise Rejected("another Slurm job has it", service="shared folder", op=op)

    async def decommission(self, removal: Removal) -> None:
        """Cancel the Slurm job, see its end, and remove the folder unless another Slurm job is there."""
        known = removal.host.ref if removal.host else ""
        for look in range(REMOVAL_LOOKS):
            going = [job for job in (await self._ours(removal.name)).values() if not job.over]
            doomed = [job for job in going if removal.search or job.ref == known]
            if not going:
                await self._with_files("remove the host's folder", self._folder(removal.name).remove)
            if not doomed:
                return
            if not look:
                await self._cancel(doomed)
            await asyncio.sleep(REMOVAL_STEP)
        raise Transient("it is canceled, and still ends", service="Slurm", op="cancel the host")

    async def hosts(self, tenant: str) -> Sequence[SeenHost]:
        """Slurm jobs that are not over, and folders without one."""
        if tenant:
            return ()
        prefix = host_name_prefix(self._section.short_token)
        place = self._folder(HostName(prefix)).path.parent
        going = {job.name: job for job in (await self._ours()).values() if not job.over}

        def seen(name: HostName) -> SeenHost:
            job, busy = going.get(name), self._folder(name).launched()
            created_at, ref = (job.submitted_at, job.ref) if job else (None, "")
            return SeenHost(name=name, ref=ref, created_at=created_at, busy=busy and job is not None)

        def all_seen() -> Sequence[SeenHost]:
            names = {*going, *(HostName(path.name) for path in place.glob("*"))}
            return [seen(name) for name in sorted(names) if name.startswith(prefix)]

        return await self._with_files("list the hosts' folders", all_seen)

    async def aclose(self) -> None:
        """No call of a program outlives its verb."""
        self._files.shutdown(wait=False, cancel_futures=True)

    async def flavors(self) -> Flavors:
        """As configured."""
        return Flavors(weights=self._weights)

    def weigh(self, payload: Payload, *, most: float) -> float:
        """By CPUs."""
        return self._weights[self._flavor(payload, most=most)]

    async def trouble(self, provisioned: ProvisionedHost) -> str | None:
        """How the Slurm job ended, if it has."""
        job = await self._found(provisioned)
        if job and not job.over:
            return None
        ending = await self._ending(provisioned)
        told = await self._told(provisioned, account.words(ending), account.explained(ending))
        return f"The host of this job ended before its job had.\n{told}"

    async def silence(self, provisioned: ProvisionedHost) -> str | None:
        """What its node has written, if it has not ended."""
        why = ("its inner runner does not reach the coordinator, or is slow to start", account.OPERATORS)
        return await self.trouble(provisioned) or await self._told(provisioned, "the job is on its node", why)

    async def use(self, provisioned: ProvisionedHost) -> Use | None:
        """By the end of the node's log."""
        return last_in(await self._log(provisioned))

    async def examine(self) -> Sequence[CheckResult]:
        """Slurm, each flavor, the shared folder."""
        name, hour = HostName("paas-runner-check"), timedelta(hours=1)
        sizes = {flavor: self._arguments(name, hour, flavor) for flavor in self._weights}
        return await checks.examine(sizes, self._settings.shared_folder)

    async def _ours(self, name: str = "") -> Mapping[str, SlurmJob]:
        """Those of our user with our label by their numbers: of that name, or all."""
        named = [f"--name={name}"] if name else []
        listing = ("--me", "--states=all", "--noheader", f"--format={jobs.LISTED}")
        found = jobs.listed(await call("list hosts", "squeue", *listing, *named))
        return {job.ref: job for job in found if job.comment == self._label}

    async def _found(self, provisioned: ProvisionedHost) -> SlurmJob | None:
        return (await self._ours(provisioned.name)).get(provisioned.host.ref)

    async def _found_of_late(self, provisioned: ProvisionedHost) -> SlurmJob | None:
        """As it was a second ago, if it was going on then; else as it is now."""
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if now - self._recent[0] > RECENT_SECONDS:
                self._recent = (now, await self._ours())
        job = self._recent[1].get(provisioned.host.ref)
        return job if job and not job.over else await self._found(provisioned)

    async def _cancel(self, doomed: Sequence[SlurmJob]) -> None:
        """By the name, too, since numbers are used again."""
        for job in doomed:
            await call("cancel the host", "scancel", "--quiet", f"--name={job.name}", job.ref)

    async def _ending(self, provisioned: ProvisionedHost) -> Ending:
        """By the accounting, which knows for long and by whom, else by what Slurm remembers."""
        ref, op = provisioned.host.ref, "ask how the host ended"
        for program, *arguments in (
            ("sacct", *jobs.ACCOUNTED, f"--jobs={ref}"),
            ("scontrol", *jobs.SHOWN, ref),
        ):
            with contextlib.suppress(RemoteError):
                if found := jobs.ending(await call(op, program, *arguments), provisioned.name):
                    return found
        return Ending()

    async def _told(self, provisioned: ProvisionedHost, said: str, why: tuple[str, str]) -> str:
        lines = await self._log(provisioned)
        return account.sheet(said, why, provisioned.host.ref, lines, provisioned.hidden)

    async def _log(self, provisioned: ProvisionedHost) -> Sequence[str]:
        folder, ref = self._folder(provisioned.name), provisioned.host.ref
        with contextlib.suppress(Transient):
            return clean_lines(await self._with_files("read the host's log", lambda: folder.log(ref)))
        return ()

    async def _with_files(self, op: str, act: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(FILE_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._files, act)
        except OSError as error:  # a time-out is one, too
            text = f"{error.filename or self._settings.shared_folder}: {error.strerror or 'no answer'}"
            raise Transient(text, service="shared folder", op=op) from error

    def _folder(self, name: HostName) -> HostFolder:
        return HostFolder(self._settings.shared_folder / self._section.installation / name)

    def _arguments(self, name: HostName, timeout: timedelta, flavor: str) -> Sequence[str]:
        return submission.arguments(
            name,
            comment=self._label,
            folder=self._folder(name).path,
            limit=submission.minutes(timeout, self._settings),
            settings=self._settings,
            flavor=self._settings.flavors.get(flavor),
        )

    def _flavor(self, payload: Payload, *, most: float) -> str:
        """Its name; raises `JobRefusedError` for one that is not on offer, or weighs more than `most`."""
        name = payload.variable(FLAVOR_VARIABLE) or next(iter(self._weights))
        if self._weights.get(name, most + 1) <= most:
            return name
        choices = ", ".join(flavor for flavor, weight in self._weights.items() if weight <= most)
        text = (
            f"This runner has no flavor {name} for this job.\n  {FLAVOR_VARIABLE} may be: {choices or 'none'}"
        )
        raise JobRefusedError(Failure(reason=FailureReason.SCRIPT, text=text))

    def _host(self, ref: str, flavor: str) -> Host:
        size = self._settings.flavors.get(flavor)
        memory = size.memory_mib << 20 if size else None
        return Host(ref=ref, flavor=flavor, weight=self._weights[flavor], memory_bytes=memory)
