"""The verbs: one job at a time, once, cleaned up after; also over restarts (rows H133 to H136)."""

import asyncio
import errno

import attrs
import pytest

from paas_runner.helper.book import Book, BookError
from paas_runner.helper.protocol import JobKey, JobStatus
from paas_runner.helper.service import NOT_STARTED, Forgotten, Reason, RefusedError
from paas_runner.helper.slot import LOST
from tests.helper.conftest import CONTAINERS, launch, settled

JOB = JobKey("r", 7)
GONE = Forgotten(was_known=True, done=True)


async def test_a_job_is_launched_ends_and_is_forgotten_and_the_next_one_may_come(world):
    async with world.alive() as service:
        assert await service.can_take_job()
        await service.launch(launch())
        assert not await service.can_take_job()
        assert service.status(JOB) == JobStatus(running=True)
        world.host.child.ended.set_result(3)
        await settled()
        assert service.status(JOB) == JobStatus(running=False, exit_code=3)
        assert not await service.can_take_job()
        assert await service.forget(JOB) == GONE
        assert await service.can_take_job()
        await service.launch(launch(8))
        assert world.host.begun == [7, 8]


async def test_a_job_that_is_there_is_not_started_again(world):
    async with world.alive() as service:
        await asyncio.gather(*(service.launch(launch()) for _ in range(5)))
        world.host.child.ended.set_result(0)
        await settled()
        await service.launch(launch())
        assert world.host.begun == [7]


async def test_another_job_is_refused_while_one_is_there(world):
    async with world.alive() as service:
        await service.launch(launch())
        assert await refusal(service.launch(launch(8))) is Reason.NOT_NOW
        assert await refusal(service.launch(launch(7, runner="other"))) is Reason.NOT_NOW


async def test_a_request_that_comes_after_all_does_not_run_a_forgotten_job_again(world):
    async with world.alive() as service:
        await service.launch(launch())
        world.host.child.ended.set_result(0)
        await settled()
        await service.forget(JOB)
        assert await refusal(service.launch(launch())) is Reason.BEFORE
        assert world.host.begun == [7]


async def test_a_job_that_is_meant_for_another_host_is_refused(world):
    async with world.alive() as service:
        assert await refusal(service.launch(launch(), "f" * 32)) is Reason.OTHER_INSTANCE
        await service.launch(launch(), service.instance)
        assert await refusal(service.launch(launch(), "f" * 32)) is Reason.OTHER_INSTANCE


async def test_a_job_that_runs_is_ended_before_it_is_forgotten(world):
    async with world.alive() as service:
        await service.launch(launch())
        assert await service.forget(JOB) == GONE
        assert world.host.child.asked_to_end
        assert world.host.cleaned == 1


async def test_who_forgets_waits_for_the_cleaning_and_may_ask_again(world):
    world.options = {"forget_seconds": 0.01}
    async with world.alive() as service:
        await service.launch(launch())
        world.host.cleaning.clear()
        assert await service.forget(JOB) == Forgotten(was_known=True, done=False)
        assert await refusal(service.launch(launch(8))) is Reason.NOT_NOW
        with pytest.raises(RefusedError, match="job 7 of runner r is not here"):
            service.status(JOB)
        world.host.cleaning.set()
        assert await service.forget(JOB) == Forgotten(was_known=False, done=True)
        assert await service.can_take_job()


async def test_an_unknown_job_has_no_status_and_is_forgotten_at_once(world):
    async with world.alive() as service:
        with pytest.raises(RefusedError) as refused:
            service.status(JOB)
        assert refused.value.reason is Reason.UNKNOWN
        assert await service.forget(JOB) == Forgotten(was_known=False, done=True)


async def test_what_cannot_be_removed_ends_the_taking_of_jobs_for_ever(world):
    async with world.alive() as service:
        await service.launch(launch())
        world.host.left = "volume x"
        await service.forget(JOB)
        assert not service.clean
        assert not await service.can_take_job()
        assert await refusal(service.launch(launch(8))) is Reason.NOT_NOW
    world.host.left = ""
    async with world.alive() as service:
        assert not service.clean
    assert "no more jobs are taken here: volume x" in world.said


@pytest.mark.parametrize("killed", [False, True])
async def test_a_job_that_has_filled_the_disk_ends_neither_the_service_nor_the_taking_of_jobs(
    world, monkeypatch, killed
):
    """Its files are there until it is forgotten; nothing can be written down before."""
    full, on_disk = [], Book.write

    def write(book, slot):
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        on_disk(book, slot)

    monkeypatch.setattr(Book, "write", write)
    async with world.alive() as service:
        await service.launch(launch())
        full.append(True)
        world.host.child.ended.set_result(1)
        await settled()
        assert service.status(JOB).exit_code == 1
        if not killed:
            assert (await service.forget(JOB)).done
            assert await refusal(service.launch(launch(8))) is Reason.BROKEN
            assert await service.can_take_job()
            full.clear()
            await service.launch(launch(8))
    async with world.alive() as service:
        if killed:
            assert service.status(JOB).exit_code == LOST
            assert (await service.forget(JOB)).done
    assert world.host.begun == ([7] if killed else [7, 8])


@pytest.mark.parametrize(
    ("more", "doubt"),
    [
        ('executor = "shell"', 'executor = "shell"'),
        ("", 'executor = "shell"'),
        ('executor = "docker"\nbuilds_dir = "/srv"', "builds_dir"),
        ('executor = "docker"\n[runners.docker]\nprivileged = true', "`privileged`"),
        ('executor = "docker"\n[runners.docker]\nhost = "tcp://other:2375"', "another engine"),
        ('executor = "docker"\n[runners.docker]\nvolumes = ["/cache", "/srv:/srv:ro"]', "`volumes`"),
        ('executor = "docker"\n[runners.docker]\nipcmode = "host"', "`ipcmode`"),
    ],
)
async def test_where_a_job_may_have_left_something_nobody_can_know_and_no_other_is_taken(world, more, doubt):
    config = f'[[runners]]\nurl = "http://c.test"\ntoken = "abc"\n{more}\n'
    async with world.alive() as service:
        await service.launch(launch(config=config))
        await service.forget(JOB)
        assert not service.clean
    assert doubt in world.said[-1]


@pytest.mark.parametrize(
    "more", ["", '[runners.docker]\nvolumes = ["/cache"]\nimage = "a:b"\nprivileged = false']
)
async def test_after_a_job_in_containers_of_its_own_another_may_come(world, more):
    async with world.alive() as service:
        await service.launch(launch(config=CONTAINERS + more))
        await service.forget(JOB)
        assert await service.can_take_job()


async def test_whoever_does_not_mind_may_say_so(world):
    world.options = {"with_doubts": True}
    async with world.alive() as service:
        await service.launch(launch(config=CONTAINERS.replace("docker", "shell")))
        await service.forget(JOB)
        assert await service.can_take_job()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"specification": "{"}, "no job: not JSON"),
        ({"specification": "{}"}, "`id` is no positive number"),
        ({"specification": '{"id": 8, "token": "t"}'}, "that of job 8, `job_id` is 7"),
        ({"specification": '{"id": 7, "token": "\ud800"}'}, "no text in UTF-8"),
        ({"config": "["}, "no TOML"),
        ({"config": "a = " + "[" * 5000}, "no TOML"),
        ({"config": ""}, "exactly one"),
        ({"config": "[[runners]]\n[[runners]]"}, "exactly one"),
        ({"config": "[[runners]]"}, "`url` and `token`"),
    ],
)
async def test_what_makes_no_job_is_refused_with_the_reason_and_leaves_nothing(world, change, complaint):
    async with world.alive() as service:
        with pytest.raises(RefusedError, match=complaint) as refused:
            await service.launch(attrs.evolve(launch(), **change))
        assert refused.value.reason is Reason.UNUSABLE
        assert await service.can_take_job()


async def test_a_job_that_could_not_begin_is_told_and_has_ended(world):
    world.host.refusal = "no space left"
    async with world.alive() as service:
        with pytest.raises(RefusedError, match="no space left") as refused:
            await service.launch(launch())
        assert refused.value.reason is Reason.BROKEN
        assert service.status(JOB) == JobStatus(running=False, exit_code=NOT_STARTED)
        assert await service.forget(JOB) == GONE


async def test_a_host_in_trouble_takes_no_job(world):
    world.host.not_now = "the engine does not answer"
    async with world.alive() as service:
        assert not await service.can_take_job()


async def test_after_a_restart_a_job_that_ran_has_ended_and_is_not_started_again(world):
    async with world.alive() as service:
        before = service.instance
        await service.launch(launch())
        killed = (world.folder / "slot.json").read_text()
    (world.folder / "slot.json").write_text(killed)  # as if it had been killed while the job ran
    async with world.alive() as service:
        assert service.instance == before
        await settled()
        assert world.host.cleaned == 2
        assert service.status(JOB) == JobStatus(running=False, exit_code=LOST)
        await service.launch(launch(), before)
        assert world.host.begun == [7]
        assert await service.forget(JOB) == GONE
    async with world.alive() as service:
        assert await refusal(service.launch(launch())) is Reason.BEFORE


async def test_a_cleaning_that_was_interrupted_goes_on_after_a_restart(world):
    world.options = {"forget_seconds": 0.01}
    async with world.alive() as service:
        await service.launch(launch())
        world.host.cleaning.clear()
        await service.forget(JOB)
        killed = (world.folder / "slot.json").read_text()
        world.host.cleaning.set()
    (world.folder / "slot.json").write_text(killed)
    async with world.alive() as service:
        await settled()
        assert await service.can_take_job()


async def test_a_machine_of_its_own_has_an_id_of_its_own(world, tmp_path):
    with Book.opened(tmp_path / "one") as one, Book.opened(tmp_path / "two") as two:
        assert one.instance != two.instance


async def test_two_services_do_not_work_on_one_machine(world):
    async with world.alive():
        with pytest.raises(BookError, match="another helper service works in"):
            Book.opened(world.folder).__enter__()


@pytest.mark.parametrize("text", ["", "{", "{}", '{"instance": "x"}', "[]"])
def test_a_record_that_cannot_be_read_is_no_beginning(tmp_path, text):
    (tmp_path / "slot.json").write_text(text)
    with pytest.raises(BookError, match="if nothing of a job is left on this machine, remove it"):
        Book.opened(tmp_path).__enter__()


async def refusal(call):
    with pytest.raises(RefusedError) as refused:
        await call
    return refused.value.reason
