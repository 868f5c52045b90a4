"""A runner at the coordinator and its section in the file: both or none, whatever happens in between."""

import asyncio
import signal

import pytest

from paas_runner.sandbox.faults import Answer, Delay, DropAfter, DropBefore, Garbage

pytestmark = pytest.mark.long

RUNNERS = "/api/v4/runners"
NOTHING = ([], [])


def second_post(world, fault):
    """Spoil the registration itself, which comes after a first request that tries the token."""
    faults = world.sandbox.coordinator_faults
    faults.add(Delay(0), method="POST", path=RUNNERS, times=1)
    return faults.add(fault, method="POST", path=RUNNERS)


async def begun(world, rule, *arguments):
    """The program, once the coordinator has its request for a new runner."""
    process = await world.start(world.config, *arguments, **world.clever)
    async with asyncio.timeout(60):
        while not rule.applied:
            await asyncio.sleep(0.01)
    return process


async def ended(process):
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode, out.decode() + err.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_while_the_coordinator_registers_undoes_it(world, number):
    process = await begun(world, second_post(world, Delay(0.5)))
    process.send_signal(number)
    code, result = await ended(process)
    assert code == 1
    assert "the runner was unregistered again" in result
    assert "given up: nothing was changed" in result
    assert not world.config.exists()
    assert world.left_over() == NOTHING


@pytest.mark.parametrize("apart", [False, True])
async def test_a_file_that_cannot_be_written_any_more_undoes_the_registration(world, apart):
    secrets = world.folder / "secrets.toml"
    arguments = ["--secrets-file", secrets] if apart else []
    process = await begun(world, second_post(world, Delay(0.3)), *arguments)
    world.config.mkdir()
    code, result = await ended(process)
    assert code == 1
    assert "config.toml cannot be written: Is a directory" in result
    assert "the runner was unregistered again" in result
    assert world.left_over() == NOTHING


async def test_secrets_that_were_there_are_put_back(world):
    secrets = world.folder / "secrets.toml"
    secrets.touch(mode=0o600)
    secrets.write_text('mine = "as it was"\n')
    process = await begun(world, second_post(world, Delay(0.3)), "--secrets-file", secrets)
    world.config.mkdir()
    assert (await ended(process))[0] == 1
    assert secrets.read_text() == 'mine = "as it was"\n'
    assert not world.runners


async def test_a_token_with_which_nothing_can_be_served_is_not_written(world):
    second_post(world, Answer(201, body=b'{"id": 7, "token": "x"}'))
    result = await world.register()
    assert result.code == 1
    assert "no runner token; copy all of it" in result.err
    assert "remove #7" in result.err
    assert not world.config.exists()
    assert world.left_over() == NOTHING


async def test_a_lost_answer_says_where_to_look(world):
    second_post(world, DropAfter())
    result = await world.register()
    assert result.code == 1
    assert "it is not known whether it has made a runner" in result.err
    assert 'Look there for "made by a script"' in result.err
    assert not world.config.exists()


async def test_an_answer_that_means_nothing_says_where_to_look(world):
    second_post(world, Garbage())
    result = await world.register()
    assert result.code == 1
    assert "the answer has no token in it" in result.err
    assert "it is not known whether" in result.err


async def test_a_runner_that_cannot_be_removed_again_is_named(world):
    world.sandbox.coordinator_faults.add(DropBefore(), method="DELETE", path=RUNNERS)
    process = await begun(world, second_post(world, Delay(0.3)))
    world.config.mkdir()
    code, result = await ended(process)
    [runner] = world.runners.values()
    assert code == 1
    assert "The runner was registered and cannot be removed again" in result
    assert f'remove #{runner.runner_id}, "made by a script", there' in result


async def test_registrations_side_by_side_all_get_their_section(world):
    result = await asyncio.gather(*(world.register(RUNNER_NAME=f"number {n}") for n in range(4)))
    assert [each.code for each in result] == [0] * 4, result
    text = world.config.read_text()
    assert all(runner.token.reveal() in text for runner in world.runners.values())
    assert len(world.runners) == 4
    assert world.left_over()[0] == []
