"""What Slurm's programs write, what is made of it, and what people read."""

from datetime import UTC, datetime

import pytest
from paas_executor_slurm import account, jobs, programs
from paas_executor_slurm.jobs import Ending

from paas_runner.errors import Rejected, Transient

NAME = "hpd-job-glrt-abcdef-7"
SHOWN = (
    f"JobId=7 JobName={NAME} UserId=ci(1000) GroupId=ci(1000) Priority=1 Account=(null) QOS=(null) "
    "JobState=FAILED Reason=NonZeroExitCode Dependency=(null) Requeue=0 Restarts=0 BatchFlag=1 Reboot=0 "
    "ExitCode=73:0 RunTime=00:00:01 Comment=paas-runner installation=a runner=glrt-abcdef"
)


def line(*fields):
    return "\x1f".join(fields)


def test_a_line_of_squeue_is_a_job_whatever_its_name_and_comment_have_in_them():
    text = line("7", "RUNNING", "1796007981", "None", NAME, "a | b, c=d") + "\n"
    [job] = jobs.listed(text)
    assert (job.ref, job.state, job.name, job.comment) == ("7", "RUNNING", NAME, "a | b, c=d")
    assert job.submitted_at == datetime.fromtimestamp(1796007981, UTC)


def test_a_line_that_nobody_understands_is_no_job_of_ours():
    assert jobs.listed("slurm_load_jobs: something\n\n" + line("7", "RUNNING", "N/A", "None")) == []


@pytest.mark.parametrize(
    ("state", "over"),
    [
        *(
            (state, False)
            for state in ("PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "STOPPED")
        ),
        *(
            (state, True)
            for state in ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED")
        ),
        *((state, True) for state in ("OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE", "REVOKED")),
    ],
)
def test_a_job_is_over_when_nothing_of_it_can_run_any_more(state, over):
    [job] = jobs.listed(line("7", state, "1", "None", NAME, ""))
    assert job.over is over


@pytest.mark.parametrize(
    ("reason", "never"),
    [
        ("Priority", False),
        ("Resources", False),
        ("QOSMaxJobsPerUserLimit", False),
        ("AssocGrpCpuLimit", False),
        ("ReqNodeNotAvail, UnavailableNodes:node1", False),
        ("PartitionTimeLimit", True),
        ("PartitionNodeLimit", True),
        ("QOSMaxCpuPerJobLimit", True),
        ("AssocMaxWallDurationPerJobLimit", True),
        ("BadConstraints", True),
        ("InvalidQOS", True),
    ],
)
def test_a_job_never_starts_where_it_waits_for_what_no_time_brings(reason, never):
    [job] = jobs.listed(line("7", "PENDING", "1", reason, NAME, ""))
    assert job.never_starts is never


def test_the_accounting_says_by_whom_a_job_was_canceled():
    assert jobs.ending(f"{NAME}|CANCELLED by 1000|0:15|\n", NAME) == Ending(
        state="CANCELLED", signal=15, by="1000"
    )


def test_what_slurm_remembers_of_a_job_is_read_without_the_accounting():
    assert jobs.ending(SHOWN, NAME) == Ending(state="FAILED", code=73)


@pytest.mark.parametrize("text", ["", "another|FAILED|1:0\n", SHOWN.replace(NAME, "another")])
def test_the_number_of_a_job_that_is_another_by_now_says_nothing(text):
    assert jobs.ending(text, NAME) is None


@pytest.mark.parametrize(
    ("ending", "said", "cause"),
    [
        (Ending(state="OUT_OF_MEMORY", signal=9), "OUT_OF_MEMORY, signal 9", "more memory than its host has"),
        (Ending(state="TIMEOUT"), "TIMEOUT", "time limit in Slurm"),
        (Ending(state="NODE_FAIL"), "NODE_FAIL", "its node failed"),
        (Ending(state="PREEMPTED"), "PREEMPTED", "a higher priority"),
        (Ending(state="CANCELLED", by="1000"), "CANCELLED, by the user 1000", "a person"),
        (Ending(state="BOOT_FAIL"), "BOOT_FAIL", "did not boot"),
        (Ending(state="DEADLINE"), "DEADLINE", "deadline"),
        (Ending(state="FAILED", signal=53), "FAILED, signal 53", "does not see the shared folder"),
        (Ending(state="FAILED", code=72), "exit code 72", "does not see the shared folder"),
        (Ending(state="FAILED", code=73), "exit code 73", "no job is run twice"),
        (Ending(state="FAILED", code=75), "exit code 75", "was down when its node was ready"),
        (Ending(state="FAILED", code=127), "exit code 127", "`inner_command`"),
        (Ending(state="FAILED", code=9), "exit code 9", "without a word"),
        (Ending(), "it does not know the job any more", "has lost it"),
    ],
)
def test_each_end_of_a_slurm_job_is_told_in_words(ending, said, cause):
    assert said in account.words(ending)
    assert cause in account.explained(ending)[0]


def test_what_is_hidden_is_masked_before_a_line_is_cut():
    told = account.sheet(
        "RUNNING", ("cause", "advice"), "7", ["x" * 190 + "secret-token-1"], ["secret-token-1"]
    )
    assert "secret" not in told
    assert "Slurm job 7" in told


FAILED = "sbatch: error: Batch job submission failed:"
POLICY = f"{FAILED} Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"


def failed(text, program="sbatch"):
    return programs.failure(program, "submit the host", text)


@pytest.mark.parametrize(
    "text",
    [
        f"sbatch: error: invalid partition specified: x\n{FAILED} Invalid partition name specified",
        f"{FAILED} Requested node configuration is not available",
        f"{FAILED} Invalid account or account/partition combination specified",
        f"sbatch: error: QOSMaxWallDurationPerJobLimit\n{POLICY}",
        "allocation failure: Access/permission denied",
    ],
)
def test_what_no_repetition_changes_is_refused(text):
    assert isinstance(failed(text), Rejected)


@pytest.mark.parametrize(
    "text",
    [
        f"{FAILED} Unable to contact slurm controller (connect failure)",
        f"{FAILED} Socket timed out on send/recv operation",
        f"{FAILED} Zero Bytes were transmitted or received",
        'sbatch: error: Munge encode failed: Failed to access "/run/munge/munge.socket.2": No such file',
        f"{FAILED} Invalid authentication credential",
        f"{FAILED} Required partition not available (inactive or drain)",
        f"sbatch: error: QOSMaxSubmitJobPerUserLimit\n{POLICY}",
        "",
    ],
)
def test_what_may_pass_is_tried_again(text):
    assert isinstance(failed(text), Transient)


def test_nothing_but_a_submission_is_ever_refused():
    assert isinstance(failed("scancel: error: Access/permission denied", "scancel"), Transient)


def test_an_error_is_told_on_one_line_without_the_programs_name():
    assert failed("sbatch: error: one\nsbatch: fatal: two\n").text == "one; two"


async def test_a_program_that_is_not_there_is_refused_with_a_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Rejected, match="there is no program squeue") as caught:
        await programs.call("list hosts", "squeue")
    assert "slurm-client" in caught.value.advice


async def test_a_program_that_does_not_answer_is_ended_and_may_be_asked_again(monkeypatch, tmp_path):
    (tmp_path / "squeue").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "CALL_SECONDS", 0.1)
    with pytest.raises(Transient, match="has not answered"):
        await programs.call("list hosts", "squeue")


def test_programs_get_nothing_of_the_services_environment(monkeypatch):
    monkeypatch.setenv("SBATCH_ACCOUNT", "other")
    monkeypatch.setenv("RUNNER_TOKEN", "secret")
    assert not {"SBATCH_ACCOUNT", "RUNNER_TOKEN"} & set(programs.environment())
