"""`clever-docker`: each job on a Clever Cloud application of its own, launched by a push."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlsplit

import structlog

from executors.build_context import Push, build_context, job_definition
from executors.clever.accounts import EVERYBODY, Account, CloudAccounts
from executors.clever.api import Application
from executors.clever.applications import Applications, Placement, placements
from executors.clever.catalogue import (
    FLAVOR_VARIABLE,
    LONGEST_FLAVOR_NAME,
    Catalogue,
    choose,
    sizes,
    told_to_host,
)
from executors.clever.examination import examine
from executors.clever.groups import Group
from executors.clever.offer import Flavor, Offer
from executors.clever.refusals import SERVICE, NoSuchApplicationError, UnknownVersionError
from executors.clever.settings import CleverSettings
from executors.clever.tenants import TenantError, group_of
from executors.clever.watch import HostWatch
from executors.tag_tables import TagTables
from paas_runner.addresses import AddressError, parsed
from paas_runner.errors import Rejected
from paas_runner.executor.checks import CheckResult
from paas_runner.executor.contract import (
    Executor,
    HostRequest,
    JobRefusedError,
    NoAccountError,
    ProvisionedHost,
    Removal,
    RunnerSection,
)
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.limits import Flavors
from paas_runner.job.payload import Payload
from paas_runner.job.tracked import Host, SeenHost
from paas_runner.job.use import FlavorSize, Use

T = TypeVar("T")

log = structlog.stdlib.get_logger(__name__)

_NOT_AVAILABLE = (400, 404, 409, 422)


class CleverDockerExecutor:
    """Hosts in the organisation that pays for them."""

    lifetime: str | None = "TASK"

    def __init__(
        self,
        settings: CleverSettings,
        section: RunnerSection,
        *,
        catalogue: Catalogue,
        accounts: CloudAccounts,
        push: Push,
        watch: HostWatch,
    ) -> None:
        self.ready_every: timedelta = settings.cc_deployment_repo_wait_step
        self.ready_within: timedelta = settings.cc_deployment_repo_timeout
        self._settings = settings
        self._section = section
        self._catalogue = catalogue
        self.accounts = accounts
        self._push = push
        self._watch = watch
        self._applications = Applications(settings, section, self.lifetime)
        self._tags = TagTables(section.name, settings.tags)

    # --- before a host is asked for -----------------------------------------------------------------------

    def tenant(self, payload: Payload) -> str:
        """The project's top-level group, in multi-tenant mode."""
        return group_of(payload) if self._settings.cc_multi_tenant else ""

    async def flavors(self) -> Flavors:
        """The catalogue's flavors; `cc_max_flavor` bounds what a job may have, not what a quota counts."""
        offer = await self._catalogue.offer()
        return Flavors(
            weights={name: flavor.weight for name, flavor in offer.flavors.items()},
            most_weight=offer.most_weight(self._settings),
        )

    async def sizes(self) -> Sequence[FlavorSize]:
        """By the catalogue, those that `cc_max_flavor` allows."""
        return sizes(await self._catalogue.offer(), self._settings)

    def weigh(self, payload: Payload, *, most: float) -> float:
        """The weight of the heaviest flavor that may be tried."""
        offer = self._catalogue.last
        if offer is None:
            return most
        try:
            return max(flavor.weight for flavor in self._choice(offer, payload, most))
        except Rejected:  # the operator's mistake: the try to provision fails with it
            return most

    async def foresee(self, request: HostRequest) -> None:
        """Whether there is a flavor for the job, and someone who pays."""
        self._choice(await self._catalogue.offer(), request.payload, request.most_weight)

        async def nothing(_account: Account) -> None:
            return None

        await self._for_a_new_host(request, nothing)

    def follow(self, successor: Executor) -> None:
        """Use the successor's token, or its way to those of tenants, at the same cloud."""
        if isinstance(successor, CleverDockerExecutor):
            self.accounts.follow(successor.accounts)

    # --- the host -----------------------------------------------------------------------------------------

    async def provision(self, request: HostRequest) -> Host:
        """Create the application, environment included, in the first zone and flavor that is available."""
        job_definition(request.payload)  # a job that could not be launched needs no host
        try:
            return await self._provisioned(request)
        except UnknownVersionError:
            self._catalogue.expire()
            return await self._provisioned(request)

    async def adopt(self, request: HostRequest) -> Host | None:
        """The oldest application of that name that is ours; more of them are removed with the job."""
        offer = await self._catalogue.offer()
        chosen = self._choice(offer, request.payload, request.most_weight)[0]
        by_cloud_name = {flavor.cloud_name: flavor for flavor in offer.flavors.values()}

        zone = self._settings.zones_for(self._tags.deciding(request.payload))[0]

        async def work(account: Account) -> Host | None:
            for oldest in (await self._applications.named(account.api, request.host_name))[:1]:
                place = Placement(by_cloud_name.get(oldest.flavor, chosen), zone)
                return await self._adopted(account, request, oldest, place, offer)
            return None

        return await self._for_a_new_host(request, work)

    async def ready(self, provisioned: ProvisionedHost) -> Host | bool:
        """Whether the git repository exists, a moment after the application does.

        An application that was just created may not be known everywhere at once.
        """

        async def work(account: Account) -> bool:
            try:
                return (await account.api.application(provisioned.host.ref)).repository_ready
            except NoSuchApplicationError:
                return False

        return await self._for_its_host(provisioned.tenant, provisioned.host, work)

    async def launch(self, request: HostRequest, host: Host) -> None:
        """Push the job; the cloud answers that it is queued."""
        image = self._settings.image_for(self._tags.deciding(request.payload))
        tree = build_context(request, self._section, main_image=image)
        await self._pushed(tree, request.tenant, host)

    def tenants_among(self, known: Collection[str]) -> Collection[str]:
        """In multi-tenant mode each has an organisation; otherwise all are one."""
        return {tenant for tenant in known if tenant} if self._settings.cc_multi_tenant else {""}

    async def hosts(self, tenant: str) -> Sequence[SeenHost]:
        """The applications with this runner's prefix and this installation's label."""
        if self._settings.cc_multi_tenant and not tenant:
            raise Rejected("whose? no tenant was named", service=SERVICE, op="list the applications")
        return await self._for_its_host(tenant, None, lambda account: self._applications.hosts(account.api))

    async def hosts_of_others(self, tenant: str) -> Sequence[SeenHost]:
        """The applications with this runner's prefix and another installation's label."""
        return await self._for_its_host(
            tenant, None, lambda account: self._applications.hosts_of_others(account.api)
        )

    async def all_tenants(self) -> Collection[str]:
        """The groups that have both attributes; empty where all pay alike."""
        return {group.path for group in await self.accounts.groups(complete=True)} - {EVERYBODY.path}

    async def trouble(self, provisioned: ProvisionedHost) -> str | None:
        """Whether the application is gone, its deployment failed or its machine stopped; seen twice."""
        host = provisioned.host
        return await self._for_its_host(
            provisioned.tenant, host, lambda account: self._watch.trouble(account, provisioned)
        )

    async def silence(self, provisioned: ProvisionedHost) -> str | None:
        """How far the deployment and its machine have come."""
        host = provisioned.host
        return await self._for_its_host(
            provisioned.tenant, host, lambda account: self._watch.silence(account, provisioned)
        )

    async def use(self, provisioned: ProvisionedHost) -> Use | None:
        """By the application's log, if it has the inner runner's last word already."""
        host = provisioned.host
        return await self._for_its_host(
            provisioned.tenant, host, lambda account: self._watch.use(account, host)
        )

    async def decommission(self, removal: Removal) -> None:
        """Delete the application; with `search` also what a lost answer may have left behind."""

        async def work(account: Account) -> None:
            if removal.host:
                await account.api.delete(removal.host.ref)
            if removal.search:
                for application in await self._applications.named(account.api, removal.name):
                    log.info("host_removed_by_name", host=application.ref)
                    await account.api.delete(application.ref)

        await self._for_its_host(removal.tenant, removal.host, work, namespace_id=removal.namespace_id)

    # --- the rest -----------------------------------------------------------------------------------------

    async def examine(self) -> Sequence[CheckResult]:
        """The offer, the zones, and each account that is meant to pay."""
        return await examine(self._settings, self._section, catalogue=self._catalogue, accounts=self.accounts)

    async def aclose(self) -> None:
        await self._catalogue.aclose()
        await self.accounts.aclose()
        await self._push.aclose()

    async def _for_a_new_host(self, request: HostRequest, work: Callable[[Account], Awaitable[T]]) -> T:
        """A job for whose host no account pays is ended: its author reads why."""
        group = Group(request.tenant, request.payload.root_namespace_id)
        try:
            return await self.accounts.use(group, work, afresh=group.ref is None)
        except TenantError as error:
            raise JobRefusedError(Failure(reason=FailureReason.SYSTEM, text=str(error))) from error

    async def _for_its_host(
        self,
        tenant: str,
        host: Host | None,
        work: Callable[[Account], Awaitable[T]],
        *,
        namespace_id: int | None = None,
    ) -> T:
        """A host that exists is not given up without an account: the tenant's may be put right again."""
        notes = host.details if host else {}
        group = Group(tenant, int(notes["group"]) if notes.get("group", "").isdecimal() else namespace_id)
        try:
            return await self.accounts.use(group, work, organisation=notes.get("organisation", ""))
        except TenantError as error:
            raise NoAccountError(str(error), service=SERVICE, op="find the tenant's account") from error

    def _choice(self, offer: Offer, payload: Payload, most_weight: float) -> Sequence[Flavor]:
        wanted = payload.variable(FLAVOR_VARIABLE, most=LONGEST_FLAVOR_NAME)
        tag = self._tags.deciding(payload)
        return choose(offer, wanted, self._settings, tag=tag, most_weight=most_weight)

    async def _provisioned(self, request: HostRequest) -> Host:
        offer = await self._catalogue.offer()
        flavors = self._choice(offer, request.payload, request.most_weight)
        zones = self._settings.zones_for(self._tags.deciding(request.payload))

        async def work(account: Account) -> Host:
            async def create(placement: Placement) -> Host:
                return await self._created(account, request, placement, offer)

            *others, last = placements(flavors, zones, request.attempt)
            for placement in others:
                try:
                    return await create(placement)
                except Rejected as error:
                    if isinstance(error, UnknownVersionError) or error.status not in _NOT_AVAILABLE:
                        raise
                    log.info(
                        "trying_another_place",
                        flavor=placement.flavor.name,
                        zone=placement.zone,
                        reason=str(error),
                    )
            return await create(last)

        return await self._for_a_new_host(request, work)

    async def _created(
        self, account: Account, request: HostRequest, placement: Placement, offer: Offer
    ) -> Host:
        told = told_to_host(offer, placement.flavor, self._settings)
        return await self._applications.create(account, request, placement, offer.version, told)

    async def _adopted(
        self,
        account: Account,
        request: HostRequest,  # noqa: ARG002 - for those whose hosts differ by it
        found: Application,
        placement: Placement,
        offer: Offer,
    ) -> Host:
        told = told_to_host(offer, placement.flavor, self._settings)
        return await self._applications.configure(account, found, placement, told)

    async def _pushed(self, tree: Mapping[str, bytes], tenant: str, host: Host) -> None:
        """The tree is on the host's remote; repeating it changes nothing."""
        url = self._checked(host.details.get("deploy_url", ""))

        async def work(account: Account) -> None:
            await self._push(
                tree,
                url,
                user=self._settings.cc_auth_user,
                password=account.token,
                identity=self._settings.identity,
            )

        await self._for_its_host(tenant, host, work)

    def _checked(self, url: str) -> str:
        """The remote as the cloud named it: it gets our credentials only over the API's own scheme."""
        try:
            return str(parsed(url, {"https", urlsplit(self._settings.cc_api_url).scheme}))
        except AddressError as error:
            raise Rejected(
                f"the git remote's URL is unusable: {error}", service=SERVICE, op="push the job"
            ) from error
