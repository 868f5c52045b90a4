"""What an author may try from a job in a container: nothing outside obeys, nothing of the operator shows.

The inner runner is in a container with the engine's socket and the operator's files, as on hosts. With it is
a coordinator that serves the sources, takes trace and artifacts, and tells in the end what has changed beside
the folder of builds.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from docker.types import Mount

from paas_runner.docker.labels import OBJECT_LABELS_VARIABLE
from paas_runner.job.variables import Variable
from paas_runner.pipelines.jobs import GitRepository, Project
from paas_runner.pipelines.payload import job_payload
from tests.inner.containers.conftest import Docker
from tests.support.git_server import GitServer, git
from tests.support.hosts import GRACEFUL, hosts, script
from tests.support.live_records import submitted

COORDINATOR = """\
import http.server, io, json, os, pathlib, subprocess, sys, threading, zipfile
said = {"trace": b"", "kept": b""}
class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments):
        super().__init__(*arguments, directory="/served")
    def do_PATCH(self):
        said["trace"] += self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(202, Range="0-%d" % len(said["trace"]))
    def do_PUT(self):
        said["put"] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(200)
    def do_POST(self):
        said["kept"] += self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(201)
    def answer(self, status, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": "0", "Job-Status": "running", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
pathlib.Path("/cache/other/project/key").mkdir(parents=True)
pathlib.Path("/cache/other/project/key/cache.zip").touch()
places = ("/cache", "/etc", "/usr/lib/paas-runner")
operators = [path for place in places for path in pathlib.Path(place).rglob("*")]
pathlib.Path("/started").touch()
folder = "/etc/heptapod-runner"
command = ["gitlab-runner", "exec-fetched-job", "--config", f"{folder}/runner.toml", f"{folder}/job.json"]
code = subprocess.call(command)
changed = subprocess.run(
    ["find", "/", "-xdev", "-newercm", "/started", "-not", "-type", "d", "-not", "-path", "/tmp/*",
     "-not", "-path", "/proc/*", "-not", "-path", "/etc/host*",
     "-not", "-path", "/etc/resolv.conf"], stdout=subprocess.PIPE).stdout.decode().split()
changed += [f"{path} is gone" for path in operators if not os.path.lexists(path)]
kept = {}
if b"PK" in said["kept"]:
    body = said["kept"][said["kept"].index(b"PK"):]
    archive = zipfile.ZipFile(io.BytesIO(body))
    kept = {name: archive.read(name).decode(errors="replace") for name in archive.namelist()}
print(json.dumps({"trace": said["trace"].decode(), "kept": kept, "changed": changed,
                  "state": said.get("put", {}).get("state")}))
"""
FOLDER = "/etc/heptapod-runner"
KEY = "AKIA-OF-THE-OPERATOR"
IN_THE_ENVIRONMENT = "OPERATORS-OWN-LOGIN"
CACHE = f'[runners.cache]\nPath = "x"\n[runners.cache.s3]\nAccessKey = "{KEY}"\nSecretKey = "{KEY}"\n'
HOST_IMAGE = "paas-runner-test/host-of-a-job"
"""In payloads, the image of the host that gets them: it has a tag of its own, others' tests run beside."""
OBEYED = "/usr/lib/paas-runner/obeyed"
"""What an obedient program makes."""


@attrs.frozen(kw_only=True)
class Outcome:
    """Of one job, as its coordinator has it."""

    trace: str
    kept: dict[str, str]
    changed: list[str]
    state: str

    def check(self) -> None:
        """Nothing was obeyed outside, nothing of the operator shows."""
        assert self.changed == []
        shown = self.trace + json.dumps(self.kept)
        assert KEY not in shown
        assert IN_THE_ENVIRONMENT not in shown


@attrs.frozen(kw_only=True)
class Host:
    """A container with the inner runner, and what it is made from."""

    docker: Docker
    image: str
    sha: str
    folder: Path

    @property
    def port(self) -> int:
        """Of the coordinator; one that no other test has, for the reason at `Docker.url`."""
        return 10_000 + int(self.docker.owner, 16) % 20_000

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ran(
        self,
        *lines: str,
        hook: Sequence[str] = (),
        change: Callable[[dict[str, Any]], object] = lambda payload: None,
        git_program: str = "",
        **more: Any,
    ) -> Outcome:
        """A job whose sources are `a`, `.gitattributes` and, in a submodule, `inner/b`."""
        project = Project(repository=GitRepository(url=f"{self.url}/sandbox/project.git", sha=self.sha))
        world = hosts(project=project)
        job = submitted(world.coordinator, script(*lines, **more))
        assert world.coordinator.acquire(world.runner.runner_id, features=GRACEFUL) == job
        payload = job_payload(job, url=self.url, options=world.coordinator.options)
        payload["git_info"]["depth"] = 0
        if hook:
            payload["hooks"] = [{"name": "pre_get_sources_script", "script": list(hook)}]
        change(payload)
        image = f"{HOST_IMAGE}:{self.docker.owner}"
        self._build(image, json.dumps(payload).replace(HOST_IMAGE, image), git_program)
        return self._outcome(image)

    def _build(self, image: str, payload: str, git_program: str) -> None:
        """An image as executors make it, with the sources."""
        toml = self.docker.toml(CACHE, host="unix:///var/run/docker.sock").replace(self.docker.url, self.url)
        toml = toml.replace("[runners.docker]", 'cache_dir = "/cache"\n[runners.docker]')
        (self.folder / "runner.toml").write_text(toml)
        (self.folder / "job.json").write_text(payload)
        (self.folder / "coordinator.py").write_text(COORDINATOR)
        lines = [
            f"FROM {self.image}",
            f"LABEL paas-runner.owner={self.docker.owner}",
            f"COPY runner.toml job.json {FOLDER}/",
            "COPY served /served",
            "COPY coordinator.py /",
        ]
        if git_program:
            (self.folder / "git").write_text(git_program)
            (self.folder / "git").chmod(0o755)
            lines.append("COPY git /usr/bin/git")
        (self.folder / "Dockerfile").write_text("\n".join(lines))
        self.docker.engine.build_folder(image, self.folder)

    def _outcome(self, image: str) -> Outcome:
        labels = {"paas-runner.owner": self.docker.owner}
        socket = self.docker.engine.url.removeprefix("unix://")
        with self.docker.engine.client() as client:
            container = client.create_container(
                image,
                labels=labels,
                entrypoint=["python3", "/coordinator.py", str(self.port)],
                environment={
                    OBJECT_LABELS_VARIABLE: f"paas-runner.owner={self.docker.owner}",
                    "DOCKER_AUTH": IN_THE_ENVIRONMENT,
                },
                host_config=client.create_host_config(
                    mounts=[
                        Mount("/var/run/docker.sock", socket, type="bind"),
                        Mount("/builds", None, type="volume", labels=labels),
                    ],
                ),
            )
            try:
                client.start(container)
                client.wait(container, timeout=90)
                said = client.logs(container, stderr=False).decode()
                assert said, client.logs(container).decode()
                return Outcome(**json.loads(said.splitlines()[-1]))
            finally:
                client.remove_container(container, v=True, force=True)
                client.remove_image(image, force=True)


@pytest.fixture
def host(docker: Docker, host_image: str, tmp_path: Path) -> Host:
    root = tmp_path / "root"
    root.mkdir()
    server = GitServer(root)
    server.commit("sandbox/inner", {"b": "of the submodule"})
    with server.running() as url:
        files = {"a": "of the project", ".gitattributes": "* filter=f\n"}
        server.commit("sandbox/project", files, submodules={"inner": f"{url}/sandbox/inner.git"})
        modules = (root / "sandbox/project.work/.gitmodules").read_text()
        relative = modules.replace(f"{url}/sandbox/", "../")
        sha = server.commit("sandbox/project", {".gitmodules": relative})
    context = tmp_path / "context"
    for name in ("project", "inner"):
        git(root / f"sandbox/{name}.git", "update-server-info")
        shutil.copytree(root / f"sandbox/{name}.git", context / f"served/sandbox/{name}.git")
    return Host(docker=docker, image=host_image, sha=sha, folder=context)


def variables(**values: str) -> tuple[Variable, ...]:
    return tuple(Variable(key=key, value=value, raw=True) for key, value in values.items())


def keeping(**rules: Any) -> Callable[[dict[str, Any]], object]:
    """A change of a payload: its artifacts."""
    entry = {"name": "kept", "artifact_type": "archive", "artifact_format": "zip", **rules}
    return lambda payload: payload.update(artifacts=[entry])


SUBMODULES = variables(GIT_SUBMODULE_STRATEGY="recursive")


def test_sources_caches_and_untracked_files_are_as_ever(host: Host) -> None:
    outcome = host.ran(
        *("cat a inner/b", "git status --short", "git log --oneline -1", "echo made > new"),
        variables=(*SUBMODULES, Variable(key="FILE", value="a file", file=True)),
        after_script=("cat $FILE",),
        change=keeping(untracked=True, paths=["a"]),
    )
    outcome.check()
    assert outcome.state == "success", outcome.trace
    assert "of the projectof the submodule" in outcome.trace
    assert "a file" in outcome.trace
    assert outcome.kept == {"a": "of the project", "new": "made\n"}


SPY = """#!/bin/sh
cat /etc/heptapod-runner/* /proc/*/environ 2>&1 | tr '\\\\0' '\\\\n'
env
ls -la /var/run/docker.sock /run/docker.sock /builds 2>&1
ls -la /etc/heptapod-runner 2>&1
touch /usr/lib/paas-runner/obeyed
exit 1
"""


def test_even_a_git_that_does_what_it_likes_finds_nothing(host: Host) -> None:
    outcome = host.ran("true", git_program=SPY)
    outcome.check()
    assert "cannot access '/var/run/docker.sock'" in outcome.trace
    assert "PAAS_RUNNER_GIT_USER=gitlab-ci-token" in outcome.trace, "it has run"
    assert "sandbox" in outcome.trace, "the folder of builds is there"


HOOKED = f'printf "#!/bin/sh\\ntouch {OBEYED}\\n" > $PWD/h/reference-transaction; chmod +x h/*'
SPARSE = (
    "git config user.email a@b && git config user.name a && mkdir d && touch d/f",
    "git add d && git commit -qm d",
    "git sparse-checkout set --cone --sparse-index nothing && t=$(git rev-parse HEAD:d)",
    "rm .git/objects/$(echo $t | cut -c1-2)/$(echo $t | cut -c3-)",
    "git config core.repositoryFormatVersion 1 && git config extensions.partialClone origin",
    "git config remote.origin.promisor true && git config protocol.ext.allow always",
    f"git config remote.origin.url 'ext::sh -c touch% {OBEYED}' && mkdir d && touch d/new",
)
EVIL = f'mkdir /builds/evil; cd /builds/evil; printf "#!/bin/sh\\ntouch {OBEYED}\\n" > git; chmod +x git'


TRIED: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "settings by a variable": (
        ("touch new",),
        {
            "variables": variables(GIT_CONFIG_PARAMETERS=f"'core.fsmonitor'='touch {OBEYED};false'"),
            "change": keeping(untracked=True),
        },
    ),
    "a lazy fetch for a sparse index": (SPARSE, {"change": keeping(untracked=True)}),
    "a repository that a hook has made": (
        ("cat a",),
        {
            "hook": (
                "git init -q . && git remote add origin u && mkdir h && git config core.hooksPath $PWD/h",
                HOOKED,
            )
        },
    ),
    "a file variable that became a link": (
        (f"rm $FILE && ln -s {OBEYED} $FILE",),
        {"variables": (Variable(key="FILE", value="x", file=True),), "after_script": ("cat $FILE",)},
    ),
    "programs and libraries by variables": (
        ("true",),
        {
            "hook": (EVIL, f"printf '[core]\\nfsmonitor = touch {OBEYED}\\n' > /builds/evil/.gitconfig"),
            "variables": variables(
                PATH="/builds/evil:/usr/bin:/bin",
                HOME="/builds/evil",
                XDG_CONFIG_HOME="/builds/evil",
                GIT_EXEC_PATH="/builds/evil",
                GIT_SSH_COMMAND="/builds/evil/git",
            ),
        },
    ),
    "flags that are commands": (
        ("cat inner/b",),
        {
            "variables": (
                *SUBMODULES,
                *variables(GIT_CLEAN_FLAGS=f"-ffdx --exclude=$(touch${{IFS}}{OBEYED})"),
            )
        },
    ),
    "a repository that is a link": (
        ("cat a",),
        {"hook": ("ln -s /usr/lib/paas-runner .git",)},
    ),
    "a filter": (
        ("cat a",),
        {
            "hook": (
                "git init -q . && git remote add origin u",
                f"git config filter.f.smudge 'touch {OBEYED}; cat'",
            )
        },
    ),
    "a project that is a link": (
        ("true",),
        {"hook": (f"cd /builds && rm -rf $CI_PROJECT_DIR && ln -s {FOLDER} $CI_PROJECT_DIR",)},
    ),
    "a project that is a link to others' caches": (
        ("true",),
        {
            "hook": ("cd /builds && rm -rf $CI_PROJECT_DIR && ln -s /cache $CI_PROJECT_DIR",),
            "variables": variables(GIT_STRATEGY="clone"),
        },
    ),
    "an empty project that is a link": (
        ("true",),
        {
            "hook": ("cd /builds && rm -rf $CI_PROJECT_DIR && ln -s /usr/lib/paas-runner $CI_PROJECT_DIR",),
            "variables": variables(GIT_STRATEGY="empty"),
        },
    ),
    "the image of the host itself": (
        (f"cat {FOLDER}/*", "ls -la /var/run/docker.sock"),
        {"change": lambda payload: payload.update(image={"name": HOST_IMAGE})},
    ),
    "the image of the host as a service": (
        ("cp /builds/found . || true", "cat found || true"),
        {
            "change": lambda payload: payload.update(
                services=[
                    {
                        "name": HOST_IMAGE,
                        "entrypoint": ["sh", "-c", f"cat {FOLDER}/* > /builds/found; sleep 60"],
                    }
                ]
            )
        },
    ),
    "artifacts by links": (
        (f"ln -s {FOLDER} folder; ln -s {FOLDER}/runner.toml file; ln -s /proc/self/environ env",),
        {"change": keeping(paths=["folder/", "folder/runner.toml", "file", "env", FOLDER])},
    ),
    "variables of the next script by a link": (
        (f"ln -sf {FOLDER}/runner.toml $GITLAB_ENV",),
        {"after_script": ("env", "cat $GITLAB_ENV || true")},
    ),
    "a folder of files that is a link": (
        (f"rm -r $RUNNER_TEMP_PROJECT_DIR && ln -s {FOLDER} $RUNNER_TEMP_PROJECT_DIR",),
        {"variables": (Variable(key="job.json", value="x", file=True),), "after_script": ("true",)},
    ),
    "a cache whose key leads elsewhere": (
        ("echo x > x",),
        {
            "change": lambda payload: payload.update(
                cache=[
                    {
                        "key": f"../..{FOLDER}",
                        "paths": ["x", f"../..{FOLDER}"],
                        "policy": "pull-push",
                    }
                ]
            )
        },
    ),
}


@pytest.mark.parametrize(("lines", "more"), TRIED.values(), ids=TRIED.keys())
def test_nothing_outside_obeys_or_shows(host: Host, lines: tuple[str, ...], more: dict[str, Any]) -> None:
    outcome = host.ran(*lines, **more)
    outcome.changed[:] = [path for path in outcome.changed if not path.startswith("/cache/sandbox/")]
    outcome.check()
    assert outcome.state in ("success", "failed")
