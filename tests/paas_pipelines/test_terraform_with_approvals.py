"""Terraform's plan, somebody's approval of what has changed, and its apply: palvella's second use case.

With the real server, real shells, files and outputs; the program `terraform` is a stand-in with the same exit
codes, since it is not to be had everywhere.
"""

import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.pipelines_server import start_server, until

pytestmark = [pytest.mark.process, pytest.mark.long]

DEFINITION = Path(__file__).parents[2] / "pipelines" / "examples" / "terraform.yml"
TERRAFORM = """\
#!/bin/sh -eu
# A configuration is what is wanted, its state what is there: terraform [-chdir=DIR] plan|apply …
dir=${1#-chdir=}; what=$2; shift 2
echo "$what $dir" >> "$dir/../calls"
case $what in
  plan)
    for each in "$@"; do case $each in -out=*) out=${each#-out=};; esac; done
    test -e "$dir/main.tf" || { echo 'Error: No configuration files' >&2; exit 1; }
    cp "$dir/main.tf" "$out"
    if cmp -s "$dir/main.tf" "$dir/terraform.tfstate"; then
      echo 'No changes. Your infrastructure matches the configuration.'; exit 0
    fi
    echo 'Plan: 1 to add, 0 to change, 0 to destroy.'; exit 2;;
  apply)
    for each in "$@"; do file=$each; done
    cp "$file" "$dir/terraform.tfstate"
    echo 'Apply complete!';;
esac
"""
NAMES = [
    f"{environment}-{what}" for environment in ("nonprod", "prod") for what in ("plan", "approve", "apply")
]


@contextmanager
def serving(folder):
    """With the example's file; environments and the program are those of the folder."""
    path = f"{folder / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    with start_server(folder, PATH=path) as server:
        yield server


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "terraform"
    program.write_text(TERRAFORM)
    program.chmod(0o755)
    shutil.copy(DEFINITION, tmp_path / "pipelines.yml")
    for name in ("nonprod", "prod"):
        (tmp_path / name).mkdir()
        for file in ("main.tf", "terraform.tfstate"):
            (tmp_path / name / file).write_text("one machine\n")
    return tmp_path


def calls(folder):
    lines = (folder / "calls").read_text().splitlines()
    return [f"{what} {Path(place).name}" for what, _, place in (line.partition(" ") for line in lines)]


def statuses(job):
    return {task["name"]: task["status"] for task in job["tasks"]}


def asked(server, job_id, task):
    """What the approval of a run's task asks, once it does."""
    path = f"/runs/{job_id}/approvals/{task}"
    return until(lambda: (found := server.ask(path).json)["state"] == "open" and found)


def decide(server, approval, user, decision="approve", **more):
    path = f"/runs/{approval['run']}/approvals/{approval['task']}"
    body = {"decision": decision, "digest": approval["digest"], **more}
    return server.ask(path, body, token=server.token(sub=user))


def test_without_changes_nobody_is_asked_and_production_is_left_alone(folder):
    """V020–V028, first part: approval and production are skipped."""
    with serving(folder) as server:
        job = server.ended(server.schedule("deploy-terraform", environment="nonprod"))
        assert job["errored"] is False
        ends = ["done", "skipped", "done", "skipped", "skipped", "skipped"]
        assert statuses(job) == dict(zip(NAMES, ends, strict=True))
        assert calls(folder) == ["plan nonprod", "apply nonprod"]
        assert server.ask("/approvals").json == {"approvals": []}


def test_what_has_changed_in_production_is_applied_once_somebody_else_approves_also_after_kill(folder):
    """V020–V028, second part; the server is killed while people think."""
    (folder / "prod" / "main.tf").write_text("two machines\n")
    with serving(folder) as server:
        job_id = server.schedule("deploy-terraform", environment="prod")
        before = asked(server, job_id, "prod-approve")
        assert before["outputs"] == {"nonprod-plan": {"changed": False}, "prod-plan": {"changed": True}}
        refused = decide(server, before, "tester")
        assert (refused.status, "four_eyes" in refused.text) == (403, True)
        server.kill()
    with serving(folder) as server:
        approval = asked(server, job_id, "prod-approve")
        assert approval == before
        assert statuses(server.job(job_id))["prod-approve"] == "waiting"
        assert (folder / "prod" / "terraform.tfstate").read_text() == "one machine\n"
        (folder / "prod" / "main.tf").write_text("three machines\n")  # which nobody has planned
        assert decide(server, approval, "ann", digest="0" * 64).status == 409
        assert decide(server, approval, "ann").status == 200
        assert decide(server, approval, "ann").status == 200
        job = server.ended(job_id)
        assert job["errored"] is False
        assert statuses(job) == {name: "skipped" if name == "nonprod-approve" else "done" for name in NAMES}
        assert (folder / "prod" / "terraform.tfstate").read_text() == "two machines\n"
        assert calls(folder) == [
            f"{what} {where}" for where in ("nonprod", "prod") for what in ("plan", "apply")
        ]


def test_what_somebody_rejects_is_not_applied(folder):
    (folder / "nonprod" / "main.tf").write_text("two machines\n")
    with serving(folder) as server:
        job_id = server.schedule("deploy-terraform", environment="nonprod")
        approval = asked(server, job_id, "nonprod-approve")
        assert decide(server, approval, "bob", "reject", reason="not today").status == 200
        job = server.ended(job_id)
        assert (job["errored"], job["lastError"]) == (True, "rejected by bob: not today")
        assert calls(folder) == ["plan nonprod"]


def test_a_plan_that_fails_asks_nobody(folder):
    (folder / "nonprod" / "main.tf").unlink()
    with serving(folder) as server:
        job = server.ended(server.schedule("deploy-terraform", environment="nonprod"))
        assert statuses(job) == {name: "error" if name == "nonprod-plan" else "canceled" for name in NAMES}
