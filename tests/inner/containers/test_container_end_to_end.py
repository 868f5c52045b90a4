"""Whole pipelines with images, services, artifacts and a cache: on this machine, on hosts of the service."""

from pathlib import Path

import attrs
import pytest

from paas_runner.inner.shell import shell_for
from paas_runner.job.variables import Variable
from paas_runner.pipelines.gitlab_ci.pipeline import load_pipeline
from tests.support.docker_world import DockerWorld, docker_world
from tests.support.kept_files import log_of, ran
from tests.support.live_records import LiveJob
from tests.support.s3_server import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, S3Server

MASKED = "sesame-open-now"
PIPELINE = """
stages: [build, test]

build:
  stage: build
  image: {base}
  cache: {{key: tools, paths: [tools/]}}
  script:
    - if test -e tools/compiler; then echo "cache hit"; else mkdir tools && echo made > tools/compiler; fi
    - mkdir out && echo "built in $(cat /etc/hostname)" > out/program && echo "the password is $PASSWORD"
  artifacts: {{paths: [out/]}}

test:
  stage: test
  image: {base}
  services:
    - {{name: {greeter}, alias: db}}
    - name: {greeter}
      alias: queue
      variables: {{GREETING: queued, PORT: "7001", HEALTHCHECK_TCP_PORT: "7001"}}
  script:
    - cat out/program
    - ask() {{ exec 3<>/dev/tcp/$1/$2; cat <&3; exec 3>&-; }}
    - echo "db says $(ask db 7000), queue says $(ask queue 7001)"
  after_script:
    - test -s out/program && echo "still there, $PASSWORD"
"""


def check(jobs: dict[str, LiveJob], *, hit: bool) -> None:
    build, test = log_of(jobs["build"]), log_of(jobs["test"])
    assert [job.status for job in jobs.values()] == ["success", "success"], build + test
    assert ("\ncache hit\n" in build) == hit
    assert "\nthe password is [MASKED]\n" in build
    assert "\nbuilt in " in test
    assert "\ndb says hello there, queue says queued there\n" in test
    assert "\nstill there, [MASKED]\n" in test
    for log in (build, test):
        assert MASKED not in log


async def test_a_pipeline_runs_on_this_machine(docker, greeter, tmp_path: Path) -> None:
    password = Variable(key="PASSWORD", value=MASKED, masked=True)
    options = docker.world.coordinator.options
    docker.world.coordinator.options = attrs.evolve(options, variables=(*options.variables, password))
    toml = docker.toml().replace("[runners.docker]", f'cache_dir = "{tmp_path}"\n[runners.docker]')
    pipeline = PIPELINE.format(base=docker.engine.base, greeter=greeter)
    for hit in (False, True):
        check(await ran(docker.world, pipeline, toml, shell=shell_for), hit=hit)
        assert docker.left() == set()


CACHE = """
  [runners.cache]
    Type = "s3"
    Shared = true

    [runners.cache.s3]
      ServerAddress = "{address}"
      AccessKey = "{access_key}"
      SecretKey = "{secret_key}"
      BucketName = "{bucket}"
      BucketLocation = "{region}"
      Insecure = true
"""


@pytest.mark.process
async def test_a_pipeline_runs_on_hosts_of_the_service(engine, host_image, greeter, tmp_path: Path) -> None:
    password = Variable(key="PASSWORD", value=MASKED, masked=True)
    bucket = S3Server()
    with bucket.running():
        async with docker_world(tmp_path, engine=engine, image=host_image) as world:
            coordinator = world.sandbox.coordinator
            coordinator.options = attrs.evolve(coordinator.options, variables=(password,))
            with world.config.open("a") as config:
                config.write(
                    CACHE.format(
                        address=bucket.address,
                        access_key=ACCESS_KEY,
                        secret_key=SECRET_KEY,
                        bucket=BUCKET,
                        region=REGION,
                    )
                )
            async with world.service():
                for hit in (False, True):
                    check(await submitted(world, engine.base, greeter), hit=hit)
            assert not world.alive


async def submitted(world: DockerWorld, base: str, greeter: str) -> dict[str, LiveJob]:
    """The jobs of a pipeline that the service has brought to their ends."""
    coordinator = world.sandbox.coordinator
    names = coordinator.submit(load_pipeline(PIPELINE.format(base=base, greeter=greeter))).jobs
    jobs = {name: LiveJob(coordinator, coordinator.latest(job_id).job_id) for name, job_id in names.items()}
    await world.settled(list(jobs.values()))
    return jobs
