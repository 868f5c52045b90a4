"""`clever-docker`: each job on a Clever Cloud application of its own, launched by a push.

The application is a task: its machine starts with the push and stops when the job has ended. It is found
again by its name and by the mark of this installation, in its description or its environment; without the
mark it is not ours.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog

from executors.build_context import build_context
from executors.clever.api import Application, CleverApi, NoSuchApplicationError, UnknownVersionError
from executors.clever.catalogue import FLAVOR_VARIABLE, Flavor, Offer, choose, read_offer
from executors.clever.settings import CleverSettings
from executors.clever.watch import HostWatch
from executors.push import Push
from paas_runner.errors import Rejected
from paas_runner.executor import Order, RunnerSection
from paas_runner.job.capacity import Sizes
from paas_runner.job.payload import Payload
from paas_runner.job.tracked import Host, HostName, SeenHost, host_name_prefix
from paas_runner.secret import Secret

log = structlog.stdlib.get_logger(__name__)

OWNER_MARK = "PAAS_RUNNER_INSTALLATION"
CATALOGUE_SECONDS = 3600.0


class CleverDockerExecutor:
    """Hosts in one organisation."""

    def __init__(
        self,
        settings: CleverSettings,
        section: RunnerSection,
        *,
        api: CleverApi,
        push: Push,
        token: Secret,
        watch: HostWatch,
    ) -> None:
        """Serve one `[[runners]]` section; `token` is the organisation's, for API and push."""
        self.ready_every: timedelta = settings.cc_deployment_repo_wait_step
        self.ready_within: timedelta = settings.cc_deployment_repo_timeout
        self._settings = settings
        self._section = section
        self._api = api
        self._push = push
        self._watch = watch
        self._token = token
        self._offer: tuple[float, Offer] | None = None
        self._reading = asyncio.Lock()

    def tenant(self, payload: Payload) -> str:  # noqa: ARG002
        """One organisation pays."""
        return ""

    async def sizes(self) -> Sizes:
        """The catalogue's flavors; `cc_max_flavor` bounds what a job may have, not what a quota counts."""
        flavors = (await self._current_offer()).flavors
        largest = flavors.get(self._settings.cc_max_flavor or "")
        return Sizes(
            weights={size: flavor.weight for size, flavor in flavors.items()},
            most_weight=largest.weight if largest else math.inf,
        )

    def weigh(self, payload: Payload, *, most: float) -> float:
        """The weight of the flavor that would be chosen."""
        if self._offer is None:
            return most
        return choose(self._offer[1], payload.variable(FLAVOR_VARIABLE), self._settings).weight

    async def provision(self, order: Order) -> Host:
        """Create the application, environment included."""
        flavor = await self._flavor(order)
        try:
            application = await self._create(order, flavor)
        except UnknownVersionError:
            self._offer = None
            application = await self._create(order, await self._flavor(order))
        return await self._configured(application, flavor)

    async def adopt(self, order: Order) -> Host | None:
        """The oldest application of that name and our mark; more of them are removed with the job."""
        found = await self._ours(order.host_name)
        if not found:
            return None
        flavor = await self._flavor(order)
        return await self._configured(min(found, key=lambda app: (app.created_at, app.ref)), flavor)

    async def ready(self, host: Host, *, tenant: str) -> bool:  # noqa: ARG002
        """Whether the git repository exists, a moment after the application does."""
        return (await self._api.application(host.ref)).repository_ready

    async def launch(self, order: Order, host: Host) -> None:
        """Push the job; the cloud answers that it is queued."""
        tree = build_context(order, self._section, main_image=self._settings.heptapod_runner_main_image)
        url = self._checked(host.details.get("deploy_url", ""))
        await self._push(
            tree,
            url,
            user=self._settings.cc_auth_user,
            password=self._token,
            identity=self._settings.identity,
        )

    async def hosts(self, tenant: str) -> Sequence[SeenHost]:  # noqa: ARG002
        """The applications with this runner's prefix and this installation's mark: one request, usually."""
        prefix = host_name_prefix(self._section.short_token)
        named = [found for found in await self._api.applications() if found.name.startswith(prefix)]
        return [_seen(found) for found in named if await self._marked(found)]

    async def trouble(self, host: Host, *, tenant: str) -> str | None:  # noqa: ARG002
        """Whether the application is gone, its deployment failed or its machine stopped; seen twice."""
        return await self._watch.trouble(host)

    async def silence(self, host: Host, *, tenant: str) -> str | None:  # noqa: ARG002
        """Nothing yet."""
        return None

    async def decommission(self, name: HostName, host: Host | None, *, tenant: str, search: bool) -> None:  # noqa: ARG002
        """Delete the application; with `search` also what a lost answer may have left behind."""
        if host:
            await self._api.delete(host.ref)
        if search:
            for application in await self._ours(name):
                log.info("removing a host by its name", host=application.ref)
                await self._api.delete(application.ref)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._api.aclose()

    async def _create(self, order: Order, flavor: Flavor) -> Application:
        offer = await self._current_offer()
        return await self._api.create(self._definition(order, flavor, offer.version))

    def _definition(self, order: Order, flavor: Flavor, version: str) -> Mapping[str, Any]:
        """The creation request (spec `clever-cloud-api.md` §2.4)."""
        return {
            "name": order.host_name,
            "description": f"CI job {order.payload.job_id} of runner {self._section.name}, {self._mark}",
            "zone": self._settings.cc_zone,
            "deploy": "git",
            "instanceType": "docker",
            "instanceVersion": version,
            "instanceVariant": self._settings.cc_instance_variant_uuid,
            "instanceLifetime": "TASK",
            "minInstances": 1,
            "maxInstances": 1,
            "minFlavor": flavor.name,
            "maxFlavor": flavor.name,
            "env": dict(self._env),
        }

    @property
    def _env(self) -> Mapping[str, str]:
        return {
            "CC_MOUNT_DOCKER_SOCKET": "true",
            **self._settings.cc_extra_env,
            OWNER_MARK: self._section.installation,
        }

    async def _configured(self, application: Application, flavor: Flavor) -> Host:
        """With its whole environment; a cloud that ignores `env` at creation gets it in a second request."""
        if not self._env.items() <= (application.env or {}).items():
            await self._api.set_env(application.ref, self._env)
        notes = {"deploy_url": application.push_url}
        return Host(ref=application.ref, flavor=flavor.size, weight=flavor.weight, details=notes)

    async def _ours(self, name: HostName) -> list[Application]:
        named = [found for found in await self._api.applications() if found.name == name]
        return [found for found in named if await self._marked(found)]

    @property
    def _mark(self) -> str:
        """Part of the description, too: it is there from the first moment, whatever becomes of the answer."""
        return f"installation {self._section.installation}"

    async def _marked(self, application: Application) -> bool:
        if application.description.endswith(self._mark):
            return True
        env = application.env
        if env is None or OWNER_MARK not in env:
            try:
                env = await self._api.env(application.ref)
            except NoSuchApplicationError:
                return False
        return env.get(OWNER_MARK) == self._section.installation

    async def _flavor(self, order: Order) -> Flavor:
        return choose(await self._current_offer(), order.payload.variable(FLAVOR_VARIABLE), self._settings)

    async def _current_offer(self) -> Offer:
        async with self._reading:  # of many jobs at once, one asks
            now = asyncio.get_running_loop().time()
            if self._offer is None or now >= self._offer[0]:
                self._offer = now + CATALOGUE_SECONDS, await read_offer(self._api, self._settings)
            return self._offer[1]

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
