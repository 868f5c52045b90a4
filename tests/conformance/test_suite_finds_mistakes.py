"""The conformance suite passes an executor that keeps its promises, and finds the mistakes of others."""

import asyncio
import math
from contextlib import contextmanager

import pytest

from paas_runner.conformance import Call, ExecutorConformance, order, suite
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.executor.contract import RunnerSection
from paas_runner.job.tracked import Host
from tests.support.shelves import ShelfExecutor, ShelfSettings, Warehouse


class FaultyWarehouse(Warehouse):
    """Loses answers, takes its time, is full; and remembers which jobs it has begun where."""

    def __init__(self):
        super().__init__()
        self.begun = []
        self.lost = None
        self.delay = 0.0
        self.full = False

    async def rent(self, name, mark):
        if self.full:
            raise Rejected("all shelves are taken", service="warehouse", op="rent a shelf", status=403)
        number = await asyncio.shield(asyncio.ensure_future(self._rented(name, mark)))
        self._answer(Call.CREATE)
        return number

    async def _rented(self, name, mark):
        await asyncio.sleep(self.delay)
        return await super().rent(name, mark)

    async def put(self, number, job_id):
        shelf = self.shelves[number]
        before = len(shelf.jobs)
        await super().put(number, job_id)
        self.begun += [shelf.name] * (len(shelf.jobs) - before)
        self._answer(Call.LAUNCH)

    async def leave(self, number):
        await super().leave(number)
        self._answer(Call.DELETE)

    def _answer(self, call):
        if self.lost is call:
            self.lost = None
            raise Transient("no answer", service="warehouse", op=call)


class OfTheWarehouse:
    """What the suite has to know of a warehouse, and be able to do to it."""

    def __init__(self, executor=ShelfExecutor):
        self._executor = executor
        self._warehouse = FaultyWarehouse()

    def executor(self, installation):
        section = RunnerSection(
            name="shelves",
            url="https://gitlab.example",
            short_token="abc123xyz",
            forwarded={},
            installation=installation,
        )
        return self._executor(ShelfSettings(), section, self._warehouse)

    def order(self, job_id):
        return order("abc123xyz", job_id)

    async def existing(self):
        return [shelf.name for shelf in self._warehouse.shelves.values()]

    async def launches(self, name):
        return self._warehouse.begun.count(name)

    async def plant(self, name):
        await self._warehouse.rent(name, "")

    async def vanish(self, ref):
        del self._warehouse.shelves[ref]

    def losing_the_answer(self, call):
        return self._being(lost=call)

    def slow_creation(self, seconds):
        return self._being(delay=seconds)

    def refusing(self):
        return self._being(full=True)

    @contextmanager
    def _being(self, **so):
        before = {name: getattr(self._warehouse, name) for name in so}
        vars(self._warehouse).update(so)
        try:
            yield
        finally:
            vars(self._warehouse).update(before)


class TestShelves(ExecutorConformance):
    @pytest.fixture
    def provider(self):
        return OfTheWarehouse()


class AdoptsNothing(ShelfExecutor):
    async def adopt(self, order):
        return None


class KnowsNoMark(ShelfExecutor):
    def _marked(self, shelf):
        return True


class KnowsNoName(ShelfExecutor):
    def _ours(self, name):
        return [number for number, shelf in self._warehouse.shelves.items() if self._marked(shelf)]


class SearchesNever(ShelfExecutor):
    async def decommission(self, name, host, *, tenant, search):
        await super().decommission(name, host, tenant=tenant, search=False)


class SwallowsRefusals(ShelfExecutor):
    async def provision(self, order):
        try:
            return await super().provision(order)
        except Rejected:
            return self._host("none")


class WantsWhatItRemovesToExist(ShelfExecutor):
    async def decommission(self, name, host, *, tenant, search):
        if host and host.ref not in self._warehouse.shelves:
            raise Rejected("no such shelf", service="warehouse", op="leave a shelf", status=404)
        await super().decommission(name, host, tenant=tenant, search=search)


class LaunchesAgain(ShelfExecutor):
    async def launch(self, order, host):
        await self._warehouse.put(host.ref, len(self._warehouse.begun))


class LaunchesTooEarly(ShelfExecutor):
    async def provision(self, order):
        host = await super().provision(order)
        await self.launch(order, host)
        return host


class CreatesTwo(ShelfExecutor):
    async def provision(self, order):
        await super().provision(order)
        return await super().provision(order)


class ListsTheHostsOfAll(ShelfExecutor):
    async def hosts(self, tenant):
        ours = type(self)(ShelfSettings(), self._section, self._warehouse)
        ours._marked = lambda shelf: True
        return await ShelfExecutor.hosts(ours, tenant)


class ListsNone(ShelfExecutor):
    async def hosts(self, tenant):
        return ()


class SeesNoTrouble(ShelfExecutor):
    async def trouble(self, host, *, tenant):
        return None


class SeesOnlyTrouble(ShelfExecutor):
    async def trouble(self, host, *, tenant):
        return "The host of this job is in trouble."


class IsNeverReady(ShelfExecutor):
    async def ready(self, host, *, tenant):
        return False


class WeighsTooMuch(ShelfExecutor):
    def weigh(self, payload, *, most):
        return math.inf


class KeepsMoreThanText(ShelfExecutor):
    def _host(self, ref):
        return Host(ref=ref, details={"rented": 1})


MISTAKES = [
    (AdoptsNothing, "a_host_is_adopted_after_a_crash"),
    (AdoptsNothing, "a_host_whose_creation_was_not_answered_is_adopted"),
    (KnowsNoMark, "another_installations_host_is_neither_listed_nor_adopted_nor_removed"),
    (KnowsNoMark, "somebody_elses_host_of_that_name_is_neither_listed_nor_adopted_nor_removed"),
    (KnowsNoName, "nothing_is_adopted_where_nothing_was_created"),
    (KnowsNoName, "a_search_removes_the_host_of_a_lost_record_and_no_other"),
    (SearchesNever, "a_search_removes_the_host_of_a_lost_record_and_no_other"),
    (SearchesNever, "a_creation_that_outlives_its_caller_ends_in_one_launch_and_no_host_left"),
    (SwallowsRefusals, "a_refused_creation_is_an_error_in_words_and_leaves_nothing"),
    (WantsWhatItRemovesToExist, "a_host_may_be_decommissioned_twice"),
    (WantsWhatItRemovesToExist, "a_deletion_that_was_not_answered_may_be_repeated"),
    (LaunchesAgain, "a_job_is_begun_once_however_often_it_is_launched"),
    (LaunchesAgain, "a_launch_that_was_not_answered_may_be_repeated"),
    (LaunchesTooEarly, "a_provisioned_host_exists_once_under_the_jobs_name_and_becomes_ready"),
    (CreatesTwo, "a_provisioned_host_exists_once_under_the_jobs_name_and_becomes_ready"),
    (ListsTheHostsOfAll, "another_installations_host_is_neither_listed_nor_adopted_nor_removed"),
    (ListsNone, "hosts_are_listed_by_name_reference_and_age"),
    (SeesNoTrouble, "a_host_that_vanished_is_in_trouble_told_in_words"),
    (SeesOnlyTrouble, "a_host_that_works_is_in_no_trouble"),
    (IsNeverReady, "a_provisioned_host_exists_once_under_the_jobs_name_and_becomes_ready"),
    (WeighsTooMuch, "there_are_sizes_and_no_job_weighs_more_than_it_may"),
    (KeepsMoreThanText, "a_host_is_plain_data_so_that_a_record_can_hold_it"),
]


@pytest.mark.parametrize(("executor", "finder"), MISTAKES)
async def test_a_mistake_is_found(executor, finder, monkeypatch):
    for name in ("READY_SECONDS", "PATIENCE_SECONDS", "SLOW_SECONDS"):
        monkeypatch.setattr(suite, name, 0.1)
    provider = OfTheWarehouse(executor)
    more = {"search": False} if finder == "a_host_may_be_decommissioned_twice" else {}
    with pytest.raises((AssertionError, TimeoutError, RemoteError, pytest.fail.Exception)):
        await getattr(ExecutorConformance(), f"test_{finder}")(
            provider, lambda installation=suite.OURS: provider.executor(installation), **more
        )
