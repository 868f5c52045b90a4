"""How we watch a job's log is our own business: no host ever hears of it, however it is spelt."""

import pytest

from executors.build_context import build_context
from executors.clever import KIND
from paas_runner.config import load
from paas_runner.executor.contract import HostRequest, RunnerSection
from paas_runner.job.tracked import HostName
from tests.support.records import payload

CONFIG = """
[[runners]]
  name = "one"
  url = "https://gitlab.example/"
  token = "glrt-t1_aaaaaaaaaaaaaaaa"
  executor = "clever-docker"
  cc_orga_id = "orga_1"
  cc_token = "clever-canary"
  shell = "bash"

  [runners.{watch}]
    token = "watch-canary"
    {timeout} = 77
    poll_step = 7

  [runners.docker]
    image = "debian:12"
"""


@pytest.mark.parametrize("watch", ["paas_job_trace_watch", "job_trace_watch"])
@pytest.mark.parametrize("timeout", ["timeout_seconds", "timout_seconds"])
def test_the_watch_of_a_jobs_log_is_read_and_never_forwarded(tmp_path, watch, timeout):
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(watch=watch, timeout=timeout))
    [runner] = load(path, environ={}, executors={"clever-docker": lambda: KIND}).runners
    assert runner.paas_job_trace_watch.timeout_seconds.total_seconds() == 77
    assert set(runner.forwarded) == {"shell", "docker"}
    section = RunnerSection(
        name=runner.name,
        url=runner.url,
        short_token=runner.short_token,
        forwarded=runner.forwarded,
        installation="installation-1",
    )
    request = HostRequest(host_name=HostName("h"), payload=payload(1))
    tree = build_context(request, section, main_image="img:1")
    pushed = b"".join(tree.values()).decode()
    assert "debian:12" in pushed
    assert "trace_watch" not in pushed
    assert "canary" not in pushed
    assert "77" not in tree["runner.toml"].decode()
