"""`paas-runner orphans` where each tenant pays for its own hosts: nothing is said of those not listed."""

import functools
import json
import random
from contextlib import nullcontext

import pytest

from paas_runner.commands.orphan_search import search
from paas_runner.http import Http
from paas_runner.job.orphans import GRACE, LONGEST_JOB
from paas_runner.job.tracked import Phase
from paas_runner.sandbox.faults import Answer
from paas_runner.service.assembly import Edges
from paas_runner.store.sqlite import SqliteStore
from paas_runner.testing.virtual_time import virtual_now
from tests.commands.test_orphans_command import orphans
from tests.support import records
from tests.support.tenants import MULTI, SharedRunner, add_tenant, plant, submit_for

INSTALLATION = "installation-in-memory"


class SearchedWorld(SharedRunner):
    """The world of several tenants, and the command in it."""

    async def orphans(self, *, delete=False, installation=INSTALLATION):
        edges = Edges(
            connect=Http(rng=self.rng, transport=self._transport),
            open_store=lambda _path: nullcontext(),
            executors=self.executors,
            rng=random.Random(1),
        )
        return await search(
            self.configuration(),
            edges,
            self.store,
            installation=installation,
            delete=delete,
            with_others=installation == INSTALLATION,
            clock=virtual_now,
        )

    async def leave_behind(self, *tenants):
        """An orphan of each of them, and no service."""
        async with self.service():
            jobs = {tenant: self.submit_for(tenant) for tenant in tenants}
            await self.settled(*jobs.values())
        for tenant, job in jobs.items():
            plant(self, tenant, f"hpd-job-{self.key}-{job.job_id}").created_at -= 2 * GRACE

    def revoke(self, tenant):
        self.cloud.accounts.replace_tokens(self.organisations[tenant])

    def cut_off(self, tenant):
        self.cloud_faults.add(
            Answer(503), times=None, path=f"/v2/organisations/{self.organisations[tenant]}/applications"
        )


@pytest.fixture
def share(tmp_path):
    return functools.partial(SearchedWorld.play, tmp_path)


def owners(world, found):
    """Whose the listed hosts are."""
    home = {entry.app_id: entry.organisation_id for entry in world.cloud.ledger.created}
    names = {organisation: name for name, organisation in world.organisations.items()}
    return sorted(names[home[row.verdict.host.ref]] for row in found.rows)


def test_each_tenant_is_asked_and_orphans_go_with_its_own_token(share, capsys):
    async def story(world):
        await world.leave_behind("acme", "bolt", "crew")
        found = await world.orphans()
        assert owners(world, found) == ["acme", "bolt", "crew"]
        assert (found.orphans, list(found.not_asked)) == (3, [])
        assert len(world.alive) == 3
        found = await world.orphans(delete=True)
        assert (found.orphans, [row.removed for row in found.rows]) == (0, [True] * 3)
        assert not world.alive
        assert world.no_one_touched_anothers()
        found = await world.orphans()
        assert (found.document["orphans"], found.document["not_asked"]) == (0, [])

    share(story)
    messages = capsys.readouterr().err
    assert "3 of the hosts may be orphans: a second look in 3 s" in messages
    assert messages.count("removing hpd-job-") == 3


def test_one_revoked_and_one_out_of_reach_are_named_and_the_others_orphans_found(share):
    async def story(world):
        await world.leave_behind("acme", "bolt", "crew")
        world.revoke("bolt")
        world.cut_off("crew")
        found = await world.orphans()
        assert owners(world, found) == ["acme"]
        assert found.orphans == 1
        document = found.document
        assert [(gap["runner"], gap["tenant"]) for gap in document["not_asked"]] == [
            ("virtual", "bolt"),
            ("virtual", "crew"),
        ]
        assert "status 401" in document["not_asked"][0]["why"]
        assert "answered 503" in document["not_asked"][1]["why"]
        found = await world.orphans(delete=True)
        assert [(row.removed, owners(world, found)) for row in found.rows] == [(True, ["acme"])]
        assert len(world.alive) == 2
        assert [gap.tenant for gap in found.not_asked] == ["bolt", "crew"]

    share(story)


def test_a_tenant_whose_attributes_are_gone_is_named(share):
    async def story(world):
        await world.leave_behind("acme", "bolt")
        world.attributes("bolt").clear()
        found = await world.orphans()
        [gap] = found.not_asked
        assert gap.tenant == "bolt"
        assert "attribute" in gap.why
        assert owners(world, found) == ["acme"]

    share(story)


def test_where_no_tenant_can_be_asked_nothing_is_said_of_orphans(share):
    async def story(world):
        await world.leave_behind("acme")
        payers = ["acme", "bolt", "crew", "echo"]
        for tenant in payers:
            world.revoke(tenant)
        found = await world.orphans()
        assert (found.document["orphans"], found.document["hosts"]) == (None, [])
        assert [gap.tenant for gap in found.not_asked] == payers

    share(story)


def test_tenants_of_which_no_record_knows_are_found_by_their_groups_attributes(share):
    async def story(world):
        plant(world, "crew", f"hpd-job-{world.key}-7").created_at -= 2 * LONGEST_JOB
        found = await world.orphans()
        assert (owners(world, found), found.orphans, list(found.not_asked)) == (["crew"], 1, [])
        found = await world.orphans(delete=True)
        assert [row.removed for row in found.rows] == [True]
        assert not world.alive

    share(story)


def test_where_the_groups_cannot_be_listed_and_no_tenant_is_known_nothing_is_said_of_orphans(share):
    async def story(world):
        world.coordinator_faults.add(Answer(401), times=None, path="/api/v4/groups")
        found = await world.orphans()
        [gap] = found.not_asked
        assert gap.tenant is None
        assert "tenants of which no record knows were not looked for" in gap.why
        assert found.document["orphans"] is None
        assert not world.cloud.ledger.requests

    share(story)


def test_hosts_of_another_installation_are_shown_and_go_only_where_it_is_named(share):
    """Its records were lost with its disk, say, and the id with them."""

    async def story(world):
        host = plant(world, "acme", f"hpd-job-{world.key}-7", installation="the-one-before")
        host.created_at -= 2 * LONGEST_JOB
        found = await world.orphans(delete=True)
        [row] = found.rows
        assert (row.installation, row.verdict.kind, row.removed) == ("the-one-before", "foreign", False)
        assert row.verdict.why == "of another installation: the-one-before"
        assert (found.orphans, found.of_others) == (0, 1)
        found = await world.orphans(delete=True, installation="yet-another")
        assert (list(found.rows), len(world.alive)) == ([], 1)
        found = await world.orphans(delete=True, installation="the-one-before")
        [row] = found.rows
        assert (row.installation, row.verdict.kind, row.removed) == ("the-one-before", "orphan", True)
        assert not world.alive

    share(story)


def test_a_host_of_a_named_installation_that_may_be_busy_stays_as_one_of_ours_would(share):
    async def story(world):
        plant(world, "acme", f"hpd-job-{world.key}-7", installation="the-one-before").created_at -= 2 * GRACE
        found = await world.orphans(delete=True, installation="the-one-before")
        [row] = found.rows
        assert row.removed is False
        assert row.verdict.kind in {"busy", "young"}
        assert world.alive

    share(story)


# --- as an operator runs it -------------------------------------------------------------------------------

NOBODY_LISTENS = """
[[runners]]
  name = "shared"
  url = "http://127.0.0.1:9"
  token = "abcdefghijk"
  executor = "clever-docker"
  cc_api_url = "http://127.0.0.1:9"
  cc_multi_tenant = true
  cc_gitlab_namespace_attributes_token = "admin-token-canary"
"""


async def stored(folder, *jobs):
    """A configuration in front of a provider that nobody can reach, and a store."""
    config = folder / "config.toml"
    config.touch(mode=0o600)
    config.write_text(NOBODY_LISTENS)
    store = await SqliteStore.open(folder / "paas-runner-state.db")
    await store.installation()
    for job in jobs:
        await store.save(job)
    await store.aclose()
    return config


@pytest.mark.process
async def test_a_cloud_that_was_not_asked_is_not_called_clean(tmp_path):
    """With `cc_multi_tenant` it never was, and the answer was "hosts: 0, orphans: 0" with exit code 0."""
    config = await stored(tmp_path)
    code, answer, messages = await orphans(config)
    assert (code, answer) == (1, "")
    assert "runner shared: tenants of which no record knows were not looked for: " in messages
    code, answer, _ = await orphans(config, "--json")
    assert code == 1
    assert json.loads(answer)["orphans"] is None


@pytest.mark.process
async def test_a_tenant_that_cannot_be_asked_is_named_with_runner_and_reason(tmp_path):
    config = await stored(tmp_path, records.job_in(Phase.RUNNING, tenant="acme", key=shared(1)))
    code, answer, messages = await orphans(config, "--json")
    assert code == 1
    document = json.loads(answer)
    groups, gap = document["not_asked"]
    assert (groups["runner"], groups["tenant"]) == ("shared", None)
    assert (gap["runner"], gap["tenant"]) == ("shared", "acme")
    assert "no answer" in gap["why"]
    assert document["orphans"] is None
    assert "paas-runner orphans: runner shared, tenant acme: " in messages
    assert "canary" not in messages + answer


def shared(job_id):
    return records.job(job_id, runner="abcdefghi").key


@pytest.mark.process
async def test_several_tenants_on_real_sockets_one_of_them_revoked(real):
    coordinator, cloud = real.sandbox.coordinator, real.sandbox.cloud
    organisations = {name: add_tenant(coordinator, cloud, name) for name in ("acme", "bolt")}
    real.configure(
        more="paas_orphan_sweep_interval = 0",
        runner=MULTI.replace('"admin"', f'"{coordinator.options.admin_token.reveal()}"'),
    )
    async with real.service():
        jobs = [submit_for(coordinator, name) for name in organisations]
        await real.settled(jobs)
    code, answer, messages = await orphans(real.config)
    assert (code, answer, messages) == (0, "hosts: 0, orphans: 0, removed: 0\n", "")
    cloud.accounts.replace_tokens(organisations["bolt"])
    code, answer, messages = await orphans(real.config)
    assert (code, answer) == (1, "hosts: 0, orphans: 0, removed: 0, not asked: 1\n")
    assert "paas-runner orphans: runner real, tenant bolt: " in messages
