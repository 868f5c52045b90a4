"""The keys as an operator writes them, and as the README has them."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from paas_executor_slurm import KIND
from paas_executor_slurm.settings import Flavor, SlurmSettings

from paas_runner.config import load
from paas_runner.errors import RunnerError
from paas_runner.settings import declared

README = (Path(__file__).parents[1] / "README.md").read_text()


def settings(path, text):
    path.touch(mode=0o600)
    path.write_text(text)
    [runner] = load(
        path, environ={"RUNNER_TOKEN": "glrt-abcdefgh"}, executors={"slurm": lambda: KIND}
    ).runners
    return runner.settings


def example():
    return re.search(r"```toml\n(.*?)```", README, re.DOTALL)[1]


def test_the_readmes_example_can_be_read(tmp_path):
    read = settings(tmp_path / "config.toml", example())
    assert list(read.flavors) == ["small", "large"]
    assert read.flavors["large"] == Flavor(cpus=16, memory_mib=65536)
    assert read.inner_command == ("/opt/paas-runner/bin/paas-runner-inner",)


def test_the_readme_has_every_key_with_its_meaning_and_its_default():
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", README, re.MULTILINE))
    assert rows == {key.written: key.doc.rstrip(".") for key in declared(SlurmSettings)}


def test_durations_are_seconds(tmp_path):
    read = settings(
        tmp_path / "config.toml", example().replace("  partition", "  queue_within = 7200\n  partition")
    )
    assert read.queue_within == timedelta(hours=2)


def test_a_mistake_is_told_with_its_line(tmp_path):
    with pytest.raises(RunnerError, match=r"config.toml:\d+: .*shared_folder"):
        settings(tmp_path / "config.toml", example().replace("/home/ci", "home/%u"))
