"""Tasks with credentials, as processes here: who is given which, and nothing of it is written (§8)."""

import asyncio
import base64
import contextlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import attrs
import pytest
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import Effect, Statement
from paas_pipelines.credentials.envelope import Keys
from paas_pipelines.credentials.records import StoredCredentials
from paas_pipelines.credentials.types import Docker, Exec, File, Text, UsernamePassword
from paas_pipelines.credentials.vault import CredentialError, Vault
from paas_pipelines.definitions.automation import ExecutorDefinition, FromCredential
from paas_pipelines.definitions.definition import Definition, TaskDefinition
from paas_pipelines.runs.engine import Engine
from paas_pipelines.store.audit import Audit
from paas_pipelines.store.logs import Stream
from paas_pipelines.store.opening import opened
from paas_pipelines.tasks.conductor import Conductor
from paas_pipelines.tasks.local import LocalPlace
from paas_pipelines.tasks.workspace import Workspaces

from paas_runner.secret import Secret
from tests.support.processes import until

CANARY = 'canary/of+a "password"'
KEY = Secret(base64.b64encode(b"k" * 32).decode())
FILE = "-----BEGIN KEY-----\ncanary-line-of-a-key\n-----END KEY-----\n"


def now():
    return datetime.now(UTC)


class World:
    def __init__(self, engine, store, vault):
        self.engine, self.store, self.vault = engine, store, vault

    async def ended(self, pipeline="deploy"):
        run = self.engine.schedule(pipeline, variables={})
        await until(lambda: self.engine.book.run(run.run_id).completed, 60)
        return self.engine.book.run(run.run_id)

    def log(self, run, stream=Stream.STDOUT):
        return self.store.logs.read(run.run_id, "a", stream).decode()


MAY_USE = Statement(identity=("pipeline/*",), method=("use",), resource=("credential=*",))


@contextlib.asynccontextmanager
async def serving(folder: Path, task: TaskDefinition, *statements: Statement, **configured):
    async with opened(folder / "data", most_log_bytes=1_000_000) as store:
        definitions = {
            name: Definition(name=name, source="x", tasks={"a": task}) for name in ("deploy", "other")
        }
        engine = Engine(now, store.runs, definitions)
        access, audit = Access(statements or (MAY_USE,)), await Audit.open(store.journal, now)
        stored = await StoredCredentials.open(store.journal, Keys([KEY]), now)
        vault = Vault(stored=stored, access=access, audit=audit, configured=configured)
        place = LocalPlace(os.environ, folder=folder, workspaces=Workspaces(folder / "work"))
        conductor = Conductor(engine, store.journal, store.logs, lambda _task: place, clock=now, vault=vault)
        working = asyncio.create_task(conductor.run())
        try:
            yield World(engine, store, vault)
        finally:
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working


def task(*script, **refs):
    return TaskDefinition(script=script, secrets=refs)


PASSWORD = FromCredential(name="db")


async def test_a_task_has_its_credentials_and_says_nothing_of_them(tmp_path):
    a = task(
        'printf %s "$PASSWORD" | wc -c; echo "is <$PASSWORD>"; echo "is $PASSWORD" >&2',
        'printf "%s" "${PASSWORD%??????}"; sleep 0.1; printf "%s\\n" "${PASSWORD#????????????????}"',
        'printf %s "user:$PASSWORD" | base64 -w0; echo; cat "$KEY"; stat -c %a "$KEY"; echo "${KEY##*/}"',
        "cat /proc/self/cmdline /proc/$PPID/cmdline | tr '\\0' ' '",
        "cat forms; exit 3",
        PASSWORD=PASSWORD,
        KEY=FromCredential(name="key", as_file=True),
    )
    (tmp_path / "forms").write_text(quote(CANARY, safe="") + " " + json.dumps(CANARY)[1:-1] + "\n")
    configured = {
        "db": UsernamePassword(username="app", password=Secret(CANARY)),
        "key": File(content=Secret(FILE)),
    }
    async with serving(tmp_path, a, **configured) as world:
        run = await world.ended()
        said = world.log(run)
        assert run.task("a").exit_code == 3
        assert said.startswith(f"{len(CANARY)}\nis <[MASKED]>\n")
        assert "600\n1\n" in said or "600\n0\n" in said
        lines = [line for line in said.splitlines() if line.strip()]
        assert "[MASKED]" in lines[2]
        everything = said + world.log(run, Stream.STDERR)
        for form in ("canary", "password", quote("canary/"), base64.b64encode(b"canary/").decode()[:8]):
            assert form not in everything.replace("is <[MASKED]>", ""), everything
        noted = [(line.who, line.what, line.resource) for line in await world.vault.audit.newest(9)]
        assert ("pipeline/deploy", "use", "credential=db") in noted
        assert not list((tmp_path / "work").glob("*"))
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            assert b"canary" not in path.read_bytes(), path


async def test_only_pipelines_that_are_named_are_given_one(tmp_path):
    statements = (
        Statement(identity=("ann",), role="admin", resource=("*",)),
        Statement(identity=("pipeline/deploy",), method=("use",), resource=("credential=db",)),
    )
    async with serving(
        tmp_path, task("echo began", PASSWORD=PASSWORD), *statements, db=Text(value=Secret(CANARY))
    ) as world:
        assert not (await world.ended()).errored
        run = await world.ended("other")
        assert run.task("a").error == "pipeline/other may not use credential=db"
        assert world.log(run) == ""
        [line] = await world.vault.audit.newest(1)
        assert (line.who, line.outcome) == ("pipeline/other", "refused")


async def test_a_statement_for_one_pipeline_is_none_for_others_although_nobody_is_named(tmp_path):
    only = attrs.evolve(MAY_USE, identity=("pipeline/deploy",))
    async with serving(
        tmp_path, task("echo began", PASSWORD=PASSWORD), only, db=Text(value=Secret(CANARY))
    ) as world:
        assert not (await world.ended()).errored
        assert (await world.ended("other")).task("a").error == "pipeline/other may not use credential=db"


@pytest.mark.parametrize(
    ("denied", "executor", "told"),
    [
        ("executor=root", ExecutorDefinition(name="root"), "executor=root"),
        ("executor=shell", ExecutorDefinition(), "executor=shell"),
        ("executor=shell", None, "executor=shell"),
        ("executor=*", ExecutorDefinition(name="any"), "executor=any"),
        ("executor=root", None, ""),
        ("executor=shell", ExecutorDefinition(name="root"), ""),
    ],
)
async def test_a_task_does_not_begin_on_an_executor_that_its_pipeline_is_denied(
    tmp_path, denied, executor, told
):
    deny = Statement(
        identity=("pipeline/deploy",), method=("executorRun",), resource=(denied,), effect=Effect.DENY
    )
    begun = TaskDefinition(script=("echo began",), executor=executor)
    async with serving(tmp_path, begun, deny) as world:
        run = await world.ended()
        assert run.task("a").error == (f"pipeline/deploy may not executorRun {told}" if told else "")
        assert world.log(run) == ("" if told else "began\n")
        assert not (await world.ended("other")).errored


ODD = "it's \"odd\" $x\\y&z\nline two of it\nend of 'it"


async def test_what_shells_and_programs_make_of_odd_values_is_hidden_too(tmp_path):
    said = r"""
        set -x; : "$ODD"; set +x; printf '%q\n' "$ODD"; echo $ODD
        while read -r l; do printf '%q\n' "$l"; done <<<"$ODD"
        python3 -c 'import json, os, shlex
odd = os.environ["ODD"]
print(json.dumps(json.dumps([odd])), repr(odd), shlex.quote(odd), json.dumps({"a": odd}), sep="\n")'
    """
    async with serving(
        tmp_path, task(said, ODD=FromCredential(name="odd")), odd=Text(value=Secret(ODD))
    ) as world:
        run = await world.ended()
        everything = world.log(run) + world.log(run, Stream.STDERR)
        assert run.task("a").exit_code == 0
        assert everything.count("[MASKED]") >= 10
        for word in ("odd\\", 'odd"', "two", "it's", "y&z", "y\\&z"):
            assert word not in everything, everything


async def test_an_executors_credential_needs_the_same_right(tmp_path):
    settings = {"login": {"password": {"from_credential": "hub", "field": "password"}}}
    executor = ExecutorDefinition(type="shell", settings=settings)
    deny = Statement(identity=("*",), method=("use",), resource=("credential=hub",), effect=Effect.DENY)
    hub = Docker(registry="hub.example", username="bot", password=Secret(CANARY))
    async with serving(
        tmp_path, TaskDefinition(script=("echo began",), executor=executor), deny, hub=hub
    ) as world:
        run = await world.ended()
        assert run.task("a").error == "pipeline/deploy may not use credential=hub"


async def test_a_new_version_serves_the_next_task_and_the_old_one_a_webhook_for_a_day(tmp_path):
    async with serving(tmp_path, task('test "$PASSWORD" = "$(cat wanted)"', PASSWORD=PASSWORD)) as world:
        for version, value in enumerate(("first-value", "second-value"), 1):
            assert world.vault.put("db", "text", {"value": value}) == version
            (tmp_path / "wanted").write_text(value)
            assert not (await world.ended()).errored
        accepted = await world.vault.accepted("deploy", PASSWORD)
        assert [each.reveal() for each in accepted] == ["second-value", "first-value"]
        world.vault.stored._clock = lambda: datetime(2999, 1, 1, tzinfo=UTC)
        assert [each.reveal() for each in await world.vault.accepted("deploy", PASSWORD)] == ["second-value"]


async def test_a_webhook_is_verified_for_a_pipeline_that_may_use_its_secret_and_no_other(tmp_path):
    only = attrs.evolve(MAY_USE, identity=("pipeline/deploy",))
    async with serving(tmp_path, task("true"), only, db=Text(value=Secret(CANARY))) as world:
        assert len(await world.vault.accepted("deploy", PASSWORD)) == 1
        world.vault.used("deploy", PASSWORD, "trigger deploy/push")
        for _ in range(3):  # whoever knows the address can cause that
            with pytest.raises(CredentialError, match="pipeline/other may not use credential=db"):
                await world.vault.accepted("other", PASSWORD)
        noted = [(line.who, line.outcome, line.details) for line in await world.vault.audit.newest(9)]
        assert noted == [
            ("pipeline/other", "refused", {"field": "", "purpose": "webhook"}),
            ("pipeline/deploy", "done", {"field": "", "purpose": "trigger deploy/push"}),
        ]


@pytest.mark.parametrize(
    ("ref", "told"),
    [
        (FromCredential(name="dc"), 'there is no credential "dc"'),
        (FromCredential(name="db", field="pasword"), 'credential "db" has no field "pasword"; did you mean'),
        (FromCredential(name="bad"), 'credential "bad": /bin/sh has failed with exit code 1'),
    ],
)
async def test_what_cannot_be_given_ends_the_task_with_the_reason(tmp_path, ref, told):
    configured = {
        "db": UsernamePassword(username="app", password=Secret(CANARY)),
        "bad": Exec(command=("/bin/sh", "-c", "echo canary; exit 1")),
    }
    async with serving(tmp_path, task("echo began", PASSWORD=ref), **configured) as world:
        run = await world.ended()
        assert told in run.task("a").error
        assert world.log(run) == ""


async def test_a_registry_whose_password_a_program_prints_is_a_whole_config(tmp_path):
    ecr = Docker(registry="1.ecr.example", username="AWS", command=("/bin/echo", "printed-canary"))
    script = 'grep -c 1.ecr.example "$DOCKER"; cat "$DOCKER"'
    ref = FromCredential(name="ecr", field="config", as_file=True)
    async with serving(tmp_path, task(script, DOCKER=ref), ecr=ecr) as world:
        said = world.log(await world.ended())
        assert said.startswith("1\n")
        assert base64.b64encode(b"AWS:printed-canary").decode() not in said


async def test_an_executor_may_be_denied_to_a_pipeline(tmp_path):
    executor = ExecutorDefinition(type="shell", name="pod")
    deny = Statement(
        identity=("pipeline/other",), method=("executorRun",), resource=("executor=p*",), effect=Effect.DENY
    )
    a = TaskDefinition(script=("echo began",), executor=executor)
    async with serving(tmp_path, a, deny) as world:
        assert not (await world.ended()).errored
        run = await world.ended("other")
        assert run.task("a").error == "pipeline/other may not executorRun executor=pod"
        assert world.log(run) == ""
