"""A real Prometheus scrapes the real service while it runs a pipeline, and while its coordinator is down."""

import asyncio
import json
import math
import time
from pathlib import Path

import httpx
import pytest

from paas_runner.sandbox.faults import Answer
from tests.support.prometheus import address_of, scraping

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(300)]

DASHBOARD = Path(__file__).parents[2] / "packaging/grafana/paas-runner.json"

CONFIG = """
listen_address = "127.0.0.1:0"
paas_metrics_exemplars = true
[quota_computation]
  reference_runner = "real"
  reference_flavor = "M"
  reference_jobs_count = 5
"""


def queries():
    """Those of the dashboard, with what Grafana puts in for its variables."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$__rate_interval", "20s")
            yield panel["title"], query.replace("$job", ".*").replace("$instance", ".*")


async def test_the_dashboard_and_the_alerts_show_the_truth_of_a_pipeline_and_of_an_outage(
    real, tmp_path, database
):
    """On a store that can be shared, since some panels are about those who do."""
    real.configure(more=f'state_store = "{database.url.reveal()}"\n{CONFIG}')
    began = time.time()
    async with real.service():
        address = await address_of(real)
        async with scraping(address, tmp_path) as prometheus:
            await prometheus.until("up", lambda up: up == 1)
            hold = real.hold()
            jobs = real.submit(3, script=hold.script)
            await prometheus.until('paas_runner_jobs{phase="running"}', lambda running: running == 3)
            assert await prometheus.value("sum(paas_runner_hosts)") == 3
            assert await prometheus.value("sum(paas_runner_cost_per_hour)") > 0
            assert await prometheus.value("sum(gitlab_runner_jobs_total)") == 3
            assert await prometheus.value("paas_runner_headroom_jobs") == 7
            hold.release()
            await real.settled(jobs)
            await prometheus.until("sum(paas_runner_jobs)", lambda jobs: jobs == 0)
            await prometheus.until("gitlab_runner_job_duration_seconds_count", lambda ended: ended == 3)
            assert await prometheus.alerts() == set()

            real.sandbox.coordinator_faults.add(Answer(403), path="/api/v4/jobs/request")
            refused = 'paas_runner_service_state{state="refused", service=~"coordinator.*"}'
            await prometheus.until(refused, lambda state: state == 1)
            of_the_panel = dict(queries())["Refused or unreachable"]
            assert await prometheus.value(of_the_panel) == 1
            async with httpx.AsyncClient(trust_env=False) as client:
                assert (await client.get(f"http://{address}/ready")).status_code == 503
                assert (await client.get(f"http://{address}/health")).status_code == 200
            await prometheus.until('ALERTS{alertname="PaasRunnerRefused"}', lambda state: state == 1)
            real.sandbox.coordinator_faults.clear()
            await prometheus.until(refused, lambda state: state == 0, seconds=100)

            await real.settled(real.submit(2))
            queued = "sum(rate(gitlab_runner_job_queue_duration_seconds_count[20s]))"
            await prometheus.until(queued, lambda rate: rate and rate > 0)
            await asyncio.sleep(3)  # steps of a range are whole seconds

            for title, query in queries():
                values = await prometheus.values(query, began)
                assert [value for value in values if not math.isnan(value)], (title, query)
            [target] = await prometheus.targets()
            assert (target["health"], target["lastError"]) == ("up", "")
    assert real.sandbox.cloud_token.reveal() not in real.printed()
