"""What a job has taken of memory and CPU: by its cgroup, by its containers, or by its processes."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from paas_runner.inner import measuring
from paas_runner.inner.measuring import Group, Reading, Tally, of_container, own_group, sampled
from paas_runner.inner.shell import ProcessShell
from paas_runner.job.use import HOST_VARIABLE, FlavorSize, HostFlavors, Use, flavors_as_text, last_in
from paas_runner.pipelines.states import JobState
from tests.support.hosts import RUNNER_TOML, hosts, script

MIB = 2**20
TAKES_100_MIB = """python3 -c "
import time
x = b'x' * (100 << 20)
while time.process_time() < 0.3: pass
\""""


def cgroup(root: Path, *, current: int = 90, peak: int = 300, cache: int = 40, usec: int = 2_500_000) -> Path:
    """A folder as the kernel shows one of version 2, and this process's membership of it; sizes in MiB."""
    folder = root / "a" / "host"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {
        "memory.current": f"{current * MIB}\n",
        "memory.peak": f"{peak * MIB}\n",
        "memory.stat": f"anon 5\nfile 7\ninactive_anon 3\ninactive_file {cache * MIB}\nactive_file 1\n",
        "cpu.stat": f"usage_usec {usec}\nuser_usec 1\nsystem_usec 1\n",
        "cgroup.procs": f"{os.getpid()}\n",
    }.items():
        (folder / name).write_text(text)
    (root / "membership").write_text("4:memory:/old\n0::/a/host\n")
    return folder


def group_of(root: Path) -> Group | None:
    return own_group(root, root / "membership")


async def read(group: Group | None) -> Reading:
    assert group is not None
    return (await group.read())["host"]


async def test_a_cgroup_of_our_own_says_what_the_host_needs_beside_files_that_could_go(
    tmp_path: Path,
) -> None:
    cgroup(tmp_path)
    assert await read(group_of(tmp_path)) == Reading(
        memory_bytes=50 * MIB, cpu_seconds=2.5, cache_bytes=40 * MIB, peak_bytes=300 * MIB
    )


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("cgroup.procs", "1\n4711\n"),  # others are in it, whose memory would be taken for the job's
        ("memory.peak", None),  # the kernel is too old, or it is the machine's root
        ("../../membership", "4:memory:/old\n"),
        ("../../membership", None),
    ],
)
async def test_a_cgroup_that_is_not_ours_or_cannot_be_read_is_none(
    tmp_path: Path, file: str, text: str | None
) -> None:
    path = (cgroup(tmp_path) / file).resolve()
    path.unlink() if text is None else path.write_text(text)
    assert group_of(tmp_path) is None


async def test_a_containers_first_process_beside_ours_is_no_other(tmp_path: Path) -> None:
    (cgroup(tmp_path) / "cgroup.procs").write_text(f"1\n{os.getpid()}\n")
    assert group_of(tmp_path) is not None


def one(memory: int, cpu: float, **more: int) -> dict[str, Reading]:
    return {"host": Reading(memory_bytes=memory, cpu_seconds=cpu, **more)}


def test_memory_between_two_looks_is_known_by_the_peak_without_what_was_cache() -> None:
    tally = Tally()
    tally.add(one(100, 1.0, cache_bytes=50, peak_bytes=150))
    tally.add(one(100, 2.0, cache_bytes=30, peak_bytes=800))
    assert tally.use(4.0) == Use(memory_bytes=750, cpu_seconds=2.0, wall_seconds=4.0)


def test_the_memory_of_containers_at_one_moment_is_added_up_and_a_restart_loses_no_cpu() -> None:
    tally = Tally()
    for build, service in [(100, 50), (200, 60), (10, 300), (1, 1)]:
        tally.add(
            {
                "build": Reading(memory_bytes=build, cpu_seconds=build / 100),
                "service": Reading(memory_bytes=service, cpu_seconds=service / 100),
            }
        )
    found = tally.use(1.0)
    assert found is not None
    assert found.memory_bytes == 310
    assert found.cpu_seconds == pytest.approx(2.0 + 0.1 + 0.01 + 3.0 + 0.01)


def test_what_was_hardly_looked_at_says_nothing() -> None:
    tally = Tally()
    tally.add({"build": Reading(memory_bytes=100, cpu_seconds=1.0)})
    tally.add({"build": Reading(memory_bytes=0, cpu_seconds=0.0)})
    assert tally.use(1.0) is None


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ({"usage": 500, "stats": {"inactive_file": 100}}, 400),
        ({"usage": 500, "stats": {"total_inactive_file": 200, "inactive_file": 100}}, 300),
        ({"usage": 500}, 500),
        ({}, 0),  # of a container that does not run
    ],
)
def test_an_engines_figures_are_read_as_docker_stats_reads_them(memory: Any, expected: int) -> None:
    figures = {"memory_stats": memory, "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}}}
    assert of_container(figures) == Reading(memory_bytes=expected, cpu_seconds=1.5)


async def test_a_job_goes_on_when_it_cannot_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "LAST_SECONDS", 0.05)

    async def broken() -> Any:
        raise OSError("no cgroup any more")

    async def hanging() -> Any:
        await asyncio.Event().wait()

    for way in (broken, hanging):
        tally = Tally()
        async with sampled(tally, way):
            await asyncio.sleep(0)
        assert tally.use(1.0) is None


async def test_a_job_says_what_its_processes_took_before_its_end_is_reported() -> None:
    said: list[str] = []
    world = hosts()
    shell = lambda _section: ProcessShell(group=None)  # noqa: E731 - on any machine

    def say(line: str) -> None:
        assert not world.wire.final_puts()
        said.append(line)

    job = await world.ran(script(TAKES_100_MIB, "exit 3"), shell=shell, say=say)
    found = last_in(said)
    assert (job.status, len(said)) == (JobState.FAILED, 1)
    assert found is not None
    assert 100 * MIB <= found.memory_bytes < 200 * MIB
    assert 0.3 <= found.cpu_seconds < 5
    assert found.wall_seconds >= 0.3
    assert said[0] not in job.trace.decode()


async def test_jobs_beside_each_other_are_measured_apart() -> None:
    said: dict[str, list[str]] = {"large": [], "small": []}
    world = hosts()
    jobs = {"large": script(TAKES_100_MIB), "small": script("true")}
    handed = {name: world.handed_out(spec)[1] for name, spec in jobs.items()}
    await asyncio.gather(
        *(
            world.inner(shell=lambda _: ProcessShell(group=None), say=said[name].append).run(
                RUNNER_TOML, text
            )
            for name, text in handed.items()
        )
    )
    large, small = (last_in(said[name]) for name in ("large", "small"))
    assert large is not None
    assert small is not None
    assert small.memory_bytes < 50 * MIB < large.memory_bytes


async def test_a_real_cgroup_has_what_the_job_took() -> None:
    group = own_group()
    if group is None:
        pytest.skip("no cgroup of version 2 of this process alone, with its memory: in a container there is")
    said: list[str] = []
    await hosts().ran(script(TAKES_100_MIB), say=said.append)
    found = last_in(said)
    assert found is not None
    assert found.memory_bytes >= 100 * MIB


FAR_TOO_LARGE = flavors_as_text(
    HostFlavors(
        variable="CI_CLEVER_CLOUD_FLAVOR",
        own=FlavorSize(name="XL", memory_bytes=2**35),
        smaller=[FlavorSize(name="S", memory_bytes=2**31)],
    )
)


async def test_the_author_reads_at_the_end_that_a_much_smaller_host_would_do() -> None:
    environment = {HOST_VARIABLE: FAR_TOO_LARGE}
    job = await hosts().ran(script("true"), environment=environment, say=lambda _line: None)
    *_, hint, last = job.trace.decode().splitlines()
    assert "of its host's 32 GiB of memory" in hint
    assert hint.endswith("A smaller host costs less: CI_CLEVER_CLOUD_FLAVOR=S would do.")
    assert "Job succeeded" in last


async def test_a_job_that_failed_might_have_used_more() -> None:
    environment = {HOST_VARIABLE: FAR_TOO_LARGE}
    job = await hosts().ran(script("false"), environment=environment, say=lambda _line: None)
    assert "smaller host" not in job.trace.decode()


@pytest.mark.parametrize("environment", [{}, {HOST_VARIABLE: "no JSON"}])
async def test_where_nothing_is_known_of_other_flavors_the_author_reads_nothing(
    environment: dict[str, str],
) -> None:
    job = await hosts().ran(script("true"), environment=environment, say=lambda _line: None)
    assert "smaller host" not in job.trace.decode()
