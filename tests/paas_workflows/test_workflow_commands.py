"""`paas-runner workflow …` and `kog`, as they are called."""

import asyncio
import json
import re
import xml.etree.ElementTree as ET

import attrs
import pytest
from paas_workflows.commands import kog
from paas_workflows.machine.execution import Execution
from paas_workflows.store.executions import Executions
from paas_workflows.store.records import from_text

from paas_runner import cli
from tests.paas_workflows.test_store_of_workflows import new
from tests.paas_workflows.test_workflows_killed import UNDISTURBED
from tests.support.site_program import ROOT

EXAMPLE = str(ROOT / "workflows" / "examples" / "abort.yaml")
GONE = "unix:///there/is/no/engine.sock"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", GONE)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def called(capsys):
    def call(*arguments, program=cli.main):
        try:
            code = program(list(arguments))
        except SystemExit as ended:
            code = ended.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def workflow(called):
    return lambda *arguments: called("workflow", *arguments)


def test_check_says_all_at_once_and_ends_by_it(workflow, tmp_path):
    code, out, _ = workflow("check", EXAMPLE)
    assert (code, out.splitlines()[-1]) == (0, f"{EXAMPLE}: can be run")
    assert out.count("(warning)") == 2
    path = tmp_path / "wrong.yaml"
    path.write_text("name: n\nactions: {}\n")
    code, out, _ = workflow("check", str(path), "--json")
    assert code == 1
    assert json.loads(out) == {
        "complaints": [
            {"file": str(path), "line": 2, "text": "actions: at least one is needed"},
            {"file": str(path), "line": 1, "text": "workflows is missing"},
        ],
        "warnings": [],
    }
    path.write_text("[")
    assert workflow("check", str(path))[0] == 2
    assert workflow("check", str(tmp_path / "none"))[0] == 2


def test_a_workflow_is_drawn_in_the_terminal(workflow):
    """K021, K027, K030."""
    _, out, _ = workflow("graph", EXAMPLE)
    assert out.splitlines()[:5] == [
        "┌───────┐",
        "│ start │ auto-success, at most 30 min",
        "└─┬─────┘",
        "  ├─ success ──→ step2",
        "  └─ failure abort timeout ──→ notify",
    ]
    _, out, _ = workflow("graph", EXAMPLE, "--workflow", "remediate")
    assert out.splitlines() == ["┌───────┐", "│ start │ auto-success, at most 30 min", "└───────┘"]


def test_a_workflow_is_drawn_as_a_picture(workflow, tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text(
        'name: "<&>"\nworkflows: {run: {start: {action: a, success: "<", abort: start}, "<": {action: a, '
        "success: start, failure: other}, other: {action: a}, alone: {action: a}}}\n"
        "actions: {a: {image: i}}\n"
    )
    code, out, _ = workflow("graph", str(path), "--svg")
    assert code == 0
    root = ET.fromstring(out)
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"start", "<", "other", "alone", "success", "abort", "failure"} <= set(texts)
    assert sum(1 for _ in root.iter("{http://www.w3.org/2000/svg}rect")) == 4


async def keep(home):
    executions = Executions(home / "paas-runner" / "workflows")
    ended = attrs.evolve(from_text(UNDISTURBED.disk, Execution, "x"), left=("workflow-x",))
    running = new("zzzzzzzzzzzz")
    for each in (ended, running):
        async with executions.opened(each.id, is_new=True) as record:
            await record.put(each)
    return ended, running


async def test_what_is_kept_elsewhere_is_gone_on_with_by_a_command_that_says_where(home, called):
    _, running = await keep(home)
    elsewhere = str(home / "paas-runner" / "workflows")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", "/other")
        _, out, _ = await asyncio.to_thread(called, "workflow", "show", running.id, "--state", elsewhere)
    assert f"`paas-runner workflow resume {running.id} --state {elsewhere}`" in out


async def test_executions_are_listed_shown_and_forgotten(home, called):
    ended, running = await keep(home)
    in_thread = asyncio.to_thread

    async def workflow(*arguments):
        return await in_thread(called, "workflow", *arguments)

    code, out, _ = await workflow("list")
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines()] == [
        ["ID", "NAME", "STATUS"],
        [running.id, "n", "running"],
        [ended.id, "story", "abort"],
    ]
    assert [each["id"] for each in json.loads((await workflow("list", "--json"))[1])] == [
        running.id,
        ended.id,
    ]
    code, out, _ = await workflow("show", ended.id)
    assert "abort: `needs` requires what is not there: the variable NOT_THERE" in out
    assert re.search(r"^slow +timeout +124 +6\d s +it has not ended in time$", out, re.MULTILINE)
    assert "could not be removed: workflow-x" in out
    code, out, _ = await workflow("show", running.id)
    assert f"workflow resume {running.id}" in out
    shown = json.loads((await workflow("show", ended.id, "--json"))[1])
    assert (shown["correlation_id"], shown["status"], shown["containers_left"]) == (
        ended.id,
        "abort",
        ["workflow-x"],
    )
    assert len(shown["results"]) == 5
    assert (await workflow("remove", running.id))[0] == 0
    code, _, err = await workflow("remove", ended.id)
    assert (code, "no engine" in err) == (2, True)
    assert [each["id"] for each in json.loads((await workflow("list", "--json"))[1])] == [ended.id]


def test_where_there_is_nothing_it_says_so(workflow):
    assert workflow("list")[:2] == (0, "there are no executions here\n")
    for action in ("show", "resume", "remove"):
        code, _, err = workflow(action, "aaaaaaaaaaaa")
        assert (code, "there is no execution aaaaaaaaaaaa" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-f", "/none.yaml"], "/none.yaml: cannot be read"),
        (["-f", EXAMPLE], "there is no engine"),
        (["-f", EXAMPLE, "--context", "/none.json"], "/none.json: cannot be read"),
        (["-f", EXAMPLE, "--env", "X"], "--env wants NAME=value"),
        (["-f", EXAMPLE, "--executor", "podman"], "invalid choice: 'podman'"),
        (["-f", EXAMPLE, "--executor", "runner"], "--executor runner needs --runners FILE"),
        (["-f", EXAMPLE, "--executor", "runner", "--runners", "/none.toml"], "/none.toml"),
        (["-f", EXAMPLE, "--executor", "runner", "--volume", "/a:/b"], "there are no volumes"),
        (["-f", EXAMPLE, "--executor", "k8s", "--volume", "/a:/b"], "there are no volumes"),
        (["-f", EXAMPLE, "--executor", "k8s"], "no cluster is named"),
        (["-f", EXAMPLE, "--volume", "here"], "its target 'here' is no absolute path"),
        (["-f", EXAMPLE, "--notifier", "me"], "--notifier wants `console` or an http(s) URL"),
        (["-f", EXAMPLE, "--workflow", "no"], "there is no workflow `no`"),
        (["-f", EXAMPLE, "--use-job-rc=maybe"], "'maybe' is neither true nor false"),
        (["-f", EXAMPLE, "--remote-logger", "http"], "invalid choice: 'http'"),
        ([], "-f/--file"),
    ],
)
def test_what_is_wrong_with_us_ends_with_2(called, arguments, message, home):
    """K005, K006, K012, K014, K015, K040, K054, K061, K072."""
    code, _, err = called("run", *arguments, program=kog.main)
    assert code == 2
    assert message in err
    assert not list(home.rglob("*.db"))


def test_a_file_of_kubectl_that_is_wrong_is_a_wrong_option(workflow, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/none/config")
    code, _, err = workflow("run", EXAMPLE, "--executor", "k8s")
    assert (code, "--executor k8s: /none/config: no such file" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["upgrade"], "in a newer checkout, pip install . ./workflows"),
        (["switch-to", "--version", "1.2.3"], "in a checkout of 1.2.3, pip install . ./workflows"),
        (["switch-to", "--list"], "CHANGELOG.md of a checkout"),
    ],
)
def test_kog_is_replaced_by_who_has_installed_it(called, arguments, remedy):
    """K007, K008, K009."""
    code, _, err = called(*arguments, program=kog.main)
    assert code == 2
    assert remedy in err


def test_help_names_signals_and_exit_codes(called, workflow):
    for text in (called("run", "--help", program=kog.main)[1], workflow("run", "--help")[1]):
        for word in ("--import-current-env", "--ignore-env", "--volume", "SIGTERM", "exit codes", "124"):
            assert word in text
    assert "74, 75" not in called("run", "--help", program=kog.main)[1]
