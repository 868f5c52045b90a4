"""A distribution in a folder adds actions, executors, notifiers and credentials (V038, V042, V046, V047)."""

import asyncio
import json
import re
import sys
import textwrap
import tomllib

import attrs
import pytest
from paas_pipelines.definitions.loading import examine
from paas_pipelines.definitions.reading import DefinitionsError
from paas_pipelines.embedding import Pipelines
from paas_pipelines.server import automation
from paas_pipelines.server.checking import results
from paas_pipelines.server.plugging import found_plugins, plugged_in
from paas_pipelines.server.settings import Settings
from paas_pipelines.tasks import plugged

from paas_runner.cli import main
from paas_runner.config import ConfigError
from tests.support.foreign_distribution import install, on_path
from tests.support.site_program import ROOT

MODULE = """
import asyncio
import sys
from collections.abc import Sequence

import attrs
from paas_pipelines.plugins.contract import FailedError, ScriptEnd
from paas_runner.secret import Secret
from paas_runner.settings import setting


@attrs.frozen(kw_only=True)
class Greeting:
    whom: str = setting("Whom to greet.")
    times: int = setting("How often.", default=1, minimum=1)
    password: Secret | None = setting("With what.", default=None)
    how: str = setting("What happens.", default="well")

    def problems(self):
        if self.how == "contradicts":
            yield "how", "contradicts itself"
        if self.how == "problem":
            raise RuntimeError("canary in problems")


@attrs.frozen
class Greeter:
    settings: Greeting

    async def run(self, work):
        work.write(f"hello {self.settings.whom} by {work.params['word']}\\n")
        if self.settings.password:
            work.write(f"the password is {self.settings.password.reveal()}\\n")
        match self.settings.how:
            case "fails":
                raise FailedError("nobody is there")
            case "breaks":
                raise RuntimeError("canary-password-of-greeting")
            case "cancels":
                raise asyncio.CancelledError
            case "exits":
                sys.exit(3)
            case "undeclared":
                return {"other": 1}
            case "wrong":
                return {"said": 1}
            case "hangs":
                await asyncio.sleep(1000)
            case "leaks":
                return {"said": self.settings.password.reveal()}
        return {"said": "hello " * self.settings.times, "key": work.key}


class GREET:
    settings = Greeting

    @staticmethod
    def build(settings):
        if settings.how == "unbuilt":
            raise RuntimeError("canary in build")
        return Greeter(settings)


@attrs.frozen(kw_only=True)
class Place:
    prefix: str = setting("Before each line.")
    token: Secret | None = setting("For it.", default=None)


@attrs.frozen
class Echo:
    settings: Place

    async def run(self, work):
        if work.script[0] == "wait":
            await asyncio.sleep(1000)
        if work.again:
            work.write("found again\\n")
        for entry in work.script:
            work.write(f"{self.settings.prefix} {entry} {work.env['TASK_NAME']} {sorted(work.secrets)}\\n")
        if work.script[-1] == "false":
            return ScriptEnd(exit_code=7)
        return ScriptEnd(outputs=b"count=3\\n")


class ECHO:
    settings = Place
    build = Echo
    resumes = True


class FORGETFUL:
    settings = Place
    build = Echo


@attrs.frozen(kw_only=True)
class Board:
    file: str = setting("Where it hangs.")
    broken: bool = setting("Whether it is.", default=False)


@attrs.frozen
class Pinboard:
    settings: Board

    async def deliver(self, message):
        if self.settings.broken:
            raise RuntimeError("fell down")
        with open(self.settings.file, "a") as board:
            board.write(f"{message.text}\\n")


class BOARD:
    settings = Board
    build = Pinboard


@attrs.frozen(kw_only=True)
class Safe:
    code: Secret = setting("Its code.")
    broken: bool = setting("Whether it is.", default=False)


@attrs.frozen
class Opened:
    settings: Safe

    async def value(self, field):
        if self.settings.broken:
            raise RuntimeError(f"wrong code {self.settings.code.reveal()}")
        if field == "empty":
            raise FailedError("there is nothing in it")
        return f"the-{field}-of-the-safe"


class SAFE:
    settings = Safe
    fields = ("main", "other", "empty")
    build = Opened
"""
POINTS = {
    "paas_pipelines.actions": {
        "greet": "greetings_of_others:GREET",
        "lost": "no_such_module:X",
        "bad": "greetings_of_others:Greeting",
        "match": "greetings_of_others:GREET",
    },
    "paas_pipelines.executors": {
        "echo": "greetings_of_others:ECHO",
        "forgetful": "greetings_of_others:FORGETFUL",
    },
    "paas_pipelines.notifiers": {"board": "greetings_of_others:BOARD"},
    "paas_pipelines.credentials": {"safe": "greetings_of_others:SAFE"},
}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The folder of a program with the distribution installed."""
    site = tmp_path / "site"
    site.mkdir()
    install(site, POINTS, {"greetings_of_others": MODULE})
    on_path(monkeypatch, site, "greetings_of_others")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("greetings_of_others", None)


def settings_file(folder, text=""):
    path = folder / "settings.toml"
    path.write_text(textwrap.dedent(text))
    path.chmod(0o600)
    return path


def said(folder, tasks, allow=None, extra=""):
    text = f"{extra}\npipelines:\n  p:\n    tasks:\n" + textwrap.indent(
        textwrap.dedent(tasks).strip("\n"), "      "
    )
    (folder / "pipelines.yml").write_text(text)
    found = examine(".", "pipelines.yml", plugged=plugged_in(found_plugins(allow)))
    return [str(each).replace(' invalid pipeline definition "p":', "") for each in found.complaints]


async def ran(folder, tasks, config="", top="", *, check=None, seconds=20):
    """The run of such a pipeline, and what its first task has said."""
    body = f"{top}\npipelines:\n  p:\n    params: [{{name: word, default: ann}}]\n    tasks:\n"
    (folder / "pipelines.yml").write_text(
        body + textwrap.indent(textwrap.dedent(tasks).strip("\n"), "      ")
    )
    path = settings_file(folder, config)
    async with (
        asyncio.timeout(seconds),
        Pipelines.open(folder / "data", folder / "pipelines.yml", path) as pipelines,
    ):
        run = await pipelines.wait((await pipelines.start("p")).run_id)
        if check:
            await check(pipelines)
    [log] = list((folder / "data" / "logs" / run.run_id).glob("one-stdout.log")) or [None]
    return run, log.read_text() if log else ""


SAFE = """
    [[pipelines.access]]
    identity = "pipeline/p"
    method = "use"
    resource = "credential=door"
    [pipelines.credentials.door]
    type = "safe"
    code = "canary-of-the-code"
    """


# --- what is listed -------------------------------------------------------------------------------


def test_all_are_listed_without_one_being_imported(installed, capsys):
    assert main(["pipelines", "plugins", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["plugins"]
    own = [each for each in found if each["distribution"] == "Paas-Greetings"]
    assert [(each["kind"], each["name"], each["allowed"]) for each in own] == [
        ("actions", "bad", True),
        ("actions", "greet", True),
        ("actions", "lost", True),
        ("actions", "match", False),
        ("credentials", "safe", True),
        ("executors", "echo", True),
        ("executors", "forgetful", True),
        ("notifiers", "board", True),
    ]
    assert {(each["version"], each["licence"]) for each in own} == {("1.2", "MIT")}
    assert "greetings_of_others" not in sys.modules


def test_what_is_not_allowed_is_shown_as_that(installed, capsys):
    path = settings_file(installed, '[pipelines]\nplugins.allow = ["other_things"]\n')
    assert main(["pipelines", "plugins", "--settings", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "is not allowed: `plugins.allow` has no Paas-Greetings" in shown
    [warning] = automation.load(path, {}).warnings
    assert "no plug-in of other_things is installed" in warning


@pytest.mark.parametrize("spelled", ["paas_greetings", "PAAS.greetings"])
def test_names_of_distributions_are_compared_as_indexes_do(installed, spelled):
    assert said(installed, "one: {greet: {whom: x}}", [spelled]) == []


def test_one_name_in_two_distributions_is_no_choice_of_ours(installed, monkeypatch):
    second = installed / "second"
    second.mkdir()
    points = {"paas_pipelines.actions": {"greet": "greetings_of_others:GREET"}}
    install(second, points, {}, name="rival")
    on_path(monkeypatch, second)
    [line] = said(installed, "one: {greet: {whom: x}}")
    assert "has the name of one of another distribution: allow one of them" in line
    assert said(installed, "one: {greet: {whom: x}}", ["rival"]) == []


# --- settings, read when files are ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("tasks", "complaint"),
    [
        ("one: {greet: {whom: ann, tims: 3}}", 'task "one": unknown key "tims", did you mean "times"?'),
        ("one: {type: greet}", 'task "one": needs a "whom": Whom to greet.'),
        ("one: {greet: {whom: [x]}}", 'task "one": whom must be a text'),
        ("one: {greet: {whom: x, times: 0}}", 'task "one": times must be a whole number of at least 1'),
        ("one: {greet: {whom: x, how: contradicts}}", 'task "one": how contradicts itself'),
        (
            "one: {greet: {whom: x, password: open}}",
            'task "one": password must be {from_credential: name}: no secret stands in this file',
        ),
        (
            "one: {greet: {whom: x}, script: [x], type: greet}",
            'task "one": script is not allowed with type greet',
        ),
        (
            "one: {type: gret}",
            (
                'task "one": type must be one of run, approval, call, match, compare, message, end, '
                "bad, greet, lost"
            ),
        ),
        (
            "one: {lost: {}}",
            (
                'task "one": action "lost" of Paas-Greetings cannot be loaded: ModuleNotFoundError: '
                "No module named 'no_such_module'"
            ),
        ),
        ("one: {bad: {}}", None),
        (
            "one: {greet: {whom: x, how: problem}}",
            'task "one": action "greet" of Paas-Greetings is broken: RuntimeError',
        ),
        ("one: {executor: echo, script: [x]}", 'task "one": needs a "prefix": Before each line.'),
        (
            "one: {executor: {type: echo, prefx: x}, script: [x]}",
            'task "one": unknown key "prefx", did you mean "prefix"?',
        ),
        (
            "one: {executor: {type: echo, prefix: x}, script: [x], save: [y]}",
            'task "one": save is not allowed with executor echo',
        ),
        (
            "one: {executor: {type: echo, prefix: x}, image: y, script: [x]}",
            'task "one": image is not allowed with executor echo',
        ),
    ],
)
def test_settings_are_checked_with_the_file_they_stand_in(installed, tasks, complaint):
    [first, *_] = said(installed, tasks)
    if complaint is None:
        assert 'action "bad" of Paas-Greetings cannot be loaded: AttributeError' in first
    else:
        assert first.startswith(f"pipelines.yml:5: {complaint}"), first
    assert "canary" not in first


def test_a_text_of_a_pipeline_file_stands_for_nothing_of_the_server(installed, monkeypatch):
    monkeypatch.setenv("SERVER_SECRET", "canary-of-the-environment")
    tasks = "one: {greet: {whom: $SERVER_SECRET}, outputs: {said: string, key: string}}"
    run, log = asyncio.run(ran(installed, tasks))
    assert "canary" not in str(run)
    assert log == "hello $SERVER_SECRET by ann\n"


def test_who_is_not_allowed_is_named_where_he_is_used(installed):
    lines = said(
        installed,
        "one: {greet: {whom: x}}\ntwo: {executor: {type: echo, prefix: x}, script: [x]}",
        ["others"],
    )
    assert lines == [
        (
            'pipelines.yml:6: task "two": executor "echo" of Paas-Greetings is not allowed: '
            "`plugins.allow` has no Paas-Greetings"
        ),
        (
            'pipelines.yml:5: task "one": action "greet" of Paas-Greetings is not allowed: '
            "`plugins.allow` has no Paas-Greetings"
        ),
    ]


def test_check_says_the_same(installed):
    said(installed, "one: {greet: {whm: x}}")
    path = settings_file(installed, '[pipelines.notifiers.b]\ntype = "board"\nfil = "x"\n')
    found = [str(each) for each in results(Settings(data=installed / "data", settings=path))]
    assert any('unknown key "whm"' in each for each in found)
    assert any("fil" in each and "unknown key" in each for each in found)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            '[pipelines.notifiers.b]\ntype = "board"\nfil = "x"\n',
            "settings.toml:3: pipelines.notifiers.b.fil: ",
        ),
        ('[pipelines.credentials.c]\ntype = "safe"\n', "settings.toml"),
        ('[pipelines.credentials.c]\ntype = "saef"\ncode = "x"\n', "did you mean `safe`?"),
        (
            '[pipelines]\nplugins.allow = []\n[pipelines.credentials.c]\ntype = "safe"\ncode = "xxxxxxxxx"\n',
            'credential "safe" of Paas-Greetings is not allowed',
        ),
        (
            '[pipelines]\nplugins.allow = []\n[pipelines.notifiers.c]\ntype = "board"\nfile = "x"\n',
            'notifier "board" of Paas-Greetings is not allowed',
        ),
    ],
)
def test_settings_of_the_toml_are_as_strict(installed, text, complaint):
    with pytest.raises(ConfigError) as refused:
        automation.load(settings_file(installed, text), {})
    assert complaint in str(refused.value)


# --- what they do ---------------------------------------------------------------------------------


async def test_an_action_has_settings_params_outputs_and_a_credential(installed):
    tasks = """
        one:
          greet: {whom: bob, times: 2, password: {from_credential: door, field: other}}
          outputs: {said: string, key: string}
        two: {compare: 'outputs.one.said == "hello hello "', on_failure: fail, depends_on: [one]}
    """
    run, log = await ran(installed, tasks, SAFE)
    assert [str(each.status) for each in run.tasks] == ["done", "done"]
    assert run.task("one").outputs["key"] == f"{run.run_id}/one/{run.task('one').attempt}"
    assert log == "hello bob by ann\nthe password is [MASKED]\n"
    assert "the-other-of-the-safe" not in str(run)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("fails", "nobody is there"),
        ("breaks", 'action "greet" of Paas-Greetings is broken: RuntimeError'),
        ("exits", 'action "greet" of Paas-Greetings is broken: SystemExit'),
        ("cancels", 'action "greet" of Paas-Greetings is broken: CancelledError'),
        ("unbuilt", 'action "greet" of Paas-Greetings is broken: RuntimeError'),
        ("undeclared", 'output "other" is not declared'),
        ("wrong", 'output "said" must be a string'),
        ("leaks", 'output "said" contains a credential'),
        ("hangs", "it took longer than its timeout of 0.05 s"),
    ],
)
async def test_whatever_goes_wrong_ends_one_task(installed, monkeypatch, how, error):
    monkeypatch.setattr(plugged, "GRACE_SECONDS", 0.05)

    async def still_there(pipelines):
        run = await pipelines.wait((await pipelines.start("p")).run_id)
        assert run.ended

    tasks = f"""
        one:
          greet: {{whom: bob, how: {how}, password: {{from_credential: door}}}}
          outputs: {{said: string, key: string}}
          {"timeout: 50ms" if how == "hangs" else ""}
    """
    run, _ = await ran(installed, tasks, SAFE, check=still_there)
    assert run.task("one").error == error
    assert str(run.task("one").status) == "error"


async def test_an_executor_runs_scripts_with_credentials_and_outputs(installed):
    top = "executors: {there: {type: echo, prefix: '>', token: {from_credential: door}, env: {A: b}}}"
    tasks = """
        one:
          executor: there
          script: [say, bye]
          outputs: {count: number}
          env: {T: {from_credential: door, field: other}}
        two: {executor: {type: echo, prefix: x}, script: ['false'], depends_on: [one]}
    """
    run, log = await ran(installed, tasks, SAFE, top)
    assert log == "> say one ['T']\n> bye one ['T']\n"
    assert run.task("one").outputs == {"count": 3}
    assert run.task("two").exit_code == 7


@pytest.mark.parametrize(("kind", "status"), [("echo", "done"), ("forgetful", "error")])
async def test_after_a_crash_work_comes_again_only_to_who_can_find_it(installed, kind, status):
    from paas_pipelines.definitions.automation import ExecutorDefinition
    from paas_pipelines.tasks.plugged import PluggedExecutors

    from tests.support.executor_world import executor_world, task

    executor = ExecutorDefinition(type=kind, settings={"prefix": "-"})

    def with_plugins(world):
        world.executors.plugged = PluggedExecutors(
            registry=found_plugins(None), executions=world.executors.executions
        )

    async with executor_world(installed) as world:
        with_plugins(world)
        run_id = world.schedule(one=task("wait", executor=executor))
        async with asyncio.timeout(60):
            while not any(each.started for each in world.executors.executions):
                await asyncio.sleep(0.01)
    module = sys.modules["greetings_of_others"]
    module.Echo.run = _told_again
    async with executor_world(installed) as world:
        with_plugins(world)
        run = await world.ended(run_id)
        assert str(run.task("one").status) == status
        assert ("cannot find it again" in run.task("one").error) == (kind == "forgetful")
        await world.nothing_owed()


async def _told_again(_self, work):
    assert work.again
    return sys.modules["greetings_of_others"].ScriptEnd()


async def test_a_notifier_tells_and_a_broken_one_keeps_its_notice(installed, caplog):
    config = f"""
        [pipelines.notifiers.good]
        type = "board"
        file = "{installed / "board"}"
        [pipelines.notifiers.bad]
        type = "board"
        file = "x"
        broken = true
        """
    tasks = """
        one: {message: {to: good, text: 'hello {{ .word }}'}}
        two: {message: {to: bad, text: lost}}
    """

    async def told(_pipelines):
        while not (installed / "board").exists():
            await asyncio.sleep(0.01)

    run, _ = await ran(installed, tasks, config, check=told)
    assert run.completed
    assert (installed / "board").read_text() == "hello ann\n"


@pytest.mark.parametrize(
    ("field", "config", "error"),
    [
        ("empty", SAFE, 'credential "door": there is nothing in it'),
        (
            "main",
            SAFE + "broken = true\n",
            'credential "door": credential "safe" of Paas-Greetings is broken: RuntimeError',
        ),
    ],
)
async def test_a_credential_that_cannot_be_had_fails_the_task(installed, field, config, error):
    tasks = f"one: {{script: [echo no], env: {{T: {{from_credential: door, field: {field}}}}}}}"
    run, log = await ran(installed, tasks, textwrap.dedent(config))
    assert run.task("one").error == error
    assert "canary" not in str(run) + log
    assert attrs.asdict(run)["completed"]


async def test_a_field_that_a_credential_does_not_have_is_told_at_the_start(installed):
    tasks = "one: {script: [echo no], env: {T: {from_credential: door, field: mian}}}"
    with pytest.raises(DefinitionsError) as refused:
        await ran(installed, tasks, textwrap.dedent(SAFE))
    assert 'task "one": credential "door" has no field "mian"\n' in str(refused.value)
    assert str(refused.value).endswith("pipelines.yml:6: did you mean `main`?")


# --- the document ---------------------------------------------------------------------------------


async def test_the_example_of_the_document(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "automation.md").read_text()
    section = page.split("\n## Plug-ins\n")[1].split("\n## ")[0]
    code, points, used = re.findall(r"```(?:python|ini|yaml)\n(.*?)```", section, re.DOTALL)
    groups = tomllib.loads(points)["project"]["entry-points"]
    site = tmp_path / "site"
    site.mkdir()
    install(site, groups, {"paas_ping": code}, name="paas-ping")
    on_path(monkeypatch, site, "paas_ping")
    (tmp_path / "pipelines.yml").write_text(used)
    async with Pipelines.open(tmp_path / "data", tmp_path / "pipelines.yml") as pipelines:
        run = await pipelines.wait((await pipelines.start("deploy", by="ada")).run_id)
    assert run.task("ping").outputs == {"answer": "pong, ada"}
    assert run.completed
    assert not run.errored
    sys.modules.pop("paas_ping", None)
