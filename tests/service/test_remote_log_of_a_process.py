"""The log of the real program at a receiver of syslog: first line to last, secrets taken out."""

import asyncio

import pytest

from tests.support.syslog_server import SyslogServer

pytestmark = [pytest.mark.long, pytest.mark.process]


async def test_a_receiver_has_all_that_standard_error_has(real):
    server = SyslogServer()
    server.start()
    real.configure(
        more=f'[log_remote]\naddress = "127.0.0.1:{server.port}"\ntls = false\nfacility = "local3"\n'
    )
    async with real.service():
        [job] = real.submit()
        await real.settled([job])
    await asyncio.to_thread(server.until, lambda: "stopped" in server.ids())
    server.stop()
    assert [line.text for line in server.lines] == [line for line in real.log if "event" in line]
    assert {line.facility for line in server.lines} == {19}
    about = [
        line.id
        for line in server.lines
        if line.data.get("paas-runner@32473", {}).get("job") == str(job.job_id)
    ]
    assert (about[0], about[-1]) == ("job_acquired", "job_gone")
    told = str(server.lines)
    for secret in (real.sandbox.runner_token, real.sandbox.cloud_token, job.token):
        assert secret.reveal() not in told
