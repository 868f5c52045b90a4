"""`clever-docker`: each job on a Clever Cloud application of its own, launched by a push.

The application is a task: its machine starts with the push and stops when the job has ended. It is found
again by its name and by the mark of this installation, in its description or its environment; without the
mark it is not ours.
"""

import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs
import structlog

from executors.build_context import Push, build_context, job_definition
from executors.clever.accounts import Account, Accounts
from executors.clever.api import Application, CleverApi, NoSuchApplicationError, UnknownVersionError
from executors.clever.catalogue import FLAVOR_VARIABLE, Catalogue, Flavor, Offer, choose
from executors.clever.examination import examine
from executors.clever.settings import CleverSettings
from executors.clever.tenants import TenantError, group_of
from executors.clever.watch import HostWatch
from paas_runner.errors import Rejected, Transient
from paas_runner.executor.checks import CheckResult
from paas_runner.executor.contract import HostRequest, JobRefusedError, RunnerSection
from paas_runner.job.capacity import Flavors
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.payload import Payload
from paas_runner.job.tracked import Host, HostName, SeenHost, host_name_prefix

T = TypeVar("T")

log = structlog.stdlib.get_logger(__name__)

OWNER_MARK = "PAAS_RUNNER_INSTALLATION"
_NOT_TO_BE_HAD = (400, 404, 409, 422)


@attrs.frozen
class _Place:
    """Where a host may be created."""

    flavor: Flavor
    zone: str


class CleverDockerExecutor:
    """Hosts in the organisation of whoever pays for them."""

    def __init__(
        self,
        settings: CleverSettings,
        section: RunnerSection,
        *,
        catalogue: Catalogue,
        accounts: Accounts,
        push: Push,
        watch: HostWatch,
    ) -> None:
        """Serve one `[[runners]]` section."""
        self.ready_every: timedelta = settings.cc_deployment_repo_wait_step
        self.ready_within: timedelta = settings.cc_deployment_repo_timeout
        self._settings = settings
        self._section = section
        self._catalogue = catalogue
        self._accounts = accounts
        self._push = push
        self._watch = watch

    # --- before a host is asked for -----------------------------------------------------------------------

    def tenant(self, payload: Payload) -> str:
        """The project's top-level group, in multi-tenant mode."""
        return group_of(payload) if self._settings.cc_multi_tenant else ""

    async def sizes(self) -> Flavors:
        """The catalogue's flavors; `cc_max_flavor` bounds what a job may have, not what a quota counts."""
        flavors = (await self._catalogue.offer()).flavors
        largest = flavors.get(self._settings.cc_max_flavor or "")
        return Flavors(
            weights={size: flavor.weight for size, flavor in flavors.items()},
            most_weight=largest.weight if largest else math.inf,
        )

    def weigh(self, payload: Payload, *, most: float) -> float:
        """The weight of the heaviest flavor that may be tried."""
        offer = self._catalogue.last
        if offer is None:
            return most
        try:
            return max(flavor.weight for flavor in self._choice(offer, payload, most))
        except Rejected:  # the operator's mistake, which a try to provision will tell
            return most

    # --- the host -----------------------------------------------------------------------------------------

    async def provision(self, order: HostRequest) -> Host:
        """Create the application, environment included, in the first zone and flavor that can be had."""
        job_definition(order.payload)  # a job that could not be launched needs no host
        try:
            return await self._provisioned(order)
        except UnknownVersionError:
            self._catalogue.expire()
            return await self._provisioned(order)

    async def adopt(self, order: HostRequest) -> Host | None:
        """The oldest application of that name and our mark; more of them are removed with the job."""
        offer = await self._catalogue.offer()
        chosen = self._choice(offer, order.payload, order.most_weight)[0]
        by_name = {flavor.name: flavor for flavor in offer.flavors.values()}

        async def work(account: Account) -> Host | None:
            found = await self._ours(account.api, order.host_name)
            if not found:
                return None
            oldest = min(found, key=lambda app: (app.created_at, app.ref))
            return await self._configured(account.api, oldest, by_name.get(oldest.flavor, chosen))

        return await self._with_words_for_the_author(order.tenant, work)

    async def ready(self, host: Host, *, tenant: str) -> bool:
        """Whether the git repository exists, a moment after the application does."""

        async def work(account: Account) -> bool:
            return (await account.api.application(host.ref)).repository_ready

        return await self._about(host, tenant, work)

    async def launch(self, order: HostRequest, host: Host) -> None:
        """Push the job; the cloud answers that it is queued."""
        tree = build_context(order, self._section, main_image=self._settings.heptapod_runner_main_image)
        url = self._checked(host.details.get("deploy_url", ""))

        async def work(account: Account) -> None:
            await self._push(
                tree,
                url,
                user=self._settings.cc_auth_user,
                password=account.token,
                identity=self._settings.identity,
            )

        await self._about(host, order.tenant, work)

    def tenants_among(self, known: Collection[str]) -> Collection[str]:
        """In multi-tenant mode each has an organisation; otherwise all are one."""
        return {tenant for tenant in known if tenant} if self._settings.cc_multi_tenant else {""}

    async def hosts(self, tenant: str) -> Sequence[SeenHost]:
        """The applications with this runner's prefix and this installation's mark: one request, usually."""
        if self._settings.cc_multi_tenant and not tenant:
            raise Rejected("whose? no tenant was named", service="Clever Cloud", op="list the applications")
        prefix = host_name_prefix(self._section.short_token)

        async def work(account: Account) -> Sequence[SeenHost]:
            named = [found for found in await account.api.applications() if found.name.startswith(prefix)]
            return [_seen(found) for found in named if await self._marked(account.api, found)]

        return await self._about(None, tenant, work)

    async def trouble(self, host: Host, *, tenant: str) -> str | None:
        """Whether the application is gone, its deployment failed or its machine stopped; seen twice."""
        return await self._about(host, tenant, lambda account: self._watch.trouble(account, host))

    async def silence(self, host: Host, *, tenant: str) -> str | None:
        """How far the deployment and its machine have come."""
        return await self._about(host, tenant, lambda account: self._watch.silence(account, host))

    async def decommission(self, name: HostName, host: Host | None, *, tenant: str, search: bool) -> None:
        """Delete the application; with `search` also what a lost answer may have left behind."""

        async def work(account: Account) -> None:
            if host:
                await account.api.delete(host.ref)
            if search:
                for application in await self._ours(account.api, name):
                    log.info("removing a host by its name", host=application.ref)
                    await account.api.delete(application.ref)

        await self._about(host, tenant, work)

    async def examine(self) -> Sequence[CheckResult]:
        """The offer, the zones, and the account of everybody who is meant to pay."""
        return await examine(
            self._settings, self._section, catalogue=self._catalogue, accounts=self._accounts
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._catalogue.aclose()
        await self._accounts.aclose()

    # --- whose account ------------------------------------------------------------------------------------

    async def _with_words_for_the_author(self, tenant: str, work: Callable[[Account], Awaitable[T]]) -> T:
        """For a job without a host: when nobody can be found to pay, it ends."""
        try:
            return await self._accounts.use(tenant, work)
        except TenantError as error:
            raise JobRefusedError(Failure(reason=FailureReason.SYSTEM, text=str(error))) from error

    async def _about(self, host: Host | None, tenant: str, work: Callable[[Account], Awaitable[T]]) -> T:
        """For what exists already: whoever does not pay today may do so again, nothing is given up."""
        organisation = host.details.get("organisation", "") if host else ""
        try:
            return await self._accounts.use(tenant, work, organisation=organisation)
        except TenantError as error:
            raise Transient(str(error), service="Clever Cloud", op="find the tenant's account") from error

    # --- the application ----------------------------------------------------------------------------------

    def _choice(self, offer: Offer, payload: Payload, most_weight: float) -> Sequence[Flavor]:
        return choose(offer, payload.variable(FLAVOR_VARIABLE), self._settings, most_weight=most_weight)

    async def _provisioned(self, order: HostRequest) -> Host:
        offer = await self._catalogue.offer()
        flavors = self._choice(offer, order.payload, order.most_weight)

        async def work(account: Account) -> Host:
            *others, last = self._places(flavors, order.attempt)
            for place in others:
                try:
                    return await self._created(account.api, order, place, offer.version)
                except Rejected as error:
                    if isinstance(error, UnknownVersionError) or error.status not in _NOT_TO_BE_HAD:
                        raise
                    log.info(
                        "no host to be had, trying another place",
                        flavor=place.flavor.size,
                        zone=place.zone,
                        reason=str(error),
                    )
            return await self._created(account.api, order, last, offer.version)

        return await self._with_words_for_the_author(order.tenant, work)

    def _places(self, flavors: Sequence[Flavor], attempt: int) -> Sequence[_Place]:
        """Every flavor in every zone; each further attempt begins with another zone."""
        zones = self._settings.zones
        first = attempt % len(zones)
        return [_Place(flavor, zone) for flavor in flavors for zone in (*zones[first:], *zones[:first])]

    async def _created(self, api: CleverApi, order: HostRequest, place: _Place, version: str) -> Host:
        application = await api.create(self._definition(order, place, version))
        return await self._configured(api, application, place.flavor)

    def _definition(self, order: HostRequest, place: _Place, version: str) -> Mapping[str, Any]:
        """The creation request (spec `clever-cloud-api.md` §2.4)."""
        return {
            "name": order.host_name,
            "description": f"CI job {order.payload.job_id} of runner {self._section.name}, {self._mark}",
            "zone": place.zone,
            "deploy": "git",
            "instanceType": "docker",
            "instanceVersion": version,
            "instanceVariant": self._settings.cc_instance_variant_uuid,
            "instanceLifetime": "TASK",
            "minInstances": 1,
            "maxInstances": 1,
            "minFlavor": place.flavor.name,
            "maxFlavor": place.flavor.name,
            "env": dict(self._env),
        }

    @property
    def _env(self) -> Mapping[str, str]:
        return {
            "CC_MOUNT_DOCKER_SOCKET": "true",
            **self._settings.cc_extra_env,
            OWNER_MARK: self._section.installation,
        }

    async def _configured(self, api: CleverApi, application: Application, flavor: Flavor) -> Host:
        """With its whole environment; a cloud that ignores `env` at creation gets it in a second request."""
        if not self._env.items() <= (application.env or {}).items():
            await api.set_env(application.ref, self._env)
        notes = {
            "deploy_url": application.push_url,
            "organisation": api.organisation,
            "zone": application.zone or self._settings.zones[0],
        }
        return Host(
            ref=application.ref, flavor=flavor.size, weight=flavor.weight, price=flavor.price, details=notes
        )

    async def _ours(self, api: CleverApi, name: HostName) -> list[Application]:
        named = [found for found in await api.applications() if found.name == name]
        return [found for found in named if await self._marked(api, found)]

    @property
    def _mark(self) -> str:
        """Part of the description, too: it is there from the first moment, whatever becomes of the answer."""
        return f"installation {self._section.installation}"

    async def _marked(self, api: CleverApi, application: Application) -> bool:
        if application.description.endswith(self._mark):
            return True
        env = application.env
        if env is None or OWNER_MARK not in env:
            try:
                env = await api.env(application.ref)
            except NoSuchApplicationError:
                return False
        return env.get(OWNER_MARK) == self._section.installation

    def _checked(self, url: str) -> str:
        """The remote is what the cloud said: it gets our credentials only over the API's own scheme."""
        parts = urlsplit(url)
        if parts.scheme not in {"https", urlsplit(self._settings.cc_api_url).scheme} or not parts.hostname:
            raise Rejected("the git remote's URL is unusable", service="Clever Cloud", op="push the job")
        if parts.username or parts.password:
            raise Rejected("the git remote's URL has a password", service="Clever Cloud", op="push the job")
        return url


def _seen(application: Application) -> SeenHost:
    """What a list tells of a host; between a push and the end of a task the state is no proof (§2.6)."""
    created = application.created_at
    busy = None
    if application.state == "SHOULD_BE_UP":
        busy = True
    elif application.state == "SHOULD_BE_DOWN" and application.deployed is False:
        busy = False
    return SeenHost(
        name=HostName(application.name),
        ref=application.ref,
        created_at=datetime.fromtimestamp(created / 1000, UTC) if created else None,
        busy=busy,
    )
