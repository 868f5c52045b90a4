"""docs/automation.md, typed as it stands there, and the table that closes every row of palvella's design."""

import re
import tomllib
from pathlib import Path

import pytest
from paas_pipelines.definitions.loading import load
from paas_pipelines.notices.settings import NotifierSettings
from paas_pipelines.server import automation

from tests.paas_pipelines.test_document_of_pipelines import (  # noqa: F401 - fixtures among them
    _BLOCK,
    terminal,
    typed,
    unused_address,
    variables,
)
from tests.support.pipelines_server import until
from tests.support.site_program import ROOT

PAGE = (ROOT / "docs" / "automation.md").read_text()
ROWS = (ROOT / "docs" / "automation-rows.md").read_text()
SECONDS = 60


def blocks():
    """Kind and text of each, in their order; indented ones are typed into a shell."""
    for found in _BLOCK.finditer(PAGE):
        indent = found[1] if found[2] else "    "
        yield found[2] or "sh", re.sub(f"^{indent}", "", found[3] or found[4], flags=re.MULTILINE)


(
    (_, INSTALL),
    (_, DEPLOY),
    (_, SETTINGS),
    (_, SERVE),
    (_, START),
    (_, APPROVE),
    (_, LOOK),
    (_, CHAT),
    (_, GREETING),
    (_, TRIGGERS),
    (_, PEOPLE),
    (_, MAIL),
    (_, EXECUTORS),
    (_, CREDENTIALS),
    (_, CALLS_OF_TRIGGERS),
    (_, LOGIN),
    *_PLUGINS,  # tried in test_plugins
) = blocks()


@pytest.mark.long
@pytest.mark.process
def test_from_nothing_to_an_approved_deployment(tmp_path, variables, unused_address):  # noqa: F811
    import shutil

    checkout = tmp_path / "checkout"
    for name in (".", "pipelines"):
        (checkout / name).mkdir()
        shutil.copy(ROOT / name / "pyproject.toml", checkout / name)
    typed(INSTALL, checkout, variables)
    folder = tmp_path / "deploy"
    (folder / "pipelines.yml").write_text(DEPLOY)
    (folder / "settings.toml").write_text(SETTINGS)
    variables["PRUNNER_ADDRESS"] = unused_address
    with terminal(". ../automation-env/bin/activate\n" + SERVE, folder, variables) as said:
        assert until(lambda: "HTTP API listening" in said())
        assert "faults: 0" in said()
        typed(START, folder, variables)
        waits = "paas-runner pipelines approvals --user bob"
        assert until(lambda: "yours to decide" in typed(waits, folder, variables))
        told = typed(APPROVE, folder, variables)
        assert "approve of run" in told
        assert "is approved" in told
        logs = "paas-runner pipelines logs latest apply --user ada"
        assert until(lambda: "applied: three changes in prod" in typed(logs + " || true", folder, variables))
        told = typed(LOOK, folder, variables)
        assert "plan: changed=true" in told
        assert re.search(r"deploy/night +schedule +20\d\d-", told)
        assert re.search(r"event [0-9a-f-]{36}", told)
        events = "paas-runner pipelines events --user ada"
        assert until(lambda: re.search(r"deploy/night +done +run ", typed(events, folder, variables)))
        typed("paas-runner pipelines fire deploy/night --user bob", folder, variables, code=1)
        typed("paas-runner pipelines reject latest --user bob --reason no", folder, variables)


def test_definitions_of_the_document_are_right(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("a", DEPLOY), ("b", GREETING), ("c", TRIGGERS), ("d", EXECUTORS)):
        Path(f"{name}.yml").write_text(text)
    assert set(load(".", "*.yml")) == {"deploy", "greeting", "ci", "report", "build"}


def test_settings_of_the_document_are_right(tmp_path):
    environ = {
        "CHAT_WEBHOOK": "https://hooks.example.com/x",
        "MAIL_PASSWORD": "a-password",
        "HOOK_SECRET": "a-secret-of-the-hook",
        "OIDC_SECRET": "a-secret-of-the-provider",
        "CREDENTIAL_KEY": "A" * 43 + "=",
    }
    for number, text in enumerate(
        (SETTINGS + "\n" + CHAT, PEOPLE, MAIL, CREDENTIALS, CALLS_OF_TRIGGERS, LOGIN)
    ):
        path = tmp_path / f"{number}.toml"
        path.write_text(text)
        tomllib.loads(text)
        found = automation.load(path, environ)
        assert all(isinstance(each, NotifierSettings) for each in found.notifiers.values())


def test_every_row_of_the_design_is_closed_or_waived():
    rows = re.findall(r"^\| (V\d{3}) \| (.+?) \| (.+?) \| (.+) \|$", ROWS, re.MULTILINE)
    assert [row for row, *_ in rows] == [f"V{number:03}" for number in range(1, 142)]
    for row, _, state, shown in rows:
        assert re.match("built|product|fact|waived|types", state), row
        if state.startswith(("built", "product")):
            assert "`tests/" in shown or "](" in shown, row


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`(tests/[^`]+)`", ROWS + PAGE))), ids=lambda name: name.rpartition("/")[2]
)
def test_each_test_that_is_named_is_there(name):
    path, _, function = name.partition("::")
    assert (ROOT / path).exists()
    assert not function or re.search(rf"def {function}\(", (ROOT / path).read_text())


def test_every_notice_of_the_log_is_logged():
    _, _, table = PAGE.partition("| Event | Level | Means |\n|---|---|---|\n")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", table.partition("\n\n")[0], re.MULTILINE)
    sources = "".join(
        path.read_text()
        for room in ("notices", "triggers")
        for path in (ROOT / "pipelines" / "paas_pipelines" / room).glob("*.py")
    )
    assert len(rows) == 7
    for event, level in rows:
        assert re.search(rf'log\.{level}\(\s*"{event}"', sources)
