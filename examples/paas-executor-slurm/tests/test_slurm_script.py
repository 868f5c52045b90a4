"""The script of a host, run by sh as a node would run it, and the arguments of sbatch."""

import subprocess
import time
from datetime import timedelta

import pytest
from paas_executor_slurm.folder import HostFolder
from paas_executor_slurm.settings import Flavor, SlurmSettings
from paas_executor_slurm.submission import BEGUN_BEFORE, NOT_LAUNCHED, UNSEEN, arguments, minutes, script

NAME = "hpd-job-glrt-abcdef-7"


@pytest.fixture
def host(tmp_path):
    folder = HostFolder(tmp_path / "it's" / NAME)
    folder.make()
    return folder


def settings(tmp_path, **more):
    stub = tmp_path / "stub"
    stub.write_text('#!/bin/sh\necho "$@" >> begun; ls -d "$TMPDIR" >> begun; echo "$MODULE" >> begun\n')
    stub.chmod(0o755)
    return SlurmSettings(shared_folder=tmp_path, inner_command=[str(stub), "a b"], **more)


def node(host, tmp_path, number="7", **more):
    """A node's sh with the script."""
    text = script(NAME, host.path, settings(tmp_path, **more))
    environment = {"PATH": "/usr/bin:/bin", "SLURM_JOB_ID": number}
    process = subprocess.Popen(
        ["/bin/sh"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    )
    process.stdin.write(text)
    process.stdin.close()
    return process


def test_it_waits_for_its_own_launch_and_then_begins_with_the_files(host, tmp_path):
    process = node(host, tmp_path, setup="export MODULE=loaded")
    time.sleep(0.1)
    assert process.poll() is None
    host.hand_over({"runner.toml": b"", "job.json": b""}, "7")
    assert process.wait(10) == 0
    begun = (host.path / "begun").read_text().splitlines()
    assert begun == ["a b exec-fetched-job --config runner.toml job.json", f"{host.path}/tmp", "loaded"]


def test_a_second_start_of_the_same_host_begins_nothing(host, tmp_path):
    host.hand_over({}, "7")
    assert node(host, tmp_path).wait(10) == 0
    assert node(host, tmp_path).wait(10) == BEGUN_BEFORE
    assert (host.path / "begun").read_text().count("exec-fetched-job") == 1


def test_another_slurm_job_of_that_name_does_not_begin_what_was_handed_to_this_one(host, tmp_path):
    host.hand_over({}, "7")
    other = node(host, tmp_path, "8")
    assert node(host, tmp_path, "7").wait(10) == 0
    host.remove()
    assert other.wait(10) == UNSEEN


def test_a_node_without_the_folder_ends_at_once_and_makes_none(host, tmp_path):
    host.remove()
    assert node(host, tmp_path).wait(10) == UNSEEN
    assert not host.path.exists()


def test_a_node_that_gets_no_job_is_free_again_after_a_while(host, tmp_path):
    assert node(host, tmp_path, launch_within=timedelta(seconds=0.5)).wait(10) == NOT_LAUNCHED


def test_slurm_ends_a_job_after_its_timeout_the_margin_and_the_wait_in_whole_minutes(tmp_path):
    waits = SlurmSettings(shared_folder=tmp_path, launch_within=timedelta(seconds=90))
    assert minutes(timedelta(hours=1), waits) == 60 + 10 + 2


def test_a_submission_names_partition_account_and_size_and_is_never_queued_again(tmp_path):
    chosen = SlurmSettings(shared_folder=tmp_path, partition="ci", account="lab", qos="low")
    flavor = Flavor(cpus=4, memory_mib=2048)
    said = arguments(NAME, comment="a b", folder=tmp_path, limit=70, settings=chosen, flavor=flavor)
    expected = {
        "--partition=ci",
        "--account=lab",
        "--qos=low",
        "--cpus-per-task=4",
        "--mem=2048",
        "--time=70",
        "--no-requeue",
        "--comment=a b",
        f"--job-name={NAME}",
        f"--output={tmp_path}/output-%j.log",
    }
    assert expected <= set(said)


@pytest.mark.parametrize("path", ["relative", "/a%j", '/a"b', "/a\nb"])
def test_a_folder_whose_name_sbatch_would_change_is_a_contradiction(path, tmp_path):
    assert [key for key, _ in SlurmSettings(shared_folder=type(tmp_path)(path)).problems()] == [
        "shared_folder"
    ]
