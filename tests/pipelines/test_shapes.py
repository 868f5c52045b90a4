"""Thirty pipelines in the shapes of real ones: includes, templates, matrices, anchors, what has no effect.

The first lines of each say what comes of it: the jobs in order, or the refusal, and what is warned about.
"""

import re
from pathlib import Path

import pytest

from paas_runner.errors import RunnerError
from paas_runner.pipelines.repository_files import load_file
from paas_runner.pipelines.spec import Pipeline

SHAPES = sorted((Path(__file__).parent / "shapes").glob("*.yml"))


def expected(path: Path) -> dict[str, str]:
    """The comments at the beginning."""
    return dict(re.findall(r"^# (\w+): (.*)$", path.read_text(), re.MULTILINE))


def split(text: str) -> list[str]:
    """At commas that are in no brackets."""
    return re.split(r", (?![^\[]*\])", text) if text else []


def keys(warnings: list[str]) -> set[str]:
    return {re.sub(r".*?: (?:job `.*?`, )?`(.*?)`.*", r"\1", warning) for warning in warnings}


@pytest.mark.parametrize("path", SHAPES, ids=lambda path: path.stem)
def test_a_pipeline_of_a_real_shape_is_read_or_refused_with_the_cause(path: Path) -> None:
    wanted = expected(path)
    try:
        pipeline = load_file(path)
    except RunnerError as error:
        said, *warnings = str(error).splitlines()
        assert wanted.get("refused", "not refused") in said
        warnings = [warning.removeprefix("  warning: ") for warning in warnings]
    else:
        assert [spec.name for spec in pipeline.jobs] == split(wanted["jobs"])
        warnings = [str(warning) for warning in pipeline.warnings]
    assert keys(warnings) == set(split(wanted.get("warnings", "")))


def load(name: str) -> Pipeline:
    return load_file(next(path for path in SHAPES if path.stem == name))


def test_there_are_thirty() -> None:
    assert len(SHAPES) == 30


def test_many_jobs_of_a_kind_have_one_warning_for_each_keyword() -> None:
    pipeline = load("many-of-a-kind")
    assert len(pipeline.jobs) == 140
    assert [warning.times for warning in pipeline.warnings] == [140] * 3


def test_needs_through_anchors_are_all_there() -> None:
    needs = {spec.name: spec.needs for spec in load("nested-needs").jobs}
    assert needs["smoke-arm"] == ("alpine-clang", "xen-arm", "alpine-gcc", "xen-x86")


def test_references_of_included_files_are_followed() -> None:
    assert load("references-into-included-files").jobs[0].script == (
        "retry() { :; }",
        "retry() { :; }",
        "setup",
        "make",
    )


def test_rules_win_over_the_jobs_own_word() -> None:
    when = {spec.name: str(spec.when) for spec in load("manual-but-for-rules").jobs}
    assert when == {"lint": "on_success", "build": "on_success", "deploy": "manual"}
