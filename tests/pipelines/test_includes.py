"""`include`, and the header of a file with its inputs."""

import pytest

from paas_runner.pipelines.complaints import PipelineError
from paas_runner.pipelines.gitlab_ci.pipeline import load_pipeline
from paas_runner.pipelines.spec import JobSpec, Pipeline


def load(text: str, **files: str) -> Pipeline:
    """With files of a repository by name, without their ending."""

    def read(path: str) -> list[tuple[str, str]]:
        if path == "*.yml":
            return [(f"{name}.yml", text) for name, text in sorted(files.items())]
        name = path.removesuffix(".yml")
        return [(path, files[name])] if name in files else []

    return load_pipeline(text, read)


def jobs(text: str, **files: str) -> dict[str, JobSpec]:
    return {spec.name: spec for spec in load(text, **files).jobs}


def refusal(text: str, **files: str) -> str:
    with pytest.raises(PipelineError) as caught:
        load(text, **files)
    return str(caught.value)


@pytest.mark.parametrize(
    "include",
    ["a.yml", "/a.yml", "[a.yml]", "{local: a.yml}", "[{local: /a.yml}]", "[[{local: a.yml}]]", "'*.yml'"],
)
def test_a_local_file_is_read_however_it_is_named(include: str) -> None:
    assert list(jobs(f"include: {include}\nmine: {{script: x}}", a="theirs: {script: y}")) == [
        "theirs",
        "mine",
    ]


def test_later_files_win_over_earlier_ones_and_the_own_text_over_all() -> None:
    found = jobs(
        "include: [a.yml, b.yml]\nvariables: {V: own}\nj: {script: own}",
        a="variables: {V: a, A: a}\nj: {script: a, tags: [a], image: a}\nstages: [a]",
        b="variables: {V: b, A: b}\nj: {image: b}\nstages: [test]",
    )["j"]
    assert found.script == ("own",)
    assert found.image is not None
    assert (found.image.name, found.tags) == ("b", ("a",))
    assert {v.key: v.value for v in found.variables} == {"V": "own", "A": "b"}


def test_included_files_include_others_below_themselves() -> None:
    found = jobs(
        "include: a.yml\nj: {extends: .b}",
        a="include: b.yml\n.b: {script: a}",
        b=".b: {script: b, tags: [t]}",
    )
    assert (found["j"].script, found["j"].tags) == (("a",), ("t",))


def test_references_and_extends_reach_into_included_files() -> None:
    text = "include: a.yml\nj: {script: [!reference [.a, script]], extends: .b, stage: lint}"
    found = jobs(text, a="stages: [lint]\n.a: {script: [a]}\n.b: {tags: [b]}")
    assert (found["j"].script, found["j"].tags) == (("a",), ("b",))


def test_complaints_name_the_included_file_and_its_line() -> None:
    assert (
        refusal("include: a.yml", a="\nj:\n  script: {}\n")
        == "line 3 of a.yml: job `j`: `script` must be a text"
    )
    (warning,) = load("include: a.yml", a="j:\n  script: x\n  coverage: /x/").warnings
    assert str(warning).startswith("line 3 of a.yml: job `j`, `coverage`")


def test_lines_of_one_file_name_it_once() -> None:
    texts = [f"j{n}:\n  script: x\n  coverage: /x/\n" for n in range(5)]
    (warning,) = load("include: a.yml", a="".join(texts)).warnings
    assert str(warning).startswith("lines 3, 6, 9 of a.yml and 2 more: `coverage`, 5 times: ")
    (warning,) = load("include: [a.yml, b.yml]", a="".join(texts[:2]), b=texts[2]).warnings
    assert str(warning).startswith("lines 3, 6 of a.yml and 3 of b.yml: ")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("https://example.org/ci.yml", "the remote file `https://example.org/ci.yml` is not read"),
        ("{remote: https://example.org/ci.yml}", "the remote file"),
        ("{project: group/project, file: [ci.yml], ref: main}", "the project `group/project` is not read"),
        ("{template: Auto-DevOps.gitlab-ci.yml}", "the template `Auto-DevOps.gitlab-ci.yml` is not read"),
        ("{component: example.org/c@1}", "the component `example.org/c@1` is not read"),
    ],
)
def test_what_is_not_of_the_repository_is_named_as_missing(entry: str, words: str) -> None:
    (warning,) = load(f"include: [{entry}]\nj: {{script: x}}").warnings
    assert (warning.key, warning.line) == ("include", 1)
    assert words in str(warning)
    assert str(warning).endswith("what it brings is missing")


def test_a_refusal_for_what_an_include_would_bring_comes_with_the_include() -> None:
    for rest in ("", "j: {extends: .base}", "j: {script: x, stage: lint}", "j: {script: !reference [.x, y]}"):
        with pytest.raises(PipelineError) as caught:
            load_pipeline(f"include: [{{project: p, file: a.yml}}, {{local: b.yml}}]\n{rest}\n")
        texts = [str(warning) for warning in caught.value.warnings]
        assert len(texts) == 2
        assert texts[0].startswith("line 1: `include`: ")


def test_rules_of_an_include_say_whether_the_file_is_read() -> None:
    text = "include: [{local: a.yml, rules: [{if: %s}]}]\nmine: {script: x}"
    pipeline = load(text % "$CI_COMMIT_BRANCH", a="j: {script: x}")
    assert [spec.name for spec in pipeline.jobs] == ["j", "mine"]
    assert pipeline.warnings == ()
    pipeline = load(text % "$CI_COMMIT_TAG", a="j: {script: x}")
    assert [spec.name for spec in pipeline.jobs] == ["mine"]
    assert [(warning.key, warning.line) for warning in pipeline.warnings] == [("include.rules", 1)]


def test_the_path_of_an_include_may_have_predefined_variables() -> None:
    assert list(jobs("include: $CI_PROJECT_NAME$NO.yml", project="j: {script: x}")) == ["j"]


def test_a_job_whose_script_may_be_in_what_is_not_read_is_left_out() -> None:
    text = "sast: {stage: test}\nj: {script: x, needs: [sast]}"
    pipeline = load(f"include: {{template: SAST.yml}}\n{text}")
    assert [(spec.name, spec.needs) for spec in pipeline.jobs] == [("j", ())]
    assert [str(warning) for warning in pipeline.warnings][1:] == [
        "line 2: job `sast`, `script`: missing: it may be in what is not included, this job is left out",
        "line 3: job `j`, `needs`: `sast` is left out, this job does not wait for it",
    ]
    assert "no `script`" in refusal(f"include: a.yml\n{text}", a="k: {script: x}")


@pytest.mark.parametrize(
    ("include", "words"),
    [
        ("nowhere.yml", "`nowhere.yml`, which does not exist"),
        ("a.json", "a file that ends with .yml or .yaml"),
        ("{ref: main}", "wants one of local, remote"),
        ("[{local: [a.yml]}]", "`include.local` must be a text"),
    ],
)
def test_an_include_that_leads_nowhere_is_refused(include: str, words: str) -> None:
    assert words in refusal(f"include: {include}\nj: {{script: x}}")


def test_files_that_include_each_other_end_at_gitlabs_limit() -> None:
    assert "more than 150 files" in refusal("include: a.yml", a="include: b.yml", b="include: a.yml")


def test_defaults_of_inputs_take_their_places() -> None:
    text = """\
spec:
  inputs:
    env: {default: staging}
    list: {type: array, default: [a, b]}
    flag: {type: boolean, default: true}
---
"deploy $[[ inputs.env ]]":
  script: ['echo $[[inputs.env]] $[[ inputs.flag ]]']
  tags: $[[ inputs.list ]]
"""
    found = jobs(text)["deploy staging"]
    assert found.script == ("echo staging true",)
    assert found.tags == ("a", "b")


def test_an_include_gives_a_file_its_inputs() -> None:
    header = "spec: {inputs: {a: , b: {default: y, options: [y, z]}}}\n---\n"
    text = f"{header}j: {{script: '$[[ inputs.a ]] $[[ inputs.b ]]'}}"
    found = jobs("include: {local: a.yml, inputs: {a: x, b: z}}", a=text)
    assert found["j"].script == ("x z",)


def test_lines_below_a_header_keep_their_numbers() -> None:
    text = "spec:\n  inputs: {a: {default: b}}\n---\nj:\n  script: {}\n"
    assert refusal(text).startswith("line 5: job `j`: `script`")
    assert refusal("# first\n---\n" + text).startswith("line 7: job `j`: `script`")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("spec: {inputs: {a: }}\n---\nj: {script: x}", "line 1: `spec.inputs.a` must have a value"),
        (
            "spec: {inputs: {}}\n---\nj:\n  script: $[[ inputs.a ]]",
            "line 4: no input is called so: `$[[ inputs.a ]]`",
        ),
        ("spec: {inputs: {a: {default: x, options: [y]}}}\n---\nj: {script: x}", "must be one of y: `x`"),
    ],
)
def test_inputs_without_a_value_are_refused(text: str, words: str) -> None:
    assert words in refusal(text)


def test_inputs_that_a_file_does_not_have_are_refused() -> None:
    assert "has no input `b`" in refusal(
        "include: {local: a.yml, inputs: {b: x}}", a="spec: {inputs: {}}\n---\n{}"
    )
    assert "takes no inputs" in refusal("include: {local: a.yml, inputs: {b: x}}", a="j: {script: x}")


def test_functions_of_inputs_are_named() -> None:
    header = "spec: {inputs: {a: {default: $X, regex: x}}}\n---\n"
    text = f"{header}j:\n  script: '$[[ inputs.a | expand_vars | truncate(0,8) ]]'"
    assert [str(warning) for warning in load(text).warnings] == [
        "line 1: `spec.inputs.a.regex`: the sandbox does not hold inputs against it",
        "line 4: `inputs.a`: `expand_vars` is not done by the sandbox: the value stays as it is",
        "line 4: `inputs.a`: `truncate` is not done by the sandbox: the value stays as it is",
    ]


def test_without_a_header_nothing_is_put_in() -> None:
    assert jobs("j: {script: 'echo $[[ inputs.a ]]'}")["j"].script == ("echo $[[ inputs.a ]]",)
