"""Texts that are meant to harm: they are refused with words, soon."""

import time

import pytest

from paas_runner.pipelines.complaints import PipelineError
from paas_runner.pipelines.gitlab_ci.pipeline import load_pipeline

LINE = "j: {script: x}\n"


def doubling(pair: str, levels: int = 40) -> str:
    """Each line names the one before twice."""
    return "".join(f".l{n}: &l{n} {pair.format(f'*l{n - 1}')}\n" for n in range(1, levels))


HARMFUL = {
    "aliases in lists": ".l0: &l0 [x]\n" + doubling("[{0}, {0}]") + LINE,
    "aliases in mappings": ".l0: &l0 {a: x}\n" + doubling("{{a: {0}, b: {0}}}") + LINE,
    "merge keys": ".l0: &l0 {" + ", ".join(f"k{n}: x" for n in range(3000)) + "}\n"
    ".l1: {<<: [" + ", ".join(["*l0"] * 3000) + "]}\n" + LINE,
    "references": ".l0: [x]\n"
    + "".join(f".l{n}: [!reference [.l{n - 1}], !reference [.l{n - 1}]]\n" for n in range(1, 40))
    + LINE,
    "lists in lists": "j: {script: " + "[" * 5000 + "]" * 5000 + "}",
    "levels": "j: {script: " + "[" * 150 + "]" * 150 + "}",
    "mappings in mappings": "j: " + "{a: " * 5000,
    "jobs": "".join(f"j{n}: {{script: x}}\n" for n in range(1001)),
    "copies": "".join(f"j{n}: {{script: x, parallel: 200}}\n" for n in range(6)),
    "defaults": "default: {before_script: ["
    + ", ".join(["x"] * 1000)
    + "]}\n"
    + "".join(f"j{n}: {{script: x}}\n" for n in range(600)),
    "variables": "variables: {"
    + ", ".join(f"V{n}: x" for n in range(2000))
    + "}\n"
    + "".join(f"j{n}: {{script: x}}\n" for n in range(400)),
    "extends": "".join(f".j{n}: {{extends: .j{n + 1}}}\n" for n in range(12))
    + ".j12: {script: x}\nj: {extends: .j0}\n",
    "needs": "a: {script: x, parallel: 200}\n.b: {script: x, needs: ["
    + ", ".join(["a"] * 5000)
    + "]}\n"
    + "".join(f"j{n}: {{extends: .b}}\n" for n in range(50)),
    "bases": ".base: {variables: {"
    + ", ".join(f"V{n}: x" for n in range(10_000))
    + "}}\n"
    + "".join(f".h{n}: {{extends: .base, variables: {{A: b}}}}\n" for n in range(3000))
    + "j: {script: x, extends: ["
    + ", ".join(f".h{n}" for n in range(3000))
    + "]}\n",
    "rules": ".r: {rules: [{if: '"
    + " || ".join(["$NO =~ /x{900}y/"] * 30)
    + "'}]}\n"
    + "".join(f"j{n}: {{script: x, extends: .r}}\n" for n in range(900)),
    "patterns": "variables: {A: " + "a" * 20_000 + "}\nj: {script: x, rules: [{if: $A =~ /(a?){800}b/}]}\n",
    "bytes": "j: {script: '" + "x" * 600_000 + "'}",
    "inputs": "spec: {inputs: {a: {default: x}}}\n---\nj: {script: '" + "$[[ inputs.a ]]" * 10_001 + "'}",
    "growing inputs": "spec: {inputs: {a: {default: '" + "x" * 100_000 + "'}}}\n---\nj: {script: '"
    "" + "$[[ inputs.a ]]" * 9_000 + "'}",
}


@pytest.mark.parametrize("text", HARMFUL.values(), ids=HARMFUL)
def test_a_text_that_grows_without_end_is_refused_in_time(text: str) -> None:
    began = time.process_time()
    with pytest.raises(PipelineError):
        load_pipeline(text)
    assert time.process_time() - began < 5


def test_many_bases_are_put_together_once() -> None:
    layers = "".join(
        f".l{n}a: {{extends: [.l{n - 1}a, .l{n - 1}b]}}\n.l{n}b: {{extends: [.l{n - 1}a, .l{n - 1}b]}}\n"
        for n in range(1, 10)
    )
    pipeline = load_pipeline(
        ".l0a: {script: x}\n.l0b: {tags: [t]}\n" + layers + "j: {extends: [.l9a, .l9b]}\n"
    )
    assert pipeline.jobs[0].tags == ("t",)
