"""The promises of a place that runs containers, wherever that is."""

import time

import pytest

from paas_runner.container import Ended
from paas_runner.errors import Rejected
from tests.places.conftest import SECOND

MEBIBYTE = 1024 * 1024


async def test_a_container_says_all_again_and_again_and_its_code(where):
    await where.started("echo one; echo; echo three; exit 3")
    assert await where.all_lines() == [b"one", b"", b"three"]
    assert await where.all_lines() == [b"one", b"", b"three"]
    assert await where.place.wait(where.name) == Ended(code=3)
    assert await where.place.wait(where.name, 60 * SECOND) == Ended(code=3)
    await where.place.remove(where.name)
    assert not where.left()


async def test_its_environment_is_its_own(where):
    await where.started('printf "%s\\n" "$A" "$B"', env={"A": "one\ntwo", "B": "$HOME é"})
    assert await where.all_lines() == [b"one", b"two", "$HOME é".encode()]


async def test_lines_have_any_size_and_number(where):
    long = f'print("x" * {MEBIBYTE}); print("y" * {MEBIBYTE + 1}); print("z" * 40_000)'
    await where.started(f"python3 -c '{long}'; seq 5000; printf end")
    lines = await where.all_lines()
    assert lines[:3] == [b"x" * MEBIBYTE, b"y" * MEBIBYTE, b"z" * 40_000]
    assert lines[3:] == [*(b"%d" % n for n in range(1, 5001)), b"end"]


async def test_each_verb_twice_is_as_once(where):
    wanted, place = where.wanted("echo once"), where.place
    for verb in (place.prepare, place.create):
        await verb(wanted)
        await verb(wanted)
    await place.start(where.name)
    await place.start(where.name)
    assert await place.wait(where.name) == await place.wait(where.name) == Ended(code=0)
    await place.prepare(wanted)
    await place.create(wanted)
    await place.start(where.name)
    assert await where.all_lines() == [b"once"]
    for _ in "ab":
        await place.remove(where.name)
    assert not where.left()
    await place.stop(where.name, SECOND)


async def test_another_process_goes_on_after_each_verb(where, tmp_path):
    wanted = where.wanted("echo begun; sleep 0.3; echo ended; exit 4")
    verbs = (
        lambda: where.place.prepare(wanted),
        lambda: where.place.create(wanted),
        lambda: where.place.start(where.name),
        where.first_line,
        where.all_lines,
        lambda: where.place.wait(where.name, 60 * SECOND),
    )
    for number in range(1, len(verbs) + 1):
        for verb in verbs[:number]:
            found = await verb()
        where.restart()
    assert found == Ended(code=4)
    assert await where.all_lines() == [b"begun", b"ended"]
    where.restart()
    await where.place.remove(where.name)
    assert not where.left()


async def test_the_limit_counts_from_the_start_whoever_asks(where):
    await where.started("echo here; sleep 600")
    await where.first_line()
    began = time.monotonic()
    assert await where.place.wait(where.name, 2 * SECOND) is None
    assert time.monotonic() - began < 20
    where.restart()
    assert await where.place.wait(where.name, 2 * SECOND) is None
    assert time.monotonic() - began < 30


async def test_who_ended_after_the_limit_has_not_ended_in_time(where):
    await where.started("sleep 2.2")
    assert await where.place.wait(where.name) == Ended(code=0)
    assert await where.place.wait(where.name, 0.5 * SECOND) is None
    assert await where.place.wait(where.name, 5 * SECOND) == Ended(code=0)


async def test_who_heeds_a_stop_says_its_last_words(where):
    await where.started("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done")
    lines = where.place.lines(where.name)
    assert (await anext(lines)).text == b"ready"
    await where.place.stop(where.name, 30 * SECOND)
    assert [each.text async for each in lines] == [b"bye"]
    assert (await where.place.wait(where.name)).code > 0


async def test_who_ignores_a_stop_is_killed_after_the_grace(where):
    await where.started("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    lines = where.place.lines(where.name)
    await anext(lines)
    began = time.monotonic()
    await where.place.stop(where.name, SECOND)
    assert [each async for each in lines] == []
    ended = await where.place.wait(where.name)
    assert 0.8 < time.monotonic() - began < 60
    assert ended.code > 0
    assert ended.cause


async def test_nothing_is_left_of_one_that_runs(where):
    await where.started("echo here; sleep 600")
    await where.first_line()
    await where.place.remove(where.name)
    assert not where.left()


async def test_nothing_is_left_of_one_that_was_not_started(where):
    await where.place.create(where.wanted())
    await where.place.remove(where.name)
    assert not where.left()


async def test_one_of_others_is_not_taken(where):
    await where.occupy(where.name)
    with pytest.raises(Rejected, match="that we have not made"):
        await where.place.create(where.wanted())


async def test_there_is_no_end_of_what_is_not_there(where):
    with pytest.raises(Rejected):
        await where.place.wait(where.name)
    with pytest.raises(Rejected):
        await where.all_lines()


async def test_an_image_that_cannot_be_had_is_rejected_before_long(where):
    async def waited():
        await where.started("", image="paas-runner-test/absent")
        await where.place.wait(where.name)

    with pytest.raises(Rejected):
        await waited()
    await where.place.remove(where.name)
    assert not where.left()


@pytest.mark.parametrize("wrong", [{"name": "a name"}, {"environment": {"A=B": ""}}])
async def test_what_no_place_would_take_is_told_before_anything_exists(where, wrong):
    with pytest.raises(Rejected):
        await where.place.prepare(where.wanted(**wrong))
    assert not where.left()
