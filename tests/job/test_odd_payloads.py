"""Whatever is handed out as a job is understood, refused in words, or reported: no exception, no delay."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas_runner.job.dependency_proxy import PREFIX_VARIABLE, through_dependency_proxy
from paas_runner.job.failure import JobRefusedError
from paas_runner.job.lifecycle import acquired
from paas_runner.job.payload import PayloadError, decode
from paas_runner.store.records import dumps, loads
from tests.support.oddities import changed, damaged
from tests.support.often import often
from tests.support.records import NOW

GOOD = {
    "id": 4711,
    "token": "glcbt-64_AbC",
    "job_info": {
        "name": "test",
        "stage": "test",
        "project_id": 7,
        "root_namespace_id": 3,
        "project_full_path": "a/b",
    },
    "runner_info": {"timeout": 3600},
    "git_info": {
        "repo_url": "https://git.example/a/b.git",
        "refspecs": ["+refs/heads/*:refs/remotes/origin/*"],
    },
    "variables": [
        {"key": "CI", "value": "true", "public": True, "masked": False},
        {"key": "A", "value": "$B$B", "masked": True},
        {"key": "B", "value": "${A}x", "raw": False},
        {"key": "CI_CLEVER_CLOUD_FLAVOR", "value": "$SIZE"},
        {"key": "SIZE", "value": "M", "raw": True},
        {"key": "F", "value": "$A", "file": True},
        {"key": PREFIX_VARIABLE, "value": "git.example:443/a/dependency_proxy/containers"},
    ],
    "image": {"name": "python:$SIZE", "entrypoint": ["sh"]},
    "services": [{"name": "postgres:13", "alias": "db $A"}, {"name": "$A"}],
    "secrets": {"S": {"vault": {}}},
    "steps": [{"name": "script", "script": ["true"], "timeout": 3600}],
    "features": {"failure_reasons": ["unknown_failure"]},
}
MOST_SECONDS = 1.0  # of a machine that does other things, too; 0.1 s of an idle one


def handled(body):
    """All that the service does with a payload before a host has it."""
    begun = time.thread_time()
    complaint = _complaint(body)
    assert time.thread_time() - begun < MOST_SECONDS
    assert len(complaint) < 1000
    assert "glcbt" not in complaint


def _complaint(body):
    try:
        payload = decode(body)
        assert loads(dumps(record := acquired("abc123xyz", payload, NOW))) == record
        assert payload.token.reveal().isascii()
        for name in ("CI_CLEVER_CLOUD_FLAVOR", "A", "F"):
            payload.variable(name, most=100)
        through_dependency_proxy(payload)
    except PayloadError as error:
        return str(error)
    except JobRefusedError as refused:
        return refused.failure.text
    return ""


@given(st.randoms(use_true_random=False))
def test_a_payload_with_something_odd_in_it(rng):
    handled(json.dumps(changed(GOOD, rng)).encode())


@given(st.randoms(use_true_random=False))
def test_a_payload_with_damaged_bytes(rng):
    handled(damaged(json.dumps(GOOD).encode(), rng))


@pytest.mark.long
@settings(max_examples=often(2000))
@given(st.randoms(use_true_random=False))
def test_thousands_of_odd_payloads(rng):
    body = json.dumps(changed(GOOD, rng)).encode()
    handled(rng.choice((body, damaged(body, rng))))
