"""The protocol register has each request that the code makes of others, and none that it does not make."""

import ast
import asyncio
import inspect
import re
import sys
from itertools import chain
from pathlib import Path

import httpx
import pytest
from docker import APIClient
from starlette.routing import Match

from paas_runner.job.variables import Variable
from paas_runner.logs.events import SENTENCES
from paas_runner.sandbox import cloud as clever
from paas_runner.sandbox.control_api import create_coordinator_app
from tests.support.requests_in_code import Request, requests_of
from tests.support.site_program import ROOT, site_module
from tests.support.virtual_world import VirtualWorld

REGISTER = site_module("protocols").protocols()

CODE = {
    "paas_runner/coordinator/": ("gitlab", "/api/v4"),
    "executors/clever/groups.py": ("gitlab", "/api/v4"),
    "paas_runner/exec/evaluation.py": ("gitlab", "/api/v4"),
    "paas_runner/inner/artifact_transfer.py": ("gitlab", ""),
    "paas_runner/inner/link.py": ("gitlab", ""),
    "executors/clever/api.py": ("clever-cloud", "/v2"),
    "executors/helper/": ("helper", ""),
    "executors/push/": ("git", ""),
    "paas_runner/inner/cache/": ("cache", ""),
    "paas_runner/kubernetes/": ("kubernetes", ""),
    "paas_runner/inner/stage_spans.py": ("otlp", ""),
}
"""Where requests of others are made: whose, and what their paths begin with in the client's own address."""

OUR_OWN = ("conformance", "demo", "http", "notify", "sandbox", "server", "testing", "tracing", "web")
"""Rooms that speak with nobody, with ourselves, or with what an operator names."""

_OTHER_BASE = {"/v2/logs/": "/v4/logs/"}  # the client beside it, in the same module
_NOT_OF_THE_SANDBOX = {"POST /api/v4/projects/{project}/ci/lint"}  # its coordinator evaluates for nobody else
_CLIENTS = ("client", "Client", "probe")
_NO_REQUESTS = {"close", "create_endpoint_config", "create_host_config", "trust_env"}


def modules():
    for path in sorted(
        chain(*((ROOT / room).rglob("*.py") for room in ("paas_runner", "executors", "register")))
    ):
        if path.relative_to(ROOT).parts[1] not in OUR_OWN and path.name != "__main__.py":
            yield path, str(path.relative_to(ROOT))


def made():
    """Protocol → requests, each with a pattern's `{}` for what only a run can tell."""
    found = {}
    for path, name in modules():
        module = ".".join(Path(name).with_suffix("").parts).removesuffix(".__init__")
        for request in requests_of(path, module):
            whose = [value for begin, value in CODE.items() if name.startswith(begin)]
            assert whose, f"{name}: {request.method} {request.path} is of no protocol that is listed"
            protocol, base = whose[0]
            place = f"{base}{request.path}"
            for begin, instead in _OTHER_BASE.items():
                place = place.replace(begin, instead)
            found.setdefault(protocol, set()).add(Request(request.method, place))
    return found


def listed(name):
    return {Request(each.method, re.sub(r"\{[^}]+\}", "{}", each.path)) for each in REGISTER[name].endpoint}


@pytest.fixture(scope="module")
def requests():
    return made()


@pytest.mark.parametrize("name", sorted({protocol for protocol, _ in CODE.values()}))
def test_each_request_that_the_code_makes_is_listed_and_no_other(requests, name):
    assert requests[name] - listed(name) == set(), "made, and not listed in docs/protocols"
    assert listed(name) - requests[name] == set(), "listed, and made by nothing"


def sdk_methods():
    """The methods of the docker SDK that are called; what an engine is, is called a client everywhere."""
    for path, name in modules():
        text = path.read_text()
        if "Client" not in text and "client" not in text:
            continue
        tree = ast.parse(text)
        for node in ast.walk(tree):
            match node:
                case ast.arg(arg=name, annotation=ast.Name(id="Client")):
                    assert name in _CLIENTS, f"{path}: a client that is called {name}"
                case ast.Attribute(value=ast.Name(id=name), attr=method) if name in _CLIENTS:
                    if callable(getattr(APIClient, method, None)):
                        yield method


def past_the_sdk():
    """What is read of an engine by a path of its own, where the SDK hides what is needed."""
    paths = {
        "/" + re.sub(r"{quote[(](\w+)[)]}", r"{\1}", found)
        for path, _ in modules()
        for found in re.findall(r'v{client\.api_version}/([^"]+)"', path.read_text())
    }
    listed = {(each.method, each.path): each.sdk for each in REGISTER["docker"].endpoint}
    return {listed["GET", path] for path in paths}


def test_each_request_of_a_docker_engine_is_listed_and_no_other():
    used = set(sdk_methods()) - _NO_REQUESTS - {"request", "post", "get"}  # httpx has clients, too
    used |= past_the_sdk()
    assert used == {each.sdk for each in REGISTER["docker"].endpoint}


@pytest.mark.parametrize("endpoint", REGISTER["docker"].endpoint, ids=lambda each: each.sdk)
def test_what_is_listed_of_an_engine_is_what_the_sdk_sends(endpoint):
    source = inspect.getsource(getattr(APIClient, endpoint.sdk))
    if endpoint.sdk == "create_container":
        source = inspect.getsource(APIClient.create_container_from_config)
    assert f"'{re.sub(r'[{][^}]+[}]', '{0}', endpoint.path)}'" in source.replace('"', "'")
    sent = {word.upper() for word in re.findall(r"self\._?(get|post|put|delete)(?:_json)?\b", source)}
    assert endpoint.method in sent


def test_the_page_has_every_protocol():
    page = (ROOT / "docs" / "protocols.md").read_text()
    for name, protocol in REGISTER.items():
        assert f"## {protocol.title}\n\n<!-- table: protocol-{name} -->" in page


def test_each_event_that_would_show_a_drift_is_one_of_the_log():
    for protocol in REGISTER.values():
        for each in (*protocol.endpoint, *protocol.fact):
            for events in re.findall(r"event ((?:`\w+`(?:, | or )?)+)", each.drift):
                assert set(re.findall(r"`(\w+)`", events)) <= set(SENTENCES), each


class NotedWorld(VirtualWorld):
    """What goes over the wire is noted: methods and paths."""

    def __init__(self, folder, **options):
        self.sent = set()
        super().__init__(folder, **options)

    def _transport(self, base_url):
        inner, sent = super()._transport(base_url), self.sent

        class Noting(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request):
                sent.add((request.method, request.url.path))
                return await inner.handle_async_request(request)

        return Noting()


def test_what_goes_over_the_wire_for_a_job_that_runs_and_for_one_that_fails_is_listed(tmp_path):
    async def story(world):
        async with world.service():
            await world.settled(world.submit("echo hello", "sleep 300"))
            fails = world.submit("true", variables=[Variable(key="CI_CLEVER_CLOUD_FLAVOR", value="9XL")])
            await world.settled(fails)
            await asyncio.sleep(400)  # a search for orphans
        return world.sent

    sent = NotedWorld.play(tmp_path, story)
    known = [
        (
            each.method,
            re.sub(r"\\{repository\\}", "/.*", re.sub(r"\\{(?!repo)[^}]+\\}", "[^/]+", re.escape(each.path))),
        )
        for each in chain(*(REGISTER[name].endpoint for name in ("gitlab", "clever-cloud", "git")))
    ]
    assert len(sent) > 8
    for method, path in sent:
        assert [1 for verb, form in known if verb == method and re.fullmatch(form, path)], f"{method} {path}"


def planted(tmp_path, monkeypatch, text):
    (tmp_path / "planted_module.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "planted_module", raising=False)  # of another test
    return requests_of(tmp_path / "planted_module.py", "planted_module")


def test_a_request_is_found_however_its_path_comes_about(tmp_path, monkeypatch):
    text = """
PLACE = "hooks"

class Api:
    def __init__(self, api, number):
        self._api = api
        self._below = f"/projects/{number}"

    async def look(self, name, *, deep=False):
        path = f"{self._below}/{PLACE}/{name}" if deep else "/flat"
        return await self._called("GET", path)

    async def leave(self):
        await self._called("DELETE", below="/all" + "?force=1")

    async def look_twice(self):
        await self._api.call(method="HEAD", path="/named", op="look")

    async def _called(self, method, below):
        return await self._api.call(method, below, op="look")

    async def send(self):
        await self.client.post(self._address("x"))

    def _address(self, name):
        return self.client.build_request("GET", f"/things/{name}").url
"""
    assert planted(tmp_path, monkeypatch, text) == {
        Request("GET", "/projects/{}/hooks/{}"),
        Request("GET", "/flat"),
        Request("DELETE", "/all"),
        Request("POST", "/things/x"),
        Request("GET", "/things/x"),
        Request("HEAD", "/named"),
    }


def test_functions_that_call_each_other_and_of_one_name_are_read_all(tmp_path, monkeypatch):
    text = """
class One:
    async def go(self):
        await self._api.call("GET", "/one")

class Other:
    async def go(self):
        await self.back()
        await self._api.call("GET", "/other")

    async def back(self):
        await self.go()
"""
    assert planted(tmp_path, monkeypatch, text) == {Request("GET", "/one"), Request("GET", "/other")}


def test_a_request_whose_method_cannot_be_read_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="method"):
        planted(tmp_path, monkeypatch, "async def send(api, method):\n    await api.call(method, '/place')\n")


def answers(app, method, path):
    """Whether one of its routes takes the request."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [],
        "root_path": "",
        "path_params": {},
    }
    return any(route.matches(scope)[0] is Match.FULL for route in app.routes)


@pytest.mark.parametrize("name", ["gitlab", "clever-cloud"])
def test_the_sandbox_answers_each_request_that_is_listed(tmp_path, name):
    async def story(world):
        app = create_coordinator_app(world.gitlab) if name == "gitlab" else clever.create_app(world.cloud)
        return [
            f"{each.method} {each.path}"
            for each in REGISTER[name].endpoint
            if not answers(app, each.method, re.sub(r"\{[^}]+\}", "1", each.path))
        ]

    assert {*NotedWorld.play(tmp_path, story)} <= _NOT_OF_THE_SANDBOX
