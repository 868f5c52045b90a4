"""Sources from a real git server that wants the job's token."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paas_runner.job.variables import Variable
from paas_runner.pipelines.states import JobState
from tests.support.forge import Forge, forge_in
from tests.support.hosts import RUNNER_TOML, script
from tests.support.live_records import LiveJob

pytestmark = pytest.mark.long

COUNT = 'echo "n=$(git rev-list --count HEAD)"'


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with forge_in(tmp_path) as found:
        yield found


def variables(**values: str) -> tuple[Variable, ...]:
    return tuple(Variable(key=key, value=value) for key, value in values.items())


def text(job: LiveJob) -> str:
    return job.trace.decode()


async def test_a_job_finds_its_commit_checked_out_detached(forge: Forge) -> None:
    branch = "git symbolic-ref -q HEAD || echo detached"
    job = await forge.ran(script("ls", "git rev-parse HEAD", branch, "git remote get-url origin"))
    assert job.status is JobState.SUCCESS
    sha = forge.sha
    assert f"Checking out {sha[:8]} as detached HEAD (ref is main)..." in text(job)
    assert "first\nsecond\n" in text(job)
    assert f"\n{sha}\n" in text(job)
    assert "\ndetached\n" in text(job)
    assert f"\n{forge.url}/sandbox/project.git\n" in text(job)
    assert "Created fresh repository." in text(job)
    assert "Skipping Git submodules setup" in text(job)


async def test_the_token_is_in_no_argument_no_file_and_not_in_the_trace(forge: Forge) -> None:
    lines = ("cat .git/config", "grep -rqs $CI_JOB_TOKEN .git && exit 3; true")
    job = await forge.ran(script(*lines, variables=variables(GIT_TRACE="1")))
    assert job.status is JobState.SUCCESS
    assert "git fetch origin" in text(job)
    assert job.token.reveal() not in text(job)
    assert "[MASKED]" not in text(job)


async def test_a_script_may_go_on_with_git(forge: Forge) -> None:
    """GitLab Runner leaves the credentials in the repository's configuration; here it names a variable."""
    job = await forge.ran(script("git fetch --quiet origin main", "git log -1 --format=%s FETCH_HEAD"))
    assert job.status is JobState.SUCCESS
    assert "commit of ['second']\n" in text(job)


@pytest.mark.parametrize(("depth", "commits"), [("1", "1"), ("0", "2"), ("", "2")])
async def test_the_depth_is_the_payloads_unless_a_variable_says_another(
    forge: Forge, depth: str, commits: str
) -> None:
    job = await forge.ran(script(COUNT, variables=variables(GIT_DEPTH=depth)))
    assert f"n={commits}\n" in text(job)
    assert ("with git depth set to" in text(job)) is (depth != "0")


async def test_without_a_strategy_the_folder_stays_as_it_is(forge: Forge) -> None:
    await forge.ran(script("touch made"), keep=True)
    job = await forge.ran(script("ls", variables=variables(GIT_STRATEGY="none")), keep=True)
    assert "Skipping Git repository setup" in text(job)
    assert "first\nmade\nsecond\n" in text(job)


async def test_an_empty_strategy_leaves_nothing_in_the_folder(forge: Forge) -> None:
    await forge.ran(script("touch made"), keep=True)
    job = await forge.ran(script('echo "[$(ls -A)]"', variables=variables(GIT_STRATEGY="empty")), keep=True)
    assert "\n[]\n" in text(job)


async def test_fetch_takes_up_what_an_earlier_job_left_and_cleans_it(forge: Forge) -> None:
    await forge.ran(script("touch made", "echo changed > first"), keep=True)
    (forge.builds / "sandbox/project/.git/index.lock").touch()
    job = await forge.ran(script("ls", "cat first"), keep=True)
    assert "Created fresh repository." not in text(job)
    assert "\nfirst\nsecond\n" in text(job)
    assert "changed" not in text(job)
    assert job.status is JobState.SUCCESS


async def test_what_is_cleaned_can_be_chosen(forge: Forge) -> None:
    await forge.ran(script("touch made"), keep=True)
    job = await forge.ran(script("ls", variables=variables(GIT_CLEAN_FLAGS="none")), keep=True)
    assert "\nfirst\nmade\nsecond\n" in text(job)


async def test_clone_begins_anew(forge: Forge) -> None:
    await forge.ran(script("touch .git/old"), keep=True)
    chosen = variables(GIT_STRATEGY="clone", GIT_CLEAN_FLAGS="none")
    job = await forge.ran(script("ls .git/old || echo gone", variables=chosen), keep=True)
    assert "\ngone\n" in text(job)
    assert "Created fresh repository." in text(job)


async def test_a_shallow_repository_is_completed_when_all_is_wanted(forge: Forge) -> None:
    await forge.ran(script("true", variables=variables(GIT_DEPTH="1")), keep=True)
    job = await forge.ran(script(COUNT, variables=variables(GIT_DEPTH="0")), keep=True)
    assert "n=2\n" in text(job)


async def test_without_checkout_there_is_only_the_repository(forge: Forge) -> None:
    chosen = variables(GIT_CHECKOUT="false")
    job = await forge.ran(script('echo "[$(ls)]"', "git log -1 origin/main", variables=chosen))
    assert "Skipping Git checkout" in text(job)
    assert "\n[]\n" in text(job)


async def test_flags_of_the_author_reach_git(forge: Forge) -> None:
    job = await forge.ran(script("true", variables=variables(GIT_FETCH_EXTRA_FLAGS="--prune --verbose")))
    assert " * [new branch]" in text(job)


def with_submodules(forge: Forge) -> dict[str, str]:
    """A project with a submodule, which has one, too; all of them want the token. Returns its `git_info`."""
    forge.server.commit("sandbox/inmost", {"c": "3"})
    forge.server.allowed = None
    forge.server.commit("sandbox/inner", {"b": "2"}, submodules={"inmost": f"{forge.url}/sandbox/inmost.git"})
    submodules = {"inner": f"{forge.url}/sandbox/inner.git", "other": f"{forge.url}/sandbox/inmost.git"}
    return {"sha": forge.server.commit("sandbox/project", {"a": "1"}, submodules=submodules)}


@pytest.mark.parametrize(
    ("chosen", "files"),
    [
        ({"GIT_SUBMODULE_STRATEGY": "none"}, []),
        ({"GIT_SUBMODULE_STRATEGY": "normal"}, ["inner/b", "other/c"]),
        ({"GIT_SUBMODULE_STRATEGY": "recursive"}, ["inner/b", "inner/inmost/c", "other/c"]),
        ({"GIT_SUBMODULE_STRATEGY": "normal", "GIT_SUBMODULE_PATHS": "other"}, ["other/c"]),
        ({"GIT_SUBMODULE_STRATEGY": "normal", "GIT_SUBMODULE_DEPTH": "1"}, ["inner/b", "other/c"]),
    ],
)
async def test_submodules_are_checked_out_as_wished(
    forge: Forge, chosen: dict[str, str], files: list[str]
) -> None:
    change = with_submodules(forge)
    lines = ("for f in inner/b inner/inmost/c other/c; do test -e $f && echo has-$f; done; true",)
    job = await forge.ran(script(*lines, variables=variables(**chosen)), change=change)
    assert job.status is JobState.SUCCESS
    assert re.findall(r"^has-(.*)$", text(job), re.MULTILINE) == files


async def test_git_works_in_a_submodule_from_a_script_too(forge: Forge) -> None:
    change = with_submodules(forge)
    chosen = variables(GIT_SUBMODULE_STRATEGY="recursive")
    job = await forge.ran(script("cd inner/inmost", "git fetch origin", variables=chosen), change=change)
    assert job.status is JobState.SUCCESS


async def test_submodules_by_ssh_can_be_fetched_by_http_instead(forge: Forge) -> None:
    """The sandbox's coordinator is `gitlab.test`; the git server stands in for it by `clone_url`."""
    change = with_submodules(forge)
    work = forge.server.root / "sandbox/project.work"
    modules = (work / ".gitmodules").read_text().replace(f"{forge.url}/", "git@gitlab.test:")
    change = {"sha": forge.server.commit("sandbox/project", {".gitmodules": modules})}
    chosen = variables(GIT_SUBMODULE_STRATEGY="normal", GIT_SUBMODULE_FORCE_HTTPS="true")
    job = await forge.ran(
        script("cat inner/b", variables=chosen), change=change, toml=f'clone_url = "{forge.url}"\n'
    )
    assert job.status is JobState.SUCCESS


async def test_clone_url_replaces_the_servers_own_address(forge: Forge) -> None:
    change = {"repo_url": "http://gitlab-ci-token:{}@unreachable.test/sandbox/project.git"}
    job, job_json = forge.world.handed_out(script("ls"))
    token = job.token.reveal()
    forge.server.allowed = {("gitlab-ci-token", token)}
    payload = json.loads(job_json)
    payload["git_info"]["repo_url"] = change["repo_url"].format(token)
    await forge.world.inner().run(RUNNER_TOML + f'clone_url = "{forge.url}/"\n', json.dumps(payload))
    assert job.status is JobState.SUCCESS


async def test_a_failed_fetch_fails_the_job_before_any_script(forge: Forge) -> None:
    spec = script("echo never", after_script=("echo neither",))
    job = await forge.ran(spec, change={"repo_url": f"{forge.url}/sandbox/absent.git"})
    assert (job.status, job.failure_reason, job.exit_code) == ("failed", "script_failure", 128)
    assert "fatal: " in text(job)
    assert "never" not in text(job)
    assert "neither" not in text(job)
    assert text(job).endswith("ERROR: Job failed: exit code 128\x1b[0;m\n")


async def test_a_password_that_is_refused_is_not_asked_for_at_a_terminal(forge: Forge) -> None:
    job, job_json = forge.world.handed_out(script("true"))
    forge.server.allowed = set()
    await forge.world.inner().run(RUNNER_TOML, job_json)
    assert job.exit_code == 128
    assert "Authentication failed" in text(job)


async def test_sources_are_tried_as_often_as_the_author_wants(forge: Forge) -> None:
    forge.server.failures = 2
    job = await forge.ran(script("ls", variables=variables(GET_SOURCES_ATTEMPTS="3")))
    assert job.status is JobState.SUCCESS
    assert text(job).count("Getting source from Git repository") == 3
    assert text(job).count("Deleting all tracked and untracked files due to source fetch failure") == 1


async def test_hooks_run_around_the_sources(forge: Forge) -> None:
    toml = "pre_get_sources_script = 'echo \"before [$(ls)]\"'\npost_get_sources_script = 'echo after; ls'\n"
    job = await forge.ran(script("true"), toml=toml)
    places = [text(job).index(words) for words in ("\nbefore []", "Fetching", "\nafter\nfirst")]
    assert places == sorted(places)


async def test_a_hook_that_fails_ends_the_job(forge: Forge) -> None:
    job = await forge.ran(script("echo never"), toml='pre_get_sources_script = "exit 5"\n')
    assert job.exit_code == 5
    assert "Fetching" not in text(job)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"repo_type": "hg"}, "sources of type `hg` cannot be fetched by this runner"),
        ({"sha": "--upload-pack=x"}, "no repository at a commit"),
        ({"refspecs": ["--upload-pack=touch x"]}, "no repository at a commit"),
        ({"repo_url": "http://[half"}, "is no URL"),
    ],
)
async def test_sources_that_cannot_be_are_a_system_failure(
    forge: Forge, change: dict[str, Any], words: str
) -> None:
    job = await forge.ran(script("echo never"), change=change)
    assert job.failure_reason == "runner_system_failure"
    assert words in text(job)
    assert "never" not in text(job)


async def test_a_host_without_git_says_so(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    job = await forge.ran(script("true"))
    assert job.failure_reason == "runner_system_failure"
    assert "there is no program `git` on this host" in text(job)


async def test_a_canceled_job_ends_in_the_middle_of_a_fetch(forge: Forge) -> None:
    """Nothing has begun that after_script could put in order (spec gitlab-runner-api.md §3.6)."""
    spec = script("echo never", after_script=("echo neither",))
    job, job_json = forge.world.handed_out(spec)
    forge.world.coordinator.cancel(job.job_id)
    toml = 'pre_get_sources_script = "sleep 30"\n'
    await forge.world.inner().run(RUNNER_TOML + toml, job_json)
    assert job.status is JobState.CANCELED
    assert "ERROR: Job failed: canceled" in text(job)
    assert "never" not in text(job)
    assert "neither" not in text(job)
