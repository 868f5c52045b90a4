"""Everything that the API's document allows is answered as it says, everything else is refused as it says."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from paas_runner.web.api import OPERATIONS, PREFIX
from tests.support.watched_world import watched_world

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the libraries that make the requests
]

EXAMPLES = 100
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    world = watched_world(tmp_path_factory.mktemp("world"))
    yield schemathesis.openapi.from_asgi(f"{PREFIX}/openapi.json", world.app())
    world.close()


def modes(operation):
    """What is allowed, and what is forbidden where anything is."""
    return list(GenerationMode) if operation.parameters else [GenerationMode.POSITIVE]


@pytest.mark.parametrize(
    ("operation", "mode"),
    [(each, mode) for each in OPERATIONS for mode in modes(each)],
    ids=lambda each: str(getattr(each, "name", each)),
)
def test_an_operation_keeps_its_word(schema, operation, mode):
    found = schema[f"{PREFIX}{operation.path}"]["GET"]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=found.as_strategy(generation_mode=mode))
    def every(case):
        case.call_and_validate(checks=CHECKS)

    every()
