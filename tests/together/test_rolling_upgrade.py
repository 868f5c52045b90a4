"""Two versions of the program side by side on one database: the way up, and the way back."""

import shutil
import sys
import time
from functools import partial
from pathlib import Path

import pytest

import executors
import paas_runner
from paas_runner import __version__
from tests.support.postgres.server import folder_of_programs
from tests.together.world import until, world

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(300)]

NEXT = "99.0.0"
MIGRATIONS = "MIGRATIONS: Sequence[Migration] = (Migration(sql=FIRST),"
ADDED = "ALTER TABLE job ADD COLUMN colour text NOT NULL DEFAULT 'none'; CREATE TABLE more (number bigint)"
HANDED_OVER_SECONDS = 5.0


@pytest.fixture
def next_version(tmp_path):
    """The command of a version that has one more migration, which adds something to what is there."""
    folder = tmp_path / "next"
    for package in (paas_runner, executors):
        source = Path(package.__file__).parent
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    init = folder / "paas_runner/__init__.py"
    init.write_text(init.read_text().replace(f'"{__version__}"', f'"{NEXT}"'))
    schema = folder / "paas_runner/store/postgres/schema.py"
    text = schema.read_text()
    assert MIGRATIONS in text
    schema.write_text(text.replace(MIGRATIONS, f'{MIGRATIONS} Migration(sql="{ADDED}"),'))
    return ["env", f"PYTHONPATH={folder}", sys.executable, "-P", "-m", "paas_runner", "run"]


def versions(world):
    """Of the members, by name, as the database has them."""
    rows = world.server.sql("SELECT name, version FROM paas_runner.member WHERE until > clock_timestamp()")
    return dict(rows)


def is_told(world, name, version):
    return versions(world).get(name) == version


async def replaced(world, name, command):
    """One process goes, orderly, and comes back as another version; how long its sections were free."""
    member = world.members[name]
    held, begun = set(member.held), time.monotonic()
    assert await member.stop() == 0, member.end_of_log
    await world.until_all_held()
    taken = [
        said.at
        for other in world.running
        for said in other.lines("section_taken", begun)
        if said.event["runner"] in held
    ]
    member.command = command
    await member.start()
    await member.until_said("started", begun)
    return max(taken, default=begun) - begun


async def test_one_process_after_the_other_becomes_another_version_and_back_while_jobs_flow(
    tmp_path, next_version
):
    folder_of_programs()
    async with world(tmp_path) as made:
        made.add("a", "b")
        await made.start("a", "b")
        await made.until_all_held()
        async with made.flowing():
            for command, version in ((next_version, NEXT), (None, __version__)):
                waits = [member.name for member in made.running if not member.held]
                works = [member.name for member in made.running if member.held]
                for name in (*waits, *works):
                    assert await replaced(made, name, command) <= HANDED_OVER_SECONDS
                    told = partial(is_told, made, name, version)
                    await until(told, 10, f"{name} is a member as {version}")
                await made.until_more_end(10)
                assert set(versions(made).values()) == {version}
        assert made.server.sql("SELECT number FROM paas_runner.version") == [(2,)]
        await made.settled()
        await made.stop()
        made.judge()
