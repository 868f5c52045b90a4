"""Scripts in containers of a real engine: what they find, how they end, what stays for the next one."""

import json
from datetime import timedelta

import pytest

from paas_runner.inner import Stops
from paas_runner.job.variables import Variable
from paas_runner.pipelines.spec import ImageSpec
from paas_runner.pipelines.states import JobState
from tests.inner.containers.conftest import text, until, variables


async def test_a_script_runs_in_a_container_of_the_jobs_image(docker) -> None:
    job = await docker.ran("test -f /.dockerenv", "echo in $(pwd) by $0")
    assert job.status is JobState.SUCCESS
    assert f"Using Docker executor with image {docker.engine.base} ..." in text(job)
    assert "Using docker image sha256:" in text(job)
    assert "/builds/sandbox/project by bash\n" in text(job)


async def test_the_exit_code_is_the_scripts(docker) -> None:
    job = await docker.ran("(exit 42)", "echo never")
    assert (job.failure_reason, job.exit_code) == ("script_failure", 42)
    assert "ERROR: Job failed: exit code 42" in text(job)
    assert "\nnever" not in text(job)


async def test_after_script_finds_the_containers_files_and_none_of_its_processes(docker) -> None:
    job = await docker.ran(
        "echo kept > /etc/kept",
        "(setsid sleep 63.01 &)",
        "false",
        after_script=("cat /etc/kept", "echo $CI_JOB_STATUS", "cat /proc/*/cmdline | grep -c 63.01 || true"),
    )
    assert "\nkept\n" in text(job)
    assert "\nfailed\n" in text(job)
    assert text(job).count("63.01") == 2, "in the commands alone"


async def test_variables_arrive_as_they_are_whatever_is_in_them(docker) -> None:
    values = {"ODD": 'it\'s "$HOME" `x` \\n\n\tand ä', "UID": "5", "PATH_LIKE": "a:b"}
    job = await docker.ran(
        'printf "%s|" "$ODD" "$PATH_LIKE"; env | grep -c "^2nd" || true',
        variables=(*variables(**values), Variable(key="2nd", value="no name for a shell")),
    )
    assert job.status is JobState.SUCCESS
    assert f"{values['ODD']}|a:b|" in text(job)


async def test_a_variable_that_is_too_long_for_a_program_is_there_for_the_shell_alone(docker) -> None:
    long = Variable(key="LONG", value="x" * 140_000, public=True)
    job = await docker.ran("echo ${#LONG}", "ls", variables=(long,))
    assert "\n140000\n" in text(job)
    assert (job.failure_reason, job.exit_code) == ("script_failure", 126)


async def test_file_variables_are_where_the_variable_says(docker) -> None:
    key = Variable(key="KEY", value="line one\nline two", file=True)
    job = await docker.ran('cat "$KEY"', after_script=('wc -l < "$KEY"',), variables=(key,))
    assert "\nline one\nline two" in text(job)


async def test_a_project_is_where_its_author_wants_it(docker) -> None:
    job = await docker.ran(
        "echo one > kept; echo in $PWD; cat $KEY",
        after_script=("cat $CI_BUILDS_DIR/go/src/x/kept",),
        variables=(
            Variable(key="GIT_CLONE_PATH", value="$CI_BUILDS_DIR/go/src/x"),
            Variable(key="KEY", value="of a file", file=True),
        ),
        options={"user": "65534"},
    )
    assert job.status is JobState.SUCCESS, text(job)
    assert "/builds/go/src/x\n" in text(job)
    assert "of a file" in text(job)
    assert "\none\n" in text(job)


async def test_what_a_script_saves_for_the_next_one_is_there(docker) -> None:
    job = await docker.ran('echo "A=b c" >> "$GITLAB_ENV"', after_script=('echo "found $A"',))
    assert "\nfound b c\n" in text(job)


async def test_a_script_has_nothing_to_read_and_errors_are_shown_in_their_place(docker) -> None:
    job = await docker.ran("cat", "echo one", "echo two >&2", "sleep 0.1; echo three")
    assert text(job).index("\none") < text(job).index("\ntwo") < text(job).index("\nthree")
    assert job.status is JobState.SUCCESS


async def test_much_output_comes_whole(docker) -> None:
    job = await docker.ran("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end")
    assert "x" * 3_000_000 + "\nend\n" in text(job)


@pytest.mark.parametrize("user", ["0", "1000"])
async def test_what_passes_through_a_helper_of_the_script_comes_whole(docker, user) -> None:
    """The helper reads only after the script's shell has ended, and what else it writes is whole, too."""
    helped = "exec > >(sleep 0.5; tee build.log) 2>&1"
    job = await docker.ran(
        *(helped, "seq 1 20000", "echo LASTLINE; false"),
        after_script=("tail -n 1 build.log; wc -l < build.log",),
        options={"user": user},
    )
    assert "\n".join(map(str, range(1, 20_001))) in text(job)
    assert job.exit_code == 1
    assert text(job).count("\nLASTLINE\n") == 2
    assert "\n20003\n" in text(job)


async def test_who_holds_the_output_for_ever_delays_the_end_a_little(docker) -> None:
    job = await docker.ran("sleep 63.02 & echo up")
    assert job.status is JobState.SUCCESS
    assert "\nup\n" in text(job)


async def test_an_image_without_bash_has_its_sh_used(docker) -> None:
    image = docker.engine.build(
        "paas-runner-test/only-sh",
        f"FROM {docker.engine.base}\nCOPY sh /only/sh\nENV PATH=/only\n",
        sh='#!/bin/dash\nexec /bin/dash "$@"\n',
    )
    job = await docker.ran("echo by ${BASH_VERSION:-another}", "(exit 3)", image=image)
    assert "\nby another\n" in text(job)
    assert job.exit_code == 3


async def test_an_image_without_any_shell_fails_the_job_with_words(docker) -> None:
    image = docker.engine.build("paas-runner-test/no-shell", f"FROM {docker.engine.base}\nENV PATH=/none\n")
    job = await docker.ran("true", image=image)
    assert job.failure_reason == "runner_system_failure"
    assert "to start the job's container failed: " in text(job)
    assert '"sh": executable file not found' in text(job)


ENTRYPOINT = '#!/bin/sh\nexport SEEN=by-the-entrypoint\nexec "$@"\n'


@pytest.fixture(scope="session")
def with_entrypoint(engine) -> str:
    dockerfile = f'FROM {engine.base}\nCOPY entry /entry\nENTRYPOINT ["/entry"]\n'
    return engine.build("paas-runner-test/entrypoint", dockerfile, entry=ENTRYPOINT)


@pytest.mark.parametrize(
    ("entrypoint", "options", "seen"),
    [
        (None, {}, "by-the-entrypoint"),
        (("",), {}, ""),
        (("env", "SEEN=given"), {}, "given"),
        (("/bin/sh", "-c"), {}, ""),
        (("env", "SEEN=given"), {"disable_entrypoint_overwrite": True}, "by-the-entrypoint"),
    ],
)
async def test_an_entrypoint_is_the_images_or_the_jobs(
    docker, with_entrypoint, entrypoint, options, seen
) -> None:
    image = ImageSpec(name=with_entrypoint, entrypoint=entrypoint)
    job = await docker.ran("echo =$SEEN=", image=image, options=options)
    assert job.status is JobState.SUCCESS
    assert f"\n={seen}=\n" in text(job)
    assert ("WARNING: Entrypoint override disabled" in text(job)) == bool(options)


async def test_masked_values_show_neither_in_the_trace_nor_to_who_asks_the_engine(docker) -> None:
    secret = Variable(key="PW", value="open-sesame", masked=True)
    plain = Variable(key="PLAIN", value="for-all", public=True)
    async with docker.running(
        "echo $PW; echo $PW | tr -d -; touch ready; while [ ! -e go ]; do sleep 0.1; done",
        variables=(secret, plain),
    ) as (job, _):
        await until(lambda: b"opensesame" in job.trace)
        [container] = docker.containers()
        shown = json.dumps(container)
        with docker.engine.client() as client:
            shown += str(client.top(container["Id"]))
        assert "for-all" in shown
        for hidden in ("open-sesame", job.token.reveal()):
            assert hidden not in shown
        docker.world.coordinator.cancel(job.job_id)
    assert "\n[MASKED]\n" in text(job)
    assert "open-sesame" not in text(job)


async def test_a_job_that_is_canceled_while_it_sleeps_is_off_the_engine_within_five_seconds(docker) -> None:
    async with docker.running("echo ready", "sleep 600", after_script=("echo $CI_JOB_STATUS",)) as (
        job,
        running,
    ):
        await until(lambda: b"\nready" in job.trace)
        docker.world.coordinator.cancel(job.job_id)
        await until(lambda: running.done() and not docker.left(), seconds=30)
    assert job.status is JobState.CANCELED
    assert "\ncanceled\n" in text(job)


async def test_a_script_may_end_in_good_order_when_it_is_asked_to(docker) -> None:
    stops = Stops()
    trap = "trap 'echo got-it; exit 0' TERM"
    async with docker.running(trap, "echo ready", "sleep 600 & wait", stops=stops) as (job, _):
        await until(lambda: b"\nready" in job.trace)
        stops.abort("terminated")
    assert "\ngot-it\n" in text(job)
    assert "aborted: terminated" in text(job)


async def test_a_script_that_does_not_end_is_killed(docker) -> None:
    lines = ("trap '' TERM", "while :; do sleep 1 || true; done")
    job = await docker.ran(*lines, timeout=timedelta(seconds=3))
    assert job.failure_reason == "job_execution_timeout"


async def test_the_end_of_the_runner_itself_leaves_nothing(docker) -> None:
    async with docker.running("echo ready; sleep 600") as (job, running):
        await until(lambda: b"\nready" in job.trace)
        running.cancel()
        await until(running.done, seconds=30)
        assert docker.left() == set()
    assert job.status is JobState.RUNNING


async def test_a_user_who_is_not_root_can_work_in_the_projects_folder(docker) -> None:
    def as_nobody(payload) -> None:
        payload["image"]["executor_opts"] = {"docker": {"user": "65534"}}

    job = await docker.ran(
        "id -u; echo x > new; mkdir -p a/b; cat $KEY",
        image=docker.engine.base,
        variables=(Variable(key="KEY", value="readable", file=True),),
        change=as_nobody,
    )
    assert job.status is JobState.SUCCESS
    assert "\n65534\n" in text(job)
    assert "readable" in text(job)


async def test_a_user_whom_the_runner_does_not_allow_fails_the_job(docker) -> None:
    def as_root(payload) -> None:
        payload["image"]["executor_opts"] = {"docker": {"user": "0"}}

    options = {"allowed_users": ["65534"], "user": "65534"}
    job = await docker.ran("id -u", image=docker.engine.base, options=options, change=as_root)
    assert job.failure_reason == "runner_configuration_error"
    assert 'the user "0" is not among those that this runner allows: 65534' in text(job)
    job = await docker.ran("id -u", options=options)
    assert "\n65534\n" in text(job)


async def test_options_of_the_runner_reach_the_container(docker, tmp_path) -> None:
    (tmp_path / "shared").write_text("from the machine")
    options = {
        "volumes": ["/scratch", f"{tmp_path}:/machine:ro"],
        "memory": "128m",
        "cpus": "0.5",
        "shm_size": 1048576,
        "extra_hosts": ["printer.test:192.0.2.7"],
        "dns": ["192.0.2.53"],
        "hostname": "workshop",
        "cap_drop": ["NET_RAW"],
        "gpus": "all",
    }
    async with docker.running(
        "cat /machine/shared; echo; grep printer /etc/hosts; hostname",
        "findmnt /scratch >/dev/null || grep -c ' /scratch ' /proc/mounts; echo ready; sleep 60",
        options=options,
    ) as (job, _):
        await until(lambda: b"\nready" in job.trace)
        [container] = docker.containers()
        docker.world.coordinator.cancel(job.job_id)
    config = container["HostConfig"]
    assert (config["Memory"], config["NanoCpus"], config["ShmSize"]) == (128 << 20, 500_000_000, 1 << 20)
    assert (config["Dns"], config["CapDrop"], config["Privileged"]) == (["192.0.2.53"], ["NET_RAW"], False)
    assert "[runners.docker]: without effect here: gpus" in text(job)
    for words in ("from the machine\n", "192.0.2.7\tprinter.test\n", "\nworkshop\n"):
        assert words in text(job)


async def test_a_shared_network_is_used_as_it_is(docker) -> None:
    async with docker.running("echo ready; sleep 60", options={"network_mode": "host"}) as (job, _):
        await until(lambda: b"\nready" in job.trace)
        assert {kind for kind, _ in docker.left()} == {"container"}
        docker.world.coordinator.cancel(job.job_id)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image": ""}, "the job names no image"),
        ({"memory": "much"}, "[runners.docker] has options that cannot be"),
        ({"privileged": "yes"}, "`privileged` cannot be 'yes'"),
        ({"pull_policy": "sometimes"}, "'sometimes' is not a valid PullPolicy; known are always"),
        ({"volumes": ["scratch"]}, "`volumes`: 'scratch' is no path"),
    ],
)
async def test_a_configuration_that_cannot_be_is_reported(docker, options, words) -> None:
    job = await docker.ran("true", options=options)
    assert job.failure_reason == "runner_configuration_error"
    assert words in text(job)


async def test_an_absent_engine_is_reported(docker, tmp_path) -> None:
    job = await docker.ran("true", options={"host": f"unix://{tmp_path}/none"})
    assert job.failure_reason == "runner_system_failure"
    assert "to reach the Docker engine (does it run, is its socket at hand?) failed" in text(job)
