"""Everything that the OpenAPI document allows is answered as it says, all else is refused as it says."""

import json
from importlib.resources import files

import attrs
import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from paas_pipelines.api import hooks
from paas_pipelines.api.requests import MOST_VARIABLES
from paas_pipelines.api.routes import create_app
from paas_pipelines.runs.run import TaskStatus
from paas_pipelines.store.logs import Stream
from paas_pipelines.triggers.event import event_ids
from paas_pipelines.triggers.event_book import EventBook
from paas_pipelines.triggers.feed import Feed
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from starlette.routing import Route

from tests.support.served_pipelines import authorization, definition, now, served, serving

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what makes the requests

DOCUMENT = json.loads(files("paas_pipelines.api").joinpath("openapi.json").read_text())
EXAMPLES = 25
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
OPERATIONS = [
    (path, method)
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
    if path != "/runs/stream"  # has no end
]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    parts = served(tmp_path_factory.mktemp("served"), definition(), definition("empty", tasks={}))
    for _ in range(3):
        run = parts.engine.schedule("release_it", variables={"a": 1})
        parts.logs.output(run.run_id, "lint").stdout(b"said \xff")
    parts.engine.cancel(run.run_id)
    parts.engine.schedule("empty", variables={})
    feed = Feed(parts.engine, parts.journal, now, EventBook(parts.journal, new_id=event_ids()))
    return attrs.evolve(parts, feed=feed)


def app(parts):
    """With a feed, as the server has it."""
    return create_app(parts, own_routes=hooks.routes(parts.feed))


@pytest.fixture(scope="module")
def schema(parts):
    return schemathesis.openapi.from_asgi("/openapi.json", app(parts))


def modes(path, method):
    """What is allowed, and what is forbidden where anything is."""
    operation = DOCUMENT["paths"][path][method]
    takes = "parameters" in operation or "requestBody" in operation
    if operation.get("security") == []:  # a delivery: whatever is JSON is allowed
        takes = False
    return list(GenerationMode) if takes else [GenerationMode.POSITIVE]


@pytest.mark.long
@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [(path, method, mode) for path, method in OPERATIONS for mode in modes(path, method)],
    ids=str,
)
def test_an_operation_keeps_its_word(parts, schema, path, method, mode):
    found = schema[path][method.upper()]
    known_ids = [run.run_id for run in parts.engine.book.runs()]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=found.as_strategy(generation_mode=mode), data=st.data())
    def every(case, data):
        if mode is GenerationMode.POSITIVE and data.draw(st.booleans()):  # what exists
            if "id" in case.query:
                case.query["id"] = data.draw(st.sampled_from(known_ids))
                case.query["task"] = data.draw(st.sampled_from(["lint", "test", "none"]))
                case.query["follow"] = "0"  # has no end while the task runs
            if method == "post" and path == "/pipelines/schedule":
                case.body["pipeline"] = data.draw(st.sampled_from(["release_it", "empty"]))
        checks = [each for each in CHECKS if path != "/job/cancel" or each is not not_a_server_error]
        case.call_and_validate(checks=checks, headers=authorization())  # a 500 of the spec, of what is over

    every()


def test_the_document_names_what_the_code_knows():
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["Task"]["properties"]["status"]["enum"] == [
        status for status in TaskStatus if status is not TaskStatus.BLOCKED
    ]
    assert list(schemas["Logs"]["properties"]) == list(Stream)
    assert schemas["ScheduleRequest"]["properties"]["variables"]["maxProperties"] == MOST_VARIABLES
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["components"]["securitySchemes"].keys() == {"token", "cookie"}


def test_every_route_is_in_the_document(parts):
    routes = app(parts).routes
    paths = {route.path.replace(":path}", "}") for route in routes if isinstance(route, Route)}
    paths -= {"/pipelines", "/openapi.json"}
    assert paths == DOCUMENT["paths"].keys()


async def test_the_document_needs_no_token(tmp_path):
    async with serving(served(tmp_path)) as world:
        async with httpx.AsyncClient(base_url=world.client.base_url) as stranger:
            answer = await stranger.get("/openapi.json")
        assert answer.json() == DOCUMENT
