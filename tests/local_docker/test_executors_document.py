"""`docs/executors.md` says what is true."""

import re
from pathlib import Path

import attrs

from executors.local_docker import LocalDockerSettings
from paas_runner.docker.labels import INSTALLATION, JOB, RUNNER
from paas_runner.executor.contract import Executor
from paas_runner.inner.cli import Exit

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "executors.md").read_text()
ROWS = {
    cells[0].strip("`"): cells
    for cells in (row.split(" | ") for row in re.findall(r"^\| (.*) \|$", TEXT, re.MULTILINE))
}


def test_every_key_of_local_docker_has_its_meaning():
    for field in attrs.fields(LocalDockerSettings):
        assert field.metadata["doc"][1:].partition(":")[0] in ROWS[field.name][-1], field.name


def test_every_verb_of_the_contract_is_documented():
    verbs = {name for name, found in vars(Executor).items() if callable(found) and not name.startswith("_")}
    told = {name for cell in ROWS for name in re.findall(r"\w+", cell)}
    assert verbs <= told


def test_every_label_and_every_exit_code_of_the_inner_runner_is_documented():
    assert {INSTALLATION, RUNNER, JOB} <= set(ROWS)
    assert {str(int(code)) for code in Exit} <= set(ROWS)


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / "docs" / target).resolve().exists(), target
