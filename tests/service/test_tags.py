"""One registration, many sizes: whole jobs whose hosts are chosen by a tag."""

import asyncio

from paas_runner.job.variables import Variable
from tests.support.live_records import added

TABLES = """
  cc_max_flavor = "L"
  [runners.tags.big]
    flavor = "L"
    zones = ["rbx", "par"]
    image = "inner/runner:big"
  [runners.tags.huge]
    flavor = "3XL"
"""


def watched(world):
    """Zone and first line of the Dockerfile of all hosts that are started from now on, one at a time."""
    platform, seen = world.cloud._platform, []
    program = platform.program

    async def noting(host):
        [application] = world.cloud.applications(world.organisation)
        seen.append((application.definition.fields["zone"], host.files["Dockerfile"].split(b"\n")[0]))
        return await program(host)

    platform.program = noting
    return seen


def test_a_tag_decides_about_flavor_zone_and_image_of_its_jobs_hosts_alone(play):
    async def story(world):
        world.runner = added(world.gitlab, description="virtual", tags=("docker", "big", "huge"))
        started = watched(world)
        async with world.service():
            for name, tags, variables in [
                ("plain", ("docker",), ()),
                ("tagged", ("docker", "big", "huge"), ()),
                ("asking", ("big",), (Variable(key="CI_CLEVER_CLOUD_FLAVOR", value="XS"),)),
            ]:
                job = world.submit("sleep 30", name=name, tags=tags, variables=variables)
                await world.settled(job)
                assert job.status == "success"
            failed = world.submit(tags=("huge",))
            await world.settled(failed)
        assert (failed.status, failed.failure_reason) == ("failed", "runner_system_failure")
        assert b'"3XL", which this runner has for jobs with the tag "huge", is larger' in failed.trace
        created = world.cloud.ledger.created
        assert [entry.flavor.removeprefix("heptapod-runner-") for entry in created] == ["M", "L", "XS"]
        assert [charge.flavor for charge in world.store.charges] == ["M", "L", "XS"]
        assert [zone for zone, _ in started] == ["par", "rbx", "rbx"]
        assert [image.rpartition(b":")[2] for _, image in started] == [b"0.7.0", b"big", b"big"]

    play(story, runner=TABLES)


def test_a_table_that_a_reload_brings_holds_for_the_jobs_after_it(operate):
    async def story(world):
        world.runners["virtual"] = world.runner = added(world.gitlab, description="v", tags=("big",))
        world.write()
        async with world.service():
            earlier = world.submit("sleep 300", name="earlier", tags=("big",))
            await asyncio.sleep(60)
            world.write(more='[runners.tags.big]\nflavor = "XL"')
            assert (await world.reload())["changes"] == ['runner "virtual": tags.big: added']
            later = world.submit("sleep 30", name="later", tags=("big",))
            await world.settled(earlier, later)
        assert (earlier.status, later.status) == ("success", "success")
        flavors = [entry.flavor.removeprefix("heptapod-runner-") for entry in world.cloud.ledger.created]
        assert flavors == ["M", "XL"]

    operate(story)
