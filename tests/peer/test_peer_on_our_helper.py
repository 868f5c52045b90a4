"""heptapod-paas-runner 1.1.1, unmodified, runs its own jobs on our helper (rows H130, H132 to H140)."""

import pytest

from paas_runner.pipelines.jobs import LedgerKind
from tests.support.helper_program import TOKEN, HelperMachine

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.timeout(300),
]  # the first run installs the program

CONFIG = """
state_file = "{state_file}"
concurrent = 1
check_interval = 0.2
job_progress_poll_interval = 0.3

[quota_computation]
  reference_runner = "real"
  reference_flavor = "M"
  reference_jobs_count = 10

[[runners]]
  name = "real"
  url = "{url}"
  token = "{token}"
  executor = "service-docker"
  paas_keep_resources_for_reuse_seconds = 0
  paas-runner-helper-host = "127.0.0.1:{port}"
  {more}
  [runners.docker]
    image = "{image}"
    pull_policy = "if-not-present"
"""
BY_HTTP1 = f'paas-runner-helper-http1 = true\n  paas-runner-helper-token = "{TOKEN}"'


@pytest.mark.parametrize(
    ("arguments", "more"), [(("--http1",), BY_HTTP1), (("--no-token",), "")], ids=["http1", "grpc"]
)
async def test_1_1_1_runs_its_jobs_one_after_the_other_on_our_helper(
    shared, engine, tmp_path, arguments, more
):
    machine = HelperMachine(
        folder=tmp_path / "helper",
        arguments=(*arguments, "--reuse-with-doubts"),
        environment={"DOCKER_HOST": engine.url},
    )
    async with machine.started() as helper:
        shared.config.write_text(
            CONFIG.format(
                state_file=shared.state_file,
                url=shared.sandbox.coordinator_url,
                token=shared.sandbox.runner_token.reveal(),
                port=helper.port,
                image=engine.base,
                more=more,
            )
        )
        async with shared.peer():
            good, bad = (
                shared.submit(script=("echo it works in $(hostname)",)),
                shared.submit(script=("exit 3",)),
            )
            jobs = [*good, *bad]
            await shared.settled(jobs, seconds=90)
            await shared.until(lambda: shared.peer_told.count("Finished job") == 2)
    told = "".join(machine.told)
    assert [job.status for job in jobs] == ["success", "failed"], (told, shared.peer_told)
    assert b"it works in" in jobs[0].trace
    assert {job.count(LedgerKind.ACQUIRED) for job in jobs} == {1}
    assert told.count(" begins") == 2
    assert told.count("has ended with exit code") == 2
