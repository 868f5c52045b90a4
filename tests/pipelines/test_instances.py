"""`parallel`, and needs of the jobs that it makes."""

import pytest

from paas_runner.pipelines.complaints import PipelineError
from paas_runner.pipelines.gitlab_ci.pipeline import load_pipeline
from paas_runner.pipelines.spec import JobSpec

MATRIX = """
build:
  stage: build
  script: [make]
  variables: {ARCH: none, KEPT: kept}
  parallel: {matrix: [{ARCH: [amd64, arm64], OS: [debian, alpine]}, {ARCH: riscv}]}
"""


def jobs(text: str) -> dict[str, JobSpec]:
    return {spec.name: spec for spec in load_pipeline(text).jobs}


def values(spec: JobSpec) -> dict[str, str]:
    return {variable.key: variable.value for variable in spec.variables}


def test_a_matrix_becomes_a_job_for_each_combination_in_gitlabs_order() -> None:
    found = jobs(MATRIX)
    assert list(found) == [
        "build: [amd64, debian]",
        "build: [amd64, alpine]",
        "build: [arm64, debian]",
        "build: [arm64, alpine]",
        "build: [riscv]",
    ]
    assert values(found["build: [arm64, debian]"]) == {
        "ARCH": "arm64",
        "KEPT": "kept",
        "OS": "debian",
        "CI_NODE_INDEX": "3",
        "CI_NODE_TOTAL": "5",
    }


@pytest.mark.parametrize(
    ("needs", "found"),
    [
        ("['build: [riscv]']", ("build: [riscv]",)),
        ("[build]", tuple(jobs(MATRIX))),
        ("[{job: build, parallel: {matrix: [{ARCH: riscv}]}}]", ("build: [riscv]",)),
        (
            "[{job: build, parallel: {matrix: [{ARCH: arm64, OS: [debian, alpine]}]}}]",
            ("build: [arm64, debian]", "build: [arm64, alpine]"),
        ),
        ("[{job: 'build: [sparc]', optional: true}]", ()),
    ],
)
def test_needs_name_one_job_of_a_matrix_or_all(needs: str, found: tuple[str, ...]) -> None:
    spec = jobs(f"{MATRIX}test: {{script: x, needs: {needs}}}")["test"]
    assert (spec.needs, spec.dependencies) == (found, found)


@pytest.mark.parametrize(
    "needs", ["['build: [sparc]']", "[{job: build, parallel: {matrix: [{ARCH: sparc}]}}]"]
)
def test_a_combination_that_does_not_exist_cannot_be_needed(needs: str) -> None:
    with pytest.raises(PipelineError, match=r"need `build: \[sparc\]` is not defined"):
        load_pipeline(f"{MATRIX}test: {{script: x, needs: {needs}}}")


def test_a_single_copy_is_numbered_as_well() -> None:
    spec = jobs("a: {script: x, parallel: 1}")["a 1/1"]
    assert values(spec) == {"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "1"}


def test_the_elements_of_a_matrix_may_come_by_reference() -> None:
    matrix = ".m: {parallel: {matrix: [{A: [x, y]}]}}\n"
    job = "j: {script: x, parallel: {matrix: [!reference [.m, parallel, matrix]]}}"
    assert list(jobs(matrix + job)) == ["j: [x]", "j: [y]"]


def test_a_matrix_has_gitlabs_limit() -> None:
    many = "[" + ", ".join(map(str, range(15))) + "]"
    with pytest.raises(PipelineError, match="too many jobs"):
        load_pipeline(f"j: {{script: x, parallel: {{matrix: [{{A: {many}, B: {many}}}]}}}}")
    with pytest.raises(PipelineError, match="too many jobs"):
        load_pipeline(
            f"j: {{script: x, parallel: {{matrix: [{{{', '.join(f'V{i}: {many}' for i in range(50))}}}]}}}}"
        )


def test_two_jobs_of_one_name_are_told() -> None:
    pipeline = load_pipeline("j: {script: x, parallel: {matrix: [{A: b}, {C: b}]}}")
    assert [spec.name for spec in pipeline.jobs] == ["j: [b]"]
    assert [warning.text for warning in pipeline.warnings] == [
        "several jobs are called so, the last one counts"
    ]
