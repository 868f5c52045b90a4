"""What `paas-runner check` knows of a coordinator's telling of tags: by the jobs whose definition is kept."""

import attrs
import pytest

from paas_runner.check.runners import check_tags
from paas_runner.config import load
from paas_runner.executor.checks import Grade
from paas_runner.executor.contract import installed
from paas_runner.job.lifecycle import acquired
from tests.support.records import NOW, payload

CONFIG = """
[[runners]]
name = "tagged"
url = "https://gitlab.example"
token = "glrt-tagged-made-up"
executor = "local-docker"
{more}

[[runners]]
name = "plain"
url = "https://gitlab.example"
token = "glrt-plain-made-up"
executor = "local-docker"
"""
TAGS = [{"key": "CI_JOB_TAGS", "value": "[]"}]


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(more='tags.next = {image = "inner:2"}'))
    return load(path, environ={}, executors=installed())


def job(config, number, variables, runner=0):
    return acquired(config.runners[runner].short_token, payload(number, variables=variables), NOW)


@pytest.mark.parametrize(
    ("variables", "grade", "words"),
    [
        ([], Grade.SKIPPED, "is not known before one is here"),
        ([TAGS], Grade.FINE, "jobs come with them"),
        ([[]], Grade.WARNING, "[runners.tags] decides nothing"),
        ([[], TAGS], Grade.FINE, "jobs come with them"),  # the coordinator is newer by now
    ],
)
def test_it_is_known_by_the_jobs_that_wait_for_a_host(config, variables, grade, words):
    jobs = [job(config, number, each) for number, each in enumerate(variables, 1)]
    [result] = check_tags(config, [*jobs, job(config, 8, [], runner=1)])
    assert (result.runner, result.grade) == ("tagged", grade)
    assert words in result.text


def test_a_job_whose_definition_is_gone_says_nothing(config):
    [result] = check_tags(config, [attrs.evolve(job(config, 1, TAGS), payload=None)])
    assert result.grade is Grade.SKIPPED


async def test_check_says_it_of_each_section_that_has_tables(world):
    world.write(world.runner(more='tags.big = {flavor = "L"}'))
    checked = await world.checked(offline=True)
    assert [result.runner for result in checked.of("tags")] == ["one"]
    world.write(world.runner())
    assert not (await world.checked(offline=True)).of("tags")
