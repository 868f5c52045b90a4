"""The tags of a job, in whatever form its coordinator says them; authors are hostile."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paas_runner.job.failure import FailureReason, JobRefusedError
from paas_runner.job.job_tags import parsed, tag_among, tags_of, tells_tags
from tests.support.often import often
from tests.support.records import payload


def job(*values):
    return payload(variables=[{"key": "CI_JOB_TAGS", "value": value, "public": True} for value in values])


@pytest.mark.parametrize(
    ("said", "tags"),
    [
        ('["big", "docker"]', ["big", "docker"]),  # as GitLab documents it
        ('["big","docker"]', ["big", "docker"]),
        ('[ "with blanks" , "a,b" ]', ["with blanks", "a,b"]),
        ("[]", []),
        ("", []),
        ("  \n", []),
        ("big", ["big"]),
        ("big, docker", ["big", "docker"]),
        ("big,,docker,", ["big", "docker"]),
        ("big docker", ["big", "docker"]),
        ("with blanks, docker", ["with blanks", "docker"]),
        ("big\ndocker\r\n", ["big", "docker"]),
        ("[big, docker]", ["big", "docker"]),
        ("['big', \"docker\"]", ["big", "docker"]),
        (r'["a\#b", "c"]', ["a#b", "c"]),  # Ruby's own way with what it would expand
        ('["big", 7, null, ["docker"], {}, true, " "]', ["big"]),
        ('["big"', ['["big"']),
        ('{"big": 1}', ['{"big":', "1}"]),
        ("[" * 5000, ["[" * 5000]),
        ('["\\ud800"]', ["\ud800"]),
    ],
)
def test_a_list_of_tags_is_read_in_each_of_its_forms(said, tags):
    assert parsed(said) == tags
    assert tags_of(job(said)) == tags


def test_the_first_of_the_tags_that_is_known_is_found():
    assert tag_among(job('["other", "small", "big"]'), {"big", "small"}) == "small"
    assert tag_among(job('["other"]'), {"big"}) == ""
    assert tag_among(job('[""]'), {""}) == ""
    assert tag_among(job('["Big"]'), {"big"}) == ""


def test_without_the_variable_there_are_none_and_that_is_known():
    assert tags_of(payload()) == []
    assert not tells_tags(payload())
    assert tells_tags(job("[]"))


def test_what_an_author_sets_comes_after_the_coordinators_own():
    assert tags_of(job('["small"]', '["big"]', "x" * 2**20)) == ["small"]


def test_nothing_in_it_is_expanded():
    entries = [{"key": "CI_JOB_TAGS", "value": '["$SIZE"]'}, {"key": "SIZE", "value": "big"}]
    assert tags_of(payload(variables=entries)) == ["$SIZE"]


@pytest.mark.parametrize("said", ["x" * 2**20, "[" * 2**20, json.dumps(["a\n"] * 2**18), "\n" * 2**20])
def test_a_megabyte_is_no_list_of_tags(said):
    with pytest.raises(JobRefusedError, match="CI_JOB_TAGS is no list of tags") as caught:
        tags_of(job(said))
    assert caught.value.failure.reason is FailureReason.SCRIPT
    assert len(str(caught.value)) < 200


@settings(max_examples=often(100))
@given(st.text(max_size=200) | st.lists(st.text(max_size=20)).map(json.dumps))
@example('"')
@example("['\\']")
def test_whatever_it_is_there_are_texts_that_are_not_empty_in_it(said):
    found = parsed(said)
    assert all(isinstance(tag, str) and tag.strip() == tag != "" for tag in found)
    assert len(found) <= max(1, len(said))


@given(st.lists(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=20)))
def test_what_was_written_as_json_is_read_as_it_was(tags):
    assert parsed(json.dumps(tags)) == tags
