"""Where a job's project is, and who may choose."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from paas_runner.inner.project_folder import place_of
from paas_runner.inner.settings import read_section
from paas_runner.inner.shell import shell_for
from paas_runner.job.payload import decode
from paas_runner.job.variables import Variable
from tests.support.hosts import URL, Hosts, hosts, script

BUILDS = PurePosixPath("/builds")
IN_CONTAINERS = f'[[runners]]\nurl = "{URL}"\ntoken = "t"\nexecutor = "docker"\n'
ON_THE_HOST = IN_CONTAINERS.replace("docker", "shell")


def enabled(answer: str) -> str:
    return f"[runners.custom_build_dir]\nenabled = {answer}\n"


def placed(toml: str, path: str, **variables: str) -> tuple[str, str]:
    """The project's folder, and the refusal."""
    values = {"CI_PROJECT_PATH": "group/app", "GIT_CLONE_PATH": path, **variables}
    raw = {
        "id": 7,
        "token": "job-token",
        "variables": [{"key": key, "value": value} for key, value in values.items()],
    }
    found = place_of(decode(json.dumps(raw).encode()), read_section(toml))(BUILDS)
    return str(found.project), found.refusal


@pytest.mark.parametrize(
    ("path", "project"),
    [
        ("", "/builds/group/app"),
        ("$CI_BUILDS_DIR/go/src/x", "/builds/go/src/x"),
        ("$CI_BUILDS_DIR/$CI_CONCURRENT_ID/$NAME/", "/builds/0/n"),
        ("/builds/a/../b//c/.", "/builds/b/c"),
        ("$CI_PROJECT_DIR/below", "/builds/group/app/below"),
    ],
)
def test_the_author_may_choose_a_folder_below_that_of_all_projects(path: str, project: str) -> None:
    assert placed(IN_CONTAINERS, path, NAME="n") == (project, "")


@pytest.mark.parametrize(
    "path",
    ["/etc", "/builds", "/builds/", "/builds/..", "/builds/../etc/x", "/buildsx/y", "go/src", "$NOPE/x", "."],
)
def test_no_folder_elsewhere_can_be_chosen(path: str) -> None:
    project, refusal = placed(IN_CONTAINERS, path)
    assert project == "/builds/group/app"
    assert "but has to be a folder in `/builds` ($CI_BUILDS_DIR)" in refusal


@pytest.mark.parametrize(
    ("toml", "allowed"),
    [
        (IN_CONTAINERS, True),
        (IN_CONTAINERS + enabled("false"), False),
        (IN_CONTAINERS + "[runners.custom_build_dir]\n", True),
        (ON_THE_HOST, False),
        (ON_THE_HOST + "[runners.custom_build_dir]\n", False),
        (ON_THE_HOST + enabled("true"), True),
        (ON_THE_HOST + enabled('"yes"'), False),
    ],
)
def test_the_runner_says_whether_there_is_a_choice(toml: str, *, allowed: bool) -> None:
    _, refusal = placed(toml, "/builds/x")
    assert (not refusal) is allowed
    if not allowed:
        assert "GIT_CLONE_PATH is not allowed on this runner" in refusal


async def ran(world: Hosts, toml: str, path: str) -> Any:
    variables = (Variable(key="GIT_CLONE_PATH", value=path), Variable(key="F", value="x", file=True))
    spec = script('echo "in $PWD, $CI_PROJECT_DIR"', "cat $F", variables=variables)
    job, job_json = world.handed_out(spec)
    await world.inner().run(toml, job_json)
    return job


async def test_scripts_run_in_the_folder_that_was_chosen(tmp_path: Path) -> None:
    toml = ON_THE_HOST + enabled("true")
    job = await ran(hosts(), toml, "$CI_BUILDS_DIR/go/src/x")
    assert job.status == "success"
    (line,) = (line for line in job.trace.decode().splitlines() if line.startswith("in "))
    here, there = line.removeprefix("in ").split(", ")
    assert here == there
    assert here.endswith("/go/src/x")
    assert not Path(here).exists()


@pytest.mark.parametrize("name", ["x" * 300, "half a pair: \ud83d"])
async def test_a_job_fails_with_the_reason_why_its_folder_cannot_be_made(name: str) -> None:
    job = await ran(hosts(), ON_THE_HOST + enabled("true"), f"$CI_BUILDS_DIR/{name}")
    assert job.failure_reason == "runner_configuration_error"
    assert "no folder can be made for the project at `" in job.trace.decode()


async def test_a_path_that_no_folder_can_have_fails_the_job_too() -> None:
    """Its author may have set the variable that has it."""
    spec = script("true", variables=(Variable(key="CI_PROJECT_PATH", value="group/" + "x" * 300),))
    job = await hosts().ran(spec)
    assert job.failure_reason == "runner_configuration_error"
    assert "no folder can be made for the project at `" in job.trace.decode()


async def test_a_project_is_not_put_where_a_link_of_an_earlier_job_leads(tmp_path: Path) -> None:
    builds, elsewhere = tmp_path / "builds", tmp_path / "elsewhere"
    builds.mkdir()
    elsewhere.mkdir()
    (builds / "link").symlink_to(elsewhere)
    toml = f'{ON_THE_HOST}builds_dir = "{builds}"\n{enabled("true")}'
    variables = (Variable(key="GIT_CLONE_PATH", value="$CI_BUILDS_DIR/link/x"),)
    world = hosts()
    job, job_json = world.handed_out(script("true", variables=variables))
    await world.inner(shell=shell_for).run(toml, job_json)
    assert job.failure_reason == "runner_configuration_error"
    assert "no folder can be made for the project at `" in job.trace.decode()
    assert list(elsewhere.iterdir()) == []


async def test_a_job_whose_choice_is_refused_fails_with_the_reason() -> None:
    job = await ran(hosts(), ON_THE_HOST, "$CI_BUILDS_DIR/x")
    assert job.failure_reason == "runner_configuration_error"
    assert "GIT_CLONE_PATH is not allowed on this runner" in job.trace.decode()
    assert "in /" not in job.trace.decode()
