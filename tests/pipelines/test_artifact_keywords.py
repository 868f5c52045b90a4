"""`artifacts`, `cache`, `dependencies` and `needs: artifacts` of a pipeline's text."""

from typing import Any

import pytest

from paas_runner.pipelines.complaints import PipelineError
from paas_runner.pipelines.gitlab_ci.pipeline import load_pipeline
from paas_runner.pipelines.spec import JobSpec


def job(keyword: str) -> JobSpec:
    (spec,) = load_pipeline(f"j:\n  script: run\n  {keyword}\n").jobs
    return spec


def artifacts(text: str) -> list[dict[str, Any]]:
    return list(job(f"artifacts: {text}").artifacts.payload())


def caches(text: str) -> list[dict[str, Any]]:
    return [cache.payload() for cache in job(f"cache: {text}").caches]


def words_of(text: str) -> list[str]:
    return [str(warning) for warning in load_pipeline(text).warnings]


def test_artifacts_become_an_archive_in_the_payload() -> None:
    text = "{paths: [out/, a.txt], exclude: ['**/*.o'], name: $CI_JOB_NAME, expire_in: 1 week, when: always}"
    assert artifacts(text) == [
        {
            "name": "$CI_JOB_NAME",
            "paths": ["out/", "a.txt"],
            "exclude": ["**/*.o"],
            "untracked": False,
            "when": "always",
            "expire_in": "1 week",
            "artifact_type": "archive",
            "artifact_format": "zip",
        }
    ]


def test_untracked_files_alone_are_an_archive() -> None:
    assert [entry["untracked"] for entry in artifacts("{untracked: true}")] == [True]


def test_what_never_expires_has_no_lifetime() -> None:
    assert artifacts("{paths: [a], expire_in: never}")[0]["expire_in"] is None


def test_each_report_is_an_entry_of_its_own_whatever_the_result() -> None:
    entries = artifacts("{reports: {junit: [a.xml, b.xml], codequality: q.json}}")
    shown = [(e["artifact_type"], e["artifact_format"], e["name"], e["paths"], e["when"]) for e in entries]
    assert shown == [
        ("junit", "gzip", "junit.xml", ["a.xml", "b.xml"], "always"),
        ("codequality", "raw", "gl-code-quality-report.json", ["q.json"], "always"),
    ]


def test_a_coverage_report_says_its_own_format() -> None:
    text = "{reports: {coverage_report: {coverage_format: cobertura, path: c.xml}}}"
    assert [(entry["artifact_type"], entry["paths"]) for entry in artifacts(text)] == [
        ("cobertura", ["c.xml"])
    ]


def test_artifacts_without_files_are_none() -> None:
    assert artifacts("{name: n}") == []


def test_a_cache_has_the_usual_values_by_default() -> None:
    assert caches("{paths: [vendor/]}") == [
        {
            "key": "default-protected",
            "fallback_keys": [],
            "paths": ["vendor/"],
            "untracked": False,
            "policy": "pull-push",
            "when": "on_success",
        }
    ]


def test_there_may_be_several_caches() -> None:
    found = caches("[{key: a, fallback_keys: [b], paths: [x], policy: pull}, {paths: [y], when: always}]")
    assert [(entry["key"], entry["fallback_keys"], entry["policy"], entry["when"]) for entry in found] == [
        ("a-protected", ["b-protected"], "pull", "on_success"),
        ("default-protected", [], "pull-push", "always"),
    ]


def test_a_policy_may_be_a_variable() -> None:
    assert caches("{paths: [x], policy: $POLICY}")[0]["policy"] == "$POLICY"


def test_a_key_of_files_is_warned_of_and_stays_the_same() -> None:
    text = "j: {script: x, cache: {key: {files: [a.lock], prefix: p}, paths: [x]}}"
    (one,) = load_pipeline(text).jobs
    (two,) = load_pipeline(text).jobs
    assert one.caches == two.caches
    assert one.caches[0].key.startswith("p-")
    assert "stays the same" in words_of(text)[0]


def test_default_and_the_top_level_say_it_for_all_jobs() -> None:
    (spec,) = load_pipeline("default: {artifacts: {paths: [a]}}\ncache: {paths: [b]}\nj: {script: x}\n").jobs
    assert (spec.artifacts.paths, spec.caches[0].paths) == (("a",), ("b",))


def test_a_job_may_have_no_cache_although_all_have() -> None:
    (spec,) = load_pipeline("cache: {paths: [b]}\nj: {script: x, cache: []}\n").jobs
    assert spec.caches == ()


@pytest.mark.parametrize(
    ("needs", "dependencies", "wanted"),
    [
        ("", "", None),
        ("", "dependencies: [a]", ("a",)),
        ("", "dependencies: []", ()),
        ("needs: [a, b]", "", ("a", "b")),
        ("needs: [a, {job: b, artifacts: false}]", "", ("a",)),
        ("needs: [a, b]", "dependencies: [b]", ("b",)),
        ("", "dependencies: [c]", ("c 1/2", "c 2/2")),
        ("needs: [{job: a, artifacts: false}, b]", "dependencies: [b, a]", ("b",)),
        ("needs: []", "dependencies: [a]", ("a",)),
    ],
)
def test_whose_artifacts_a_job_gets(needs: str, dependencies: str, wanted: tuple[str, ...] | None) -> None:
    text = f"""
a: {{stage: build, script: x}}
b: {{stage: build, script: x}}
c: {{stage: build, script: x, parallel: 2}}
j:
  script: x
  {needs}
  {dependencies}
"""
    found = {spec.name: spec for spec in load_pipeline(text).jobs}
    assert found["j"].dependencies == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("j: {stage: build, script: x, dependencies: [a]}\na: {script: x}", "in current or prior stages"),
        ("j: {script: x, dependencies: [nobody]}", "dependency `nobody` is not defined"),
        ("j: {script: x, needs: [b], dependencies: [a]}\na: {script: x}\nb: {script: x}", "part of `needs`"),
        ("j: {script: x, artifacts: {paths: [a], when: sometimes}}", "must be one of on_success"),
        ("j: {script: x, artifacts: {paths: [a], expire_in: soon}}", "no duration such as `1 week`"),
        ("j: {script: x, artifacts: {reports: {coverage_report: {}}}}", "has no `path`"),
        ("j: {script: x, cache: {paths: [a], policy: steal}}", "must be one of pull-push"),
        ("j: {script: x, cache: {paths: [a], key: {prefix: p}}}", "wants a text, or one of `files`"),
        ("j: {script: x, cache: [{}, {}, {}, {}, {}]}", "4 caches at most"),
        ("j: {script: x, cache: {fallback_keys: [a, b, c, d, e, f]}}", "5 keys at most"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(PipelineError, match=words):
        load_pipeline(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("j: {script: x, artifacts: {paths: [a], access: all}}", "`artifacts.access`"),
        ("j: {script: x, artifacts: {reports: {browser_performance: a}}}", "`artifacts.reports.browser"),
        ("j: {script: x, artifacts: {reports: {dotenv: a}}}", "sets no variables"),
        ("j: {script: x, cache: {paths: [a], unprotect: true}}", "`cache.unprotect`"),
    ],
)
def test_what_has_no_effect_is_named(text: str, words: str) -> None:
    (warning,) = words_of(text)
    assert words in warning
