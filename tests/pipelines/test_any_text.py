"""Whatever the text: a pipeline or a refusal in words, soon."""

import json
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from paas_runner.pipelines.complaints import PipelineError
from paas_runner.pipelines.gitlab_ci.drafts import KNOWN
from paas_runner.pipelines.gitlab_ci.pipeline import load_pipeline
from paas_runner.pipelines.spec import Pipeline

TOP = ["default", "include", "spec", "stages", "variables", "workflow", "image", "cache", "a", "b", ".c"]
INNER = [
    "max",
    "matrix",
    "job",
    "paths",
    "key",
    "files",
    "if",
    "value",
    "name",
    "local",
    "inputs",
    "artifacts",
    "reports",
]
WORDS = [
    *(
        "a",
        "b",
        ".c",
        "a: [x]",
        "1",
        "200",
        "true",
        "never",
        "manual",
        "1 week",
        "$A",
        "$A == 'x'",
        "x.yml",
        "*.yml",
    ),
    *("$[[ inputs.x ]]", "/(a/", "", "\n", "\ud800", "é" * 40),
]

texts = st.sampled_from(WORDS)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | texts,
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(st.sampled_from([*INNER, *sorted(KNOWN), "A"]), inside, max_size=3)
    ),
    max_leaves=12,
)
jobs = st.fixed_dictionaries(
    {"script": values},
    optional=dict.fromkeys((*sorted(KNOWN - {"script"}), "extends", "trigger"), values),
)
documents = st.dictionaries(st.sampled_from(TOP), jobs | values, max_size=4)


def files(path: str) -> list[tuple[str, str]]:
    return (
        [("x.yml", "spec: {inputs: {x: {default: y}}}\n---\nd: {script: '$[[ inputs.x ]]'}")] if path else []
    )


def outcome(text: str, *, with_files: bool = False) -> Pipeline | list[str]:
    """The pipeline, or what is said of it."""
    try:
        return load_pipeline(text, files if with_files else None)
    except PipelineError as error:
        return [str(error), *map(str, error.warnings)]


@settings(deadline=timedelta(seconds=2))
@given(documents, st.booleans())
def test_any_document_is_a_pipeline_or_is_refused_in_words(
    document: dict[str, Any], with_files: bool
) -> None:
    found = outcome(json.dumps(document, ensure_ascii=False), with_files=with_files)
    if isinstance(found, Pipeline):
        assert found.jobs
        assert found.predecessors().keys() == {spec.name for spec in found.jobs}
    else:
        assert all(found)


@given(st.text())
def test_any_text_is_refused_or_read(text: str) -> None:
    assert outcome(text)
