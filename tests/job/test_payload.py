"""Whatever the coordinator hands out, the job is either understood or can be reported."""

import contextlib
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.job.failure import FailureReason, JobRefusedError
from paas_runner.job.payload import MOST_ID, MOST_VARIABLES, PayloadError, decode
from tests.support.bounded import cheap

WHOLE = {
    "id": 4711,
    "token": "glcbt-64_AbC",
    "job_info": {"name": "test: [3.12]"},
    "runner_info": {"timeout": 3600},
    "variables": [{"key": "CI", "value": "true", "public": True}, {"key": "EMPTY", "value": None}],
    "steps": [{"name": "script", "script": ["true"]}],
    "something new": {"x": 1},
}


def test_a_payload_is_read_and_kept_whole():
    payload = decode(json.dumps(WHOLE).encode())
    assert (payload.job_id, payload.token.reveal(), payload.job_name) == (
        4711,
        "glcbt-64_AbC",
        "test: [3.12]",
    )
    assert payload.timeout == timedelta(hours=1)
    assert payload.variable("CI") == "true"
    assert payload.variable("NONE") is None
    assert payload.raw == WHOLE


@pytest.mark.parametrize("info", [None, {}, {"timeout": 0}, {"timeout": None}])
def test_an_absent_timeout_is_that_of_gitlab_runner(info):
    assert decode(json.dumps(WHOLE | {"runner_info": info}).encode()).timeout == timedelta(hours=2)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"variables": {"A": "b"}}, "`variables` is no list"),
        ({"variables": ["A=b"]}, "an entry of `variables` has no `key`"),
        ({"variables": [{"key": "A"}] * (MOST_VARIABLES + 1)}, f"more than {MOST_VARIABLES} variables"),
        ({"runner_info": {"timeout": "an hour"}}, "`runner_info.timeout` is no number of seconds"),
    ],
)
def test_a_damaged_payload_still_tells_which_job_to_report(change, why):
    with pytest.raises(PayloadError) as caught:
        decode(json.dumps(WHOLE | change).encode())
    assert caught.value.why == why
    assert (caught.value.job_id, caught.value.token.reveal()) == (4711, "glcbt-64_AbC")


def test_a_payload_cut_off_in_the_middle_still_tells_which_job_to_report():
    with pytest.raises(PayloadError) as caught:
        decode(json.dumps(WHOLE).encode()[:60])
    assert (caught.value.job_id, caught.value.token.reveal()) == (4711, "glcbt-64_AbC")


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b"[[]" + b",[]" * 600_000 + b"]}", "more than 1000000 values"),
        (b"NaN}", "NaN is no number of JSON"),
        (b'"\xff"}', "no UTF-8"),
    ],
)
def test_a_payload_that_costs_too_much_to_read_still_tells_which_job_to_report(rest, why):
    with cheap(mebibytes=16), pytest.raises(PayloadError, match=why) as caught:
        decode(b'{"id": 4711, "token": "glcbt-64_AbC", "x": ' + rest)
    assert (caught.value.job_id, caught.value.token.reveal()) == (4711, "glcbt-64_AbC")


def test_the_largest_id_is_that_of_a_database():
    assert decode(json.dumps(WHOLE | {"id": MOST_ID}).encode()).job_id == MOST_ID
    for number in (MOST_ID + 1, 10**30):
        for body in (json.dumps(WHOLE | {"id": number}).encode(), b'{"id": %d, "token": "x", ' % number):
            with pytest.raises(PayloadError) as caught:
                decode(body)
            assert caught.value.job_id is None


@pytest.mark.parametrize("token", ["", " x", "a\nb", "t\u200b", "x" * 5000])
def test_a_token_that_no_header_can_carry_is_none(token):
    with pytest.raises(PayloadError, match="`token` is missing, or none"):
        decode(json.dumps(WHOLE | {"token": token}).encode())


def test_a_name_is_as_long_as_at_the_coordinator():
    assert decode(json.dumps(WHOLE | {"job_info": {"name": "n" * 9999}}).encode()).job_name == "n" * 255


def _with_variables(*variables):
    return decode(json.dumps(WHOLE | {"variables": variables}).encode())


def test_reading_a_variable_costs_no_more_than_this_variable():
    long = {"key": "LONG", "value": "x" * 100_000, "raw": True}
    hostile = [{"key": f"X{number}", "value": "$LONG" * 2000} for number in range(200)]  # 40 GB in all
    payload = _with_variables(
        long, *hostile, {"key": "SIZE", "value": "M"}, {"key": "FLAVOR", "value": "${SIZE}"}
    )
    with cheap():
        assert payload.variable("FLAVOR") == "M"


@pytest.mark.parametrize(
    "value",
    ["x" * 101, "$A" * 51, "$LONG", "$x" * 400_000, "${" * 400_000, "$$" * 400_000],
)
def test_a_value_that_is_too_long_for_its_use_ends_the_job_in_words_for_its_author(value):
    payload = _with_variables(
        {"key": "FLAVOR", "value": value},
        {"key": "LONG", "value": "x" * 100_000},
        {"key": "A", "value": "ab"},
    )
    with cheap(), pytest.raises(JobRefusedError) as caught:
        payload.variable("FLAVOR", most=100)
    assert caught.value.failure.reason is FailureReason.SCRIPT
    assert caught.value.failure.text == (
        "The variable FLAVOR is too long for what it is used for here: more than 100 characters with the "
        "variables in it. Shorten it in the job's definition."
    )


def test_variables_that_refer_to_each_other_end():
    payload = _with_variables({"key": "A", "value": "a$B"}, {"key": "B", "value": "b$A"})
    assert payload.variable("A") == "ab$A"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id": "1", "token": "x"}', b'{"id": 1}', b"<html>"])
def test_what_names_no_job_cannot_be_reported(body):
    with pytest.raises(PayloadError) as caught:
        decode(body)
    assert caught.value.job_id is None or caught.value.token is None


@given(st.binary())
def test_no_body_is_too_strange(body):
    with contextlib.suppress(PayloadError):
        decode(body)


def test_neither_token_nor_variables_show_in_a_repr():
    text = repr(decode(json.dumps(WHOLE | {"variables": [{"key": "P", "value": "hunter2"}]}).encode()))
    assert "glcbt" not in text
    assert "hunter2" not in text
