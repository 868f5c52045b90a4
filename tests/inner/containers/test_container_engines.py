"""Engines elsewhere: by TLS, by the environment's word."""

import socket

import pytest

from paas_runner.pipelines.spec import ServiceSpec
from paas_runner.pipelines.states import JobState
from tests.inner.containers.conftest import text, until
from tests.support.engine.certificates import tls_options


async def test_the_engine_is_the_environments_where_the_configuration_names_none(docker, monkeypatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker.engine.url)
    job = await docker.ran("true", options={"host": ""})
    assert job.status is JobState.SUCCESS


@pytest.fixture
def address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


async def test_a_job_runs_on_an_engine_that_wants_tls(docker, certificates, address, start_engine) -> None:
    engine = start_engine("-H", address, *tls_options(certificates))
    options = {"host": address, "tls_cert_path": str(certificates), "tls_verify": True}
    job = await docker.ran("head -c 1000000 /dev/zero | tr '\\0' x; echo; exit 7", options=options)
    assert "x" * 1_000_000 in text(job)
    assert job.exit_code == 7
    async with docker.running("echo ready; sleep 600", options=options) as (job, running):
        await until(lambda: b"\nready" in job.trace)
        docker.world.coordinator.cancel(job.job_id)
        await until(running.done, seconds=30)
    assert job.status is JobState.CANCELED
    assert {kind for kind, _ in engine.everything()} == {"network", "image"}


async def test_volumes_that_images_declare_go_with_their_containers(docker, start_engine) -> None:
    engine = start_engine()
    dockerfile = (
        f'FROM {engine.base}\nVOLUME /data\nEXPOSE 7000\nCMD ["python3", "-m", "http.server", "7000"]\n'
    )
    image = engine.build("paas-runner-test/with-volume", dockerfile)
    before = engine.everything()
    options = {"host": engine.url, "volumes": ["/more"]}
    job = await docker.ran(
        "touch /data/a /more/b", image=image, services=(ServiceSpec(name=image),), options=options
    )
    assert job.status is JobState.SUCCESS
    assert engine.everything() == before
