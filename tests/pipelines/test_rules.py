"""`rules` of jobs and of the pipeline, for a push to `main`."""

import time

import pytest

from paas_runner.pipelines.complaints import PipelineError
from paas_runner.pipelines.gitlab_ci.pipeline import load_pipeline
from paas_runner.pipelines.jobs import Project
from paas_runner.pipelines.predefined import before_the_start
from paas_runner.pipelines.spec import JobSpec, RunWhen

OTHER = "other: {script: x}\n"


def jobs(text: str) -> dict[str, JobSpec]:
    return {spec.name: spec for spec in load_pipeline(OTHER + text).jobs}


def ruled(rules: str, more: str = "") -> JobSpec | None:
    return jobs(f"j: {{script: x, rules: {rules}{more}}}").get("j")


def refusal(text: str) -> str:
    with pytest.raises(PipelineError) as caught:
        load_pipeline(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("rules", "when"),
    [
        ("[{if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH}]", RunWhen.ON_SUCCESS),
        ("[{if: $CI_MERGE_REQUEST_IID}, {when: always}]", RunWhen.ALWAYS),
        ("[{if: $CI_COMMIT_TAG}]", None),
        ("[{if: $CI_COMMIT_TAG, when: never}, {when: on_failure}]", RunWhen.ON_FAILURE),
        ("[{when: never}, {when: always}]", None),
        ("[{if: '$CI_PIPELINE_SOURCE == \"push\"', when: manual}]", RunWhen.MANUAL),
        ("[{when: delayed, start_in: 5 minutes}]", RunWhen.ON_SUCCESS),
        ("[[{if: $NOPE}], [[{when: always}]]]", RunWhen.ALWAYS),
        ("[{changes: [a]}]", RunWhen.ON_SUCCESS),
        ("[{exists: [a], when: always}]", RunWhen.ALWAYS),
    ],
)
def test_the_first_rule_that_holds_says_whether_and_when(rules: str, when: RunWhen | None) -> None:
    spec = ruled(rules)
    assert (spec and spec.when) == when


def test_a_rule_without_when_leaves_the_jobs_own() -> None:
    spec = ruled("[{if: $CI}]", ", when: always")
    assert spec is not None
    assert spec.when is RunWhen.ALWAYS


def test_a_rule_may_allow_a_failure_and_set_variables() -> None:
    spec = ruled(
        "[{if: $CI, allow_failure: true, variables: {A: rule, B: rule}}]", ", variables: {A: job, C: job}"
    )
    assert spec is not None
    assert spec.allow_failure
    assert {v.key: v.value for v in spec.variables} == {"A": "rule", "B": "rule", "C": "job"}


def test_rules_see_the_variables_of_pipeline_and_job_expanded() -> None:
    text = """
variables: {WHERE: production, FULL: "$WHERE-$CI_COMMIT_BRANCH", RAW: {value: $WHERE, expand: false}}
a: {script: x, rules: [{if: '$FULL == "production-main"'}]}
b: {script: x, variables: {WHERE: test}, rules: [{if: '$FULL == "test-main"'}]}
c: {script: x, rules: [{if: '$RAW == "$WHERE"'}]}
d: {script: x, rules: [{if: '$CI_JOB_NAME == "d"'}]}
e: {script: x, rules: [{if: $CI_JOB_ID}]}
"""
    assert list(jobs(text)) == ["other", "a", "b", "c", "d"]


def test_each_job_of_a_matrix_has_its_own_answer() -> None:
    text = "j: {script: x, parallel: {matrix: [{A: [b, c]}]}, rules: [{if: '$A == \"c\"'}]}\n"
    assert list(jobs(text)) == ["other", "j: [c]"]
    assert jobs(text + "k: {script: x, needs: [j]}")["k"].needs == ("j: [c]",)
    assert "needs `j: [b]`, which its rules leave out" in refusal(text + "k: {script: x, needs: ['j: [b]']}")


def test_a_job_that_rules_leave_out_is_told_once_for_all() -> None:
    pipeline = load_pipeline(
        OTHER + "".join(f"j{n}:\n  script: x\n  rules: [{{if: $NO}}]\n" for n in range(3))
    )
    assert [str(warning) for warning in pipeline.warnings] == [
        "lines 4, 7 and 10: `rules`, 3 times: none holds for a push to `main`, this job is left out"
    ]


def test_only_an_optional_need_may_be_left_out() -> None:
    out = OTHER + "a: {script: x, rules: [{when: never}]}\n"
    assert "line 3: job `b` needs `a`" in refusal(out + "b: {script: x, needs: [a]}")
    pipeline = load_pipeline(
        out + "b: {script: x, needs: [{job: a, optional: true}, other], dependencies: [other]}"
    )
    assert pipeline.jobs[-1].needs == ("other",)
    assert load_pipeline(out + "b: {script: x, dependencies: [a]}").jobs[-1].dependencies == ()


def test_what_is_guessed_is_told() -> None:
    text = "j: {script: x, rules: [{if: $NO, exists: [b]}, {changes: [a], when: always}, {exists: [c]}]}"
    assert [(w.key, w.text) for w in load_pipeline(text).warnings] == [
        ("rules.changes", "the sandbox sees no files: taken as fulfilled")
    ]
    (warning,) = load_pipeline("j: {script: x, rules: [{if: '$CI =~ /(?=x)/'}, {when: always}]}").warnings
    assert "taken as a rule that does not hold" in str(warning)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("[]", "line 1: job `j`: `rules` wants a list of rules"),
        ("{if: $CI}", "wants a list of rules"),
        ("[$CI]", "`rules` must be a mapping"),
        ("[{if: '$CI ='}]", "`rules.if` is no expression"),
        ("[{when: sometimes}]", "must be one of on_success"),
    ],
)
def test_what_is_no_rule_is_refused(rules: str, words: str) -> None:
    assert words in refusal(f"j: {{script: x, rules: {rules}}}")


def test_rules_of_the_pipeline_may_leave_it_out_or_set_variables() -> None:
    workflow = (
        "workflow: {name: n, rules: [{if: $CI_COMMIT_TAG}, {if: $CI_COMMIT_BRANCH, variables: {A: b}}]}\n"
    )
    pipeline = load_pipeline(f"{workflow}j: {{script: x}}")
    assert [(v.key, v.value) for v in pipeline.jobs[0].variables] == [("A", "b")]
    assert [warning.key for warning in pipeline.warnings] == ["workflow.name"]
    assert "leave the pipeline out: none holds for a push to `main`" in refusal(
        "workflow: {rules: [{if: $CI_COMMIT_TAG}]}\nj: {script: x}"
    )


def test_a_pipeline_of_which_rules_leave_nothing_is_refused_with_the_reason() -> None:
    with pytest.raises(PipelineError, match="no job to run") as caught:
        load_pipeline("j: {script: x, rules: [{when: never}]}")
    assert [warning.key for warning in caught.value.warnings] == ["rules"]


def test_the_project_is_the_one_that_the_pipeline_is_for() -> None:
    text = "j: {script: x, rules: [{if: '$CI_PROJECT_PATH == \"team/app\"'}]}"
    assert load_pipeline(text, predefined=before_the_start(Project(full_path="team/app"))).jobs
    assert "CI_JOB_ID" not in before_the_start()


def test_variables_that_grow_when_expanded_are_refused_in_time() -> None:
    text = f"variables: {{A: {'x' * 100_000}, B: {'$A' * 80_000}}}\nj: {{script: x, rules: [{{if: $B}}]}}"
    began = time.process_time()
    assert "take too long" in refusal(text)
    assert time.process_time() - began < 5
