"""A real Prometheus on loopback that scrapes one address every second, with the alerts that are shipped."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from pathlib import Path

import httpx
import yaml

from tests.support.requirements import need

ROOT = Path(__file__).parents[2]
RULES = ROOT / "packaging/prometheus/paas-runner.rules.yml"


class Prometheus:
    """Asked by its HTTP API."""

    def __init__(self, url):
        self._client = httpx.AsyncClient(base_url=f"{url}/api/v1", trust_env=False, timeout=20)

    async def _asked(self, path, **params):
        answer = await self._client.get(path, params=params)
        document = answer.json()
        assert document["status"] == "success", (params, document)
        return document["data"]

    async def value(self, query):
        """Of an instant query the sum of all that it gives; None where it gives nothing."""
        found = (await self._asked("/query", query=query))["result"]
        return sum(float(each["value"][1]) for each in found) if found else None

    async def values(self, query, since):
        """Of a query over the time since then, all numbers of all series."""
        found = await self._asked("/query_range", query=query, start=since, end=time.time(), step=1)
        return [float(value) for series in found["result"] for _, value in series["values"]]

    async def targets(self):
        return (await self._asked("/targets"))["activeTargets"]

    async def alerts(self):
        """The names of those that are pending or fire."""
        return {alert["labels"]["alertname"] for alert in (await self._asked("/alerts"))["alerts"]}

    async def until(self, query, wanted, seconds=60):
        async with asyncio.timeout(seconds):
            while not wanted(await self.value(query)):
                await asyncio.sleep(0.5)

    async def is_ready(self):
        with contextlib.suppress(httpx.TransportError):
            return (await self._client.get("/query", params={"query": "1"})).status_code == 200
        return False

    async def aclose(self):
        await self._client.aclose()


async def address_of(real):
    """Where the service of that world listens."""
    await real.until(lambda: any(line["event"] == "site_opened" for line in real.log))
    [opened] = [line for line in real.log if line["event"] == "site_opened"]
    return opened["address"]


@contextlib.asynccontextmanager
async def scraping(address, folder):
    """A Prometheus that does; it ends with the block."""
    need("prometheus")
    shutil.copy(RULES, folder)
    (folder / "prometheus.yml").write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                "rule_files": [RULES.name],
                "scrape_configs": [{"job_name": "paas-runner", "static_configs": [{"targets": [address]}]}],
            }
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(  # noqa: ASYNC220 - it is only begun
        [
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    prometheus = Prometheus(f"http://127.0.0.1:{port}")
    try:
        async with asyncio.timeout(60):
            while not await prometheus.is_ready():
                assert process.poll() is None, "Prometheus has ended"
                await asyncio.sleep(0.2)
        yield prometheus
    finally:
        await prometheus.aclose()
        process.terminate()
        await asyncio.to_thread(process.wait, 30)
