"""Everything watches, and whoever is told quotes what it got: no secret is in what is told, shown or kept."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import attrs
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from paas_runner.pipelines.spec import Variable
from paas_runner.sandbox.faults import Answer
from paas_runner.sandbox.server import SandboxOptions
from paas_runner.server.connections import Connections
from tests.service.test_secrecy import _Arguments
from tests.support.syslog_server import SyslogServer

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(200)]

CANARIES = {
    "page token": "canary-page-token-0123456789",
    "address of the hook": "canary-hook-path-0123456789",
    "query of the hook": "canary-hook-query-0123456789",
    "signing secret": "canary-signing-0123456789",
    "header of traces": "canary-traces-0123456789",
    "header of hosts": "canary-hosts-0123456789",
    "attributes token": "canary-attributes-0123456789",
    "extra environment": "canary-extra-env-0123456789",
}
MASKED = "canary-masked-variable-0123456789"
KEYS = """
log_level = "debug"
listen_address = "127.0.0.1:{site}"
paas_page = true
paas_page_token = "canary-page-token-0123456789"
"""
SECTIONS = """
[log_remote]
  address = "127.0.0.1:{syslog}"
  tls = false

[traces]
  endpoint = "http://127.0.0.1:{port}"
  headers = "authorization=Bearer canary-traces-0123456789"
  hosts_endpoint = "http://127.0.0.1:{port}/hosts"
  hosts_headers = "x-token=canary-hosts-0123456789"

[[notify]]
  name = "hook"
  url = "http://127.0.0.1:{port}/hook/canary-hook-path-0123456789?key=canary-hook-query-0123456789"
  secret = "canary-signing-0123456789"
  group_seconds = 1

[[notify]]
  name = "program"
  command = ["/bin/sh", "-c", "cat; env; tr '\\\\0' '\\\\n' < /proc/$PPID/cmdline; exit 3"]
  group_seconds = 1
"""
RUNNER = """
  cc_gitlab_namespace_attributes_token = "canary-attributes-0123456789"
  cc_extra_env = { CC_DOCKER_LOGIN_PASSWORD = "canary-extra-env-0123456789" }
"""
SHOWN = ["/", "/jobs", "/failures", "/hosts", "/costs", "/login", "/metrics", "/ready", "/health"]
SHOWN += [
    f"/api/v1/{name}" for name in ("status", "runners", "jobs", "hosts", "orphans", "failures", "costs")
]


@pytest.fixture
def sandbox_options():
    def coordinator(options):
        return attrs.evolve(options, long_poll_seconds=0.5, trace_interval_seconds=1)

    return SandboxOptions(coordinator=coordinator)


@asynccontextmanager
async def quoting_receiver(bodies):
    """Refuses each second request, in words that have all that came with it."""

    async def take(request):
        bodies.append(await request.body())
        if len(bodies) % 2:
            return JSONResponse({"message": f"not {request.url} {dict(request.headers)}"}, 401)
        return Response()

    connections = Connections(Starlette(routes=[Route("/{path:path}", take, methods=["POST"])]))
    listening = socket.create_server(("127.0.0.1", 0))
    await connections.start([listening])
    yield listening.getsockname()[1]
    await connections.stop()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def refused_by_the_program(event):
    return event["event"] == "notice_not_delivered" and event["receiver"] == "program"


async def shown_by(site):
    texts = []
    token = {"Authorization": f"Bearer {CANARIES['page token']}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{site}", headers=token) as client:
        for path in SHOWN:
            answer = await client.get(path)
            assert answer.status_code in (200, 503), path
            texts.append(f"{path} {answer.text} {answer.headers}")
    return texts


async def test_no_secret_is_in_anything_that_watches(real):
    bodies, site, syslog = [], free_port(), SyslogServer()
    syslog.start()
    async with quoting_receiver(bodies) as port:
        places = {"site": site, "syslog": syslog.port, "port": port}
        real.configure(more=KEYS.format(**places), watch=SECTIONS.format(**places), runner=RUNNER)
        with _Arguments() as arguments:
            async with real.service():
                variables = (Variable(key="TOKEN", value=MASKED, masked=True),)
                good = real.submit(2, variables=variables)
                await real.settled(good)
                bad = real.submit(1, variables=variables)
                words = f"{bad[0].token.reveal()} {real.sandbox.cloud_token.reveal()}"
                real.sandbox.cloud_faults.add(
                    Answer(400, body=json.dumps({"message": words}).encode()),
                    method="POST",
                    path="**/applications",
                )
                await real.settled(bad)
                await real.until(lambda: b"launch_failed" in b"".join(bodies))
                await real.until(lambda: any(map(refused_by_the_program, real.log)))
                shown = await shown_by(site)
                kept = b"".join(file.read_bytes() for file in real.config.parent.glob("*.db*"))
                await asyncio.sleep(6)  # traces go every five seconds
    syslog.stop()
    told = {
        "notices and spans": b"".join(bodies).decode(errors="replace"),
        "the remote log": "\n".join(map(str, syslog.lines)),
        "the log": real.printed(),
        "the site": "\n".join(shown),
        "arguments": b"\n".join(arguments.seen).decode(errors="replace"),
    }
    assert b"request a job" in b"".join(bodies)
    assert syslog.lines
    assert kept
    secrets = {
        **CANARIES,
        "masked variable": MASKED,
        "runner token": real.sandbox.runner_token.reveal(),
        "cloud token": real.sandbox.cloud_token.reveal(),
    }
    secrets |= {f"token of job {job.job_id}": job.token.reveal() for job in (*good, *bad)}
    found = [(name, place) for name, secret in secrets.items() for place in told if secret in told[place]]
    assert not found, found
    assert not [name for name in CANARIES if CANARIES[name].encode() in kept]
