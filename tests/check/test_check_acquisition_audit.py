"""What `paas-runner check` says of the audit's tokens; nothing is canceled for it."""

import json

import httpx
import pytest

from paas_runner.check.acquisition_audit import audit_check
from paas_runner.config import load
from paas_runner.executor.checks import Grade
from paas_runner.executor.contract import installed
from paas_runner.http import Http

CONFIG = """
[[runners]]
name = "audited"
url = "http://coordinator.test"
token = "glrt-canary-of-the-runner"
executor = "local-docker"
{audit}
"""
BOTH = '[runners.paas_acquisition_audit]\ntoken = "canary-list"\ncancel_token = "canary-cancel"'
ONE = '[runners.paas_acquisition_audit]\ntoken = "canary-list"'
RUNNING = [{"id": 1, "status": "running", "pipeline": {"project_id": 1}}]


@pytest.fixture
def checked(tmp_path):
    """The results, and the methods and paths that were asked for."""

    async def check(audit, *, listed=(200, RUNNING), of_no_machine=(), own=(200, {"scopes": ["api"]})):
        asked = []

        def answer(request):
            asked.append((request.method, request.url.path))
            if request.url.path.endswith("/verify"):
                return httpx.Response(200, json={"id": 5})
            if request.url.path.endswith("/self"):
                return httpx.Response(own[0], json=own[1])
            ours = request.url.params["system_id"] == "s_0123456789ab"
            return httpx.Response(listed[0], content=json.dumps(listed[1] if ours else [*of_no_machine]))

        path = tmp_path / "config.toml"
        path.touch(mode=0o600)
        path.write_text(CONFIG.format(audit=audit))
        [runner] = load(path, environ={}, executors=installed()).runners
        connect = Http(transport=lambda _url: httpx.MockTransport(answer))
        results = await audit_check(runner, connect, "s_0123456789ab")
        assert "canary" not in str(results)
        assert {method for method, path in asked if not path.endswith("/verify")} <= {"GET"}
        return results

    return check


async def test_without_a_token_there_is_nothing_to_say(checked):
    assert await checked("") == []


async def test_tokens_that_do_are_fine(checked):
    listing, canceling = await checked(BOTH)
    assert (listing.grade, canceling.grade) == (Grade.FINE, Grade.FINE)
    assert "running jobs: 1" in listing.text
    assert [each.grade for each in await checked(ONE)] == [Grade.FINE]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_token_that_cannot_list_is_a_fault_with_what_it_needs(checked, status):
    listing, _ = await checked(BOTH, listed=(status, {"message": "no"}))
    assert listing.grade is Grade.FAULT
    assert "read_api" in listing.advice


async def test_a_coordinator_that_does_not_tell_machines_apart_is_a_warning(checked):
    listing, _ = await checked(BOTH, of_no_machine=RUNNING)
    assert listing.grade is Grade.WARNING


@pytest.mark.parametrize(
    ("own", "grade"),
    [
        ((200, {"scopes": ["read_api"]}), Grade.FAULT),
        ((401, {}), Grade.FAULT),
        ((404, {}), Grade.WARNING),
        ((200, []), Grade.WARNING),
    ],
)
async def test_a_token_that_may_not_cancel_is_found_by_its_scopes(checked, own, grade):
    _, canceling = await checked(BOTH, own=own)
    assert canceling.grade is grade
