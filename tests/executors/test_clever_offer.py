"""The catalogue: odd entries are left out, and an absent flavor bounds no less than a present one."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from executors.clever.catalogue import choose
from executors.clever.offer import MOST_ENTRIES, Offer, read
from executors.clever.settings import CleverSettings
from paas_runner.errors import Rejected, Transient
from paas_runner.executor.contract import JobRefusedError
from paas_runner.sandbox.faults import Answer
from tests.executors.test_clever import make, requested  # noqa: F401 - make is a fixture
from tests.support.often import often

DOCKER = {
    "type": "docker",
    "version": "20240305",
    "variant": {"id": CleverSettings().cc_instance_variant_uuid},
}


def entry(size, gib=8, **more):
    return {"name": f"heptapod-runner-{size}", "mem": gib * 1024, "available": True, "price": 1.0, **more}


GOOD = [entry("S", 4), entry("M", 8), entry("L", 16), entry("XL", 32), entry("3XL", 128)]


def offer(*flavors, instances=(DOCKER,), **more):
    return read(flavors, instances, CleverSettings(**more))


def sizes(found, wanted=None, **more):
    return [flavor.name for flavor in choose(found, wanted, CleverSettings(**more))]


def test_the_offer_is_in_the_order_of_memory_without_its_prefix():
    found = offer(*reversed(GOOD), {"name": "other-M", "mem": 1, "available": True})
    assert list(found.flavors) == ["S", "M", "L", "XL", "3XL"]
    assert (found.version, found.variant_listed, found.odd_entries) == ("20240305", True, 0)


@pytest.mark.parametrize(
    "odd",
    [
        entry("X", mem="8GB"),
        entry("X", mem=-5),
        entry("X", mem=math.nan),
        entry("X", mem=True),
        entry("X", mem=0.5),
        entry("X", mem=10**400),
        entry("X", mem=None),
        entry(""),
        entry("X\n"),
        entry("X" * 100),
    ],
)
def test_an_odd_flavor_is_left_out_and_counted(odd):
    found = offer(odd, *GOOD)
    assert (list(found.flavors), found.odd_entries) == (["S", "M", "L", "XL", "3XL"], 1)


@pytest.mark.parametrize("price", ["free", None, True, math.inf, -1])
def test_an_odd_price_is_unknown(price):
    assert offer(entry("M", price=price)).flavors["M"].price is None


@pytest.mark.parametrize("variant", ["docker", None, [], {}, {"id": 7}])
def test_an_odd_variant_is_another_one(variant):
    found = offer(*GOOD, instances=[{**DOCKER, "variant": variant}])
    assert (found.version, found.variant_listed) == ("20240305", False)


def test_an_endless_catalogue_is_read_to_a_point():
    found = offer(*(entry(f"F{number}", 1) for number in range(MOST_ENTRIES + 7)))
    assert (len(found.flavors), found.odd_entries) == (MOST_ENTRIES, 7)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["name", "mem", "available", "price", "type", "version", "variant", "enabled"])


@settings(max_examples=often(100))
@given(
    odd=st.lists(
        st.dictionaries(NAMES, VALUES | st.just("heptapod-runner-Q") | st.just("docker"), max_size=6)
    )
)
def test_nothing_in_a_catalogue_is_an_error_or_makes_a_weight_that_cannot_be_reckoned_with(odd):
    found = offer(*odd, *GOOD, instances=[*odd, DOCKER])
    assert {"S", "M", "L"} <= found.flavors.keys()
    assert all(0 < flavor.weight < math.inf for flavor in found.flavors.values())


@pytest.mark.parametrize("size", ["3XL", "XL"])
def test_a_largest_flavor_that_nobody_knows_allows_nothing_beyond_the_default(size):
    found = offer(*GOOD)
    with pytest.raises(
        JobRefusedError, match=f'"{size}" is larger than this runner allows .* Choices: S, M.'
    ):
        sizes(found, size, cc_max_flavor="xl")
    assert sizes(found, "M", cc_max_flavor="xl") == ["M"]
    assert found.most_weight(CleverSettings(cc_max_flavor="xl")) == found.flavors["M"].weight


def test_a_largest_flavor_that_is_not_available_bounds_as_it_did():
    away = offer(*GOOD[:3], entry("XL", 32, available=False), GOOD[4])
    with pytest.raises(JobRefusedError, match='"3XL" is larger than this runner allows'):
        sizes(away, "3XL", cc_max_flavor="XL")
    with pytest.raises(JobRefusedError, match='"XL" does not exist'):
        sizes(away, "XL", cc_max_flavor="XL")
    assert sizes(away, "L", cc_max_flavor="XL") == ["L"]


def test_a_largest_flavor_that_is_listed_no_more_bounds_as_it_did():
    gone = offer(*GOOD[:3], GOOD[4]).after(offer(*GOOD)).after(None)
    again = offer(*GOOD[:3], GOOD[4]).after(gone)
    for found in (gone, again):
        assert found.most_weight(CleverSettings(cc_max_flavor="XL")) == 32**1.25
    assert offer(*GOOD).after(gone).unavailable == {}


def test_without_any_known_bound_nothing_is_allowed():
    found = Offer(flavors=offer(*GOOD).flavors, version="1")
    with pytest.raises(Rejected, match="the default flavor"):
        sizes(found, cc_default_flavor="m", cc_max_flavor="xl")


def test_what_an_author_wrote_is_cut_and_on_one_line():
    with pytest.raises(JobRefusedError) as caught:
        sizes(offer(*GOOD), "x\n\x1b[1m" + "y" * 150)
    assert f'The flavor "x [1m{"y" * 95}…" does not exist' in str(caught.value)


async def test_the_log_says_that_the_largest_flavor_is_not_on_offer(make):  # noqa: F811
    with capture_logs() as captured:
        await make(cc_max_flavor="xl").flavors()
    [said] = [event for event in captured if event["event"] == "max_flavor_absent"]
    assert (said["flavor"], said["allowed"]) == ("xl", "XS, S, M")


async def test_a_catalogue_without_docker_is_no_offer(clever, make):  # noqa: F811
    clever.faults.add(
        Answer(200, body=b'[{"type": "node", "version": 7}, {"type": "docker", "version": 7}]'),
        path="**/instances",
    )
    with pytest.raises((Rejected, Transient), match="no docker instances on offer"):
        await make().provision(requested())
