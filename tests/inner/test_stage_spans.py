"""The trace of a job goes on on its host: what our inner runner sends, and what the job's programs get."""

import asyncio

import httpx
import pytest
from structlog.testing import capture_logs

from paas_runner.inner import stage_spans
from paas_runner.spans import parsed_traceparent
from tests.support.hosts import RUNNER_TOML, URL, hosts, script
from tests.support.trace_receiver import TraceReceiver

RECEIVER = "http://collector.test:4318"
ABOVE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TABLE = f'[runners.paas_traces]\nendpoint = "{RECEIVER}/"\nheaders = {{x-key = "host-canary-secret"}}\n'
SAY = "echo got=$TRACEPARENT"


def toml(traceparent=ABOVE, table=TABLE):
    return f'{RUNNER_TOML}environment = ["A=b", "TRACEPARENT={traceparent}"]\n{table}'


async def ran(spec, runner_toml, receiver):
    world = hosts()
    job, job_json = world.handed_out(spec)
    there = receiver if isinstance(receiver, httpx.AsyncBaseTransport) else httpx.ASGITransport(receiver.app)
    inner = world.inner(transport=lambda url: world.wire if url == URL else there)
    await inner.run(runner_toml, job_json)
    return job


async def test_the_run_and_each_of_its_stages_are_spans_below_the_services_own():
    receiver = TraceReceiver()
    job = await ran(script(SAY), toml(), receiver)
    run = receiver.only("run on the host")
    assert (run.trace_id, run.parent) == (ABOVE[3:35], ABOVE[36:52])
    assert run.attributes["cicd.pipeline.task.run.id"] == str(job.job_id)
    assert run.attributes["cicd.pipeline.task.run.result"] == "success"
    assert run.resource["service.name"] == "paas-runner-inner"
    stages = [name for name, _ in receiver.tree(run)]
    assert stages[:2] == ["stage prepare_executor", "stage prepare_script"]
    assert "stage step_script" in stages
    assert receiver.twice == []
    assert receiver.headers[0]["x-key"] == "host-canary-secret"


async def test_programs_of_the_job_continue_below_the_run():
    receiver = TraceReceiver()
    job = await ran(script(SAY), toml(), receiver)
    [said] = [line for line in job.trace.decode().splitlines() if line.startswith("got=")]
    context = parsed_traceparent(said.removeprefix("got="))
    assert context.span_id == receiver.only("run on the host").span_id


async def test_without_a_receiver_the_job_gets_what_the_service_said_and_nothing_is_sent():
    receiver = TraceReceiver()
    job = await ran(script(SAY), toml(table=""), receiver)
    assert f"got={ABOVE}" in job.trace.decode()
    assert receiver.headers == []


@pytest.mark.parametrize("traceparent", [ABOVE[:-1] + "0", "nonsense", "00-" + "0" * 32 + ABOVE[35:]])
async def test_a_trace_that_nobody_keeps_or_that_is_none_is_not_continued(traceparent):
    receiver = TraceReceiver()
    job = await ran(script("true"), toml(traceparent), receiver)
    assert job.status == "success"
    assert receiver.headers == []


async def test_a_job_that_fails_has_a_run_that_says_so():
    receiver = TraceReceiver()
    await ran(script("exit 3"), toml(), receiver)
    run = receiver.only("run on the host")
    assert run.error == "failed"
    assert run.attributes["cicd.pipeline.task.run.result"] == "failure"


async def test_what_is_sent_along_is_masked_in_the_log_of_the_job():
    job = await ran(script("echo host-canary-secret"), toml(), TraceReceiver())
    assert "host-canary-secret" not in job.trace.decode()


class Hanging(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request):
        await asyncio.sleep(3600)


async def test_a_receiver_that_hangs_costs_a_moment_and_no_result(monkeypatch):
    monkeypatch.setattr(stage_spans, "SEND_SECONDS", 0.05)
    job = await ran(script("true"), toml(), Hanging())
    assert job.status == "success"


async def test_a_receiver_that_refuses_is_logged():
    receiver = TraceReceiver()
    receiver.answers = [401]
    with capture_logs() as logs:
        job = await ran(script("true"), toml(), receiver)
    assert job.status == "success"
    assert [line["event"] for line in logs] == ["spans_not_sent"]
