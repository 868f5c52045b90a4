"""What a host gets: its name, its environment, and the pushed tree of its job, byte for byte."""

import pytest

from tests.golden.recording import held, held_text


def test_a_job_is_pushed_as_this_one_commit(one_job):
    pushed = {name: each for name, each in one_job["pushed"].items() if name != "files"}
    held("pushed", pushed)
    assert pushed["commits"] == ["8575905dc45e55204e65300493ef0c889b6bed2e"]


@pytest.mark.parametrize("name", ["Dockerfile", "runner.toml", "job.json"])
def test_each_file_of_the_tree_is_byte_for_byte_what_it_was(one_job, name):
    assert len(one_job["pushed"]["files"]) == 3
    held_text(f"pushed-{name}.txt", one_job["pushed"]["files"][name])


def test_a_host_has_this_name_and_this_environment(one_job):
    held("host", {**one_job["host"], "environment": one_job["host's environment"]})
    assert one_job["host"]["name"] == "hpd-job-goldenrun-4711"
