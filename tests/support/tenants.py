"""A virtual world in which one runner serves several groups, each with an organisation of its own."""

from paas_runner.pipelines.jobs import Project
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.cloud.application import Definition, Lifetime
from paas_runner.secret import Secret
from tests.support.live_records import submitted
from tests.support.virtual_world import VirtualWorld

TENANTS = ("acme", "bolt", "crew", "dune", "echo")
MULTI = """
  cc_multi_tenant = true
  cc_gitlab_namespace_attributes_token = "admin"
"""


class SharedRunner(VirtualWorld):
    """One runner for several groups; `dune` has no token."""

    def __init__(self, folder, **more):
        super().__init__(folder, runner=MULTI, **more)
        self.organisations = {name: add_tenant(self.gitlab, self.cloud, name) for name in TENANTS}
        del self.attributes("dune")["cc_orga_token"]

    def attributes(self, name):
        return self.gitlab.groups.attributes(name)

    def submit_for(self, tenant, *script, variables=()):
        return submit_for(self.gitlab, tenant, *script, variables=variables)

    def no_one_touched_anothers(self, *tokens):
        """Every call that changed anything was made with a token of the organisation that it changed."""
        allowed = {self.organisations[name]: {token_of(name)} for name in TENANTS}
        for name, token in tokens:
            allowed[self.organisations[name]].add(token)
        ledger = self.cloud.ledger
        home = {entry.app_id: entry.organisation_id for entry in ledger.created}
        return all(call.by in allowed[home[call.app_id]] for call in ledger.calls if call.by)


def token_of(name):
    return Secret(f"{name}-token-canary")


def add_tenant(coordinator, cloud, name):
    """A group that pays for itself: the id of its organisation."""
    organisation = cloud.add_organisation(name, token_of(name)).id
    coordinator.groups.ensure(name)
    coordinator.groups.attributes(name).update(cc_orga_id=organisation, cc_orga_token=token_of(name).reveal())
    return organisation


def submit_for(coordinator, tenant, *script, variables=()):
    """A job of a project in that group."""
    project = Project(project_id=TENANTS.index(tenant) + 10, full_path=f"{tenant}/project")
    spec = JobSpec(name=f"job of {tenant}", script=script or ("true",), variables=variables)
    return submitted(coordinator, spec, project)


def plant(world, tenant, name, *, installation="installation-in-memory"):
    """A host as an interrupted service would have left it."""
    kind = world.cloud.catalogue.instance_types[0]
    flavor = kind.flavors[0]
    definition = Definition(
        fields={
            "zone": "par",
            "minInstances": 1,
            "maxInstances": 1,
            "description": f"CI job, installation {installation}",
        },
        name=name,
        instance_type=kind,
        lifetime=Lifetime.TASK,
        min_flavor=flavor,
        max_flavor=flavor,
        build_flavor=flavor,
    )
    return world.cloud.create(world.organisations[tenant], definition, {})
