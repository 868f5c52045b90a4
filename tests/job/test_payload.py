"""Whatever the coordinator hands out, the job is either understood or can be reported."""

import contextlib
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.job.payload import PayloadError, decode

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
