"""All tenants of a runner asked at once: whom, and what becomes of those that cannot be."""

import asyncio
from datetime import timedelta

import attrs
import pytest

from paas_runner.dispatch.search import NotAsked, RunnerSearch, SearchedRunner, ask_tenants, tenants_of
from paas_runner.errors import Rejected, Transient
from paas_runner.job.cost import Charge
from paas_runner.job.decision import Policy
from paas_runner.job.orphans import GRACE, HostKind
from paas_runner.job.tracked import Phase, SeenHost
from paas_runner.store import StoreError
from paas_runner.testing.memory_store import MemoryStore
from tests.support.records import NOW, job, job_in

RUNNER = "abc123xyz"


class OneAccount:
    """An executor that knows nothing of tenants."""

    def __init__(self):
        self.there = {}
        self.refusing = {}
        self.asked = []

    def add(self, tenant, record):
        ref = f"app_{tenant}_{record.key.job_id}"
        host = SeenHost(name=record.host_name, ref=ref, created_at=NOW - 2 * GRACE, busy=False)
        self.there.setdefault(tenant, []).append(host)

    async def hosts(self, tenant):
        self.asked.append(tenant)
        if tenant in self.refusing:
            raise self.refusing[tenant]
        return list(self.there.get(tenant, ()))

    async def decommission(self, removal):
        left = [seen for seen in self.there[removal.tenant] if seen.ref != removal.host.ref]
        self.there[removal.tenant] = left


class ManyAccounts(OneAccount):
    """One in which each tenant has hosts of its own."""

    def tenant(self, _payload):
        return "acme"

    def tenants_among(self, known):
        return set(known) - {""}


class UnreadableStore(MemoryStore):
    async def tenants(self, runner):
        raise StoreError("s.db: the disk is gone")


def runner(executor, **more):
    return SearchedRunner(key=RUNNER, name="ours", executor=executor, policy=Policy(), **more)


async def remembering(*tenants, store=None):
    """A store in which a host of each of them has gone."""
    store = store or MemoryStore()
    for number, tenant in enumerate(tenants, 100):
        charge = Charge(
            key=job(number).key,
            tenant=tenant,
            host=f"app_{number}",
            flavor="M",
            since=NOW,
            until=NOW + timedelta(hours=1),
            price=None,
        )
        await store.charge(charge, keep_from=NOW)
    return store


async def test_tenants_of_present_jobs_and_of_hosts_that_are_gone_are_asked():
    store = await remembering("acme", "bolt")
    await store.save(attrs.evolve(job(1), tenant="crew"))
    await store.save(attrs.evolve(job(2, runner="another"), tenant="dune"))
    assert await tenants_of(runner(ManyAccounts()), store) == ["acme", "bolt", "crew"]


@pytest.mark.parametrize("known", [(), ("",), ("", "acme")])
async def test_only_tenants_are_asked_that_the_executor_has(known):
    store = await remembering(*known)
    assert await tenants_of(runner(ManyAccounts()), store) == [name for name in known if name]
    assert await tenants_of(runner(OneAccount()), store) == sorted({"", *known})


async def test_one_tenant_that_refuses_and_one_that_is_out_of_reach_hide_no_others():
    executor = ManyAccounts()
    executor.refusing = {
        "acme": Rejected("the token was revoked", service="cloud", op="list", status=401),
        "bolt": Transient("no answer", service="cloud", op="list"),
        "dune": RuntimeError("a bug"),
    }
    store = await remembering("acme", "bolt", "crew", "dune")
    answers = await ask_tenants(runner(executor), store, executor.hosts)
    assert answers.by_tenant == {"crew": []}
    assert [(each.runner, each.tenant, each.why) for each in answers.not_asked] == [
        ("ours", "acme", "cloud, list: the token was revoked"),
        ("ours", "bolt", "cloud, list: no answer"),
        ("ours", "dune", "unexpected error (RuntimeError)"),
    ]


async def test_tenants_that_cannot_be_found_out_are_an_answer_too():
    answers = await ask_tenants(runner(ManyAccounts()), UnreadableStore(), ManyAccounts().hosts)
    assert not answers.by_tenant
    assert answers.not_asked == [NotAsked(runner="ours", tenant="", why="s.db: the disk is gone")]


async def test_a_tenant_that_hangs_delays_no_other():
    asked, release = [], asyncio.Event()

    async def ask(tenant):
        asked.append(tenant)
        if tenant == "acme":
            await release.wait()
        elif asked == ["acme", "bolt"]:
            release.set()
        return tenant

    answers = await ask_tenants(runner(ManyAccounts()), await remembering("acme", "bolt"), ask)
    assert answers.by_tenant == {"acme": "acme", "bolt": "bolt"}


async def test_without_any_tenant_no_one_is_asked_and_that_is_said():
    executor = ManyAccounts()
    search = RunnerSearch(runner(executor), records=MemoryStore(), clock=lambda: NOW)
    await search.compare()
    assert (executor.asked, search.listed) == ([], False)
    [nothing] = search.not_asked
    assert (nothing.tenant, nothing.why) == (None, "no tenant is known yet: nothing was asked")


async def test_a_tenant_that_could_be_asked_only_once_stays_named():
    executor, store = ManyAccounts(), await remembering("acme", "bolt")
    search = RunnerSearch(runner(executor), records=store, clock=lambda: NOW)
    executor.refusing = {"acme": Transient("no answer", service="cloud", op="list")}
    await search.compare()
    executor.refusing.clear()
    await search.compare()
    assert [each.tenant for each in search.not_asked] == ["acme"]
    assert str(search.not_asked[0]) == "runner ours, tenant acme: cloud, list: no answer"


async def test_an_orphan_of_one_tenant_goes_at_the_second_look_unless_a_record_appears():
    executor, store = ManyAccounts(), await remembering("acme", "bolt")
    for number, tenant in enumerate(("acme", "bolt"), 1):
        executor.add(tenant, job(number))
        await store.forget(job(number).key, ended=True)
    search = RunnerSearch(runner(executor), records=store, clock=lambda: NOW)
    await search.compare()
    assert [verdict.kind for _, verdict in search.verdicts] == [HostKind.SEEN_ONCE] * 2
    await search.compare()
    assert [verdict.kind for _, verdict in search.verdicts] == [HostKind.ORPHAN] * 2
    await store.save(attrs.evolve(job_in(Phase.RUNNING), host=None))
    removed = [await of_tenant.remove(verdict.host) for of_tenant, verdict in search.verdicts]
    assert removed == [False, True]
    assert (len(executor.there["acme"]), executor.there["bolt"]) == (1, [])


async def test_a_search_that_has_not_looked_removes_nothing():
    executor, store = OneAccount(), MemoryStore()
    executor.add("", job(1))
    search = RunnerSearch(runner(executor), records=store, clock=lambda: NOW)
    await search.compare()
    [(of_tenant, verdict)] = search.verdicts
    assert not await of_tenant.remove(verdict.host)
