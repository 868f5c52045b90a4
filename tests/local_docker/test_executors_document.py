"""`docs/executors.md` says what is true."""

import re
from pathlib import Path

import attrs
import pytest

from executors.local_docker import LocalDockerSettings
from paas_runner.docker.labels import ENDS_AT, INSTALLATION, JOB, RUNNER
from paas_runner.executor import Diagnosing, Examinable, Executor, HasFlavors, HasTenants
from paas_runner.inner.cli import InnerExit

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "executors.md").read_text()
ROWS = {
    cells[0].strip("`"): cells
    for cells in (row.split(" | ") for row in re.findall(r"^\| (.*) \|$", TEXT, re.MULTILINE))
}


def test_every_key_of_local_docker_has_its_meaning():
    for field in attrs.fields(LocalDockerSettings):
        assert field.metadata["doc"][1:].partition(":")[0] in ROWS[field.name][-1], field.name


def verbs(contract):
    return {name for name, found in vars(contract).items() if callable(found) and not name.startswith("_")}


def test_every_verb_of_the_contract_has_a_row():
    assert verbs(Executor) <= set(ROWS)


@pytest.mark.parametrize("part", [HasFlavors, HasTenants, Diagnosing, Examinable])
def test_every_optional_part_is_described_with_its_verbs(part):
    assert verbs(part) <= set(re.findall(r"`(\w+)`", ROWS[part.__name__][1]))


def test_every_label_and_every_exit_code_of_the_inner_runner_is_documented():
    assert {INSTALLATION, RUNNER, JOB, ENDS_AT} <= set(ROWS)
    assert {str(int(code)) for code in InnerExit} <= set(ROWS)


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / "docs" / target).resolve().exists(), target
