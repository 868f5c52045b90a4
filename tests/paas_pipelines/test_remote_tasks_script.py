"""The script of a task that is a job: §4 in whatever shell a runner has."""

import shutil
import subprocess

import pytest
from paas_pipelines.tasks.job_spec import job_script

from paas_runner.inner.trace import echo

SHELLS = [shell for shell in (("bash",), ("dash",), ("busybox", "ash")) if shutil.which(shell[0])]


@pytest.fixture(params=SHELLS, ids=" ".join)
def run(request, tmp_path):
    """Runs a job's script as runners do it: with `errexit` and, where there is one, `pipefail`."""

    def run(*entries, tolerant=False):
        text = f"""
        set -eo errexit
        if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi
        trap 'echo the runner goes on: $?' EXIT
        {job_script(entries, tolerant=tolerant)}
        """
        environment = {"CI_PROJECT_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            [*request.param, "-s"], input=text, capture_output=True, text=True, env=environment, check=False
        )
        shown = {echo(entry) for entry in entries}
        said = [line for line in done.stdout.splitlines() if line not in shown]
        assert said.pop() == f"the runner goes on: {done.returncode}"
        return done.returncode, said

    return run


@pytest.mark.parametrize(
    ("entries", "code", "said"),
    [
        ([], 0, []),
        (["echo a", "echo b"], 0, ["a", "b"]),
        (["echo a", "false", "echo b"], 1, ["a"]),
        (["exit 7", "echo b"], 7, []),
        (["false; echo goes on"], 0, ["goes on"]),  # an entry is no `set -e`
        (["false | true"], 0, []),
        (["set -e; false; echo b", "echo c"], 1, []),
        (["x='a  b'; f() { echo \"$x\"; }", "f"], 0, ["a  b"]),  # one shell for all
        (
            ["mkdir -p d && cd d", "basename \"$PWD\" | grep -v '^d$' > /dev/null && echo at home"],
            0,
            ["at home"],
        ),
        (["cat; echo empty"], 0, ["empty"]),
        (
            ["echo 'it''s' \"$((1 + 1))\" \\\\ # not a comment's end", "cat <<E\nhere\nE"],
            0,
            ["its 2 \\", "here"],
        ),
        (["no-such-program"], 127, []),
        (["sh -c 'kill -9 $$'"], 137, []),
        (["# nothing"], 0, []),
        (["echo 'a\nb'"], 0, ["a", "b"]),
        (["if"], 2, []),
        (["trap 'echo cleaned up' EXIT", "exit 3"], 3, ["cleaned up"]),
        (["trap 'echo cleaned up' EXIT", "echo b"], 0, ["b", "cleaned up"]),
        (["cd() { echo mine; }; printf() { echo mine; }", "command pwd > /dev/null"], 0, []),
        (["echo a \\", "echo b"], 0, ["a", "b"]),
        (["set -u; IFS=0; set -f", "echo b"], 0, ["b"]),
    ],
)
def test_entries_run_in_one_shell_until_the_first_failure(run, entries, code, said):
    """P057, P064, P066, P067 elsewhere."""
    assert run(*entries) == (code, said)


@pytest.mark.parametrize(
    ("entries", "code", "said"),
    [
        (["false", "echo b"], 1, ["b"]),
        (["exit 3", "echo b", "exit 4", "echo c"], 4, ["b", "c"]),
        (["exit 3", "exit 0", "true"], 3, []),
        (['x=1; f() { echo "$x $1"; }', "exit 5", "f after", "(exit 6)", "f last"], 6, ["1 after", "1 last"]),
        (["set -e; false", "echo b"], 1, ["b"]),
        (["true", "echo b"], 0, ["b"]),
        (["trap 'echo cleaned up' EXIT", "false"], 1, ["cleaned up"]),
        (["echo a", "exit 4"], 4, ["a"]),
    ],
)
def test_with_allow_failure_the_next_entry_runs_whatever_happened(run, entries, code, said):
    """P021 elsewhere: even after `exit`, and with all that the shell knows."""
    assert run(*entries, tolerant=True) == (code, said)
