"""One trace, through the real program, kill -9, a restart, and the inner runner on the host."""

import asyncio
import signal

import pytest

from tests.support.trace_receiver import listening_receiver

pytestmark = [pytest.mark.long, pytest.mark.process]


@pytest.fixture
async def receiver():
    async with listening_receiver() as receiver:
        yield receiver


async def test_a_job_whose_service_is_killed_twice_is_one_trace_from_its_request_to_its_last_script(
    real, receiver
):
    real.configure(
        more=f'[traces]\nendpoint = "{receiver.url}"\nhosts_endpoint = "{receiver.url}"\n'
        'headers = "x-key=receiver-canary-secret"\n'
    )
    hold = real.hold()
    service = await real.start()
    [job] = real.submit(script=(*hold.script, "echo parent=$TRACEPARENT"))
    for phase in ("provisioned", "running"):
        await real.until(lambda phase=phase: real.phases(phase))
        service.signal(signal.SIGKILL)
        await service.wait()
        service = await real.start()
    hold.release()
    await real.settled([job])
    assert await service.terminate() == 0
    assert job.status == "success"
    assert real.launches == [1]

    root = receiver.only("job")
    assert {span.trace_id for span in receiver.spans} == {root.trace_id}
    assert receiver.twice == []
    phases = [name for name, _ in receiver.tree(root) if name.startswith("phase")]
    assert phases[0] == "phase acquired"
    assert phases[-1] == "phase decommissioning"
    run = receiver.only("run on the host")
    assert run.parent == root.span_id
    assert "stage step_script" in [name for name, _ in receiver.tree(run)]
    assert f"parent=00-{root.trace_id}-{run.span_id}-01".encode() in job.trace
    assert root.start < run.start < run.end < root.end
    assert "receiver-canary-secret" not in real.printed()


async def test_what_is_left_is_sent_at_an_orderly_stop(real, receiver):
    real.configure(more=f'[traces]\nendpoint = "{receiver.url}"\n')
    async with real.service():
        jobs = real.submit(3)
        await real.settled(jobs)
        await asyncio.sleep(0)
    assert len(receiver.named("job")) == 3
