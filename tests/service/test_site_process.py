"""The site of the real service on real sockets: moved by a reload, refused at a start, besieged."""

import asyncio
import re
import signal

import httpx
import pytest

from tests.support.prometheus import address_of

pytestmark = [pytest.mark.long, pytest.mark.process]


async def opened(real, number):
    """The address of the site that was opened as the n-th."""

    def addresses():
        return [line["address"] for line in real.log if line["event"] == "site_opened"]

    await real.until(lambda: len(addresses()) >= number)
    return addresses()[number - 1]


async def answers(url, **transport):
    async with httpx.AsyncClient(trust_env=False, **transport) as client:
        return (await client.get(url)).status_code


async def test_a_reload_moves_it_also_where_the_old_address_is_in_the_way(real, tmp_path):
    real.configure(more='listen_address = "127.0.0.1:0"')
    async with real.service() as service:
        first = await address_of(real)
        port = first.rpartition(":")[2]
        assert await answers(f"http://{first}/health") == 200
        real.configure(more=f'listen_address = ":{port}"')
        service.signal(signal.SIGHUP)
        assert await opened(real, 2) == f":{port}"
        assert await answers(f"http://{first}/health") == 200

        real.configure(more=f'listen_address = "unix:{tmp_path}/site.sock"')
        service.signal(signal.SIGHUP)
        await opened(real, 3)
        through = httpx.AsyncHTTPTransport(uds=f"{tmp_path}/site.sock")
        assert await answers("http://localhost/ready", transport=through) in (200, 503)
        await real.until(lambda: [line for line in real.log if line["event"] == "site_closed"][1:])
        with pytest.raises(httpx.ConnectError):
            await answers(f"http://{first}/health")

        real.configure(more='listen_address = "192.0.2.1:9252"')
        service.signal(signal.SIGHUP)
        await real.until(lambda: any(line["event"] == "configuration_refused" for line in real.log))
        through = httpx.AsyncHTTPTransport(uds=f"{tmp_path}/site.sock")
        assert await answers("http://localhost/health", transport=through) == 200


async def test_many_and_slow_clients_delay_no_job(real):
    """Some hang in the middle of a request, some read nothing of what they ask for, some ask all the time."""
    real.configure(more='listen_address = "127.0.0.1:0"')
    async with real.service():
        host, port = (await address_of(real)).split(":")
        hanging = [await asyncio.open_connection(host, port) for _ in range(40)]
        for number, (_, writer) in enumerate(hanging):
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + b"\r\n" * (number % 2))

        async def ask():
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False) as client:
                while True:
                    await client.get("/metrics")
                    await client.get("/ready")

        asking = [asyncio.create_task(ask()) for _ in range(4)]
        jobs = real.submit(5)
        await real.settled(jobs)
        for each in asking:
            each.cancel()
        for answer in await asyncio.gather(*asking, return_exceptions=True):
            assert isinstance(answer, asyncio.CancelledError)
        for _, writer in hanging:
            writer.close()
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False) as client:
            lag = (await client.get("/metrics")).text
        [late] = re.findall(
            r'^paas_runner_event_loop_lag_seconds_bucket\{le="1.0"\} (\S+)$', lag, re.MULTILINE
        )
        [all_of_them] = re.findall(r"^paas_runner_event_loop_lag_seconds_count (\S+)$", lag, re.MULTILINE)
        assert late == all_of_them
    assert {job.status for job in jobs} == {"success"}


async def test_an_address_that_is_taken_ends_the_start_with_78(real):
    real.configure(more='listen_address = "127.0.0.1:0"')
    async with real.service():
        address = await address_of(real)
        other = type(real)(real.sandbox, real.config.parent / "other")
        other.config.parent.mkdir()
        other.configure(more=f'listen_address = "{address}"')
        service = await other.start()
        assert await service.wait() == 78
    assert "cannot be listened on" in other.printed()
