"""Git of the inner runner obeys no author: neither variables nor what a script puts into `.git`."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paas_runner.job.variables import Variable
from paas_runner.pipelines.states import JobState
from tests.support.forge import Forge, forge_in
from tests.support.git_server import git
from tests.support.hosts import script
from tests.support.live_records import LiveJob


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with forge_in(tmp_path) as found:
        yield found


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """What exists once somebody has obeyed."""
    return tmp_path / "obeyed"


def variables(**values: str) -> tuple[Variable, ...]:
    return tuple(Variable(key=key, value=value, raw=True) for key, value in values.items())


def text(job: LiveJob) -> str:
    return job.trace.decode()


def after_hook(*lines: str) -> Any:
    """A change of a payload: these lines run before the sources are fetched."""
    return lambda payload: payload.update(hooks=[{"name": "pre_get_sources_script", "script": list(lines)}])


RECORDER = """#!/usr/bin/python3
import json, os, sys
with open({log!r}, "a") as log:
    print(json.dumps([sys.argv[1:], dict(os.environ)]), file=log)
os.execv({git!r}, ["git", *sys.argv[1:]])
"""


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of what each git process was given that the inner runner has started."""
    folder, log = tmp_path / "recorder", tmp_path / "recorded"
    folder.mkdir()
    program = folder / "git"
    program.write_text(RECORDER.format(log=str(log), git=shutil.which("git")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return log


OF_THE_AUTHOR = {
    "PATH": "/author",
    "HOME": "/author",
    "LD_PRELOAD": "/author.so",
    "LD_LIBRARY_PATH": "/author",
    "XDG_CONFIG_HOME": "/author",
    "GIT_CONFIG_PARAMETERS": "'core.fsmonitor'='/author'",
    "GIT_CONFIG_GLOBAL": "/author",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "core.fsmonitor",
    "GIT_CONFIG_VALUE_0": "/author",
    "GIT_SSH_COMMAND": "/author",
    "GIT_PROXY_COMMAND": "/author",
    "GIT_EXEC_PATH": "/author",
    "GIT_TEMPLATE_DIR": "/author",
    "GIT_ASKPASS": "/author",
    "GIT_DIR": "/author",
    "GIT_WORK_TREE": "/author",
    "GIT_ALLOW_PROTOCOL": "ext",
    "GIT_TRACE": "/author",
    "GIT_TRACE2": "/author",
    "GIT_SSL_CAINFO": "/author",
    "GIT_SSL_KEY": "/author",
    "http_proxy": "",
    "NO_PROXY": "gitlab.test",
    "GIT_HTTP_LOW_SPEED_LIMIT": "1000",
}
GIVEN = {
    *("PATH", "LANG", "HOME", "PAAS_RUNNER_GIT_USER", "PAAS_RUNNER_GIT_PASSWORD", "NO_PROXY", "http_proxy"),
    *("GIT_ALLOW_PROTOCOL", "GIT_ATTR_NOSYSTEM", "GIT_CEILING_DIRECTORIES", "GIT_CONFIG_COUNT"),
    *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_HTTP_LOW_SPEED_LIMIT", "GIT_LFS_SKIP_SMUDGE"),
    "GIT_TERMINAL_PROMPT",
}


async def test_git_has_an_environment_of_our_own(forge: Forge, recorded: Path) -> None:
    spec = script("true", variables=variables(**OF_THE_AUTHOR))
    await forge.ran(spec)
    calls = [json.loads(line) for line in recorded.read_text().splitlines()]
    assert [arguments[0] for arguments, _ in calls] == ["init", "fetch", "checkout", "clean"]
    for _, environment in calls:
        numbered = {name for name in environment if name.startswith(("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"))}
        assert environment.keys() - numbered - {"LC_CTYPE"} == GIVEN
        assert "/author" not in " ".join(environment.values())
        assert environment["GIT_ALLOW_PROTOCOL"] == "http:https"
        assert environment["HOME"] == "/nonexistent"
        count = int(environment["GIT_CONFIG_COUNT"])
        settings = [
            f"{environment[f'GIT_CONFIG_KEY_{number}']}={environment[f'GIT_CONFIG_VALUE_{number}']}"
            for number in range(count)
        ]
        assert len(numbered) == 2 * count
        assert {"core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.ext.allow=never"} < {*settings}


async def test_what_is_untracked_is_listed_without_any_way_to_fetch(forge: Forge, recorded: Path) -> None:
    kept = [{"name": "kept", "untracked": True, "artifact_type": "archive", "artifact_format": "zip"}]
    job = await forge.ran(
        script("touch new", variables=variables(**OF_THE_AUTHOR | {"PATH": "/usr/bin:/bin"})),
        more=lambda payload: payload.update(artifacts=kept),
    )
    assert "untracked: found 1 files" in text(job)
    arguments, environment = json.loads(recorded.read_text().splitlines()[-1])
    assert arguments == ["ls-files", "-o", "-z"]
    assert environment["GIT_ALLOW_PROTOCOL"] == ""
    assert "PAAS_RUNNER_GIT_PASSWORD" not in environment
    assert "/author" not in " ".join(environment.values())


INIT = "git init -q . && git remote add origin u"
ELSEWHERE = "git init -q {elsewhere}/g && git -C {elsewhere}/g remote add origin u"
HOOK = 'printf "#!/bin/sh\\ntouch {marker}\\n" > {place} && chmod +x {place}'
PLANTED = {
    "a folder of hooks": (
        INIT,
        "mkdir h && git config core.hooksPath $PWD/h",
        HOOK.replace("{place}", "h/reference-transaction"),
    ),
    "a hook": (
        INIT,
        "mkdir -p .git/hooks",
        HOOK.replace("{place}", ".git/hooks/post-checkout"),
    ),
    "a filter": (
        INIT,
        "git config filter.f.smudge 'touch {marker}; cat' && mkdir -p .git/info",
        "echo '* filter=f' > .git/info/attributes",
    ),
    "an included file": (
        INIT,
        "git config include.path ../more",
        "printf '[filter \"f\"]\\n smudge = touch {marker}\\n' > more",
        "mkdir -p .git/info && echo '* filter=f' > .git/info/attributes",
    ),
    "settings of a worktree": (
        INIT,
        "git config extensions.worktreeConfig true && mkdir -p .git/info",
        "git config --worktree filter.f.smudge 'touch {marker}; cat'",
        "echo '* filter=f' > .git/info/attributes",
    ),
    "a credential helper": (
        INIT,
        "git config credential.helper '!touch {marker}; false'",
    ),
    "another address": (
        INIT,
        "git config protocol.ext.allow always",
        "git config url.'ext::sh -c touch% {marker} '.insteadOf http",
    ),
    "a remote helper": (
        INIT,
        "git config remote.origin.vcs ext",
    ),
    "another work tree": (
        INIT,
        "git config core.worktree {elsewhere}",
    ),
    "a file": (
        ELSEWHERE,
        "echo 'gitdir: {elsewhere}/g/.git' > .git",
    ),
    "a link": (
        ELSEWHERE,
        "ln -s {elsewhere}/g/.git .git",
    ),
    "a linked index": (
        INIT,
        "ln -s {elsewhere}/file .git/index",
    ),
    "linked refs": (
        INIT,
        "rm -r .git/refs && ln -s {elsewhere} .git/refs",
    ),
    "objects elsewhere": (
        INIT,
        "echo {elsewhere} > .git/objects/info/alternates",
    ),
    "a common folder": (
        ELSEWHERE,
        INIT,
        "echo {elsewhere}/g/.git > .git/commondir",
    ),
    "no repository at all": ("mkdir -p .git/HEAD .git/config",),
}


@pytest.mark.long
@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
async def test_a_repository_that_a_hook_has_made_is_not_obeyed(
    forge: Forge, tmp_path: Path, marker: Path, planted: tuple[str, ...]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("untouched")
    lines = [line.replace("{marker}", str(marker)).replace("{elsewhere}", str(elsewhere)) for line in planted]
    job = await forge.ran(
        script("git status --porcelain --ignored", 'echo "[$(cat second)]"', "git rev-parse HEAD"),
        more=after_hook(*lines),
    )
    assert job.status is JobState.SUCCESS, text(job)
    assert "\n[2]\n" in text(job)
    assert f"\n{forge.sha}\n" in text(job)
    assert not marker.exists()
    assert (elsewhere / "file").read_text() == "untouched"
    assert {path.name for path in elsewhere.iterdir()} <= {"file", "g"}
    if (elsewhere / "g").exists():
        assert not git(elsewhere / "g", "count-objects").removeprefix("0 objects, 0 kilobytes")


@pytest.mark.long
async def test_what_a_hook_fetches_before_is_used(forge: Forge) -> None:
    """A hook may bring objects from a nearer place."""
    warm = (INIT, "echo warm | git hash-object -w --stdin > ../id")
    job = await forge.ran(
        script("git cat-file blob $(cat ../id)", "git remote get-url origin"), more=after_hook(*warm)
    )
    assert job.status is JobState.SUCCESS, text(job)
    assert "Created fresh repository." not in text(job)
    assert "\nwarm\n" in text(job)
    assert f"\n{forge.url}/sandbox/project.git\n" in text(job)


def with_submodule(forge: Forge, url: str) -> dict[str, str]:
    """A project whose submodule `inner` has this address; returns its `git_info`."""
    forge.server.commit("sandbox/inner", {"b": "2", ".gitattributes": "* filter=f\n"})
    inner = f"{forge.url}/sandbox/inner.git"
    forge.server.commit("sandbox/project", {"a": "1"}, submodules={"inner": inner})
    work = forge.server.root / "sandbox/project.work"
    modules = (work / ".gitmodules").read_text().replace(inner, url or inner)
    return {"sha": forge.server.commit("sandbox/project", {".gitmodules": modules, "more": "1"})}


@pytest.mark.long
@pytest.mark.parametrize(
    "flags", ["-ffdx; touch {marker}", "-ffdx -e $(touch\t{marker})", "-ffdx --exclude=`touch${IFS}{marker}`"]
)
async def test_flags_are_arguments_in_submodules_too(forge: Forge, marker: Path, flags: str) -> None:
    change = with_submodule(forge, "")
    chosen = variables(
        GIT_SUBMODULE_STRATEGY="normal", GIT_CLEAN_FLAGS=flags.replace("{marker}", str(marker))
    )
    await forge.ran(script("true", variables=chosen), change=change)
    assert not marker.exists()


@pytest.mark.long
@pytest.mark.parametrize(
    "url", ["ext::sh -c touch% {marker}", "file://{root}/sandbox/inner.git", "{root}/sandbox/inner.git"]
)
async def test_submodules_come_by_http_alone(forge: Forge, marker: Path, url: str) -> None:
    change = with_submodule(
        forge, url.replace("{marker}", str(marker)).replace("{root}", str(forge.server.root))
    )
    chosen = variables(GIT_SUBMODULE_STRATEGY="normal", GIT_ALLOW_PROTOCOL="ext:file:http")
    job = await forge.ran(script("echo never", variables=chosen), change=change)
    assert job.failure_reason == "script_failure"
    assert "not allowed" in text(job)
    assert not marker.exists()


@pytest.mark.long
@pytest.mark.parametrize("place", ["inner/.git", ".git/modules/inner"])
async def test_a_submodule_that_a_hook_has_made_is_not_obeyed(forge: Forge, marker: Path, place: str) -> None:
    change = with_submodule(forge, "")
    planted = (
        INIT,
        "git init -q inner && cd inner",
        f"git fetch -q {forge.server.root}/sandbox/inner.git main && git checkout -q FETCH_HEAD",
        f"git config filter.f.smudge 'touch {marker}; cat' && cd ..",
        f"test {place} = inner/.git || {{ mkdir .git/modules && mv inner/.git {place}; }}",
        f"test {place} = inner/.git || echo 'gitdir: ../.git/modules/inner' > inner/.git",
    )
    chosen = variables(GIT_SUBMODULE_STRATEGY="normal")
    job = await forge.ran(script("cat inner/b", variables=chosen), change=change, more=after_hook(*planted))
    assert job.status is JobState.SUCCESS, text(job)
    assert not marker.exists()


@pytest.mark.long
async def test_a_later_job_finds_submodules_again(forge: Forge) -> None:
    change = with_submodule(forge, "")
    for _ in range(2):
        chosen = variables(GIT_SUBMODULE_STRATEGY="normal")
        job = await forge.ran(script("cat inner/b", variables=chosen), change=change, keep=True)
        assert job.status is JobState.SUCCESS, text(job)


@pytest.mark.long
async def test_git_may_trust_a_file_variable_and_no_other_file(forge: Forge, recorded: Path) -> None:
    wanted = (Variable(key="CA", value="-----", file=True), Variable(key="GIT_SSL_CAINFO", value="$CA"))
    await forge.ran(script("true", variables=wanted))
    _, environment = json.loads(recorded.read_text().splitlines()[0])
    assert environment["GIT_SSL_CAINFO"].endswith("/project.tmp/CA")
