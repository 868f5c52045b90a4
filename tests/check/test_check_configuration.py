"""What `paas-runner check` finds out about coordinators, clouds and clocks, over real connections."""

import re
import time
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from executors.clever.api import CatalogueApi, CleverApi
from paas_runner.check.configuration import Clocks, worst
from paas_runner.coordinator.system_id import FILE
from paas_runner.errors import RunnerError
from paas_runner.executor.checks import Grade, fault, fine, skipped, warning
from paas_runner.http import Exchange, Http, Response
from paas_runner.job.limits import Flavors
from paas_runner.sandbox.faults import Answer, Garbage, Hang
from paas_runner.secret import Secret

CLOSED = "http://127.0.0.1:9"


async def test_all_is_fine_where_everything_is_right(world):
    checked = await world.checked()
    assert not checked.faults
    assert not checked.warnings
    subjects = {each.subject for each in checked.results}
    assert subjects >= {"token", "executor", "flavors", "zones", "organisation", "clock", "state"}
    [clock] = checked.of("clock")
    assert clock.text == f"agrees with coordinator {world.sandbox.coordinator_url}, Clever Cloud"


async def test_nothing_is_created_or_changed_anywhere(world):
    await world.checked()
    assert world.files == ["config.toml"]
    assert not world.sandbox.cloud.ledger.calls
    assert not world.sandbox.coordinator.jobs


async def test_receivers_of_notices_that_cannot_be_told_or_are_overheard_are_named(world):
    sections = [
        f'[[notify]]\nname = "{name}"\n{how}\n'
        for name, how in {
            "pager": 'command = ["/nowhere/page"]',
            "log": 'command = ["/bin/true"]',
            "chat": 'url = "http://chat.example/canary-hook"',
            "ops": 'url = "https://ops.example/canary-hook"',
        }.items()
    ]
    world.write(world.runner(), *sections)
    checked = await world.checked(offline=True)
    assert checked.grades("notices") == [Grade.FAULT, Grade.FINE, Grade.WARNING, Grade.FINE]
    assert "/nowhere/page" in checked.all_told
    assert "canary-hook" not in checked.all_told


async def test_the_coordinator_lists_this_machine_as_the_service_would_be_listed(world):
    (world.folder / FILE).write_text("s_0123456789ab")
    await world.checked()
    [runner] = world.sandbox.coordinator.runners
    assert list(runner.managers) == ["s_0123456789ab"]


async def test_an_unknown_runner_token_is_a_fault_with_advice(world):
    world.write(world.runner(token=Secret("glrt-unknown-token-canary")))
    checked = await world.checked()
    assert checked.faults == [("one", "token")]
    [token] = checked.of("token")
    assert "does not know this token" in token.text
    assert "copy it again" in token.advice
    assert "canary" not in checked.all_told


async def test_a_coordinator_that_cannot_be_reached_is_a_fault_that_says_why(world):
    world.write(world.runner(url=CLOSED))
    checked = await world.checked()
    assert checked.faults == [("one", "token")]
    [token] = checked.of("token")
    assert "Connection refused" in token.text
    assert "is `url` right" in token.advice


async def test_something_that_is_no_coordinator_is_told_apart(world):
    world.sandbox.coordinator_faults.add(Garbage(b"<html>welcome</html>"))
    [token] = (await world.checked()).of("token")
    assert token.grade is Grade.FAULT
    assert "is the address that of a coordinator?" in token.text


async def test_a_coordinator_that_never_answers_is_given_up_and_the_rest_is_checked(world):
    world.sandbox.coordinator_faults.add(Hang())
    world.sandbox.cloud_faults.add(Hang(), path="/v2/products/flavors")
    world.write(world.runner(), world.runner(name="two", token=world.another_token()))
    began = time.monotonic()
    checked = await world.checked(seconds=2)
    assert time.monotonic() - began < 7, "the deadlines of four checks ran side by side"
    assert [each.text for each in checked.of("token")] == ["no complete answer within 2 s"] * 2
    assert [each.text for each in checked.of("executor", Grade.FAULT)] == [
        "no complete answer within 2 s"
    ] * 2


async def test_a_token_that_ends_soon_is_a_warning(world):
    soon = datetime.now(UTC) + timedelta(days=2, hours=1)
    body = f'{{"id": 7, "token": "x", "token_expires_at": "{soon.isoformat()}"}}'.encode()
    world.sandbox.coordinator_faults.add(Answer(200, body=body))
    checked = await world.checked()
    assert checked.grades("token") == [Grade.FINE, Grade.WARNING]
    assert checked.of("token")[1].text == f"expires at {soon:%Y-%m-%d %H:%M} UTC, in 2 d"


@pytest.mark.parametrize("offline", [False, True])
async def test_the_section_says_when_its_token_ends_where_the_coordinator_does_not(world, offline):
    world.write(world.runner() + "  token_expires_at = 2026-01-02T03:04:05Z\n")
    checked = await world.checked(offline=offline)
    assert checked.of("token")[-1].text == "expired on 2026-01-02 03:04 UTC"


async def test_a_revoked_cloud_token_is_a_fault_with_advice(world):
    world.sandbox.cloud.accounts.replace_tokens(world.sandbox.organisation_id, Secret("another"))
    checked = await world.checked()
    assert checked.faults == [("one", "organisation")]
    [organisation] = checked.of("organisation")
    assert "Not connected (status 401)" in organisation.text
    assert "`cc_token`" in organisation.advice


async def test_a_token_of_another_organisation_is_told_from_a_revoked_one(world):
    token = Secret("cloud-token-canary")
    world.sandbox.cloud.add_organisation("Another", token)
    world.write(world.runner(cloud_token=token))
    [organisation] = (await world.checked()).of("organisation")
    assert organisation.grade is Grade.FAULT
    assert "`cc_token` and `cc_orga_id` do not fit" in organisation.advice


async def test_a_cloud_that_cannot_be_reached_is_a_fault_at_everything_that_needs_it(world):
    world.write(world.runner(cloud=f"{CLOSED}/v2"))
    checked = await world.checked()
    assert checked.faults == [("one", "flavors"), ("one", "organisation")]
    assert checked.warnings == [("one", "zones")]


@pytest.mark.parametrize(
    ("more", "subject", "grade", "words"),
    [
        ('cc_zone = "nowhere"', "zones", Grade.FAULT, "unknown: nowhere"),
        ('cc_zones = ["par", "nowhere"]', "zones", Grade.WARNING, "unknown: nowhere"),
        ('cc_default_flavor = "9XL"', "flavors", Grade.FAULT, "is not on offer"),
        ('cc_max_flavor = "9XL"', "flavors", Grade.FAULT, "so nothing larger than the default is allowed"),
        ('cc_max_flavor = "XS"', "flavors", Grade.WARNING, 'is larger than `cc_max_flavor` = "XS"'),
        ('cc_flavor_fallback = {M = ["9XL"]}', "flavors", Grade.WARNING, "not on offer: 9XL"),
        ('tags.big = {flavor = "L"}', "flavor of big", Grade.FINE, "L"),
        ('tags.big = {flavor = "9XL"}', "flavor of big", Grade.FAULT, '"9XL" of tag big does not exist'),
        ('cc_max_flavor = "M"\ntags.big = {flavor = "L"}', "flavor of big", Grade.FAULT, "runner allows"),
        ('tags.far = {zone = "rbx"}', "zones of far", Grade.FINE, "rbx"),
        ('tags.far = {zones = ["rbx", "nowhere"]}', "zones of far", Grade.WARNING, "unknown: nowhere"),
        ('tags.far = {zone = "nowhere"}', "zones of far", Grade.FAULT, "unknown: nowhere"),
        ('tags.next = {image = "a:2"}', "tags", Grade.SKIPPED, "from GitLab 19.3 on they do"),
        ('cc_flavor_context = "odd"', "flavors", Grade.FAULT, 'none in the context "odd"'),
        ('cc_instance_variant_uuid = "odd"', "instance type", Grade.FAULT, "is not on offer"),
    ],
)
async def test_what_the_cloud_does_not_have_is_said(world, more, subject, grade, words):
    world.write(world.runner(more=more))
    found = (await world.checked()).of(subject, grade)
    assert any(words in each.text for each in found)


async def test_a_zone_of_ones_own_is_known_by_an_application_in_it(world):
    cloud, organisation = world.sandbox.cloud, world.sandbox.organisation_id
    private = attrs.evolve(cloud.catalogue.zones[0], name="mine")
    public = cloud.catalogue
    cloud.catalogue = attrs.evolve(public, zones=(*public.zones, private))
    world.write(world.runner(more='cc_zone = "mine"'))
    await create_application(world, organisation, zone="mine")
    cloud.catalogue = public
    assert not (await world.checked()).faults


async def create_application(world, organisation, *, zone):
    """As somebody else would, with another program."""
    offer = CatalogueApi(world.sandbox.cloud_api_url, Http())
    [version] = {each["version"] for each in await offer.instances() if each["enabled"]}
    api = CleverApi(
        world.sandbox.cloud_api_url,
        organisation=organisation,
        token=world.sandbox.cloud_token,
        connect=Http(),
    )
    await api.create(
        {
            "name": "somebody's",
            "zone": zone,
            "deploy": "git",
            "instanceType": "docker",
            "instanceVersion": version,
            "instanceVariant": "70d676a0-a775-4dc9-a43d-3121036e8515",
            "minInstances": 1,
            "maxInstances": 1,
            "minFlavor": "heptapod-runner-M",
            "maxFlavor": "heptapod-runner-M",
        }
    )
    await offer.aclose()
    await api.aclose()


QUOTA = """
[quota_computation]
reference_runner = "one"
reference_flavor = "{flavor}"
reference_jobs_count = {jobs}
allowed_fraction_per_runner = {fraction}
"""


async def test_the_quota_is_told_in_jobs_of_each_flavor(world):
    world.write(top=QUOTA.format(flavor="3XL", jobs=1, fraction=1))
    checked = await world.checked()
    [quota] = checked.of("quota")
    assert quota.text == ("may use 181.0 of 181.0; jobs at once: XS 76, S 32, M 13, L 5, XL 2, 2XL 1, 3XL 1")


async def test_only_flavors_that_a_job_may_get_are_told(world):
    world.write(world.runner(more='cc_max_flavor = "M"'), top=QUOTA.format(flavor="M", jobs=10, fraction=1))
    [quota] = (await world.checked()).of("quota")
    assert quota.text == ("may use 134.5 of 134.5; jobs at once: XS 56, S 23, M 10")


async def test_a_quota_too_small_for_some_flavors_is_a_warning(world):
    world.write(top=QUOTA.format(flavor="M", jobs=1, fraction=1))
    checked = await world.checked()
    assert checked.warnings == [("one", "quota")]
    assert checked.of("quota", Grade.WARNING)[0].text.startswith("too small for L, XL, 2XL, 3XL")


async def test_a_quota_too_small_for_any_job_is_a_fault(world):
    world.write(top=QUOTA.format(flavor="M", jobs=1, fraction=0.1))
    checked = await world.checked()
    assert checked.faults == [("one", "quota")]
    assert "its lightest host weighs more" in checked.of("quota")[0].text


async def test_a_quota_in_a_flavor_that_does_not_exist_is_a_fault(world):
    world.write(top=QUOTA.format(flavor="9XL", jobs=1, fraction=1))
    checked = await world.checked()
    assert checked.faults == [("one", "quota")]
    assert '`reference_flavor` = "9XL" is not on offer' in checked.of("quota")[0].text


@pytest.mark.parametrize(
    ("seconds", "words"), [(61, r"6[012] s ahead of"), (-61, r"6[012] s behind"), (3, None)]
)
async def test_a_clock_that_is_off_is_a_warning(world, seconds, words):
    checked = await world.checked(now=lambda: datetime.now(UTC) + timedelta(seconds=seconds))
    assert not checked.faults
    if words is None:
        assert checked.grades("clock") == [Grade.FINE]
    else:
        assert checked.grades("clock") == [Grade.WARNING, Grade.WARNING]
        assert all(re.search(words, each.text) for each in checked.of("clock"))


@attrs.frozen(kw_only=True)
class PlainSettings:
    """Nothing to be configured."""


class PlainExecutor:
    """Somebody else's: it only knows what hosts there are, or does not."""

    def __init__(self, error=None):
        self._error = error

    async def flavors(self):
        if self._error:
            raise self._error
        return Flavors(weights={"small": 1.0, "large": 2.0})

    def weigh(self, payload, *, most):
        return min(2.0, most)

    async def aclose(self):
        pass


@attrs.frozen
class PlainKind:
    """Builds what it was given."""

    executor: object
    settings: type = PlainSettings

    def build(self, settings, section, connect):
        if isinstance(self.executor, Exception):
            raise self.executor
        return self.executor


@pytest.mark.parametrize(
    ("executor", "grade", "words"),
    [
        (PlainExecutor(), Grade.FINE, "small, large"),
        (PlainExecutor(RunnerError("the engine is away")), Grade.FAULT, "the engine is away"),
        (RunnerError("no engine"), Grade.FAULT, "cannot be used on this machine: no engine"),
    ],
)
async def test_an_executor_that_does_not_examine_itself_is_asked_for_its_sizes(world, executor, grade, words):
    section = f"""
[[runners]]
name = "plain"
url = "{world.sandbox.coordinator_url}"
token = "{world.sandbox.runner_token.reveal()}"
executor = "plain"
"""
    world.write(section)
    checked = await world.checked(executors={"plain": lambda: PlainKind(executor)})
    assert any(words in each.text and each.grade is grade for each in checked.results)
    assert bool(checked.faults) is (grade is Grade.FAULT)


async def test_offline_nobody_is_asked(world):
    world.write(world.runner(url=CLOSED, cloud=f"{CLOSED}/v2"))
    checked = await world.checked(offline=True)
    assert not checked.faults
    assert checked.grades("network") == [Grade.SKIPPED]
    assert not checked.of("token")
    assert checked.grades("executor") == [Grade.FINE]


async def test_each_tenant_is_checked_with_its_own_credentials(world):
    world.new_tenant("acme", Secret("acme-token-canary"))
    world.new_tenant("bolt", Secret("bolt-token-canary"))
    world.sandbox.coordinator.groups.ensure("without")
    world.write(world.shared_runner())
    checked = await world.checked()
    assert not checked.faults
    assert {each.subject for each in checked.results if each.subject.startswith("tenant")} == {
        "tenant acme",
        "tenant bolt",
    }


@pytest.mark.parametrize("section", ["tenants", "one organisation"])
async def test_what_tenants_members_can_read_of_the_environment_is_a_warning(world, section):
    more = 'cc_extra_env = {CC_ENABLE_HEPTAPOD_RUNNER = "true", REGISTRY_LOGIN = "hidden-canary"}'
    several = section == "tenants"
    world.write((world.shared_runner if several else world.runner)(more=more))
    found = (await world.checked()).of("environment", Grade.WARNING)
    assert [each.text for each in found] == [
        "all members of each tenant's organisation can read REGISTRY_LOGIN of `cc_extra_env`"
    ] * several


async def test_a_tenant_with_half_of_its_attributes_or_a_revoked_token_is_a_fault(world):
    del world.new_tenant("acme", Secret("acme-token-canary"))["cc_orga_token"]
    world.new_tenant("bolt", Secret("bolt-token-canary"))["cc_orga_token"] = "revoked-token-canary"
    world.new_tenant("crew", Secret("crew-token-canary"))
    world.write(world.shared_runner())
    checked = await world.checked()
    assert checked.faults == [("shared", "tenant acme"), ("shared", "tenant bolt")]
    assert "has no attribute `cc_orga_token`" in checked.of("tenant acme")[0].text
    assert "the group's attribute `cc_orga_token`" in checked.of("tenant bolt")[0].advice
    assert "canary" not in checked.all_told


async def test_more_tenants_than_fit_on_a_page_are_all_found(world):
    for number in range(101):
        world.sandbox.coordinator.groups.ensure(f"group{number}")
    world.new_tenant("last", Secret("last-token-canary"))
    world.write(world.shared_runner())
    assert (await world.checked()).grades("tenant last") == [Grade.FINE]


async def test_no_tenant_at_all_is_a_warning(world):
    world.write(world.shared_runner())
    assert (await world.checked()).warnings == [("shared", "tenants")]


@pytest.mark.parametrize("body", [None, b'[{"id": 1, "full_path": "acme"}]'])
async def test_a_token_that_may_not_see_attributes_is_a_fault(world, body):
    world.new_tenant("acme", Secret("acme-token-canary"))
    world.write(world.shared_runner(admin=None if body else Secret("nobody-canary")))
    if body:  # what somebody gets who is no administrator
        world.sandbox.coordinator_faults.add(Answer(200, body=body), path="/api/v4/groups")
    checked = await world.checked()
    assert checked.faults == [("shared", "tenants")]
    assert "must be an administrator's" in checked.of("tenants")[0].advice


def answered(headers):
    answer = Response(status=200, headers=headers, body=b"")
    return Exchange(service="it", op="look", method="GET", seconds=0.1, attempt=1, answer=answer)


def test_an_answer_that_was_long_on_its_way_does_not_count_against_the_clock():
    begun = datetime(2026, 3, 1, tzinfo=UTC)
    times = iter([begun + timedelta(seconds=20), begun + timedelta(seconds=1)])
    clocks = Clocks(lambda: next(times))
    for _ in range(2):
        clocks.compare(answered({"date": "Sun, 01 Mar 2026 00:00:00 GMT"}))
    assert clocks.results() == [fine("clock", "agrees with it")]


@pytest.mark.parametrize("headers", [{}, {"date": "now"}])
def test_without_an_answer_that_has_a_date_the_clock_is_not_judged(headers):
    clocks = Clocks(lambda: datetime.now(UTC))
    clocks.compare(answered(headers))
    assert [each.grade for each in clocks.results()] == [Grade.SKIPPED]


@pytest.mark.parametrize(
    ("ahead", "words"),
    [(timedelta(seconds=20), "ours is 20 s ahead of it's"), (-timedelta(hours=2), "2 h behind it's")],
)
def test_a_clock_that_differs_is_said_in_round_numbers(ahead, words):
    there = datetime(2026, 3, 1, tzinfo=UTC)
    clocks = Clocks(lambda: there + timedelta(seconds=0.5) + ahead)
    clocks.compare(answered({"date": "Sun, 01 Mar 2026 00:00:00 GMT"}))
    [result] = clocks.results()
    assert result.grade is Grade.WARNING
    assert words in result.text


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ([fine("a", "b"), warning("a", "b"), fault("a", "b"), skipped("a", "b")], Grade.FAULT),
        ([warning("a", "b"), skipped("a", "b")], Grade.WARNING),
        ([skipped("a", "b")], Grade.FINE),
        ([fault("a", "b"), fine("a", "b")], Grade.FAULT),
    ],
)
def test_the_verdict_is_the_worst_of_what_was_checked(results, verdict):
    assert worst(results) is verdict
