"""Flavors under a quota, and other zones and flavors where the first choice is not available."""

import attrs
import pytest

from executors.clever.catalogue import choose
from executors.clever.offer import Flavor, Offer
from executors.clever.settings import CleverSettings
from paas_runner.errors import Rejected, Transient
from paas_runner.executor.contract import JobRefusedError
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Answer
from tests.executors.test_clever import alive, make, requested  # noqa: F401 - make is a fixture
from tests.support.host_values import provisioned

GIB = {"S": 4, "M": 8, "L": 16, "XL": 32}
OFFER = Offer(
    flavors={
        name: Flavor(name=name, cloud_name=f"heptapod-runner-{name}", memory_mib=gib * 1024)
        for name, gib in GIB.items()
    },
    version="1",
)
M = 8**1.25


def chosen(wanted=None, most_weight=float("inf"), **settings):
    flavors = choose(OFFER, wanted, CleverSettings(**settings), most_weight=most_weight)
    return [flavor.name for flavor in flavors]


def test_a_job_gets_what_it_asks_for_or_the_default():
    assert chosen("XL") == ["XL"]
    assert chosen() == ["M"]


def test_a_default_that_is_too_heavy_becomes_the_heaviest_that_fits():
    assert chosen(most_weight=M, cc_default_flavor="XL") == ["M"]


def test_a_weight_may_be_used_up_exactly():
    assert chosen("M", most_weight=M) == ["M"]


@pytest.mark.parametrize(
    ("wanted", "most", "settings", "words"),
    [
        ("L", M, {}, r'"L" is more than this runner\'s quota allows .*Choices: S, M\.'),
        ("XL", M, {"cc_max_flavor": "L"}, r'"XL" is larger than this runner allows .*Choices: S, M\.'),
        ("9XL", M, {}, r'"9XL" does not exist .*Choices: S, M\.'),
        (None, 1.0, {}, "No flavor is small enough"),
    ],
)
def test_what_is_not_available_is_refused_with_what_is(wanted, most, settings, words):
    with pytest.raises(JobRefusedError, match=words):
        chosen(wanted, most, **settings)


def test_fallbacks_follow_in_their_order_and_within_the_weight():
    fallback = {"cc_flavor_fallback": {"M": ["L", "S", "5XL"]}}
    assert chosen("M", **fallback) == ["M", "L", "S"]
    assert chosen("M", most_weight=M, **fallback) == ["M", "S"]
    assert chosen("5XL", cc_flavor_fallback={"5XL": ["XL"]}) == ["XL"]


def zones_and_flavors(clever):
    return [
        (entry.flavor.removeprefix("heptapod-runner-"), definition.fields["zone"])
        for entry in alive(clever)
        for definition in [clever.cloud.application(clever.organisation, entry.app_id).definition]
    ]


async def test_a_zone_that_refuses_is_passed_over(clever, make):  # noqa: F811
    clever.cloud.options = CloudOptions(exhausted={"par": 400})
    host = await make(cc_zones=("par", "rbx")).provision(requested())
    assert zones_and_flavors(clever) == [("M", "rbx")]
    assert host.details["zone"] == "rbx"


async def test_a_flavor_that_is_refused_everywhere_is_replaced_by_its_fallback(clever, make):  # noqa: F811
    clever.cloud.options = CloudOptions(exhausted={"heptapod-runner-M": 400})
    executor = make(cc_zones=("par", "rbx"), cc_flavor_fallback={"M": ("L",)})
    host = await executor.provision(requested())
    assert zones_and_flavors(clever) == [("L", "par")]
    assert (host.flavor, host.weight) == ("L", 16**1.25)
    assert host.price == pytest.approx(3.4364)


async def test_a_flavor_without_fallback_is_refused_in_the_clouds_words(clever, make):  # noqa: F811
    clever.cloud.options = CloudOptions(exhausted={"heptapod-runner-M": 400})
    with pytest.raises(Rejected):
        await make().provision(requested())
    assert alive(clever) == []


async def test_after_an_unknown_outcome_nothing_else_is_tried_until_it_was_looked_for(clever, make):  # noqa: F811
    clever.cloud.options = CloudOptions(exhausted={"par": 503})
    executor = make(cc_zones=("par", "rbx"))
    with pytest.raises(Transient):
        await executor.provision(requested())
    assert await executor.adopt(requested()) is None
    await executor.provision(attrs.evolve(requested(), attempt=1))
    assert zones_and_flavors(clever) == [("M", "rbx")]


async def test_refused_credentials_are_no_reason_to_try_another_place(clever, make):  # noqa: F811
    clever.faults.add(Answer(403, body=b'{"id": 2002, "message": "no", "type": "error"}'), method="POST")
    with pytest.raises(Rejected):
        await make(cc_zones=("par", "rbx")).provision(requested())
    assert clever.requests["POST /v2/organisations/{organisation}/applications"] == 0


async def test_a_rate_limit_holds_back_every_call_of_the_organisation(clever, make):  # noqa: F811
    executor = make()
    host = await executor.provision(requested())
    body = b'{"id": 403, "message": "You have performed that request too much.", "type": "error"}'
    clever.faults.add(Answer(403, body=body), method="POST", times=1)
    with pytest.raises(Transient):
        await executor.provision(requested(2))
    seen = clever.requests.total()
    with pytest.raises(Transient, match="rate limit") as caught:
        await executor.ready(provisioned(host))
    assert 25 < caught.value.retry_after <= 30
    assert clever.requests.total() == seen
