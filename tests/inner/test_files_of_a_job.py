"""What the inner runner writes for a job lies in the job's folders, whatever scripts have made of these."""

from pathlib import Path

import pytest

from paas_runner.inner.shell import ProcessShell
from paas_runner.job.variables import Variable
from paas_runner.pipelines.states import JobState
from tests.support.hosts import hosts, script
from tests.support.live_records import LiveJob

KEY = Variable(key="KEY", value="from the coordinator", file=True)


def text(job: LiveJob) -> str:
    return job.trace.decode()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file of the host that is none of the job's."""
    found = tmp_path / "outside"
    found.mkdir()
    (found / "KEY").write_text("untouched")
    return found


async def test_a_file_variable_that_a_script_made_a_link_is_written_anew(outside: Path) -> None:
    job = await hosts().ran(
        script(
            f"rm $KEY && ln -s {outside}/KEY $KEY",
            after_script=("test -L $KEY || cat $KEY",),
            variables=(KEY,),
        )
    )
    assert "\nfrom the coordinator" in text(job)
    assert (outside / "KEY").read_text() == "untouched"


@pytest.mark.parametrize("made", ["mkfifo $KEY", "mkdir -p $KEY/deep", "ln $PWD/hard $KEY"])
async def test_a_file_variable_is_a_file_of_its_own_for_each_script(made: str) -> None:
    lines = ("echo mine > hard", f"rm $KEY && {made}")
    after = ("cat $KEY", "cat hard")
    job = await hosts().ran(script(*lines, after_script=after, variables=(KEY,)))
    assert "\nfrom the coordinator" in text(job)
    assert "mine\n" in text(job)


async def test_a_folder_of_files_that_became_a_link_is_not_written_to(outside: Path) -> None:
    away = f"mv $RUNNER_TEMP_PROJECT_DIR away && ln -s {outside} $RUNNER_TEMP_PROJECT_DIR"
    job = await hosts().ran(script(away, after_script=("echo never",), variables=(KEY,)))
    assert "lies outside of the project" in text(job)
    assert "\nnever\n" not in text(job)
    assert (outside / "KEY").read_text() == "untouched"
    assert [path.name for path in outside.iterdir()] == ["KEY"]


async def test_files_that_a_script_has_removed_are_there_again() -> None:
    lines = ("rm -r $RUNNER_TEMP_PROJECT_DIR",)
    job = await hosts().ran(script(*lines, after_script=("cat $KEY",), variables=(KEY,)))
    assert job.status is JobState.SUCCESS
    assert "\nfrom the coordinator" in text(job)


@pytest.mark.parametrize("link", ["sandbox", "sandbox/project"])
async def test_a_job_does_not_work_where_the_link_of_another_leads(
    tmp_path: Path, outside: Path, link: str
) -> None:
    (outside / "project.tmp").mkdir()
    shell = kept(tmp_path, link, outside)
    job = await hosts().ran(script("touch here"), shell=lambda _section: shell)
    assert job.failure_reason == "runner_configuration_error"
    assert "lies outside" in text(job)
    assert sorted(path.name for path in outside.iterdir()) == ["KEY", "project.tmp"]


async def test_a_link_of_another_in_the_place_of_files_is_replaced(tmp_path: Path, outside: Path) -> None:
    shell = kept(tmp_path, "sandbox/project.tmp", outside)
    job = await hosts().ran(script("cat $KEY", variables=(KEY,)), shell=lambda _section: shell)
    assert "\nfrom the coordinator" in text(job)
    assert (outside / "KEY").read_text() == "untouched"


def kept(folder: Path, link: str, target: Path) -> ProcessShell:
    """A shell whose folders stay, with a link that an earlier job has left there."""
    place = folder / "builds" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(target)
    return ProcessShell(builds_dir=str(folder / "builds"))
