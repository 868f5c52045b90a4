"""`paas-runner unregister`, `verify` and `list`, against the sandbox."""

import json
import sys
import tomllib

import pytest

from paas_runner.job.known_runner import short_token
from paas_runner.sandbox.faults import Answer, DropBefore
from paas_runner.store.sqlite import SqliteStore
from tests.support import records
from tests.support.live_records import added

COMMAND = (sys.executable, "-m", "paas_runner")


class Maintenance:
    """A configuration with an old and a new runner, and comments."""

    def __init__(self, world):
        self.world = world
        coordinator = world.sandbox.coordinator
        self.old = added(coordinator, description="old", legacy=True)
        self.new = added(coordinator, description="new")
        self.write()

    def write(self, more=""):
        self.world.config.touch(mode=0o600)
        self.world.config.write_text(
            "# ours\nconcurrent = 2\n"
            + more
            + "".join(
                f"\n# about {runner.description}\n[[runners]]\n"
                f'name = "{runner.description}"\nurl = "{self.world.sandbox.coordinator_url}"\n'
                f'token = "{runner.token.reveal()}"\nexecutor = "clever-docker"\n'
                'cc_orga_id = "orga_1"\ncc_token = "made-up-token"\n'
                for runner in (self.old, self.new)
            )
        )

    async def run(self, command, *arguments, **variables):
        return await self.world.run(command, self.world.config, *arguments, command=COMMAND, **variables)

    @property
    def sections(self):
        document = tomllib.loads(self.world.config.read_text())
        return [section["name"] for section in document.get("runners", [])]


@pytest.fixture
def at_work(world):
    return Maintenance(world)


async def test_a_runner_is_removed_there_and_here_and_comments_stay(at_work):
    result = await at_work.run("unregister", "--name", "old")
    assert result.code == 0, result
    assert "old" not in at_work.world.runners
    assert at_work.sections == ["new"]
    text = at_work.world.config.read_text()
    assert text.startswith("# ours\nconcurrent = 2\n")
    assert "# about new\n[[runners]]" in text


async def test_a_runner_that_was_created_there_only_loses_this_machine(at_work):
    machine = "s_0123456789ab"
    (at_work.world.folder / ".runner_system_id").write_text(machine)  # a container has no /etc/machine-id
    assert (await at_work.run("verify")).code == 0
    assert machine in at_work.new.managers
    result = await at_work.run("unregister", "--name", "new")
    assert result.code == 0, result
    assert machine not in at_work.new.managers
    assert "new" in at_work.world.runners
    assert at_work.sections == ["old"]


async def test_all_runners_go_and_the_file_says_that_it_has_none(at_work):
    result = await at_work.run("unregister", "--all-runners")
    assert result.code == 0, result
    assert at_work.sections == []
    assert "has no runners now" in result.out


async def test_a_runner_is_meant_by_token_and_address_too(at_work):
    result = await at_work.run(
        "unregister",
        CI_SERVER_TOKEN=at_work.old.token.reveal(),
        CI_SERVER_URL=at_work.world.sandbox.coordinator_url + "/",
    )
    assert result.code == 0, result
    assert at_work.sections == ["new"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [([], "which runner?"), (["--name", "none"], "no such runner in"), (["--token", "x"], "which runner?")],
)
async def test_nothing_happens_when_it_cannot_be_told_what_is_meant(at_work, arguments, words):
    result = await at_work.run("unregister", *arguments)
    assert result.code == 2
    assert words in result.err
    assert at_work.sections == ["old", "new"]


@pytest.mark.parametrize("fault", [DropBefore(), Answer(403, body=b"{}"), Answer(500)])
async def test_the_section_stays_while_the_coordinator_does_not_agree(at_work, fault):
    at_work.world.sandbox.coordinator_faults.add(fault, method="DELETE")
    result = await at_work.run("unregister", "--name", "old")
    assert result.code == 1
    assert "unregister the runner" in result.err
    assert at_work.sections == ["old", "new"]


async def test_a_section_that_cannot_be_cut_out_stays_registered(at_work):
    both = f"runners = [{inline(at_work.old)}, {inline(at_work.new)}]\n"
    at_work.world.config.write_text(both)
    result = await at_work.run("unregister", "--name", "old")
    assert result.code == 78, result
    assert "by hand" in result.err
    assert "old" in at_work.world.runners
    assert at_work.world.config.read_text() == both


def inline(runner):
    return (
        f'{{name = "{runner.description}", url = "http://127.0.0.1:1", token = "{runner.token.reveal()}", '
        'executor = "clever-docker", cc_orga_id = "orga_1", cc_token = "made-up-token"}'
    )


async def test_a_runner_with_tracked_jobs_is_kept_unless_forced(at_work):
    job = records.job(runner=short_token(at_work.old.token.reveal()))
    store = await SqliteStore.open(at_work.world.folder / "paas-runner-state.db")
    await store.installation()
    await store.save(job)
    await store.aclose()
    result = await at_work.run("unregister", "--name", "old")
    assert result.code == 1
    assert "1 of its jobs are tracked" in result.err
    assert at_work.sections == ["old", "new"]
    assert (await at_work.run("unregister", "--name", "new")).code == 0
    assert (await at_work.run("unregister", "--name", "old", "--force")).code == 0


async def test_known_unknown_and_unreachable_runners_are_told_apart(at_work):
    at_work.world.sandbox.coordinator.runners.remove(at_work.old.runner_id)
    result = await at_work.run("verify")
    assert result.code == 1
    assert "✗ old" in result.out
    assert f"✓ new ({at_work.new.token.reveal().removeprefix('glrt-t1_')[:9]})" in result.out
    at_work.world.sandbox.coordinator_faults.add(Answer(500))
    result = await at_work.run("verify")
    assert result.code == 0
    assert result.out.count("! ") == 2


async def test_sections_of_unknown_runners_go_on_request(at_work):
    at_work.world.sandbox.coordinator.runners.remove(at_work.old.runner_id)
    result = await at_work.run("verify", "--delete")
    assert result.code == 0, result
    assert at_work.sections == ["new"]
    assert (await at_work.run("verify", "--name", "new")).code == 0


async def test_the_list_has_no_token(at_work):
    for arguments in ([], ["--json"]):
        result = await at_work.run("list", *arguments)
        assert result.code == 0
        assert at_work.old.token.reveal() not in result.out
        assert "made-up-token" not in result.out
    assert [row["name"] for row in json.loads(result.out)] == ["old", "new"]
    assert set(json.loads(result.out)[0]) == {"name", "short_token", "executor", "limit", "url"}


@pytest.mark.parametrize("command", ["unregister", "verify", "list"])
async def test_a_wrong_configuration_is_refused_with_its_lines(at_work, command):
    at_work.write("concurent = 3\n")
    result = await at_work.run(command)
    assert result.code == 78
    assert "config.toml:3: concurent: unknown key" in result.err


@pytest.mark.parametrize("command", ["register", "unregister", "verify", "list"])
async def test_help_tells_the_exit_codes(world, command):
    result = await world.run(command, "--help", command=COMMAND)
    assert result.code == 0
    assert "exit codes:" in result.out
