"""`service-docker`: each job at one helper service which somebody else has started.

Nothing is created, listed or billed. A host is the helper for as long as one job has it: it is ready when the
helper takes a job, so jobs wait for each other there, and it is given back by having the job forgotten, which
ends it if it still runs.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import attrs
import structlog

from executors.build_context import job_definition
from executors.helper import jobs
from executors.helper.contract import HelperClient
from executors.helper.opening import PLAIN, Place
from executors.service_docker.checks import examine
from executors.service_docker.settings import ServiceDockerSettings, service_at
from paas_runner.addresses import AddressError, parsed
from paas_runner.errors import Rejected
from paas_runner.executor.checks import CheckResult
from paas_runner.executor.contract import HostRequest, ProvisionedHost, Removal, RunnerSection
from paas_runner.executor.optional import ONLY_FLAVOR, ONLY_WEIGHT
from paas_runner.helper.protocol import JobKey
from paas_runner.http import Connect
from paas_runner.job.tracked import Host, SeenHost
from paas_runner.secret import Secret

log = structlog.stdlib.get_logger(__name__)

NETLOC, SCHEME, TOKEN = "netloc", "scheme", "paas_token"
"""Notes of a host; the first and the last are called so in the state file of 1.1.1, too."""


class ServiceDockerExecutor:
    """The helper of one `[[runners]]` section."""

    ready_every = timedelta(seconds=1)  # core-features.md H141
    ready_within = timedelta(minutes=15)
    hosts_at_once = 1

    def __init__(
        self,
        settings: ServiceDockerSettings,
        section: RunnerSection,
        *,
        connect: Connect,
        second_look_after: timedelta,
    ) -> None:
        self._place = settings.place
        self._section = section
        self._connect = connect
        self._second_look_after = second_look_after.total_seconds()

    async def provision(self, request: HostRequest) -> Host:
        """Note which helper it is; a job that could not be launched needs none."""
        job_definition(request.payload)
        address = self._place.address
        notes = {**self._called(), NETLOC: str(attrs.evolve(address, path="")).partition("://")[2]}
        if address.scheme != PLAIN:
            notes[SCHEME] = address.scheme
        if self._place.token:
            notes[TOKEN] = self._place.token.reveal()
        return Host(ref=request.host_name, flavor=ONLY_FLAVOR, weight=ONLY_WEIGHT, details=notes)

    async def adopt(self, request: HostRequest) -> Host | None:  # noqa: ARG002 - nothing is ever created
        """None: another `provision` gives the same host."""
        return None

    async def ready(self, provisioned: ProvisionedHost) -> Host | bool:
        """Whether the helper takes a job: it may have another one; the host with its instance.

        It is ready, too, where it has this very job: another program launched it, and did not live to know.
        """
        host = provisioned.host
        async with self._client(host) as client:
            seen = await client.can_take_job()
            if not seen.takes and await client.status(self._job(provisioned)):
                return True
        if seen.told.unclean:
            log.warning("helper_not_clean", host=client.service)
        if not seen.takes:
            return False
        return attrs.evolve(host, details={**host.details, jobs.INSTANCE: seen.told.instance})

    async def launch(self, request: HostRequest, host: Host) -> None:
        """Hand over the job, once."""
        authority = self._section.tls.ca_file if self._section.tls else None
        wanted = jobs.launch_request(
            request, self._section, host, authority_file=str(authority) if authority else ""
        )
        async with self._client(host) as client:
            await jobs.launch(client, wanted, host)

    async def trouble(self, provisioned: ProvisionedHost) -> str | None:
        """Whether the helper knows the job no more, or says that it has ended; seen twice."""
        host = provisioned.host
        async with self._client(host) as client:
            verdict = await jobs.lost(
                client, self._job(provisioned), host, look_again_after=self._second_look_after
            )
        return verdict.account if verdict else None

    async def silence(self, provisioned: ProvisionedHost) -> str | None:
        """What the helper says of the job."""
        async with self._client(provisioned.host) as client:
            return jobs.silence(await client.status(self._job(provisioned)), provisioned.host)

    async def hosts(self, tenant: str) -> Sequence[SeenHost]:  # noqa: ARG002 - there is nobody to pay
        """None: a helper is somebody else's, and does not list its jobs."""
        return ()

    async def decommission(self, removal: Removal) -> None:
        """Have the job forgotten, and ended if it still runs; the helper stays."""
        host = removal.host or Host(ref=removal.name, details=self._called())
        job_id = removal.name.rpartition("-")[2]
        async with self._client(host) as client:
            await client.forget(jobs.key_of(self._section, host, int(job_id)))

    async def examine(self) -> Sequence[CheckResult]:
        """Whether the helper answers, and takes our token."""
        return await examine(self._place, self._connect)

    async def aclose(self) -> None:
        """Nothing is kept open."""

    def _called(self) -> dict[str, str]:
        """What the helper knows our runner by, as a note, where that is not the usual name."""
        name = self._section.helper_name
        return {} if name == self._section.short_token else {jobs.RUNNER_NAME: name}

    def _job(self, provisioned: ProvisionedHost) -> JobKey:
        return jobs.key_of(self._section, provisioned.host, provisioned.job_id)

    @asynccontextmanager
    async def _client(self, host: Host) -> AsyncIterator[HelperClient]:
        client = self._place_of(host).opened(self._connect)
        try:
            yield client
        finally:
            await client.aclose()

    def _place_of(self, host: Host) -> Place:
        """The helper that has the host's job, which may be another one than is configured by now."""
        notes = host.details
        if NETLOC not in notes:
            return self._place
        try:
            address = parsed(f"{notes.get(SCHEME, PLAIN)}://{notes[NETLOC]}", (PLAIN, "https"))
        except AddressError as error:
            text = f"the recorded place is none: {error}"
            raise Rejected(text, service="helper service", op="find it") from error
        if address == attrs.evolve(self._place.address, path=""):
            return self._place
        token = Secret(notes[TOKEN]) if notes.get(TOKEN) else None
        return attrs.evolve(self._place, address=address, token=token, service=service_at(address))
