"""Whatever groups there are, and however they are renamed: a job is paid for by its own group, or by none."""

import asyncio
import random
import string
from datetime import UTC, datetime

import attrs
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.clever import KIND
from executors.clever.groups import Group, GroupsApi
from executors.clever.settings import CleverSettings
from executors.clever.tenants import TenantError, Tenants, group_of
from paas_runner.executor.contract import JobRefusedError
from paas_runner.http import Http
from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.sandbox.control_api import create_coordinator_app
from paas_runner.secret import Secret
from tests.executors.test_clever import SECTION
from tests.support.records import payload

ADMIN = Secret("admin")
SETTINGS = CleverSettings(cc_multi_tenant=True, cc_gitlab_namespace_attributes_token=ADMIN)


@attrs.define
class Instance:
    """A coordinator with groups that pay, and what this service finds out about them."""

    coordinator: Coordinator
    tenants: Tenants

    @classmethod
    def of(cls, *paths: str) -> "Instance":
        options = CoordinatorOptions(registration_token=Secret("r"), admin_token=ADMIN)
        coordinator = Coordinator(lambda: datetime.now(UTC), options, random.Random(1))
        transport = httpx.ASGITransport(create_coordinator_app(coordinator))
        api = GroupsApi(SETTINGS, SECTION, Http(transport=lambda _: transport))
        instance = cls(coordinator, Tenants(SETTINGS, api))
        for path in paths:
            instance.add(path)
        return instance

    def add(self, path: str) -> int:
        """A group with an organisation of its own, named after its id."""
        groups = self.coordinator.groups
        groups.ensure(path)
        ref = groups.id_of(path)
        attributes = groups.attributes(str(ref))
        attributes.update(cc_orga_id=f"orga_{ref}", cc_orga_token=f"token-{ref}")
        return ref

    async def payer(self, path: str, ref: int | None = None, *, afresh: bool = False) -> int | None:
        """The id of the group that pays; None when there is no such group."""
        try:
            found = await self.tenants.credentials(Group(path, ref), afresh=afresh)
        except TenantError:
            return None
        assert found.organisation == f"orga_{found.group}"
        assert found.token == Secret(f"token-{found.group}")
        return found.group


LOOK_ALIKES = [
    "acme",
    "Acme",
    "ACME",
    "acme-",
    "acme.",
    "a.cme",
    "ac%6De",
    "1",
    "2",
    "3",
    "01",
    "10",
    "-1",
    "1.0",
]
PATHS = st.one_of(
    st.sampled_from(LOOK_ALIKES),
    st.integers(1, 12).map(str),
    st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=6).filter(
        lambda p: p.strip(".")
    ),
)
SUBGROUPS = st.builds("{}/{}".format, PATHS, PATHS)


@settings(max_examples=25)
@given(
    groups=st.lists(st.one_of(PATHS, SUBGROUPS), max_size=8, unique_by=str.lower),
    path=PATHS,
    tells_ids=st.booleans(),
)
def test_a_job_is_paid_for_by_its_own_group_or_by_none(groups, path, tells_ids):
    async def main():
        instance = Instance.of(*groups)
        known = instance.coordinator.groups
        own = known.id_of(path) if path in groups else None
        ref = own if tells_ids else None
        if tells_ids and own is None:  # a user's own namespace has an id, too, which no group has
            ref = 1_000_000
        assert await instance.payer(path, ref) == own

    asyncio.run(main())


@settings(max_examples=25)
@given(
    groups=st.lists(PATHS, min_size=1, max_size=6, unique_by=str.lower),
    moves=st.lists(PATHS, max_size=4),
    data=st.data(),
)
def test_after_any_renames_a_host_is_removed_by_the_group_that_pays_for_it(groups, moves, data):
    async def main():
        instance = Instance.of(*groups)
        known = instance.coordinator.groups
        mine = data.draw(st.sampled_from(groups))
        ref = await instance.payer(mine)
        assert ref == known.id_of(mine)
        now = mine
        for path in moves:
            if path.lower() in {each.lower() for each in known.top_level()}:
                continue
            known.rename(now, path)
            instance.add(now)  # somebody else takes the free name at once
            now = path
        assert await instance.payer(mine, ref) == ref
        assert await instance.payer(mine, afresh=True) == known.id_of(mine)

    asyncio.run(main())


async def test_a_path_of_digits_is_not_taken_for_the_id_of_another_group():
    instance = Instance.of("victim", "2")
    victim = instance.coordinator.groups.id_of("victim")
    assert victim == 2  # after the group of the sandbox itself
    assert await instance.payer("2") == instance.coordinator.groups.id_of("2") == 3
    instance.coordinator.groups.rename("2", "3")
    assert await instance.payer("2", afresh=True) is None


async def test_a_renamed_group_still_pays_for_a_job_that_waits_for_its_host():
    instance = Instance.of("acme")
    ref = instance.coordinator.groups.id_of("acme")
    instance.coordinator.groups.rename("acme", "acme-new")
    newcomer = instance.add("acme")
    assert await instance.payer("acme", ref) == ref != newcomer


async def test_the_groups_that_pay_are_found_page_by_page():
    instance = Instance.of(*(f"group-{number}" for number in range(150)))
    found = await instance.tenants.groups()
    assert len(found) == 150
    assert found[0] == Group("group-0", 2)


def of(path, *values):
    entries = [{"key": "CI_PROJECT_ROOT_NAMESPACE", "value": value} for value in values]
    return payload(1, job_info={"project_full_path": path, "root_namespace_id": 3}, variables=entries)


@pytest.mark.parametrize("values", [(), ("victim",), ("victim", "acme")])
def test_what_the_coordinator_says_of_the_project_comes_before_any_variable(values, connect):
    assert KIND.build(SETTINGS, SECTION, connect).tenant(of("acme/sub/project", *values)) == "acme"


@pytest.mark.parametrize("value", [".", "..", "a/b", "", "a\nb", "\ud800"])
def test_what_is_no_path_of_a_group_is_refused(value):
    with pytest.raises(JobRefusedError, match="CI_PROJECT_ROOT_NAMESPACE"):
        group_of(of("", value))


@pytest.mark.parametrize("found", [None, 0, -3, True, "3", 2**63, 1.5])
def test_an_id_of_a_namespace_that_is_none_is_taken_for_unsaid(found):
    assert payload(1, job_info={"root_namespace_id": found}).root_namespace_id is None
