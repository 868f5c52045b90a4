"""The judge of audits that several processes share finds what it is there for."""

from types import SimpleNamespace

import pytest

from paas_runner.testing.virtual_time import run_virtual
from tests.simulation.audited import judge_acted
from tests.simulation.audited_pairs import AuditedPairs
from tests.simulation.simulate import AUDITED_PAIRS
from tests.simulation.world import STORM_SECONDS, Violation

BLIND = AUDITED_PAIRS + 4


def told(folder, story, seed=BLIND):
    """The story of a world without a service."""

    async def main():
        world = AuditedPairs(folder, seed)
        try:
            story(world)
        finally:
            await world.aclose()

    run_virtual(main())


def test_an_act_on_a_job_of_which_there_is_a_record_is_found(tmp_path):
    def story(world):
        world.note_act(1, "cancel")
        assert not world._accusations
        world.recorded |= {1, 2}  # too late: the process that had it was frozen
        world.note_act(1, "retry")
        assert not world._accusations
        world.note_act(2, "cancel")
        [accusation] = world._accusations
        assert "cancel of job 2, of which there was a record" in accusation

    told(tmp_path, story)


@pytest.mark.parametrize(
    ("status", "retried_as", "lost", "words"),
    [("canceled", 2, False, "was no lost one"), ("canceled", None, True, "is not retried")],
)
def test_what_the_audit_has_done_wrong_is_found(tmp_path, status, retried_as, lost, words):
    def story(world):
        job = SimpleNamespace(job_id=1, status=status, retried_as=retried_as)
        judge_acted(world, job, lost=lost)
        world.note_act(1, "cancel")
        with pytest.raises(Violation, match=words):
            judge_acted(world, job, lost=lost)

    told(tmp_path, story)


def test_a_member_without_a_quota_cannot_ask_the_cloud_before_the_calm(tmp_path):
    def story(world):
        way = world.blind.name, "cloud"
        assert world.is_down(way)
        others = [each for each in world.members if each is not world.blind]
        assert not any(world.is_down((each.name, "cloud")) for each in others)
        assert len(world._sections) >= 3
        world.seconds = lambda: STORM_SECONDS
        assert not world.is_down(way)

    told(tmp_path, story)
