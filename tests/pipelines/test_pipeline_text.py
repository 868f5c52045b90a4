from datetime import timedelta
from textwrap import dedent

import pytest

from paas_runner.job.variables import Variable
from paas_runner.pipelines.complaints import PipelineError
from paas_runner.pipelines.gitlab_ci.durations import duration
from paas_runner.pipelines.gitlab_ci.pipeline import load_pipeline
from paas_runner.pipelines.spec import (
    ImageSpec,
    JobSpec,
    Pipeline,
    Retry,
    RunWhen,
    ServiceSpec,
)


def load(text: str) -> Pipeline:
    return load_pipeline(dedent(text))


def only(text: str) -> JobSpec:
    (spec,) = load(text).jobs
    return spec


def by_name(text: str) -> dict[str, JobSpec]:
    return {spec.name: spec for spec in load(text).jobs}


def job(keyword: str) -> JobSpec:
    return only(f"j:\n  script: run\n  {keyword}\n")


def warnings(text: str) -> list[str]:
    return [str(warning) for warning in load(text).warnings]


def test_scripts_are_texts_lists_and_nested_lists() -> None:
    spec = only(
        """
        j:
          before_script: prepare
          script:
            - one
            - [two, [three]]
            - |
              four
              five
          after_script: [tidy]
        """
    )
    assert spec.before_script == ("prepare",)
    assert spec.script == ("one", "two", "three", "four\nfive\n")
    assert spec.after_script == ("tidy",)


def test_variables_stay_the_text_they_are_written_as() -> None:
    spec = only("variables: {A: yes, B: 022, C: 1.0, D: '', E: , F: 12:30:45}\nj: {script: x}")
    assert {v.key: v.value for v in spec.variables} == {
        "A": "yes",
        "B": "022",
        "C": "1.0",
        "D": "",
        "E": "",
        "F": "12:30:45",
    }


def test_a_jobs_variable_wins_over_the_pipelines() -> None:
    spec = only("variables: {A: '1', B: '2'}\nj: {script: x, variables: {B: '3'}}")
    assert {v.key: v.value for v in spec.variables} == {"A": "1", "B": "3"}


def test_a_variable_may_forbid_expansion() -> None:
    (variable,) = job("variables: {P: {value: $5, expand: false, description: price}}").variables
    assert variable == Variable(key="P", value="$5", public=True, raw=True)


def test_stages_are_kept_in_order_between_the_first_and_the_last() -> None:
    assert load("stages: [a, b]\nj: {stage: b, script: x}").stages == (".pre", "a", "b", ".post")
    assert load("j: {script: x}").stages == (".pre", "build", "test", "deploy", ".post")


def test_a_job_takes_what_it_does_not_say_from_default() -> None:
    jobs = by_name(
        """
        default: {image: debian, before_script: [common], retry: 1, timeout: 5m, tags: [t]}
        plain: {script: x}
        own: {script: x, image: alpine, before_script: []}
        """
    )
    assert jobs["plain"].image == ImageSpec(name="debian")
    assert jobs["plain"].before_script == ("common",)
    assert jobs["plain"].retry == Retry(times=1)
    assert jobs["plain"].timeout == timedelta(minutes=5)
    assert (jobs["own"].image, jobs["own"].before_script) == (ImageSpec(name="alpine"), ())


def test_the_older_top_level_defaults_count_too() -> None:
    assert only("image: debian\nj: {script: x}").image == ImageSpec(name="debian")
    assert only("image: debian\ndefault: {image: alpine}\nj: {script: x}").image == ImageSpec(name="alpine")


@pytest.mark.parametrize(
    ("keyword", "image"),
    [
        ("image: python:3.12", ImageSpec(name="python:3.12")),
        (
            "image: {name: a, entrypoint: [''], pull_policy: always}",
            ImageSpec(name="a", entrypoint=("",), pull_policy=("always",)),
        ),
    ],
)
def test_an_image_is_a_name_or_a_mapping(keyword: str, image: ImageSpec) -> None:
    assert job(keyword).image == image


def test_services_are_names_and_mappings() -> None:
    text = "services: [redis, {name: postgres:13, alias: db, command: [-c, x], variables: {A: b}}]"
    variables = (Variable(key="A", value="b", public=True),)
    assert job(text).services == (
        ServiceSpec(name="redis"),
        ServiceSpec(name="postgres:13", alias="db", command=("-c", "x"), variables=variables),
    )


def test_needs_name_jobs_and_may_be_optional() -> None:
    jobs = by_name(
        """
        a: {stage: build, script: x}
        b: {script: x, needs: [a]}
        c: {script: x, needs: [{job: a}, {job: nowhere, optional: true}]}
        d: {script: x, needs: []}
        e: {script: x}
        """
    )
    needs = {name: spec.needs for name, spec in jobs.items()}
    assert needs == {"a": None, "b": ("a",), "c": ("a",), "d": (), "e": None}


def test_parallel_makes_numbered_copies_and_a_need_for_it_is_for_all() -> None:
    jobs = by_name("p: {script: x, parallel: 2}\nafter: {stage: deploy, script: x, needs: [p]}")
    assert list(jobs) == ["p 1/2", "p 2/2", "after"]
    assert {v.key: v.value for v in jobs["p 2/2"].variables} == {"CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "2"}
    assert jobs["after"].needs == ("p 1/2", "p 2/2")


@pytest.mark.parametrize(
    ("keyword", "field", "value"),
    [
        ("allow_failure: true", "allow_failure", True),
        ("allow_failure: no", "allow_failure", False),
        ("allow_failure: {exit_codes: 3}", "allowed_exit_codes", frozenset({3})),
        ("allow_failure: {exit_codes: [3, 4]}", "allowed_exit_codes", frozenset({3, 4})),
        ("retry: 2", "retry", Retry(times=2)),
        (
            "retry: {max: 1, when: runner_system_failure}",
            "retry",
            Retry(times=1, reasons=frozenset({"runner_system_failure"})),
        ),
        ("when: always", "when", RunWhen.ALWAYS),
        ("when: on_failure", "when", RunWhen.ON_FAILURE),
        ("when: manual", "when", RunWhen.MANUAL),
        ("when: delayed", "when", RunWhen.ON_SUCCESS),
        ("tags: [a, b]", "tags", ("a", "b")),
        ("stage: deploy", "stage", "deploy"),
        ("timeout: 1h 30m", "timeout", timedelta(minutes=90)),
    ],
)
def test_each_keyword_is_read(keyword: str, field: str, value: object) -> None:
    assert getattr(job(keyword), field) == value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90 seconds", 90),
        ("3600", 3600),
        ("1h 30m", 5400),
        ("1h30m", 5400),
        ("2 hours and 5 minutes", 7500),
        ("1 day, 1 hr", 90000),
        ("1.5 hours", 5400),
        ("1w", 604800),
        ("1 month", 30 * 86400),
        ("3 months", 90 * 86400),
        ("1 mo", 30 * 86400),
        ("1 year", 31_557_600),
        ("1 y", 31_557_600),
        ("6 mos 1 day", 181 * 86400),
        ("47 yrs 6 mos and 4d", 47 * 31_557_600 + 184 * 86400),
        ("1 wk plus 2 dy", 9 * 86400),
        ("1:30:00", 5400),
    ],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "0", "1 fortnight", "-5m", "h", "999999999 years", "1 " * 99])
def test_what_is_no_duration_is_refused(text: str) -> None:
    assert duration(text) is None


def test_extends_merges_deeply_and_replaces_lists() -> None:
    jobs = by_name(
        """
        .base: {image: debian, variables: {A: "1", B: "2"}, script: [base, base], tags: [t]}
        .more: {variables: {B: "3"}, before_script: [more]}
        j: {extends: [.base, .more], script: [own], variables: {C: "4"}}
        """
    )
    assert list(jobs) == ["j"]
    spec = jobs["j"]
    assert (spec.script, spec.before_script, spec.image) == (("own",), ("more",), ImageSpec(name="debian"))
    assert {v.key: v.value for v in spec.variables} == {"A": "1", "B": "3", "C": "4"}


def test_anchors_and_merge_keys_work() -> None:
    spec = only(
        """
        .base: &base {image: debian, tags: [t]}
        .lines: &lines [one, two]
        j:
          <<: *base
          image: alpine
          script: [*lines, three]
        """
    )
    assert (spec.image, spec.tags, spec.script) == (ImageSpec(name="alpine"), ("t",), ("one", "two", "three"))


def test_a_reference_brings_in_what_it_names() -> None:
    spec = only(
        """
        .a: {script: [one, !reference [.b, script]], variables: {X: "1"}}
        .b: {script: [two]}
        j:
          script: [!reference [.a, script], three]
          variables: !reference [.a, variables]
        """
    )
    assert spec.script == ("one", "two", "three")
    assert spec.variables == (Variable(key="X", value="1", public=True),)


@pytest.mark.parametrize(
    "key",
    [
        "only",
        "except",
        "environment",
        "inherit",
        "interruptible",
        "secrets",
        "coverage",
    ],
)
def test_a_keyword_without_effect_is_named_with_job_and_line(key: str) -> None:
    (warning,) = load(f"j:\n  script: x\n  {key}: [a]\n").warnings
    assert (warning.job, warning.key, warning.line) == ("j", key, 3)


@pytest.mark.parametrize(("key", "named"), [("workflow", "workflow.a"), ("spec", "spec")])
def test_a_top_level_keyword_without_effect_is_named(key: str, named: str) -> None:
    (warning,) = load(f"j:\n  script: x\n{key}: {{a: b}}\n").warnings
    assert (warning.job, warning.key, warning.line) == ("", named, 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("default: {interruptible: true}\nj: {script: x}", "`default.interruptible`"),
        ("j: {script: x, image: {name: a, docker: {user: b}}}", "`image.docker`"),
        ("j: {script: x, needs: [{project: p, job: a, ref: r}]}", "`needs`: only jobs of the same pipeline"),
        ("j: {script: x, retry: {max: 1, exit_codes: 3}}", "`retry.exit_codes`"),
        ("j: {script: x, variables: {A: {value: b, options: [b]}}}", "`variables.A.options`"),
        ("j: {script: x, tags: [t]}", "tags do not select a runner"),
        ("j: {script: x, when: manual}", "this one never runs"),
        ("j: {script: x}\nt: {trigger: other/project}", "job `t`, `trigger`"),
        ("j: {script: x, script: y}", "written twice"),
    ],
)
def test_a_part_without_effect_is_named(text: str, words: str) -> None:
    (warning,) = warnings(text)
    assert words in warning
    assert warning.startswith("line ")


def test_a_warning_names_the_inherited_line_once() -> None:
    pipeline = load(".b: &b\n  only: []\nj:\n  <<: *b\n  script: x\n")
    assert [(warning.job, warning.line) for warning in pipeline.warnings] == [("j", 2)]


def test_a_pipeline_understood_in_full_has_no_warning() -> None:
    assert warnings("stages: [test]\nj: {script: x, timeout: 1h}") == []


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("j: [}", 1, "not YAML"),
        ("j:\n  script: x\n bad", 3, "not YAML"),
        ("a\0b", None, "not YAML"),
        ("", 1, "a mapping of jobs"),
        ("- a", 1, "a mapping of jobs"),
        (".hidden: {script: x}", None, "no job to run"),
        ("a: 5", 1, "job `a` is no mapping"),
        ("a:\n  stage: test", 1, "no `script`"),
        ("a:\n  script: []", 1, "no `script`"),
        ("a:\n  script: [b: c]", 2, "`script` must be a text"),
        ("a:\n  script: x\n  stage: nowhere", 1, "stage `nowhere`, the stages are .pre, build"),
        ("a:\n  script: x\n  needs: [b]", 1, "job `a`: need `b` is not defined"),
        ("a:\n  script: x\n  extends: b", 3, "extends `b`, which does not exist"),
        ("a:\n  script: x\n  extends: a", 1, "extends itself"),
        ("a:\n  script: x\n  extends: [[b]]", 3, "wants names of jobs"),
        ("a:\n  script: !reference [b, script]", 2, "leads nowhere"),
        ("a:\n  script: !reference [a, script]", 2, "leads back to itself"),
        ("a:\n  script: !reference b", 2, "wants a list of names"),
        ("a:\n  script: !secret b", 2, "the tag !secret is not known"),
        ("a: &a\n  script: [*a]", 1, "contains itself"),
        ("a:\n  <<: b\n  script: x", 2, "<< wants a mapping"),
        ("? [a]\n: b", 1, "a key must be a simple text"),
        ("a:\n  script: x\n  timeout: soon", 3, "is no duration"),
        ("a:\n  script: x\n  retry: 3", 3, "between 0 and 2"),
        ("a:\n  script: x\n  retry: {max: many}", 3, "`retry.max` must be a whole number"),
        ("a:\n  script: x\n  when: never", 3, "must be one of on_success"),
        ("a:\n  script: x\n  parallel: 500", 3, "between 1 and 200"),
        ("a:\n  script: x\n  allow_failure: perhaps", 3, "must be true or false"),
        ("a:\n  script: x\n  image: {entrypoint: []}", 3, "has no `name`"),
        ("variables: [a]\nb: {script: x}", 1, "`variables` must be a mapping"),
        ("a: {script: x, needs: [b]}\nb: {script: x, needs: [a]}", None, "wait for each other"),
        (
            "a: {stage: build, script: x, needs: [b]}\nb: {script: x}",
            1,
            "not defined in current or prior stages",
        ),
        ("a:\n  script: x\n  parallel: {matrix: []}", 3, "makes no job"),
        ("a:\n  script: x\n  parallel: {matrix: [{}]}", 3, "an entry without variables"),
        ("a:\n  script: x\n  parallel: {}", 3, "must be a number, or have a `matrix`"),
        ("a:\n  script: x\n  retry: {max: 1, when: bad_weather}", 3, "no failure reason `bad_weather`"),
        ("a:\n  script: x\n  timeout: 2 months", 3, "may be 30 days at most"),
        ("a:\n  script: x\n  tags: [[b]]", 3, "`tags` must be a text, not a list"),
        ("--- {}\n--- {}", 2, "not YAML"),
    ],
)
def test_what_cannot_be_run_is_refused_with_its_line(text: str, line: int | None, words: str) -> None:
    with pytest.raises(PipelineError) as caught:
        load_pipeline(text)
    assert words in str(caught.value)
    assert caught.value.line == line


def test_scripts_may_be_nested_as_deeply_as_on_gitlab_and_no_deeper() -> None:
    assert job("script: " + "[" * 10 + "x" + "]" * 10).script == ("x",)
    with pytest.raises(PipelineError, match="lists up to 10 levels deep"):
        job("script: " + "[" * 11 + "x" + "]" * 11)


def test_lists_are_opened_up_where_gitlab_does() -> None:
    spec = by_name(
        """
        .needs: &needs [a]
        .cache: &cache [{key: k, paths: [p]}]
        .services: {services: [postgres:15]}
        a: {script: x}
        b:
          script: x
          needs: [*needs, [[c]]]
          cache: [*cache, {key: l}]
          services: [redis, !reference [.services, services]]
        c: {script: x}
        """
    )["b"]
    assert spec.needs == ("a", "c")
    assert [cache.key for cache in spec.caches] == ["k", "l"]
    assert [service.name for service in spec.services] == ["redis", "postgres:15"]


def test_null_is_not_set_so_that_the_default_counts() -> None:
    spec = only(
        """
        default: {before_script: [d], image: debian}
        .base: {before_script: [b]}
        j: {extends: .base, before_script: null, image: ~, needs: , script: x, artifacts: {paths: ~}}
        """
    )
    assert (spec.before_script, spec.image, spec.needs) == (("d",), ImageSpec(name="debian"), None)


def test_a_job_that_is_left_out_is_not_waited_for() -> None:
    pipeline = load("t: {trigger: p}\nj: {script: x, needs: [t], dependencies: [t]}\n")
    assert [(spec.name, spec.needs, spec.dependencies) for spec in pipeline.jobs] == [("j", (), ())]
    assert [(w.job, w.key) for w in pipeline.warnings] == [
        ("t", "trigger"),
        ("j", "dependencies"),
        ("j", "needs"),
    ]


def test_jobs_may_depend_on_others_of_their_stage() -> None:
    jobs = by_name("a: {script: x}\nb: {script: x, dependencies: [a]}")
    assert jobs["b"].dependencies == ("a",)


def test_one_warning_stands_for_all_jobs_with_the_keyword() -> None:
    text = "".join(f"j{number}:\n  script: x\n  coverage: /x/\n" for number in range(141))
    (warning,) = warnings(text)
    assert warning == (
        "lines 3, 6, 9 and 138 more: `coverage`, 141 times: not understood by the sandbox, it has no effect"
    )


def test_what_was_found_before_a_refusal_comes_with_it() -> None:
    with pytest.raises(PipelineError) as caught:
        load_pipeline("j:\n  script: x\n  coverage: /x/\nk:\n  script: [{}]\n")
    assert [warning.key for warning in caught.value.warnings] == ["coverage"]
