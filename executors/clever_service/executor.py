"""`clever-service-docker`: hosts are Clever Cloud applications that stay up, for one job after the other.

They are made as `clever-docker` makes its own, but for what is pushed: the helper's image, nothing of a job.
That is done while the host is waited for, and it is ready when its helper takes a job; the job comes to it by
a request. Which start of the machine has answered is on the disk before that, so that a machine which was
replaced does not get the job a second time.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import attrs
import structlog

from executors.build_context import AUTHORITY_FILE, CONFIGURATION_FOLDER, Push, authority_of
from executors.clever.accounts import Account, CloudAccounts
from executors.clever.api import Application
from executors.clever.applications import Placement
from executors.clever.catalogue import Catalogue, told_to_host
from executors.clever.executor import CleverDockerExecutor
from executors.clever.offer import Offer
from executors.clever.refusals import NoSuchApplicationError
from executors.clever.watch import HostWatch
from executors.clever_service.environment import environment, known_token, new_token
from executors.clever_service.settings import HELPER_URL, REFERENCE_IMAGE, CleverServiceSettings
from executors.helper import jobs
from executors.helper.contract import HelperClient, TokenRefusedError
from executors.helper.opening import Place
from paas_runner.addresses import AddressError, parsed
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.executor.checks import CheckResult, fine, warning
from paas_runner.executor.contract import (
    HostRequest,
    JobRefusedError,
    ProvisionedHost,
    Removal,
    RunnerSection,
)
from paas_runner.helper.protocol import TOKEN_VARIABLE, JobKey
from paas_runner.http import HELPER_OF_A_HOST, Connect
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.tracked import Host, SeenHost
from paas_runner.job.use import Use
from paas_runner.logs import redactor
from paas_runner.secret import Secret

log = structlog.stdlib.get_logger(__name__)

READY_SECONDS = 600.0  # core-features.md H141
LOOK_AGAIN_SECONDS = 30.0
"""Between two looks at a host that does not become ready."""

CLEAN_SECONDS = 60.0
CLEAN_STEP_SECONDS = 1.0
NETLOC, TOKEN, URL, IMAGE = "netloc", "paas_token", "helper_url", "image"
"""Notes of a host; the first two are called so in the state file of 1.1.1, too."""


class CleverServiceExecutor(CleverDockerExecutor):
    """Hosts in the organisation that pays for them, which may take several jobs."""

    lifetime = None
    _settings: CleverServiceSettings

    def __init__(
        self,
        settings: CleverServiceSettings,
        section: RunnerSection,
        *,
        catalogue: Catalogue,
        accounts: CloudAccounts,
        push: Push,
        watch: HostWatch,
        connect: Connect,
    ) -> None:
        super().__init__(settings, section, catalogue=catalogue, accounts=accounts, push=push, watch=watch)
        self.ready_within = timedelta(seconds=READY_SECONDS)
        self._connect = connect
        self._has_helper: set[str] = set()  # of whose hosts it is known that they were pushed to
        self._looked_at: dict[str, float] = {}

    # --- the host -----------------------------------------------------------------------------------------

    async def _created(
        self, account: Account, request: HostRequest, placement: Placement, offer: Offer
    ) -> Host:
        token = new_token()
        env = {**told_to_host(offer, placement.flavor, self._settings), **self._env(token, {})}
        host = await self._applications.create(account, request, placement, offer.version, env)
        return self._noted(account, request, host, token)

    async def _adopted(
        self, account: Account, request: HostRequest, found: Application, placement: Placement, offer: Offer
    ) -> Host:
        present = found.env or {}
        if known_token(present) is None:
            try:
                present = await account.api.env(found.ref)
            except NoSuchApplicationError as error:  # a list is ahead of other answers
                raise Transient(error.text, service=error.service, op=error.op, status=404) from error
        token = known_token(present) or new_token()
        env = {**told_to_host(offer, placement.flavor, self._settings), **self._env(token, present)}
        host = await self._applications.configure(account, attrs.evolve(found, env=present), placement, env)
        return self._noted(account, request, host, token)

    async def ready(self, provisioned: ProvisionedHost) -> Host | bool:
        """The host with its instance, when its helper takes a job; pushed to as soon as that is possible.

        A host of which the cloud says that it will never be is given up before the time is over.
        """
        host = provisioned.host
        if host.ref not in self._has_helper:
            if not await super().ready(provisioned):
                return False
            await self._pushed(self._tree(host), provisioned.tenant, host)
            self._has_helper.add(host.ref)
        try:
            async with self._helper(host) as helper:
                seen = await helper.can_take_job()
                if not seen.takes and await helper.status(self._job(provisioned)):
                    return True  # another program launched it there, and did not live to know
        except RemoteError as error:  # the platform's proxy answers before the helper does
            log.debug("helper_not_there", host=host.ref, reason=str(error))
            seen = None
        if seen and seen.takes:
            self._looked_at.pop(host.ref, None)
            return attrs.evolve(host, details={**host.details, jobs.INSTANCE: seen.told.instance})
        if (account := await self._given_up(provisioned)) is not None:
            raise JobRefusedError(Failure(reason=FailureReason.SYSTEM, text=account))
        return False

    async def launch(self, request: HostRequest, host: Host) -> None:
        """Hand the job to the host's helper, once."""
        trusted = f"{CONFIGURATION_FOLDER}/{AUTHORITY_FILE}" if authority_of(self._section) else ""
        wanted = jobs.launch_request(request, self._section, host, authority_file=trusted)
        async with self._helper(host) as helper:
            await jobs.launch(helper, wanted, host)

    async def hosts(self, tenant: str) -> Sequence[SeenHost]:
        """As `clever-docker` lists them; an application that is up need not have a job."""
        return [attrs.evolve(each, busy=each.busy and None) for each in await super().hosts(tenant)]

    async def hosts_of_others(self, tenant: str) -> Sequence[SeenHost]:
        """The same of other installations."""
        return [attrs.evolve(each, busy=each.busy and None) for each in await super().hosts_of_others(tenant)]

    async def decommission(self, removal: Removal) -> None:
        """Delete the application, whatever its helper does."""
        await super().decommission(removal)
        if removal.host:
            self._has_helper.discard(removal.host.ref)
            self._looked_at.pop(removal.host.ref, None)
            redactor.untrack(Secret(removal.host.details.get(TOKEN, "")))

    # --- a launched host ----------------------------------------------------------------------------------

    async def trouble(self, provisioned: ProvisionedHost) -> str | None:
        """Whether its application is in trouble, or its helper knows the job no more; seen twice."""
        host = provisioned.host
        if (account := await super().trouble(_hiding_its_token(provisioned))) is not None:
            return account
        async with self._helper(host) as helper:
            after = self._watch.second_look_after.total_seconds()
            verdict = await jobs.lost(helper, self._job(provisioned), host, look_again_after=after)
        return verdict.account if verdict else None

    async def silence(self, provisioned: ProvisionedHost) -> str | None:
        """What its helper says of the job; else how far the deployment and its machine have come."""
        try:
            async with self._helper(provisioned.host) as helper:
                seen = await helper.status(self._job(provisioned))
        except RemoteError:
            return await super().silence(_hiding_its_token(provisioned))
        return jobs.silence(seen, provisioned.host)

    async def use(self, provisioned: ProvisionedHost) -> Use | None:
        """By the application's log, whose first word of that is of the job that it was made for."""
        first = provisioned.name.rpartition("-")[2]
        return await super().use(provisioned) if first == str(provisioned.job_id) else None

    # --- a host that stays --------------------------------------------------------------------------------

    async def series(self, request: HostRequest) -> str:
        """Hosts of one organisation that are made alike but for their weight, which is known from now on."""
        await self._catalogue.offer()

        async def work(account: Account) -> str:
            return self._series(account, request)

        return await self._for_a_new_host(request, work)

    async def release(self, provisioned: ProvisionedHost) -> timedelta | None:
        """Have a job that has succeeded forgotten; only a helper with an instance can prove to be clean."""
        host, job = provisioned.host, self._job(provisioned)
        instance = host.details.get(jobs.INSTANCE, "")
        if not instance or not host.series:
            return None
        async with self._helper(host) as helper:
            seen = await helper.status(job)
            if seen is None or seen.told.instance != instance:
                return None
            if seen.status.running:
                raise Transient("still runs the job", service=helper.service, op="release the host")
            if seen.status.exit_code != 0 or (await helper.forget(job)).unclean:
                return None
            return await _when_clean(helper, instance)

    async def renew(self, provisioned: ProvisionedHost) -> timedelta | None:
        """Ask whether it takes a job, which renews its lease."""
        host = provisioned.host
        try:
            async with self._helper(host) as helper:
                return await _lease(helper, host.details.get(jobs.INSTANCE, "")) or None
        except Rejected:
            return None

    # --- the rest -----------------------------------------------------------------------------------------

    async def examine(self) -> Sequence[CheckResult]:
        """As of `clever-docker`, and what hosts are made of."""
        image = self._settings.heptapod_paas_runner_helper_image
        told = fine("image of the helper", image)
        if image == REFERENCE_IMAGE:
            told = warning(
                "image of the helper",
                f"{image} is another program's: its hosts take one job each, and do not end by themselves",
                "build one with packaging/images/build and name it in `heptapod_paas_runner_helper_image`",
            )
        return [*await super().examine(), told]

    def _env(self, token: Secret, present: Mapping[str, str]) -> Mapping[str, str]:
        return environment(token, self._watch.clock(), self.ready_within, present)

    def _noted(self, account: Account, request: HostRequest, host: Host, token: Secret) -> Host:
        try:
            address = self._settings.helper_address(host.ref)
        except AddressError as error:
            raise Rejected(
                f"`cc_helper_url` makes no address: {error}", service=HELPER_OF_A_HOST, op="find it"
            ) from error
        notes = {
            **host.details,
            NETLOC: str(address).partition("://")[2].partition("/")[0],
            TOKEN: token.reveal(),
            IMAGE: self._image(request),
        }
        if self._settings.cc_helper_url != HELPER_URL:
            notes[URL] = str(address)
        return attrs.evolve(host, series=self._series(account, request), details=notes)

    def _image(self, request: HostRequest) -> str:
        return self._settings.image_for(self._tags.deciding(request.payload))

    def _series(self, account: Account, request: HostRequest) -> str:
        settings = self._settings
        alike = {
            "api": settings.cc_api_url,
            "zones": list(settings.zones_for(self._tags.deciding(request.payload))),
            "image": self._image(request),
            "variant": settings.cc_instance_variant_uuid,
            "environment": dict(settings.cc_extra_env),
            "helper": settings.cc_helper_url,
            "trusted": {name: file.decode("latin-1") for name, file in authority_of(self._section).items()},
        }
        digest = hashlib.sha256(json.dumps(alike, sort_keys=True).encode()).hexdigest()
        return f"clever-service-docker {account.api.organisation} {digest[:32]}"

    def _tree(self, host: Host) -> Mapping[str, bytes]:
        """What makes a helper service of an application; the same for every job (core-features.md H065)."""
        authority = authority_of(self._section)
        lines = [f"FROM {host.details.get(IMAGE) or self._settings.heptapod_paas_runner_helper_image}"]
        lines += [f"COPY {name} {CONFIGURATION_FOLDER}/" for name in authority]
        lines.append('CMD ["--http1", "--listen-address", "0.0.0.0:8080"]')
        return {"Dockerfile": "".join(f"{line}\n" for line in lines).encode(), **authority}

    def _job(self, provisioned: ProvisionedHost) -> JobKey:
        return jobs.key_of(self._section, provisioned.host, provisioned.job_id)

    async def _given_up(self, provisioned: ProvisionedHost) -> str | None:
        """Why the host will never be ready, from time to time; None while it may be."""
        now = asyncio.get_running_loop().time()
        before = self._looked_at.setdefault(provisioned.host.ref, now)
        if now - before < LOOK_AGAIN_SECONDS:
            return None
        self._looked_at[provisioned.host.ref] = now
        try:
            return await super().trouble(_hiding_its_token(provisioned))
        except RemoteError as error:
            log.info("host_account_unavailable", reason=str(error))
            return None

    @asynccontextmanager
    async def _helper(self, host: Host) -> AsyncIterator[HelperClient]:
        """A client of the host's helper. What it refuses is not the cloud's word on our account there."""
        helper = self._place(host).opened(self._connect)
        try:
            yield helper
        except TokenRefusedError as error:
            raise Rejected(error.text, service=error.service, op=error.op) from error
        finally:
            await helper.aclose()

    def _place(self, host: Host) -> Place:
        url = host.details.get(URL) or f"https://{host.details.get(NETLOC, '')}"
        token = known_token({TOKEN_VARIABLE: host.details.get(TOKEN, "")})
        try:
            address = parsed(url, ("https", "http"))
        except AddressError as error:
            text = f"the recorded address is none: {error}"
            raise Rejected(text, service=HELPER_OF_A_HOST, op="find it") from error
        return Place(address=address, http1=True, token=token, service=HELPER_OF_A_HOST)


_NOT_YET = timedelta()


def _hiding_its_token(provisioned: ProvisionedHost) -> ProvisionedHost:
    """An application's log may show its environment."""
    hidden = (*provisioned.hidden, provisioned.host.details.get(TOKEN, ""))
    return attrs.evolve(provisioned, hidden=tuple(filter(None, hidden)))


async def _when_clean(helper: HelperClient, instance: str) -> timedelta | None:
    """The lease, as soon as nothing is left of the job; None where that takes too long."""
    try:
        async with asyncio.timeout(CLEAN_SECONDS):
            while (lease := await _lease(helper, instance)) == _NOT_YET:  # noqa: ASYNC110 - only asked for
                await asyncio.sleep(CLEAN_STEP_SECONDS)
    except TimeoutError:
        return None
    return lease


async def _lease(helper: HelperClient, instance: str) -> timedelta | None:
    """How long the helper waits for a job; `_NOT_YET` while it takes none, None where it never will."""
    seen = await helper.can_take_job()
    if not instance or seen.told.instance != instance or seen.told.unclean:
        return None
    return seen.told.lease if seen.takes else _NOT_YET
