"""The variables that every job gets."""

import re
from datetime import UTC, datetime
from pathlib import Path

from paas_runner.job.variables import Variable
from paas_runner.pipelines.jobs import Job, Project
from paas_runner.pipelines.predefined import before_the_start, predefined
from paas_runner.pipelines.runners import JobRunner
from paas_runner.pipelines.spec import JobSpec
from paas_runner.secret import Secret

PAGE = Path(__file__).parents[2] / "docs/sandbox.md"


def variables(spec: JobSpec) -> dict[str, str]:
    job = Job(
        job_id=7,
        pipeline_id=3,
        project=Project(full_path="Some.Group/sub/a project"),
        spec=spec,
        token=Secret("token"),
        created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        runner=JobRunner(
            runner_id=1,
            system_id="s",
            description="d",
            tags=(),
            maximum_timeout=None,
            cancels_gracefully=True,
        ),
    )
    return {variable.key: variable.value for variable in predefined(job, "https://ci.example.org:8443/sub")}


def test_the_document_lists_each_of_them() -> None:
    listed = PAGE.read_text().partition("<!-- predefined")[2].partition("<!-- end of predefined -->")[0]
    found = re.findall(r"`([A-Z0-9_]+)`", listed)
    assert sorted(found) == sorted([*variables(JobSpec(name="j")), "CI_NODE_INDEX"])


def test_values_are_those_of_gitlab() -> None:
    found = variables(JobSpec(name="Build: [amd64, 1.5]"))
    assert found["CI_JOB_NAME_SLUG"] == "build---amd64--1-5"
    assert found["CI_SERVER_FQDN"] == "ci.example.org:8443"
    assert found["CI_PIPELINE_CREATED_AT"] == "2026-01-02T03:04:05Z"
    assert found["CI_PROJECT_NAMESPACE_SLUG"] == "some-group-sub"
    assert found["CI_NODE_TOTAL"] == "1"
    assert "CI_NODE_INDEX" not in found


def test_tags_are_a_json_array() -> None:
    assert variables(JobSpec(name="j"))["CI_JOB_TAGS"] == "[]"
    assert variables(JobSpec(name="j", tags=("big", 'a"b', "é")))["CI_JOB_TAGS"] == r'["big", "a\"b", "é"]'
    assert "CI_JOB_TAGS" not in before_the_start()


def test_what_a_matrix_says_of_the_number_of_jobs_is_not_said_twice() -> None:
    spec = JobSpec(name="j", variables=(Variable(key="CI_NODE_TOTAL", value="4", public=True),))
    assert "CI_NODE_TOTAL" not in variables(spec)
