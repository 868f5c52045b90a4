"""A person at a pseudo-terminal: every question, every kind of wrong answer, and giving up anywhere."""

import asyncio
import signal
import tomllib

import pytest

from paas_runner.sandbox.faults import Hang
from tests.support.person import CONTROL_C, CONTROL_D

pytestmark = pytest.mark.long

NOTHING = ([], [])
NO_ORGANISATION = "orga_00000000-0000-4000-8000-000000000000"


async def to_the_executor(person, world, *, tags=""):
    """All questions that do not depend on the executor, with their shortest answers."""
    await person.answer("running jobs are remembered")
    await person.answer("Jobs at once")
    await person.answer("Base address", world.sandbox.coordinator_url)
    await person.answer("Registration token", world.registration_token)
    await person.answer("Name of the runner", "typed")
    await person.answer("Tags", tags)


async def test_on_a_narrow_terminal_no_word_is_cut(world):
    async with world.terminal(world.config, columns=40) as person:
        await person.expect(
            "running jobs are\n  remembered (its folder must be the\n  service's own)\n", seconds=30
        )
        person.type("\n")
        await person.answer("Jobs at once")
        await person.answer("Base address", "gitlab.example.com")
        await person.expect("✗ the address must begin with https://\n  or http://; an address such as\n")


async def test_a_person_who_gets_everything_wrong_first_ends_with_a_good_file(world):
    sandbox = world.sandbox
    async with world.terminal(world.config) as person:
        await person.answer("running jobs are remembered", "/")
        await person.expect("✗ the path of a file was expected")
        await person.answer("running jobs are remembered", "/proc/none/jobs.json")
        await person.expect("✗ /proc/none cannot be written: No such file or directory")
        await person.answer("running jobs are remembered", "state/jobs.json")
        await person.answer("Jobs at once", "zero")
        await person.expect("✗ a whole number of at least 1")
        await person.answer("Jobs at once", "4")
        for wrong, words in {
            "": "an address such as https://gitlab.example.com was expected",
            "gitlab.example.com": "must begin with https://",
            "https://somebody:secret@gitlab.example.com": "credentials, query and fragment have no place",
            "http://127.0.0.1:1": "Connection refused",
            "http://nowhere.invalid": "can it be reached?",
            sandbox.cloud_api_url: "no coordinator answers there (status 404)",
        }.items():
            await person.answer("Base address", wrong)
            await person.expect(words)
        await person.answer("Base address", f"{sandbox.coordinator_url}/")
        await person.expect("✓ a coordinator answers")
        for wrong in ("wrong", "glrt-wrong"):
            await person.answer("Registration token", wrong)
            await person.expect("✗ the coordinator does not know this token")
        await person.answer("Registration token", world.registration_token)
        await person.expect("✓ the coordinator accepts the registration token")
        await person.answer("Name of the runner", "typed")
        await person.answer("Tags", "a, b")
        await person.answer("without tags", "maybe")
        await person.expect("✗ yes or no was expected")
        await person.answer("without tags", "y")
        await person.answer("Executor", "shell")
        await person.expect(
            '✗ "shell" is not on offer; choices: clever-docker, clever-service-docker, kubernetes, '
            "local-docker, service-docker"
        )
        await person.answer("Executor", "1")
        await person.answer("multi-tenant")
        await person.answer("Id of the Clever Cloud organisation", "a b")
        await person.expect("✗ this is no id of an organisation")
        await person.answer("Id of the Clever Cloud organisation", NO_ORGANISATION)
        await person.answer("API token", "wrong")
        await person.expect("✗ Clever Cloud does not know this token")
        await person.answer("API token", sandbox.cloud_token.reveal())
        await person.expect("✗ Clever Cloud takes this token for another organisation")
        await person.answer(f"[{NO_ORGANISATION}]", sandbox.organisation_id)
        await person.answer("API token", sandbox.cloud_token.reveal())
        await person.expect("opens; applications in it: 0")
        await person.answer("Where hosts run", "mars")
        await person.expect('✗ "mars" is not on offer; choices: par, parhds,')
        await person.answer("Where hosts run", "rbx")
        await person.expect("5) XL  32 GiB")
        await person.answer("Size of a host", "4")
        await person.answer("Image of jobs", "Debian:12")
        await person.expect("✗ this is no image name: ")
        await person.answer("Image of jobs")
        await person.expect("✓ the runner typed is in")
        assert await person.end() == 0
    document = tomllib.loads(world.config.read_text())
    assert document["state_file"] == str(world.folder / "state" / "jobs.json")
    [section] = document["runners"]
    assert (section["cc_zone"], section["cc_default_flavor"]) == ("rbx", "L")
    assert section["cc_orga_id"] == sandbox.organisation_id
    assert world.runners["typed"].tags == ("a", "b")
    secrets = (world.registration_token, sandbox.cloud_token.reveal(), section["token"], "wrong\n")
    assert not [secret for secret in secrets if secret in person.screen]
    assert "Traceback" not in person.screen


async def test_wrong_arguments_are_explained_and_asked_for_again(world):
    variables = world.clever | {
        "CI_SERVER_URL": "http://127.0.0.1:1",
        "CC_ZONE": "mars",
        "REGISTER_NON_INTERACTIVE": "false",
    }
    async with world.terminal(world.config, "--tag-list", "a", "--run-untagged=false", **variables) as person:
        await person.answer("running jobs are remembered")
        await person.answer("Jobs at once")
        await person.expect("Connection refused")
        await person.answer("Base address", world.sandbox.coordinator_url)
        await person.answer("multi-tenant")
        await person.expect('"mars" is not on offer')
        await person.answer("Where hosts run", "par")
        await person.answer("Size of a host")
        await person.answer("Image of jobs")
        assert await person.end() == 0
    assert list(world.runners) == ["made by a script"]


async def test_several_tenants_are_looked_at_one_by_one(world):
    sandbox = world.sandbox
    groups = sandbox.coordinator.groups
    for name, token in {"paying": sandbox.cloud_token.reveal(), "mistaken": "wrong"}.items():
        groups.ensure(name)
        groups.attributes(name).update(cc_orga_id=sandbox.organisation_id, cc_orga_token=token)
    async with world.terminal(world.config) as person:
        await to_the_executor(person, world)
        await person.answer("Executor", "clever-docker")
        await person.answer("multi-tenant", "yes")
        await person.answer("Administrator's token", "wrong")
        await person.expect("it must be an administrator's, with the scope `api`")
        await person.answer("Administrator's token", sandbox.admin_token.reveal())
        await person.expect("✓ groups that pay: 2, of which organisations open: 1")
        await person.expect("mistaken: Clever Cloud does not know this token")
        await person.answer("Where hosts run")
        await person.answer("Size of a host")
        await person.answer("Image of jobs")
        assert await person.end() == 0
    [section] = tomllib.loads(world.config.read_text())["runners"]
    assert section["cc_multi_tenant"] is True
    assert section["cc_gitlab_namespace_attributes_token"] == sandbox.admin_token.reveal()
    assert "cc_orga_id" not in section


async def test_an_outage_of_the_cloud_is_waited_for(world):
    async with world.terminal(world.config) as person:
        await to_the_executor(person, world)
        await world.sandbox._cloud_listener.stop()
        await person.answer("Executor", "clever-docker")
        await person.answer("multi-tenant")
        await person.answer("Id of the Clever Cloud organisation", world.sandbox.organisation_id)
        await person.answer("API token", world.sandbox.cloud_token.reveal())
        await person.expect("Connection refused")
        await world.sandbox._cloud_listener.start()
        await person.answer("Enter to try again, Ctrl-C to give up")
        await person.answer("Where hosts run")
        await person.answer("Size of a host")
        await person.answer("Image of jobs")
        assert await person.end() == 0


QUESTIONS = {
    "running jobs are remembered": "",
    "Jobs at once": "",
    "Base address": "url",
    "Registration token": "registration_token",
    "Name of the runner": "typed",
    "Tags": "",
    "Executor": "clever-docker",
    "multi-tenant": "",
    "Id of the Clever Cloud organisation": "organisation",
    "API token": "cloud_token",
    "Where hosts run": "",
    "Size of a host": "",
    "Image of jobs": "",
}


@pytest.mark.parametrize("number", range(len(QUESTIONS)))
async def test_ctrl_c_at_any_question_leaves_nothing(world, number):
    answers = {
        "url": world.sandbox.coordinator_url,
        "registration_token": world.registration_token,
        "organisation": world.sandbox.organisation_id,
        "cloud_token": world.sandbox.cloud_token.reveal(),
    }
    async with world.terminal(world.folder / "new" / "config.toml") as person:
        for prompt, answer in list(QUESTIONS.items())[:number]:
            await person.answer(prompt, answers.get(answer, answer))
        await person.expect(list(QUESTIONS)[number])
        await person.expect(": ")
        await asyncio.sleep(0.05)
        person.type(CONTROL_C)
        assert await person.end() == 1
    assert "given up: nothing was changed" in person.screen
    assert "Traceback" not in person.screen
    assert world.left_over() == NOTHING


@pytest.mark.parametrize("prompt", ["Base address", "Registration token"])
async def test_the_end_of_input_is_giving_up(world, prompt):
    async with world.terminal(world.config) as person:
        await person.answer("running jobs are remembered")
        await person.answer("Jobs at once")
        if prompt == "Registration token":
            await person.answer("Base address", world.sandbox.coordinator_url)
        await person.expect(prompt)
        await person.expect(": ")
        await asyncio.sleep(0.05)
        person.type(CONTROL_D)
        assert await person.end() == 1
    assert "given up: nothing was changed" in person.screen
    assert world.left_over() == NOTHING


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_other_signals_that_end_programs_are_giving_up_too(world, number):
    async with world.terminal(world.config) as person:
        await person.expect("running jobs are remembered")
        await asyncio.sleep(0.05)
        person._process.send_signal(number)
        assert await person.end() == 1
    assert "given up: nothing was changed" in person.screen
    assert world.left_over() == NOTHING


async def test_a_second_runner_is_added_without_the_questions_for_a_new_file(world):
    assert (await world.register()).code == 0
    before = world.config.read_text()
    given = {key: value for key, value in world.clever.items() if key.startswith(("CI_", "REGISTRATION_"))}
    async with world.terminal(world.config, "--name", "second", "--tag-list", "", **given) as person:
        await person.answer("Executor", "clever-docker")
        await person.answer("multi-tenant")
        await person.answer("Id of the Clever Cloud organisation", world.sandbox.organisation_id)
        await person.answer("API token", world.sandbox.cloud_token.reveal())
        await person.answer("Where hosts run")
        await person.answer("Size of a host")
        await person.answer("Image of jobs")
        assert await person.end() == 0
    assert "Jobs at once" not in person.screen
    assert world.config.read_text().startswith(before)
    assert len(tomllib.loads(world.config.read_text())["runners"]) == 2


async def test_ctrl_c_while_the_coordinator_is_silent_is_giving_up(world):
    rule = world.sandbox.coordinator_faults.add(Hang())
    async with world.terminal(world.config) as person:
        await person.answer("running jobs are remembered")
        await person.answer("Jobs at once")
        await person.answer("Base address", world.sandbox.coordinator_url)
        while not rule.applied:
            await asyncio.sleep(0.01)
        person.type(CONTROL_C)
        assert await person.end() == 1
    assert "given up: nothing was changed" in person.screen
    assert "Traceback" not in person.screen
    assert world.left_over() == NOTHING
