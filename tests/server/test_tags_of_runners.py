"""Which runner gets which job: by tags, as in GitLab."""

import pytest

from paas_runner.pipelines.options import Matching
from paas_runner.pipelines.spec import JobSpec

SPECS = {
    "docker": JobSpec(name="j", tags=("docker",)),
    "both": JobSpec(name="j", tags=("docker", "gpu")),
    "none": JobSpec(name="j"),
    "one": JobSpec(name="j", tags=("one",)),
}


@pytest.mark.parametrize(
    ("wanted", "matching", "status"),
    [
        ("docker", Matching.TAGS, 201),
        ("both", Matching.TAGS, 204),
        ("none", Matching.TAGS, 201),
        ("one", Matching.TAGS, 204),  # that is its description
        ("one", Matching.TAGS_AND_DESCRIPTION, 201),
        ("both", Matching.TAGS_AND_DESCRIPTION, 204),
    ],
)
async def test_a_job_is_for_runners_that_have_all_of_its_tags(make_world, wanted, matching, status):
    world = make_world(matching=matching)
    world.coordinator.submit_job(SPECS[wanted])
    assert (await world.poll()).status_code == status


async def test_a_job_without_tags_is_for_runners_that_run_such(make_world):
    world = make_world()
    given = {"token": "GR1348941-register", "tag_list": "docker", "run_untagged": False}
    picky = (await world.http.post("/api/v4/runners", json=given)).json()["token"]
    world.coordinator.submit_job(SPECS["none"])
    world.coordinator.submit_job(SPECS["docker"])
    answer = await world.http.post("/api/v4/jobs/request", json={"token": picky})
    assert answer.json()["id"] == 2
    assert (await world.poll()).json()["id"] == 1


async def test_a_job_that_nobody_suits_hides_none_behind_it(world):
    world.coordinator.submit_job(SPECS["both"])
    world.coordinator.submit_job(SPECS["docker"])
    assert (await world.poll()).json()["id"] == 2


async def test_a_piece_of_a_trace_has_a_bound_before_it_is_read(world):
    world.coordinator.submit_job(SPECS["none"])
    job = (await world.poll()).json()
    assert (await world.patch(job, "0-1", b"x" * (17 * 1024 * 1024))).status_code == 413
