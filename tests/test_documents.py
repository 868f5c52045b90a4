"""The documents say what is true."""

import re
import runpy
from pathlib import Path

import attrs
import pytest

from executors.clever.settings import CleverSettings
from executors.local_docker.settings import LocalDockerSettings
from executors.tag_tables import TagHosts, TagImage
from paas_runner.config import load
from paas_runner.config.model import Config, QuotaComputation
from paas_runner.config.notify import Receiver
from paas_runner.config.runner import AcquisitionAudit, JobTraceWatch, Runner
from paas_runner.config.telemetry import LogRemote, Traces
from paas_runner.errors import Exit
from paas_runner.executor.contract import installed

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "docs" / name for name in ("configuration.md", "clever-cloud.md", "executors.md"))
CONFIGURATION = "".join(path.read_text() for path in DOCUMENTS)
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    "cls",
    [
        Config,
        Runner,
        QuotaComputation,
        Receiver,
        Traces,
        LogRemote,
        AcquisitionAudit,
        JobTraceWatch,
        CleverSettings,
        LocalDockerSettings,
        TagHosts,
        TagImage,
    ],
)
def test_every_key_is_documented_with_its_meaning(cls):
    rows = re.findall(r"^\| `([^`]+)` \|.*\| (.*) \|$", CONFIGURATION, re.MULTILINE)
    for field in attrs.fields(cls):
        if doc := field.metadata.get("doc"):
            key = field.metadata["key"] or field.name
            assert [meaning for name, meaning in rows if name == key and doc.rstrip(".")[1:] in meaning], key


def examples():
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for number, text in enumerate(re.findall(r"```toml\n(.*?)```", path.read_text(), re.DOTALL), 1):
            if text.startswith("[pipelines"):  # another file: test_document_of_automation.py
                continue
            yield pytest.param(text, id=f"{path.name} {number}")


@pytest.mark.parametrize("text", list(examples()))
def test_every_example_of_a_configuration_loads_without_a_word(text, tmp_path):
    for name, content in {
        "config.toml": text,
        "secrets.toml": 'gitlab = "glrt-made-up-token"\nclever = "made-up-token"',
        "attributes": "made-up-token",
    }.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(content)
    environ = {
        "RUNNER_TOKEN": "glrt-made-up-token",
        "AUDIT_TOKEN": "made-up-token-that-reads",
        "AUDIT_CANCEL_TOKEN": "made-up-token-that-cancels",
        "NOTIFY_SECRET": "made-up-and-long-enough",
        "CHAT_WEBHOOK": "https://chat.example/hooks/made-up",
        "CLEVER_TOKEN": "made-up-token",
        "CREDENTIALS_DIRECTORY": str(tmp_path),
    }
    config = load(
        tmp_path / "config.toml",
        environ=environ,
        executors=installed(),
        local_url="https://pipelines.example.com",
    )
    assert config.warnings == ()


def test_every_exit_code_is_documented():
    text = (ROOT / "docs/operations.md").read_text()
    _, _, after = text.partition("\n## Exit codes\n")
    table, _, _ = after.partition("\n## ")
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == set(Exit)


PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))


def without_code(text):
    return re.sub(r"```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page):
    """Of the headings, as the places that show the repository make them, and the site."""
    titles = re.findall(r"^#+ (.*)$", without_code(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", without_code(page.read_text())):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        place = page.parent / path if path else page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


def test_the_diagram_of_a_jobs_life_is_the_one_that_the_table_gives():
    drawing = runpy.run_path(str(ROOT / "docs/lifecycle_diagram.py"))
    assert drawing["page_with"](drawing["diagram"]()) == (ROOT / "docs/architecture.md").read_text()


def test_the_architecture_names_every_room_and_none_that_is_not_there():
    page = (ROOT / "docs/architecture.md").read_text()
    ours, _, pipelines = page.partition("\n    pipelines/  ")
    for text, package in ((ours, "paas_runner"), (pipelines, "pipelines/paas_pipelines")):
        drawn = set(re.findall(r"^      (\w+)/  ", text, re.MULTILINE))
        assert drawn == {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert page.count("\n") <= 180


def named_tests():
    for path in (*PAGES, *sorted((ROOT / "docs").rglob("*.toml"))):
        for name in re.findall(r"`(tests/[^`*]+)`", path.read_text()):
            yield pytest.param(name, id=f"{path.name} {name}")


@pytest.mark.parametrize("name", list(named_tests()))
def test_each_test_that_a_document_names_is_there(name):
    path, _, function = name.partition("::")
    assert (ROOT / path).exists()
    assert not function or re.search(rf"def {function}\(", (ROOT / path).read_text())


def test_every_page_is_in_the_navigation_of_the_site():
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    named = set(re.findall(r"([\w/-]+\.md)$", navigation, re.MULTILINE))
    assert {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")} == named
