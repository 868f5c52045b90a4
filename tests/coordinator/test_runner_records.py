"""What the coordinator is asked for, byte by byte, and what its odd answers mean."""

import json

import httpx
import pytest

from paas_runner.coordinator.runner_records import Attributes, RunnerRecords
from paas_runner.errors import Rejected, Transient
from paas_runner.http import Http
from paas_runner.secret import Secret

URL = "https://gitlab.example.com/below"
TOKEN = Secret("a-registration-token")


class Coordinator:
    """Answers in turn, and remembers what it was asked."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.requests = []

    def __call__(self, request):
        body = json.loads(request.content)
        self.requests.append((request.method, request.url.path, body))
        status, answer = self._answers.pop(0)
        return httpx.Response(status, json=answer)

    @property
    def records(self):
        return RunnerRecords(url=URL, connect=Http(transport=lambda _: httpx.MockTransport(self)))


async def test_a_runner_is_registered_with_what_was_given_and_no_more():
    coordinator = Coordinator((201, {"id": 3, "token": "glrtr-new"}))
    registered = await coordinator.records.register(TOKEN, Attributes(description="d", tags=("a", "b")))
    assert (registered.runner_id, registered.token) == (3, Secret("glrtr-new"))
    [(method, path, body)] = coordinator.requests
    assert (method, path) == ("POST", "/below/api/v4/runners")
    assert body.pop("info")["name"] == "paas-runner"
    assert body == {
        "token": TOKEN.reveal(),
        "description": "d",
        "tag_list": "a,b",
        "run_untagged": True,
        "locked": True,
    }


async def test_a_coordinator_that_takes_the_impossible_runner_is_rid_of_it_at_once():
    coordinator = Coordinator((201, {"id": 3, "token": "glrtr-unwanted"}), (204, None))
    await coordinator.records.try_registration_token(TOKEN)
    assert coordinator.requests[1] == ("DELETE", "/below/api/v4/runners", {"token": "glrtr-unwanted"})


@pytest.mark.parametrize("status", [400, 401, 403, 422])
async def test_a_refusal_in_json_is_how_a_coordinator_is_recognised(status):
    await Coordinator((status, {"error": "token is missing"})).records.probe()


@pytest.mark.parametrize("status", [200, 404, 405])
async def test_anything_else_is_no_coordinator(status):
    with pytest.raises(Rejected, match="no coordinator answers there"):
        await Coordinator((status, {})).records.probe()


async def test_a_registration_is_never_asked_for_twice():
    coordinator = Coordinator((500, {}), (201, {"token": "x"}))
    with pytest.raises(Transient):
        await coordinator.records.register(TOKEN, Attributes(description="d"))
    assert len(coordinator.requests) == 1


async def test_attributes_that_are_refused_are_told_with_the_coordinators_words():
    coordinator = Coordinator((400, {"message": {"maximum_timeout": ["needs to be at least 10 minutes"]}}))
    with pytest.raises(Rejected, match="needs to be at least 10 minutes"):
        await coordinator.records.register(TOKEN, Attributes(description="d", maximum_timeout=1))


@pytest.mark.parametrize("status", [204, 404])
async def test_a_machine_that_is_not_there_is_as_good_as_removed(status):
    await Coordinator((status, {})).records.unregister_machine(TOKEN, "s_0123456789ab")
