"""The documents say what is true."""

import re
from pathlib import Path

import attrs
import pytest

from executors.clever.settings import CleverSettings
from paas_runner.config.model import Config, JobTraceWatch, QuotaComputation, Runner
from paas_runner.exit_codes import Exit

ROOT = Path(__file__).parents[1]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("cls", [Config, Runner, QuotaComputation, JobTraceWatch, CleverSettings])
def test_every_key_is_documented_with_its_meaning(cls):
    rows = re.findall(r"^\| `([^`]+)` \|.*\| (.*) \|$", CONFIGURATION, re.MULTILINE)
    for field in attrs.fields(cls):
        if doc := field.metadata.get("doc"):
            key = field.metadata["key"] or field.name
            assert [meaning for name, meaning in rows if name == key and doc.rstrip(".")[1:] in meaning], key


def test_every_exit_code_is_documented():
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)} == set(Exit)


def test_every_link_of_the_readme_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_no_module_has_grown_beyond_one_subject():
    sources = [
        path for folder in ("paas_runner", "executors", "register") for path in (ROOT / folder).rglob("*.py")
    ]
    assert {str(path): lines for path in sources if (lines := path.read_text().count("\n")) > 400} == {}
