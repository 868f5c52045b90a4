"""`[runners.tags]` at Clever Cloud: the choice by tables, its bounds, and hosts as they are created."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from executors.clever.catalogue import choose
from executors.clever.settings import CleverSettings
from executors.tag_tables import TagHosts
from paas_runner.executor.contract import JobRefusedError
from paas_runner.job.failure import FailureReason
from paas_runner.sandbox.cloud import CloudOptions
from tests.executors.test_clever import make, requested, until  # noqa: F401 - make is a fixture
from tests.executors.test_clever_places import OFFER, M, zones_and_flavors

BIG, SMALL, ELSEWHERE = TagHosts(flavor="XL"), TagHosts(flavor="S"), TagHosts(zone="rbx", image="other:2")
TAGS = {"big": BIG, "small": SMALL, "elsewhere": ELSEWHERE}


def chosen(wanted=None, tag="", most_weight=math.inf, **settings):
    flavors = choose(OFFER, wanted, CleverSettings(tags=TAGS, **settings), tag=tag, most_weight=most_weight)
    return [flavor.name for flavor in flavors]


def tagged(*tags, job_id=42, **variables):
    return requested(job_id, CI_JOB_TAGS=json.dumps(tags), **variables)


@pytest.mark.parametrize(
    ("wanted", "tag", "more", "flavors"),
    [
        (None, "big", {}, ["XL"]),
        (None, "small", {}, ["S"]),
        (None, "elsewhere", {}, ["M"]),
        (None, "elsewhere", {"cc_default_flavor": "L"}, ["L"]),
        (None, "", {}, ["M"]),
        ("L", "big", {}, ["L"]),
        ("L", "small", {}, ["L"]),
        ("", "big", {}, ["XL"]),
        (None, "big", {"cc_flavor_fallback": {"XL": ["L", "9XL"]}}, ["XL", "L"]),
        (None, "big", {"cc_max_flavor": "L", "cc_flavor_fallback": {"XL": ["L"]}}, ["L"]),
    ],
)
def test_the_variable_goes_before_the_tag_and_that_before_the_default(wanted, tag, more, flavors):
    assert chosen(wanted, tag, **more) == flavors


@pytest.mark.parametrize(
    ("settings", "most", "words"),
    [
        ({"cc_max_flavor": "L"}, math.inf, r"is larger than this runner allows\..*Choices: S, M, L\."),
        ({}, M, r"is more than this runner's quota allows\..*Choices: S, M\."),
    ],
)
def test_a_tag_beyond_the_bounds_fails_its_job_in_words_for_its_author(settings, most, words):
    with pytest.raises(JobRefusedError, match=words) as caught:
        chosen(tag="big", most_weight=most, **settings)
    assert caught.value.failure.reason is FailureReason.SYSTEM
    assert str(caught.value).startswith(
        'The flavor "XL", which this runner has for jobs with the tag "big", is'
    )
    assert "until then CI_CLEVER_CLOUD_FLAVOR may name another" in str(caught.value)


def test_a_flavor_that_is_not_on_offer_is_no_default_for_which_another_would_do():
    settings = CleverSettings(tags={"odd": TagHosts(flavor="9XL")})
    with pytest.raises(JobRefusedError, match=r'"9XL", which this runner has .* "odd", does not exist'):
        choose(OFFER, None, settings, tag="odd")


SIZES = st.sampled_from([*OFFER.flavors, "9XL"])


@given(
    wanted=SIZES | st.none(),
    tag=st.sampled_from([*TAGS, ""]),
    largest=st.sampled_from(list(OFFER.flavors)),
    default=st.sampled_from(list(OFFER.flavors)),
    most=st.floats(1, 200),
    tables=st.dictionaries(st.sampled_from([*TAGS]), st.builds(TagHosts, flavor=SIZES | st.none())),
)
def test_no_tag_gets_beyond_the_bounds_and_none_is_as_without_tables(
    *, wanted, tag, largest, default, most, tables
):
    def outcome(settings, tag):
        try:
            return choose(OFFER, wanted, settings, tag=tag, most_weight=most)
        except JobRefusedError as error:
            return str(error)

    plain = CleverSettings(cc_max_flavor=largest, cc_default_flavor=default)
    settings = CleverSettings(cc_max_flavor=largest, cc_default_flavor=default, tags=tables)
    found = outcome(settings, tag)
    if not isinstance(found, str):
        assert all(each.weight <= min(most, OFFER.flavors[largest].weight) + 1e-6 for each in found)
    if wanted or tag not in tables or tables[tag].flavor is None:
        assert found == outcome(plain, "")


async def test_a_job_with_a_tag_gets_its_flavor_zone_and_image(clever, make):  # noqa: F811
    executor = make(tags={"big": TagHosts(flavor="L", zones=("rbx", "par"), image="inner/runner:2")})
    wanted = tagged("docker", "big")
    host = await executor.provision(wanted)
    assert (host.flavor, host.details["zone"]) == ("L", "rbx")
    assert zones_and_flavors(clever) == [("L", "rbx")]
    await executor.launch(wanted, host)
    await until(lambda: clever.launched)
    [files] = [each.files for each in clever.launched]
    assert files["Dockerfile"].startswith(b"FROM inner/runner:2\n")
    assert b"inner/runner" not in files["runner.toml"]
    assert b"tags" not in files["runner.toml"]


async def test_its_zones_are_tried_in_their_order_and_none_of_the_section(clever, make):  # noqa: F811
    clever.cloud.options = CloudOptions(exhausted={"rbx": 400})
    executor = make(cc_zone="mtl", tags={"far": TagHosts(zones=("rbx", "par"))})
    await executor.provision(tagged("far"))
    assert zones_and_flavors(clever) == [("M", "par")]


async def test_a_job_without_such_a_tag_is_as_the_section_says(clever, make):  # noqa: F811
    executor = make(tags=TAGS)
    with capture_logs() as captured:
        for job_id, wanted in enumerate([tagged("docker", job_id=1), requested(2), requested(3)]):
            assert await executor.provision(wanted), job_id
    assert zones_and_flavors(clever) == [("M", "par")] * 3
    assert [line["runner"] for line in captured if line["event"] == "tags_not_told"] == ["clever"]


async def test_without_tables_tags_are_not_even_looked_at(make):  # noqa: F811
    with capture_logs() as captured:
        await make().provision(requested(CI_JOB_TAGS="x" * 2**20))
    assert not [line for line in captured if line["event"] == "tags_not_told"]


async def test_the_weight_of_a_tag_is_known_before_its_host_is(make):  # noqa: F811
    executor = make(cc_max_flavor="L", tags=TAGS | {"large": TagHosts(flavor="L")})
    await executor.flavors()
    assert executor.weigh(tagged("large").payload, most=1000) == 16**1.25
    assert executor.weigh(tagged("small").payload, most=1000) == 4**1.25
    assert executor.weigh(tagged("large", CI_CLEVER_CLOUD_FLAVOR="XS").payload, most=1000) == 2**1.25
    for wanted in (tagged("big"), requested(CI_JOB_TAGS="x" * 2**20)):
        with pytest.raises(JobRefusedError):
            executor.weigh(wanted.payload, most=1000)
        with pytest.raises(JobRefusedError):
            await executor.foresee(wanted)


async def test_a_host_of_a_tag_is_adopted_as_it_is(clever, make):  # noqa: F811
    tables = {"big": TagHosts(flavor="L", zone="rbx")}
    made = await make(tags=tables).provision(tagged("big"))
    found = await make(tags={"big": TagHosts(flavor="XS", zone="par")}).adopt(tagged("big"))
    assert (found.ref, found.flavor, found.weight) == (made.ref, "L", 16**1.25)
    assert found.details["zone"] == "rbx"
