"""What jobs in containers take of memory and CPU, by a real engine's figures."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from paas_runner.config import load
from paas_runner.executor.contract import installed
from paas_runner.job.use import last_in
from paas_runner.pipelines.spec import ServiceSpec
from paas_runner.store.snapshot import accounts
from tests.inner.containers.conftest import Docker
from tests.support.docker_world import docker_world
from tests.support.engine.at_hand import EngineAtHand
from tests.support.requirements import missing_here

MIB = 2**20
BEGINNING, END = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
# It goes on for several readings after it has used what it uses: on a busy machine one of them takes seconds.
TAKES_100_MIB = """python3 -c "
import time
x = b'x' * (100 << 20)
while time.process_time() < 1.5: pass
time.sleep(6)
\""""


async def test_a_job_and_its_services_are_measured_together_and_each_script_counts(
    docker: Docker, greeter: str
) -> None:
    service = ServiceSpec(name=greeter, alias="db")
    await docker.ran(TAKES_100_MIB, services=(service,), after_script=(TAKES_100_MIB,))
    found = last_in(docker.said)
    if found is None:
        missing_here("the engine's machine counts no memory of containers (cgroups)")
    assert 100 * MIB < found.memory_bytes < 400 * MIB
    assert found.wall_seconds > 8
    assert 3 <= found.cpu_seconds < 6


@pytest.mark.process
@pytest.mark.parametrize("inner_executor", ["docker", "shell"])
async def test_the_ledger_of_the_service_has_what_a_job_used_on_its_host(
    engine: EngineAtHand, host_image: str, tmp_path: Path, inner_executor: str
) -> None:
    async with docker_world(tmp_path, engine=engine, image=host_image) as world:
        world.configure(inner_executor=inner_executor)
        async with world.service():
            [job] = world.submit(script=(TAKES_100_MIB,))
            await world.settled([job])
        assert job.status == "success"
        config = load(world.config, environ={}, executors=installed())
        [charge] = accounts(config.store_path, BEGINNING, END).charges
    assert (charge.job_name, bool(charge.project)) == ("job 0", True)
    if charge.use is None and inner_executor == "docker":
        missing_here("the engine's machine counts no memory of containers (cgroups)")
    assert charge.use is not None
    assert 100 * MIB < charge.use.memory_bytes < 400 * MIB
    assert 1.5 <= charge.use.cpu_seconds < 5
