"""A wider world: two runners, several payers, one group without, tokens and flavors that come and go."""

import asyncio
import contextlib
import random

from paas_runner.job.known_runner import short_token
from paas_runner.pipelines.jobs import Project
from paas_runner.pipelines.spec import JobSpec
from paas_runner.secret import Secret
from tests.simulation.world import SimulatedWorld
from tests.support.live_records import added
from tests.support.tenants import add_tenant, token_of
from tests.support.virtual_world import CLOUD, COORDINATOR

FIRST_TOKEN = "cloud-token-canary"
PAYING = ("acme", "bolt")
PROJECTS = (
    Project(project_id=11, full_path="acme/project"),
    Project(project_id=12, full_path="bolt/project"),
    Project(project_id=13, full_path="poor/project"),
    Project(project_id=14, full_path="someuser/project"),
)
SHARED = """
[[runners]]
  name = "shared"
  url = "{url}"
  token = "{token}"
  executor = "clever-docker"
  cc_api_url = "{cloud}/v2"
  cc_multi_tenant = true
  cc_gitlab_namespace_attributes_token = "admin"
"""
TROUBLE_SECONDS = (5, 60, 600, 1500)


class NeighbouringWorld(SimulatedWorld):
    """Whatever the payers' trouble is, it passes before the calm; `poor` and `someuser` never pay."""

    def __init__(self, folder, seed: int) -> None:
        super().__init__(folder, seed)
        self._dice = random.Random(f"neighbours {seed}")
        self.cloud_token = FIRST_TOKEN
        self._homes = {name: add_tenant(self.gitlab, self.cloud, name) for name in PAYING}
        self.gitlab.groups.ensure("poor")
        self.shared = added(self.gitlab, description="shared")
        self.keys = (*self.keys, short_token(self.shared.token.reveal()))
        self._config["runner"] += SHARED.format(
            url=COORDINATOR, token=self.shared.token.reveal(), cloud=CLOUD
        )
        self._whole_catalogue = self.cloud.catalogue

    def configuration_text(self) -> str:
        return super().configuration_text().replace(FIRST_TOKEN, self.cloud_token)

    def submitted_job(self, spec: JobSpec):
        project = self._dice.choice([None, *PROJECTS])
        return self.gitlab.submit_job(spec, project) if project else self.gitlab.submit_job(spec)

    async def misfortunes(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(super().misfortunes())
            tasks.create_task(self._troubles())

    async def _troubles(self) -> None:
        """One trouble after another; each is over before the next begins, and when the storm is."""
        troubles = [self._refused, self._rotated, self._forgotten, self._sold_out, self._stopped]
        while True:
            await asyncio.sleep(self._dice.expovariate(1 / 900))
            trouble = self._dice.choice(troubles)
            self.chaos.counts[f"trouble: {trouble.__name__.strip('_')}"] += 1
            async with trouble():
                await asyncio.sleep(self._dice.choice(TROUBLE_SECONDS))

    @contextlib.asynccontextmanager
    async def _refused(self):
        """A payer's token is not taken for a while."""
        name = self._dice.choice([None, *PAYING])
        home = self._homes[name] if name else self.organisation
        good = token_of(name) if name else Secret(self.cloud_token)
        self.cloud.accounts.replace_tokens(home, Secret("nobody's"))
        try:
            yield
        finally:
            self.cloud.accounts.replace_tokens(home, good)

    @contextlib.asynccontextmanager
    async def _rotated(self):
        """The runner's own token is replaced, and the service told of it some time later."""
        self.cloud_token = f"cloud-token-{self._dice.getrandbits(32)}"
        self.cloud.accounts.replace_tokens(self.organisation, Secret(self.cloud_token))
        try:
            yield
        finally:
            self.detached(self._reloaded())

    async def _reloaded(self) -> None:
        while not await self._told("reload"):
            await asyncio.sleep(10)

    async def _told(self, question: str) -> bool:
        """Whether it was done, as far as one can know: the service may be dead, or die of it."""
        asking = self.detached(self.asked(question))
        done, _ = await asyncio.wait([asking], timeout=120)
        return bool(done) and asking.exception() is None and asking.result()

    @contextlib.asynccontextmanager
    async def _forgotten(self):
        """A group's attributes are gone for a while."""
        attributes = self.gitlab.groups.attributes(self._dice.choice(PAYING))
        kept = dict(attributes)
        attributes.clear()
        try:
            yield
        finally:
            attributes.update(kept)

    @contextlib.asynccontextmanager
    async def _sold_out(self):
        """A flavor is not on offer for a while."""
        flavor = f"heptapod-runner-{self._dice.choice(['M', 'XL'])}"
        self.cloud.catalogue = self._whole_catalogue.offering(flavor, available=False)
        try:
            yield
        finally:
            self.cloud.catalogue = self._whole_catalogue

    @contextlib.asynccontextmanager
    async def _stopped(self):
        """An orderly stop, whatever is in flight or held."""
        self.stopping.set()
        yield
