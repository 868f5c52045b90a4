"""What is particular about containers on a Docker engine; tests/places has what holds everywhere."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from executors.local_docker.expiry import overdue_hosts, remove_host
from paas_runner.container import Ended
from paas_runner.docker.output import MOST_LINE_BYTES
from paas_runner.errors import Rejected
from tests.docker.conftest import ERR, SECOND, line


async def test_an_image_that_is_there_is_known_with_its_environment(world):
    image = await world.place.prepare(world.wanted())
    assert image.environment["GREETING"] == "hello"
    assert image.environment["NAMED"] == "a b"


async def test_a_container_says_all_and_its_code(world):
    name = await world.started("echo one; echo two >&2; printf three; exit 3")
    lines = [each async for each in world.place.lines(name)]
    assert sorted(lines, key=str) == sorted([line("one"), line("two", ERR), line("three")], key=str)
    assert [each async for each in world.place.lines(name)] == lines
    assert await world.place.wait(name) == Ended(code=3)
    await world.place.remove(name)
    assert not world.left()


async def test_lines_have_any_size_and_number(world):
    long = MOST_LINE_BYTES
    do = f"""python3 -c 'import sys
print("x" * {long}); print("y" * {long + 1}); print(); print("é")
for n in range(100_000): print(n)
sys.stdout.write("z" * 40_000)'"""
    began = time.monotonic()
    lines, _ = await world.ran(do)
    assert lines[:4] == [b"x" * long, b"y" * long, b"", "é".encode()]
    assert lines[4:-1] == [b"%d" % n for n in range(100_000)]
    assert lines[-1] == b"z" * 40_000
    assert time.monotonic() - began < 90


@pytest.mark.parametrize("size", [0, 10, 150_000, 3_000_000])
async def test_what_a_container_reads_ends_with_its_data(world, size):
    data = b"0123456789" * (size // 10)
    assert await world.ran("wc -c", data, takes_input=True) == ([b"%d" % size], 0)


async def test_a_container_without_its_data_reads_an_end(world):
    assert await world.ran("wc -c", takes_input=True) == ([b"0"], 0)


async def test_a_container_that_never_reads_holds_nobody_up(world):
    data = b"x" * 3_000_000
    began = time.monotonic()
    name = await world.started("echo here; sleep 600", data, takes_input=True)
    async for each in world.place.lines(name):
        assert each == line("here")
        break
    assert await world.place.wait(name, SECOND) is None
    await world.place.remove(name)
    assert time.monotonic() - began < 60


async def test_what_cannot_be_started_has_ended(world, engine):
    image = engine.build("paas-runner-test/no-command", f'FROM {engine.base}\nENTRYPOINT ["/nothing"]\n')
    name = await world.started("", image=image)
    await world.place.start(name)
    ended = await world.place.wait(name)
    assert ended.code == 127
    assert "could not be started" in ended.cause
    assert "/nothing" in ended.cause
    assert [each async for each in world.place.lines(name)] == []
    await world.place.remove(name)
    assert not world.left()


async def test_a_container_that_was_not_started_has_no_end(world):
    wanted = world.wanted()
    await world.place.create(wanted)
    with pytest.raises(Rejected, match="was not started"):
        await world.place.wait(wanted.name)
    with pytest.raises(Rejected, match="was not started"):
        await anext(world.place.lines(wanted.name))


async def test_volumes_are_those_of_docker_run(world, tmp_path):
    (tmp_path / "file").write_text("from outside")
    do = "cat /in/file; echo; touch /in/other 2>/dev/null || echo no; touch /named/x /anonymous/x && echo yes"
    volumes = (f"{tmp_path}:/in:ro", f"{world.id}:/named", "/anonymous")
    try:
        lines, _ = await world.ran(do, volumes=volumes)
        assert lines == [b"from outside", b"no", b"yes"]
        volumes_left = {name for kind, name in world.engine.everything() if kind == "volume"}
        assert world.id in volumes_left
    finally:
        with world.engine.client() as client:
            client.remove_volume(world.id)


async def test_a_container_goes_with_its_volumes_that_have_no_name(world):
    name = await world.started("touch /scratch/x; sleep 600")
    [mount] = world.inspect(name)["Mounts"]
    assert ("volume", mount["Name"]) in world.engine.everything()
    await world.place.remove(name)
    assert ("volume", mount["Name"]) not in world.engine.everything()


async def test_a_container_of_others_is_neither_taken_nor_removed_by_create(world):
    wanted = world.wanted()
    with world.engine.client() as client:
        other = client.create_container(world.image, name=wanted.name, labels={"paas-runner.owner": world.id})
    with pytest.raises(Rejected, match="that we have not made"):
        await world.place.create(wanted)
    assert world.inspect(wanted.name)["Id"] == other["Id"]


async def test_an_image_that_cannot_be_had_is_rejected(world):
    with pytest.raises(Rejected, match="by the policy `never`"):
        await world.place.prepare(world.wanted(image="paas-runner-test/absent:1"))


@pytest.mark.parametrize("image", ["../containers/x", "Big:1", "a b", "", "x?y=z"])
async def test_what_is_no_image_is_asked_of_nobody(world, image):
    with pytest.raises(Rejected, match=f"prepare {world.id}-one: .* is no image name: "):
        await world.place.prepare(world.wanted(image=image))


async def test_an_end_that_nobody_brings_is_written_on_it(world):
    own = {"paas-runner.installation": world.id}
    name = await world.started("sleep 600", ends_after=timedelta(hours=1), labels=own)
    with world.engine.client() as client:
        now = datetime.now(UTC)
        assert not overdue_hosts(client, world.id, now + timedelta(minutes=59))
        [found] = overdue_hosts(client, world.id, now + timedelta(minutes=61))
        assert found.name == name
        assert not remove_host(client, world.id, found.name, rounds=5)
    assert not world.left()
