"""The conformance suite passes an executor that keeps its promises, and finds the mistakes of others."""

import asyncio
import math
from contextlib import contextmanager

import attrs
import pytest

from paas_runner.conformance import Call, ExecutorConformance, host_request, steps
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.executor.checks import fault, fine
from paas_runner.executor.contract import RunnerSection
from paas_runner.job.limits import NOTHING_KNOWN, Flavors
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

    async def rent(self, name, label):
        if self.full:
            raise Rejected("all shelves are taken", service="warehouse", op="rent a shelf", status=403)
        number = await asyncio.shield(asyncio.ensure_future(self._rented(name, label)))
        self._answer(Call.CREATE)
        return number

    async def _rented(self, name, label):
        await asyncio.sleep(self.delay)
        return await super().rent(name, label)

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

    def request(self, job_id):
        return host_request("abc123xyz", job_id)

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


class FullShelfExecutor(ShelfExecutor):
    """Offers all that is optional."""

    def tenant(self, payload):
        return ""

    async def flavors(self):
        return Flavors(weights={"small": 1.0, "large": 4.0}, most_weight=2.0)

    def weigh(self, payload, *, most):
        return min(1.0, most)

    async def trouble(self, provisioned):
        if await self.ready(provisioned):
            return None
        return "The host of this job was removed by someone else.\n"

    async def silence(self, provisioned):
        return None

    async def examine(self):
        return [fine("warehouse", "is open")]

    def _host(self, ref):
        return Host(ref=ref, flavor="small", weight=1.0)


class TestFullShelves(ExecutorConformance):
    @pytest.fixture
    def provider(self):
        return OfTheWarehouse(FullShelfExecutor)


class AdoptsNothing(ShelfExecutor):
    async def adopt(self, request):
        return None


class KnowsNoLabel(ShelfExecutor):
    def _is_ours(self, shelf):
        return True


class KnowsNoName(ShelfExecutor):
    def _ours(self, name):
        return [number for number, shelf in self._warehouse.shelves.items() if self._is_ours(shelf)]


class SearchesNever(ShelfExecutor):
    async def decommission(self, removal):
        await super().decommission(attrs.evolve(removal, search=False))


class SwallowsRefusals(ShelfExecutor):
    async def provision(self, request):
        try:
            return await super().provision(request)
        except Rejected:
            return self._host("none")


class WantsWhatItRemovesToExist(ShelfExecutor):
    async def decommission(self, removal):
        if removal.host and removal.host.ref not in self._warehouse.shelves:
            raise Rejected("no such shelf", service="warehouse", op="leave a shelf", status=404)
        await super().decommission(removal)


class LaunchesAgain(ShelfExecutor):
    async def launch(self, request, host):
        await self._warehouse.put(host.ref, len(self._warehouse.begun))


class LaunchesTooEarly(ShelfExecutor):
    async def provision(self, request):
        host = await super().provision(request)
        await self.launch(request, host)
        return host


class CreatesTwo(ShelfExecutor):
    async def provision(self, request):
        await super().provision(request)
        return await super().provision(request)


class ListsTheHostsOfAll(ShelfExecutor):
    async def hosts(self, tenant):
        ours = type(self)(ShelfSettings(), self._section, self._warehouse)
        ours._is_ours = lambda shelf: True
        return await ShelfExecutor.hosts(ours, tenant)


class ListsNone(ShelfExecutor):
    async def hosts(self, tenant):
        return ()


class IsNeverReady(ShelfExecutor):
    async def ready(self, provisioned):
        return False


class SeesNoTrouble(FullShelfExecutor):
    async def trouble(self, provisioned):
        return None


class SeesOnlyTrouble(FullShelfExecutor):
    async def trouble(self, provisioned):
        return "The host of this job is in trouble."


class OffersNothing(FullShelfExecutor):
    async def flavors(self):
        return NOTHING_KNOWN


class WeighsTooMuch(FullShelfExecutor):
    def weigh(self, payload, *, most):
        return math.inf


class CreatesTooMuch(FullShelfExecutor):
    def _host(self, ref):
        return Host(ref=ref, flavor="large", weight=4.0)


class CreatesToFindOut(FullShelfExecutor):
    async def examine(self):
        await self._warehouse.rent("a try", self._section.installation)
        return [fine("warehouse", "shelves can be rented")]


class ExaminesInVain(FullShelfExecutor):
    async def examine(self):
        return [fault("warehouse", "there is none")]


class KeepsMoreThanText(ShelfExecutor):
    def _host(self, ref):
        return Host(ref=ref, details={"rented": 1})


MISTAKES = [
    (AdoptsNothing, "a_host_is_adopted_after_a_crash"),
    (AdoptsNothing, "a_host_whose_creation_was_not_answered_is_adopted"),
    (KnowsNoLabel, "another_installations_host_is_neither_listed_nor_adopted_nor_removed"),
    (KnowsNoLabel, "another_programs_host_of_that_name_is_neither_listed_nor_adopted_nor_removed"),
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
    (SeesNoTrouble, "a_host_that_vanished_is_in_trouble_described_in_words"),
    (SeesOnlyTrouble, "a_host_that_works_is_in_no_trouble"),
    (IsNeverReady, "a_provisioned_host_exists_once_under_the_jobs_name_and_becomes_ready"),
    (OffersNothing, "there_are_flavors_and_no_job_weighs_more_than_it_may"),
    (WeighsTooMuch, "there_are_flavors_and_no_job_weighs_more_than_it_may"),
    (CreatesTooMuch, "a_host_weighs_no_more_than_was_promised_for_it"),
    (CreatesToFindOut, "an_examination_finds_no_fault_with_a_provider_that_works"),
    (ExaminesInVain, "an_examination_finds_no_fault_with_a_provider_that_works"),
    (KeepsMoreThanText, "a_host_is_plain_data_so_that_a_record_can_hold_it"),
]


@pytest.mark.parametrize(("executor", "finder"), MISTAKES)
async def test_a_mistake_is_found(executor, finder, monkeypatch):
    for name in ("READY_SECONDS", "REPEATED_SECONDS", "SLOW_SECONDS"):
        monkeypatch.setattr(steps, name, 0.1)
    provider = OfTheWarehouse(executor)
    more = {"search": False} if finder == "a_host_may_be_decommissioned_twice" else {}
    with pytest.raises((AssertionError, TimeoutError, RemoteError, pytest.fail.Exception)):
        await getattr(ExecutorConformance(), f"test_{finder}")(
            provider, lambda installation=steps.OURS: provider.executor(installation), **more
        )


async def test_what_is_not_offered_is_named():
    provider = OfTheWarehouse()
    with pytest.raises(pytest.skip.Exception, match="not offered: diagnosis of launched hosts"):
        await ExecutorConformance().test_a_host_that_vanished_is_in_trouble_described_in_words(
            provider, lambda: provider.executor(steps.OURS)
        )
