"""local-docker on a real engine: each verb, and each verb twice."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from executors.build_context import build_context
from paas_runner.docker.labels import ENDS_AT
from paas_runner.errors import Rejected
from paas_runner.executor.contract import RunnerSection
from paas_runner.executor.optional import flavors_of, tenant_of, use_of, weight_of
from paas_runner.job.use import Use, as_line
from tests.local_docker.conftest import SHORT_TOKEN, requested
from tests.support.host_values import provisioned, removal


async def launched(executor, wanted):
    host = await executor.provision(wanted)
    await executor.launch(wanted, host)
    return host


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.05)


async def test_a_host_is_a_container_that_does_not_run_yet(docker):
    host = await docker.make(docker_network="host").provision(requested())
    found = docker.inspect(host)
    assert found["Name"] == f"/hpd-job-{SHORT_TOKEN}-42"
    assert found["State"]["Status"] == "created"
    assert found["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")
    assert found["HostConfig"]["NetworkMode"] == "host"
    assert {name: value for name, value in found["Config"]["Labels"].items() if name != ENDS_AT} == {
        "paas-runner.installation": docker.installation,
        "paas-runner.runner": SHORT_TOKEN,
        "paas-runner.job": f"hpd-job-{SHORT_TOKEN}-42",
    }


async def test_the_host_has_the_same_files_as_one_in_a_cloud(docker):
    folder = "/etc/heptapod-runner"
    wanted = requested(do=f"cd {folder} && sha256sum runner.toml job.json")
    executor = docker.make()
    account = docker.wait(await launched(executor, wanted))
    section = RunnerSection(
        name="local",
        url="https://gitlab.example",
        short_token=SHORT_TOKEN,
        forwarded={"docker": {"image": "debian:12"}, "environment": ["A=b"]},
        installation="",
    )
    files = build_context(wanted, section, main_image=docker.image)
    expected = {name: hashlib.sha256(files[name]).hexdigest() for name in ("runner.toml", "job.json")}
    assert {line.split()[1]: line.split()[0] for line in account.splitlines()} == expected


async def test_the_host_can_use_the_engine(docker):
    ask = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/var/run/docker.sock'); "
        "s.sendall(b'GET /_ping HTTP/1.0\\r\\n\\r\\n'); print(s.recv(12)[-3:].decode())"
    )
    host = await launched(docker.make(), requested(do=f'python3 -c "{ask}"'))
    assert docker.wait(host) == "200\n"


async def test_the_host_knows_the_labels_for_all_that_its_inner_runner_makes(docker):
    host = await launched(docker.make(), requested(do="printenv PAAS_RUNNER_OBJECT_LABELS"))
    account = dict(pair.split("=") for pair in docker.wait(host).strip().split(","))
    assert account == docker.inspect(host)["Config"]["Labels"]


async def test_every_host_is_ready_at_once_and_weighs_the_same(docker):
    executor = docker.make()
    host = await executor.provision(requested())
    assert await executor.ready(provisioned(host))
    flavors = await flavors_of(executor)
    assert flavors.weights == {"M": 1.0}
    assert (host.flavor, host.weight, weight_of(executor, requested().payload, most=5.0)) == ("M", 1.0, 1.0)
    assert tenant_of(executor, requested().payload) == ""


async def test_a_job_is_run_once_however_often_it_is_launched(docker):
    wanted = requested(do="echo ran; sleep 0.5")
    executor = docker.make()
    host = await launched(executor, wanted)
    await executor.launch(wanted, host)
    account = docker.wait(host)
    await docker.make().launch(wanted, host)
    assert docker.inspect(host)["State"]["Status"] == "exited"
    assert (account, docker.wait(host)) == ("ran\n", "ran\n")


async def test_a_host_is_found_again_by_another_start_of_the_service(docker):
    assert await docker.make().adopt(requested()) is None
    host = await docker.make().provision(requested())
    assert await docker.make().adopt(requested()) == host


async def test_provisioning_again_gives_the_same_host(docker):
    assert await docker.make().provision(requested()) == await docker.make().provision(requested())
    assert len([kind for kind, _ in docker.everything() if kind == "container"]) == 1


async def test_jobs_side_by_side_get_hosts_of_their_own(docker):
    executor = docker.make()
    hosts = await asyncio.gather(*(executor.provision(requested(job_id)) for job_id in range(1, 7)))
    assert len({host.ref for host in hosts}) == 6
    assert {seen.ref for seen in await executor.hosts("")} == {host.ref for host in hosts}


async def test_a_container_of_that_name_that_is_not_ours_is_left_alone(docker):
    await docker.make(installation="another").provision(requested())
    executor = docker.make()
    assert await executor.adopt(requested()) is None
    assert await executor.hosts("") == []
    with pytest.raises(Rejected, match=f"a container {requested().host_name} exists that is not ours"):
        await executor.provision(requested())
    await executor.decommission(removal(requested().host_name, search=True))
    [seen] = await executor.hosts_of_others("")
    assert (seen.name, seen.installation, seen.busy) == (requested().host_name, "another", False)
    another = docker.make(installation="another")
    assert await another.hosts_of_others("") == []
    assert await another.adopt(requested())
    await another.decommission(removal(requested().host_name, search=True))


async def test_hosts_are_listed_with_their_age_and_whether_they_run(docker):
    executor = docker.make()
    await docker.make(short_token="other").provision(requested(9))
    idle = await executor.provision(requested(1))
    busy = await launched(executor, requested(2, do="sleep 60"))
    ended = await launched(executor, requested(3))
    docker.wait(ended)
    seen = {found.ref: found for found in await docker.make().hosts("")}
    assert {ref: found.busy for ref, found in seen.items()} == {
        idle.ref: False,
        busy.ref: True,
        ended.ref: False,
    }
    assert all(abs(datetime.now(UTC) - found.created_at) < timedelta(minutes=1) for found in seen.values())


async def test_what_is_left_of_a_host_without_its_container_is_listed_too(docker):
    executor = docker.make()
    host = await executor.provision(requested())
    with docker.client() as client:
        client.remove_container(host.ref)
    [seen] = await executor.hosts("")
    assert (seen.name, seen.busy) == (requested().host_name, False)
    await executor.decommission(removal(seen.name, search=False))
    assert docker.everything() == set()


async def test_a_removed_host_leaves_nothing_not_even_what_its_inner_runner_made(docker):
    executor = docker.make()
    host = await launched(executor, requested(1, do="sleep 60"))
    other = await launched(executor, requested(2, do="sleep 60"))
    labels = docker.inspect(host)["Config"]["Labels"]
    [volume] = [mount for mount in docker.inspect(host)["Mounts"] if mount["Type"] == "volume"]
    assert volume["Destination"] == "/builds"
    with docker.client() as client:
        network = client.create_network(f"inner-{docker.installation}", labels=labels)
        settings = client.create_host_config(network_mode=network["Id"])
        inner = client.create_container(
            docker.image, ["sleep 60"], entrypoint=["sh", "-c"], labels=labels, host_config=settings
        )
        client.start(inner)
        client.create_volume(f"cache-{docker.installation}", labels=labels)
    for _ in range(2):
        await executor.decommission(removal(requested(1).host_name, host, search=False))
    assert ("volume", volume["Name"]) not in docker.engine.everything()
    left = docker.everything()
    assert ("container", other.ref) in left
    await executor.decommission(removal(requested(2).host_name, other, search=False))
    assert docker.everything() == set()


async def test_no_build_looks_into_the_cache_where_it_could_meet_an_image_being_removed(docker):
    executor = docker.make()
    images = set()
    for _ in range(2):
        host = await executor.provision(requested())
        images.add(docker.inspect(host)["Image"])
        with docker.client() as client:
            client.remove_container(host.ref, force=True)
    assert len(images) == 2, "the engine asks each image of the cache, and fails when one has just gone"


async def test_the_host_of_a_running_job_is_in_no_trouble(docker):
    executor = docker.make()
    host = await launched(executor, requested(do="echo working; sleep 60"))
    assert await executor.trouble(provisioned(host)) is None
    await until(lambda: docker.engine.log(host.ref))
    account = await executor.silence(provisioned(host))
    assert "Docker:       the container is running" in account
    assert "can a container reach the coordinator (docker_network)" in account
    assert account.endswith("\n  The last lines of its own log:\n    working")


async def test_a_host_that_ended_is_explained_with_its_exit_code_and_last_lines(docker):
    executor = docker.make()
    do = "seq 20; printf '\\033[31mred\\033[0m\\n'; printf '%0300d\\n' 7; exit 3"
    host = await launched(executor, requested(do=do))
    docker.wait(host)
    account = await executor.trouble(provisioned(host))
    assert account.startswith("The host of this job ended before its job had.\n")
    assert "Docker:       the container ended with exit code 3\n" in account
    assert "What to do:   retry the job" in account
    assert f"Reference:    {host.ref[:12]} (for the operators of this runner)" in account
    assert "\n    20\n    red\n    0000" in account
    assert "\n    12\n" not in account
    assert "\x1b" not in account
    assert max(map(len, account.splitlines())) <= 200


async def test_a_host_that_was_killed_or_removed_behind_our_back_is_explained(docker):
    executor = docker.make()
    host = await launched(executor, requested(do="sleep 60"))
    with docker.client() as client:
        client.kill(host.ref)
    docker.wait(host)
    account = await executor.trouble(provisioned(host))
    assert "the container was killed, or the engine was restarted" in account
    assert "Its own log:  empty" in account
    with docker.client() as client:
        client.remove_container(host.ref)
    account = await executor.trouble(provisioned(host))
    assert account.startswith("The host of this job was removed by someone else.\n")
    with pytest.raises(Rejected):
        await executor.launch(requested(), host)


async def test_an_entry_point_that_cannot_be_started_is_rejected_at_once(docker):
    executor = docker.make(heptapod_runner_main_image=docker.engine.base)
    host = await executor.provision(requested())
    with pytest.raises(Rejected, match="gitlab-runner"):
        await executor.launch(requested(), host)


async def test_a_socket_that_is_missing_on_the_engines_machine_is_rejected(docker):
    with pytest.raises(Rejected, match=r"/nowhere/docker\.sock"):
        await docker.make(docker_socket="/nowhere/docker.sock").provision(requested())


async def test_the_hosts_log_tells_what_its_job_used_as_long_as_there_is_a_host(docker):
    use = Use(memory_bytes=2**28, cpu_seconds=12.5, wall_seconds=10.0)
    wanted = requested(do=f"echo building; echo '{as_line(use)}'")
    executor = docker.make()
    host = await launched(executor, wanted)
    docker.wait(host)
    assert await use_of(executor, provisioned(host)) == use
    await executor.decommission(removal(wanted.host_name, host, search=False))
    assert await use_of(executor, provisioned(host)) is None
