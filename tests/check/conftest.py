"""A sandbox on loopback sockets, configurations for it, and checks of them inside the test's own loop."""

from contextlib import contextmanager

import attrs
import pytest

from paas_runner.check.configuration import ConfigurationCheck, read_configuration
from paas_runner.executor.checks import Grade
from paas_runner.executor.contract import installed
from paas_runner.sandbox.server import Sandbox, SandboxOptions

RUNNER = """
[[runners]]
  name = "{name}"
  url = "{url}"
  token = "{token}"
  executor = "clever-docker"
  cc_api_url = "{cloud}"
  cc_deployment_repo_wait_step = 0.1
  {more}
"""
ONE_ORGANISATION = """
  cc_orga_id = "{organisation}"
  cc_token = "{cloud_token}"
  {more}
"""
TENANTS = """
  cc_multi_tenant = true
  cc_gitlab_namespace_attributes_token = "{admin}"
  {more}
"""


class Quiet:
    """Shows nothing; `said` has what was waited for."""

    def __init__(self):
        self.said = []

    @contextmanager
    def waiting(self, what):
        self.said.append(what)
        yield


@attrs.define
class Checked:
    """What a check found out."""

    results: list

    def of(self, subject, grade=None):
        return [each for each in self.results if each.subject == subject and grade in (None, each.grade)]

    def grades(self, subject):
        return [each.grade for each in self.of(subject)]

    @property
    def faults(self):
        return [(each.runner, each.subject) for each in self.results if each.grade is Grade.FAULT]

    @property
    def warnings(self):
        return [(each.runner, each.subject) for each in self.results if each.grade is Grade.WARNING]

    @property
    def all_told(self):
        return "\n".join(f"{each.text} {each.advice}" for each in self.results)


class World:
    """A sandbox, and a configuration for it."""

    def __init__(self, sandbox, folder):
        self.sandbox = sandbox
        self.folder = folder
        self.config = folder / "config.toml"
        self.state_file = folder / "paas-runner-state.json"

    def runner(self, *, name="one", url=None, token=None, cloud_token=None, cloud=None, more=""):
        token, cloud_token = token or self.sandbox.runner_token, cloud_token or self.sandbox.cloud_token
        account = ONE_ORGANISATION.format(
            organisation=self.sandbox.organisation_id, cloud_token=cloud_token.reveal(), more=more
        )
        return self._section(name, url, token, cloud, account)

    def shared_runner(self, *, name="shared", admin=None, more=""):
        admin = admin or self.sandbox.admin_token
        tenants = TENANTS.format(admin=admin.reveal(), more=more)
        return self._section(name, None, self.sandbox.runner_token, None, tenants)

    def _section(self, name, url, token, cloud, more):
        return RUNNER.format(
            name=name,
            url=url or self.sandbox.coordinator_url,
            token=token.reveal(),
            cloud=cloud or self.sandbox.cloud_api_url,
            more=more,
        )

    def another_token(self):
        return self.sandbox.coordinator.runners.add(description="another").token

    def new_tenant(self, group, token):
        organisation = self.sandbox.cloud.add_organisation(group, token).id
        self.sandbox.coordinator.groups.ensure(group)
        attributes = self.sandbox.coordinator.groups.attributes(group)
        attributes.update(cc_orga_id=organisation, cc_orga_token=token.reveal())
        return attributes

    def write(self, *sections, top=""):
        self.config.touch(mode=0o600)
        self.config.write_text(top + "".join(sections or [self.runner()]))

    async def checked(self, *, executors=None, **more):
        """The results of a configuration that can be read."""
        executors = executors or installed()
        config, said = read_configuration(self.config, environ={}, executors=executors)
        settings = {"progress": Quiet(), "seconds": 5.0} | more
        check = ConfigurationCheck(config=config, executors=executors, **settings)
        return Checked([*said, *await check.results()])

    @property
    def secrets(self):
        found = [self.sandbox.runner_token, self.sandbox.cloud_token, self.sandbox.admin_token]
        return [secret.reveal() for secret in found]

    @property
    def files(self):
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def sandbox_options():
    return SandboxOptions(coordinator=lambda options: attrs.evolve(options, long_poll_seconds=0.5))


@pytest.fixture
async def world(tmp_path, sandbox_options):
    async with Sandbox(sandbox_options) as sandbox:
        world = World(sandbox, tmp_path)
        world.write()
        yield world
