"""The tests of prunner's own server against the program: through its socket, with real processes (§10)."""

import pytest
import structlog
from paas_pipelines.server.listening import AccessLog
from starlette.requests import ClientDisconnect

from tests.support.pipelines_server import start_server

DEFINITIONS = """
pipelines:
  release_it:
    tasks:
      lint:
        script: [echo out from lint, echo err from lint >&2]
      build:
        script: ['echo {{ .tag }}']
        depends_on: [lint]
  waits:
    tasks:
      sleep:
        script: [sleep 600]
"""


def test_the_program_serves_what_prunners_tests_ask(tmp_path):
    """P113 to P118, P120, P126, P058: schedule, complete, logs, cancel, the text of a missing variable."""
    with start_server(tmp_path, definitions=DEFINITIONS) as server:
        listed = server.ask("/pipelines").json["pipelines"]
        assert [each["pipeline"] for each in listed] == ["release_it", "waits"]
        assert server.ask("/pipelines", token="wrong").status == 401
        job = server.ended(server.schedule("release_it", tag="v1"))
        assert (job["errored"], job["canceled"], job["user"]) == (False, False, "tester")
        logs = server.ask(f"/job/logs?id={job['id']}&task=lint").json
        assert logs == {"stdout": "out from lint\n", "stderr": "err from lint\n"}
        raw = server.ask(f"/job/logs?id={job['id']}&task=build&stream=stdout")
        assert raw.text == "v1\n"
        failed = server.ended(server.schedule("release_it"))
        assert failed["errored"]
        assert 'map has no entry for key "tag"' in failed["lastError"]
        running = server.schedule("waits")
        assert server.cancel(running).text == "true\n"
        assert server.ended(running)["canceled"]
        assert server.cancel(failed["id"]).status == 500
        assert server.ask("/debug/pprof/").status == 404


async def test_a_client_that_leaves_is_no_error_of_the_server():
    async def left(_scope, _receive, _send):
        raise ClientDisconnect

    scope = {"type": "http", "method": "GET", "path": "/pipelines", "headers": []}
    with structlog.testing.capture_logs() as told, pytest.raises(ClientDisconnect):
        await AccessLog(left)(scope, None, None)
    assert [each["log_level"] for each in told] == ["info"]
