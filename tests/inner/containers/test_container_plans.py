"""What is decided before any engine is asked: input of shells, services, settings, mounts."""

import subprocess
import time
from pathlib import Path, PurePath

import pytest

from paas_runner.docker.registries import PullPolicy
from paas_runner.inner.containers.attached import COMMAND, shell_input
from paas_runner.inner.containers.images import Credentials, CredentialsError
from paas_runner.inner.containers.own_container import OwnContainer, shared
from paas_runner.inner.containers.preparation import job_container
from paas_runner.inner.containers.services import read_services
from paas_runner.inner.containers.settings import read_docker
from paas_runner.inner.ending import StageError
from paas_runner.inner.job import Workspace
from paas_runner.inner.job_script import Script
from tests.support.kept_files import Log, job_in


def script(folder: Path, *commands: str, **environment: str) -> Script:
    workspace = Workspace(builds=folder, project=folder)
    return Script(name="s", commands=commands, workspace=workspace, environment=environment, files={})


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_shell_reads_a_script_from_its_input_whatever_is_in_it(tmp_path: Path, shell: str) -> None:
    values = {"ODD": "'\"$(echo no)\n\\", "UID": "1", "not a name": "x", "EMPTY": ""}
    text = shell_input(
        script(tmp_path, "cat", 'printf "%s" "$ODD" > odd', 'test -z "$EMPTY"\ncd /', "pwd", **values)
    )
    done = subprocess.run([shell], input=text + b"echo never\n", capture_output=True, cwd="/", check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "odd").read_text() == values["ODD"]
    assert done.stdout.endswith(b"\n/\n")


@pytest.mark.parametrize("shell", ["bash", "dash"])
@pytest.mark.parametrize(("command", "code"), [("(exit 3)", 3), ("exit 4", 4), ("if", 2), ("nosuch", 127)])
def test_a_shell_ends_with_the_code_of_what_failed(
    tmp_path: Path, shell: str, command: str, code: int
) -> None:
    text = shell_input(script(tmp_path, "true", command, "echo never"))
    done = subprocess.run([shell], input=text, capture_output=True, check=False)
    assert done.returncode == code
    assert b"\nnever" not in done.stdout


@pytest.mark.parametrize("first", ["bash", "dash"])
@pytest.mark.parametrize("helper", ["sleep 0.3; cat", "setsid sh -c 'sleep 0.3; cat'", "sleep 0.3; tee copy"])
def test_the_first_process_of_a_container_outlives_those_who_still_write(
    tmp_path: Path, first: str, helper: str
) -> None:
    done, output = first_process(tmp_path, first, f"exec > >({helper})", "seq 1 9000", "echo last; exit 3")
    assert done.returncode == 3
    assert b"".join(b"%d\n" % number for number in range(1, 9001)) in output
    assert output.endswith(b"\nlast\n")


def test_the_first_process_of_a_container_waits_two_seconds_at_most(tmp_path: Path) -> None:
    begun = time.monotonic()
    done, output = first_process(tmp_path, "dash", "sleep 30 & echo up")
    assert (done.returncode, output.endswith(b"\nup\n")) == (0, True)
    assert 2 <= time.monotonic() - begun < 20  # its children would go on for thirty


def test_the_first_process_of_a_container_waits_only_for_who_holds_the_output(
    tmp_path: Path,
) -> None:
    begun = time.monotonic()
    done, _ = first_process(tmp_path, "dash", "sleep 30 >/dev/null 2>&1 &")
    assert done.returncode == 0
    assert time.monotonic() - begun < 2


def first_process(
    folder: Path, shell: str, *commands: str
) -> tuple[subprocess.CompletedProcess[bytes], bytes]:
    """How it ended, and what had been written by then."""
    command = (shell, *COMMAND[1:])
    with (folder / "output").open("xb") as output:
        text = shell_input(script(folder, *commands))
        done = subprocess.run(command, input=text, stdout=output, check=False)
        return done, (folder / "output").read_bytes()


def test_text_that_no_shell_can_be_given_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="NUL"):
        shell_input(script(tmp_path, "echo \0"))


@pytest.mark.parametrize(
    ("name", "alias", "names"),
    [
        ("postgres:13", "", ("postgres",)),
        ("tutum/wordpress:latest", None, ("tutum__wordpress", "tutum-wordpress")),
        ("reg.example.org:5000/a/b:1", "", ("reg.example.org__a__b", "reg.example.org-a-b")),
        ("postgres:$V", "db,pg $OS", ("postgres", "db", "pg", "linux")),
        ("sha256:" + "a" * 64, "db", ("db",)),
    ],
)
def test_services_have_the_names_that_gitlab_runner_gives_them(
    tmp_path: Path, name: str, alias: str | None, names: tuple[str, ...]
) -> None:
    entry = {"name": name, "alias": alias}
    job = job_in(
        tmp_path / "p",
        services=[entry],
        variables=[{"key": "OS", "value": "linux"}, {"key": "V", "value": "1"}],
    )
    [service] = read_services(job, []).wanted
    assert service.names == names


def test_a_services_variables_may_refer_to_the_jobs_and_hide_them(tmp_path: Path) -> None:
    variables = [
        {"key": "SECRET", "value": "s3cret"},
        {"key": "SHOWN", "value": "seen", "public": True},
    ]
    own = [
        {"key": "PASSWORD", "value": "$SECRET"},
        {"key": "SHOWN", "value": "$SHOWN again"},
        {"key": "RAW", "value": "$SECRET", "raw": True},
    ]
    job = job_in(tmp_path / "p", services=[{"name": "db", "variables": own}], variables=variables)
    environment = read_services(job, []).wanted[0].environment
    assert environment["PASSWORD"] == "s3cret"
    assert environment["SHOWN"] == "seen again"
    assert environment["RAW"] == "$SECRET"
    assert "SECRET" not in environment


@pytest.mark.parametrize(
    ("given", "configured", "words"),
    [
        (None, "", "the job names no image, and runner.toml has no [runners.docker] `image`"),
        ("$NOPE", "usual:1", "the job's image is `$NOPE`, which is empty: a variable in it is not set"),
        (None, "${NOPE}", "runner.toml's image is `${NOPE}`, which is empty: a variable in it is not set"),
    ],
)
async def test_a_job_without_an_image_is_told_whose_is_missing(
    tmp_path: Path, given: str | None, configured: str, words: str
) -> None:
    toml = f'[[runners]]\nurl = "http://h"\ntoken = "t"\n[runners.docker]\nimage = "{configured}"\n'
    job = job_in(tmp_path / "project", toml, image={"name": given} if given else None)
    with pytest.raises(StageError) as raised:
        async with job_container(job, Log().narrator, ()):
            raise AssertionError("there is nothing to be in")
    assert raised.value.ending.text == words


def test_settings_are_gitlab_runners() -> None:
    found = read_docker(
        {
            "image": "debian:12",
            "pull_policy": ["always", "if-not-present"],
            "memory": "1g",
            "cpus": "1.5",
            "ulimit": {"nofile": "10:20"},
            "privileged": True,
            "service_memory": "2g",
            "network_mode": "bridge",
            "services_privileged": False,
            "helper_image": "helper",
            "disable_cache": False,
            "gpus": "all",
            "oom_kill_disable": False,
        }
    )
    assert found.pull_policies == (PullPolicy.ALWAYS, PullPolicy.IF_NOT_PRESENT)
    assert found.allowed_pull_policies == found.pull_policies
    assert found.network_mode == ""
    assert found.unknown == ("gpus",)
    options = dict(found.for_job.host_config)
    [limit] = options.pop("ulimits")
    assert (limit.name, limit.soft, limit.hard) == ("nofile", 10, 20)
    expected = {"mem_limit": "1g", "nano_cpus": 1_500_000_000, "privileged": True, "oom_kill_disable": False}
    assert options == expected
    assert found.for_services.host_config == {"mem_limit": "2g", "privileged": False}


def test_without_a_table_everything_has_its_usual_value() -> None:
    found = read_docker({})
    assert found.pull_policies == (PullPolicy.ALWAYS,)
    assert (found.wait_seconds, found.image, found.unknown) == (30.0, "", ())
    assert found.for_job.host_config == {"privileged": False}


@pytest.mark.parametrize(
    "table",
    [
        {"image": 5},
        {"volumes": "/a"},
        {"services": ["x"]},
        {"cpus": "many"},
        {"ulimit": {"n": "x"}},
        {"ulimit": 3},
    ],
)
def test_values_that_make_no_sense_fail_the_job(table: dict[str, object]) -> None:
    with pytest.raises(StageError, match=r"runner.toml: \[runners.docker\] `"):
        read_docker(table)


VOLUME = {
    "Type": "volume",
    "Name": "v",
    "Source": "/var/lib/docker/volumes/v/_data",
    "Destination": "/builds",
}
BIND = {"Type": "bind", "Source": "/srv/ci", "Destination": "/builds/group"}
ROOT = {"Type": "bind", "Source": "/srv/root", "Destination": "/"}


@pytest.mark.parametrize(
    ("mounts", "folder", "shown"),
    [
        ((VOLUME,), "/builds", ("volume", "v", "/builds")),
        ((VOLUME,), "/builds/p", ("volume", "v", "/builds")),
        ((ROOT, VOLUME, BIND), "/builds/group/p", ("bind", "/srv/ci", "/builds/group")),
        ((ROOT, VOLUME), "/else", ("bind", "/srv/root", "/")),
    ],
)
def test_a_folder_is_shared_by_the_mount_that_it_is_on(mounts, folder, shown) -> None:
    own = OwnContainer(ref="r", mounts=mounts, network_mode="bridge", image="i")
    mount = shared(PurePath(folder), own)
    assert (mount["Type"], mount["Source"], mount["Target"]) == shown


def test_a_folder_that_no_one_else_can_see_fails_the_job() -> None:
    temporary = {"Type": "tmpfs", "Source": "", "Destination": "/builds"}
    own = OwnContainer(ref="r", mounts=(temporary,), network_mode="bridge", image="i")
    with pytest.raises(StageError, match="a container without a volume for /builds"):
        shared(PurePath("/builds"), own)


@pytest.mark.parametrize("text", ["{", "[]", "5", '{"auths": {"a": {"auth": "cGFzcw=="}}}', '{"auths": 5}'])
def test_credentials_that_cannot_be_read_are_reported_without_what_is_in_them(
    tmp_path: Path, text: str
) -> None:
    job = job_in(tmp_path / "p", variables=[{"key": "DOCKER_AUTH_CONFIG", "value": text, "raw": True}])
    with pytest.raises(CredentialsError, match=r"^the credentials in \$DOCKER_AUTH_CONFIG cannot be read$"):
        Credentials(job).of("reg.example.org/a")


def test_an_image_whose_name_has_a_scheme_has_no_registry(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"cannot contain a scheme \(http://reg.example.org/a\)"):
        Credentials(job_in(tmp_path / "p")).of("http://reg.example.org/a")


def test_credentials_are_for_their_registry_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    urls = ("https://index.docker.io/v1/", "reg.example.org:5050", "gitlab.example.org:443")
    entries = [{"type": "registry", "url": url, "username": "u", "password": url} for url in urls]
    credentials = Credentials(job_in(tmp_path / "p", credentials=entries))
    assert credentials.of("reg.example.org:5050/a/b:1").configuration["password"] == "reg.example.org:5050"
    assert credentials.of("gitlab.example.org:443/g/dependency_proxy/containers/alpine") is not None
    assert credentials.of("postgres:13").configuration["password"].startswith("https://index")
    assert credentials.of("reg.example.org/a/b") is None
    assert credentials.of("reg.example.org:443/a") is None
