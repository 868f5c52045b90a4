"""The full examples that heptapod-paas-runner 0.5.0 and 1.1.1 document load unchanged (H048-H085)."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from paas_runner.config import Config, load
from paas_runner.executor.contract import ExecutorKind
from paas_runner.secret import Secret

EXAMPLES = Path(__file__).parent / "examples"


@pytest.fixture
def load_example(
    tmp_path: Path, executors: Mapping[str, Callable[[], ExecutorKind]]
) -> Callable[[str], Config]:
    def load_it(name: str) -> Config:
        path = tmp_path / name
        path.touch(mode=0o600)
        path.write_bytes((EXAMPLES / name).read_bytes())
        return load(path, environ={}, executors=executors)

    return load_it


@pytest.mark.parametrize("version", ["0.5.0", "1.1.1"])
def test_the_example_for_one_organisation_loads(version: str, load_example: Callable[[str], Config]) -> None:
    config = load_example(f"{version}-single-organization.toml")

    assert config.state_file == Path("/srv/heptapod-runner/paas-runner-state.json")
    [runner] = config.runners
    assert (runner.name, runner.url) == ("clever-cloud", "https://heptapod.example.com")
    assert runner.settings.cc_token == Secret("made-up-clever-token")
    assert runner.settings.cc_extra_env == {"CC_ENABLE_HEPTAPOD_RUNNER": "true"}
    assert runner.forwarded["cache"]["s3"]["BucketName"] == "heptapod-ci"
    assert runner.forwarded["docker"]["volumes"] == ["/cache"]
    assert set(runner.forwarded) == {"cache", "custom_build_dir", "docker"}


@pytest.mark.parametrize("version", ["0.5.0", "1.1.1"])
def test_the_example_for_many_tenants_loads(version: str, load_example: Callable[[str], Config]) -> None:
    [runner] = load_example(f"{version}-multi-tenant.toml").runners

    assert runner.settings.cc_multi_tenant is True
    assert runner.settings.cc_gitlab_namespace_attributes_token == Secret("made-up-private-token")
    assert runner.forwarded["cache"] == {"s3": {}, "gcs": {}}


def test_jobs_are_limited_as_the_examples_say(load_example: Callable[[str], Config]) -> None:
    assert load_example("0.5.0-multi-tenant.toml").concurrent == 8
    config = load_example("1.1.1-multi-tenant.toml")
    assert config.concurrent == 50
    assert config.quota_computation is not None
    assert config.quota_computation.reference_flavor == "3XL"
    assert config.warnings == ()
