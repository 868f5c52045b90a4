"""Which images a job gets, and how: policies, registries, credentials."""

import base64
import json

import pytest

from paas_runner.job.variables import Variable
from tests.inner.containers.conftest import text
from tests.support.image_registry import serving

LOGIN = "someone:pass-word-1"


@pytest.fixture
def registry(docker):
    with serving(LOGIN) as registry:
        yield registry
        with docker.engine.client() as client:
            for image in client.images(name=f"{registry.host}/group/tool"):
                for tag in image["RepoTags"]:  # by its id it would go from other tests, too
                    client.remove_image(tag, force=True)


@pytest.fixture
def open_registry(registry):
    registry.login = ""
    return registry


def auth_config(host: str, login: str = LOGIN) -> Variable:
    auths = {host: {"auth": base64.b64encode(login.encode()).decode()}}
    return Variable(key="DOCKER_AUTH_CONFIG", value=json.dumps({"auths": auths}), raw=True)


def started(job) -> bool:
    """The image has no shell: a job of it fails when its script is started, and not before."""
    return '"sh": executable file not found' in text(job)


async def test_an_image_is_fetched_each_time_unless_told_otherwise(docker, open_registry) -> None:
    always = {"pull_policy": "always"}
    for _ in range(2):
        job = await docker.ran("true", image="$WHERE/tool:1", options=always, variables=where(open_registry))
        assert started(job), text(job)
    assert open_registry.asked == 2
    assert f"Pulling docker image {open_registry.image} ..." in text(job)
    assert f"with digest {open_registry.host}/group/tool@sha256:" in text(job)
    assert "Authenticating" not in text(job)


async def test_an_image_that_is_there_is_fetched_no_more_if_not_present(docker, open_registry) -> None:
    for _ in range(2):
        assert started(await docker.ran("true", image=open_registry.image))
    assert open_registry.asked == 1


async def test_an_image_is_never_fetched_where_that_is_the_policy(docker, open_registry) -> None:
    job = await docker.ran("true", image=open_registry.image, options={"pull_policy": "never"})
    assert job.failure_reason == "image_pull_failure"
    assert (
        f'failed to pull image "{open_registry.image}" with specified policies [never]: no such im'
        in text(job)
    )
    assert open_registry.asked == 0


async def test_the_next_policy_is_tried_when_one_fails(docker) -> None:
    tag = "127.0.0.1:9/kept/by:us"
    with docker.engine.client() as client:
        client.tag(docker.engine.base, "127.0.0.1:9/kept/by", "us")
    job = await docker.ran("echo works", image=tag, options={"pull_policy": ["always", "if-not-present"]})
    with docker.engine.client() as client:
        client.remove_image(tag)
    assert 'WARNING: Failed to pull image with policy "always": ' in text(job)
    assert 'Attempt #2: Trying "if-not-present" pull policy' in text(job)
    assert "\nworks\n" in text(job)


async def test_a_job_chooses_among_the_policies_that_the_runner_allows(docker, open_registry) -> None:
    def wanting(*policies: str):
        return lambda payload: payload["image"].update(pull_policy=list(policies))

    options = {"pull_policy": "always", "allowed_pull_policies": ["always", "never"]}
    image = open_registry.image
    job = await docker.ran("true", image=image, options=options, change=wanting("if-not-present", "never"))
    assert open_registry.asked == 0
    assert "with specified policies [never]" in text(job)
    job = await docker.ran("true", image=image, options=options, change=wanting("if-not-present"))
    assert job.failure_reason == "runner_configuration_error"
    assert "pull policies [if-not-present] are not allowed by this runner, which allows [always ne" in text(
        job
    )


async def test_credentials_come_from_the_variable_first(docker, registry) -> None:
    job = await docker.ran(
        "true",
        image=registry.image,
        variables=(auth_config(registry.host),),
        change=paying(registry.host, "wrong:password"),
    )
    assert started(job)
    assert "Authenticating with credentials from $DOCKER_AUTH_CONFIG" in text(job)


async def test_credentials_come_from_the_runners_user_next(docker, registry, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(auth_config(registry.host).value)
    job = await docker.ran(
        "true",
        image=registry.image,
        variables=(auth_config("another.test"),),
        change=paying(registry.host, "wrong:password"),
    )
    assert started(job)
    assert "Authenticating with credentials from the runner's own Docker configuration" in text(job)


async def test_credentials_come_with_the_job_at_last(docker, registry) -> None:
    job = await docker.ran("true", image=registry.image, change=paying(registry.host, LOGIN))
    assert started(job)
    assert "Authenticating with credentials from the job's payload" in text(job)


async def test_without_the_right_credentials_the_job_fails(docker, registry) -> None:
    for change in (paying(registry.host, "someone:wrong"), paying("another.test", LOGIN)):
        job = await docker.ran("true", image=registry.image, change=change)
        assert job.failure_reason == "image_pull_failure"
        assert f'failed to pull image "{registry.image}"' in text(job)
        assert LOGIN.partition(":")[2] not in text(job)


@pytest.mark.parametrize("value", ["{", "[]", '{"auths": {"a": {"auth": "cGFzcw=="}}}', '{"auths": 5}'])
async def test_credentials_that_cannot_be_read_are_reported_without_what_is_in_them(docker, value) -> None:
    broken = Variable(key="DOCKER_AUTH_CONFIG", value=value, raw=True)
    job = await docker.ran("true", image="127.0.0.1:9/absent", variables=(broken,))
    assert job.failure_reason == "image_pull_failure"
    assert "the credentials in $DOCKER_AUTH_CONFIG cannot be read" in text(job)


def where(registry) -> tuple[Variable, ...]:
    return (Variable(key="WHERE", value=f"{registry.host}/$GROUP"), Variable(key="GROUP", value="group"))


def paying(host: str, login: str):
    """The payload with credentials for a registry."""
    user, _, password = login.partition(":")
    entry = {"type": "registry", "url": host, "username": user, "password": password}
    other = {"type": "other", "url": host, "username": "x", "password": "other-pass-word"}
    return lambda payload: payload.update(credentials=[other, entry])


async def test_an_image_is_asked_for_by_its_name_and_by_no_way_to_another(docker) -> None:
    options = {"pull_policy": "never", "allowed_images": ["allowed.test/**"]}
    for name in (f"allowed.test/../{docker.engine.base}", "../containers/x"):
        job = await docker.ran("echo never", image=name, options=options)
        assert job.status == "failed"
        assert "\nnever\n" not in text(job)
        assert "Using docker image" not in text(job)
