"""What the service takes for granted of an executor that offers nothing but its verbs."""

import pytest

from paas_runner.executor import Diagnosing, Examinable, HasFlavors, HasTenants, RunnerSection
from paas_runner.executor.checks import Grade, fault
from paas_runner.executor.optional import (
    examination_of,
    flavors_of,
    silence_of,
    tenant_of,
    trouble_of,
    weight_of,
)
from paas_runner.job.limits import Flavors
from tests.support.host_values import provisioned
from tests.support.records import HOST, payload
from tests.support.shelves import ShelfExecutor, ShelfSettings, Warehouse

SECTION = RunnerSection(
    name="shelves", url="https://gitlab.example", short_token="abc123xyz", forwarded={}, installation="one"
)


class Offering(ShelfExecutor):
    def tenant(self, payload):
        return f"tenant of {payload.job_id}"

    def tenants_among(self, known):
        return set(known) - {""}

    async def flavors(self):
        return Flavors(weights={"small": 1.0, "large": 4.0})

    def weigh(self, payload, *, most):
        return min(4.0, most)

    async def trouble(self, provisioned):
        return f"trouble with {provisioned.host.ref}"

    async def silence(self, provisioned):
        return f"silence of {provisioned.host.ref}"

    async def examine(self):
        return [fault("warehouse", "closed")]


@pytest.fixture
def plain():
    return ShelfExecutor(ShelfSettings(), SECTION, Warehouse())


@pytest.fixture
def offering():
    return Offering(ShelfSettings(), SECTION, Warehouse())


async def test_without_flavors_all_hosts_are_of_one_and_weigh_one(plain):
    flavors = await flavors_of(plain)
    assert (flavors.weights, flavors.heaviest()) == ({"M": 1.0}, 1.0)
    assert [weight_of(plain, payload(), most=most) for most in (8.0, 0.5)] == [1.0, 0.5]


async def test_without_tenants_all_pay_alike(plain):
    assert tenant_of(plain, payload()) == ""


async def test_without_diagnosis_no_job_is_ended_and_nothing_is_explained(plain):
    assert await trouble_of(plain, provisioned(HOST)) is None
    assert await silence_of(plain, provisioned(HOST)) is None


async def test_without_an_examination_a_check_names_the_flavors(plain):
    [result] = await examination_of(plain)
    assert (result.subject, result.grade, result.text) == ("sizes", Grade.FINE, "M")


async def test_what_is_offered_is_asked(offering):
    assert tenant_of(offering, payload(7)) == "tenant of 7"
    assert (await flavors_of(offering)).heaviest() == 4.0
    assert weight_of(offering, payload(), most=8.0) == 4.0
    assert await trouble_of(offering, provisioned(HOST)) == "trouble with app_1"
    assert await silence_of(offering, provisioned(HOST)) == "silence of app_1"
    assert [result.text for result in await examination_of(offering)] == ["closed"]


@pytest.mark.parametrize("part", [HasTenants, HasFlavors, Diagnosing, Examinable])
def test_what_is_offered_is_seen_by_its_verbs(part, plain, offering):
    assert isinstance(offering, part)
    assert not isinstance(plain, part)
