"""`[runners.tags]` of local-docker, which hosts' images differ by; no engine is needed to know which."""

import pytest

from executors.local_docker import KIND, LocalDockerSettings
from executors.tag_tables import TagImage
from paas_runner.executor.contract import JobRefusedError
from tests.executors.test_clever import SECTION, requested


@pytest.fixture
async def built(connect):
    tags = {"next": TagImage(image="inner:2"), "old": TagImage(image="inner:0")}
    settings = LocalDockerSettings(host="unix:///nowhere", heptapod_runner_main_image="inner:1", tags=tags)
    executor = KIND.build(settings, SECTION, connect)
    yield executor
    await executor.aclose()


@pytest.mark.parametrize(
    ("variables", "image"),
    [
        ({}, "inner:1"),
        ({"CI_JOB_TAGS": '["docker"]'}, "inner:1"),
        ({"CI_JOB_TAGS": '["docker", "old", "next"]'}, "inner:0"),
        ({"CI_JOB_TAGS": '["next"]', "CI_CLEVER_CLOUD_FLAVOR": "XL"}, "inner:2"),
    ],
)
async def test_the_first_tag_with_a_table_decides_about_the_image(built, variables, image):
    recipe = built._recipe(requested(**variables), {})
    assert recipe.base == image
    assert recipe.files["Dockerfile"].startswith(f"FROM {image}\n".encode())


async def test_a_megabyte_of_tags_is_the_authors_mistake(built):
    with pytest.raises(JobRefusedError, match="no list of tags"):
        await built.provision(requested(CI_JOB_TAGS="x" * 2**20))
