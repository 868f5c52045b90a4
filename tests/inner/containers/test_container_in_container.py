"""The inner runner in a container itself, with the engine's socket: as `local-docker` starts it."""

import io
import json
import tarfile
from typing import Any

import pytest
from docker.types import Mount

from paas_runner.docker.labels import OBJECT_LABELS_VARIABLE
from paas_runner.pipelines.payload import job_payload
from paas_runner.pipelines.spec import ServiceSpec
from tests.inner.containers.conftest import Docker
from tests.support.hosts import GRACEFUL, script
from tests.support.live_records import submitted

COORDINATOR = """\
import http.server, json, socket, subprocess, sys, threading
said, names = {"trace": b""}, []
class Handler(http.server.BaseHTTPRequestHandler):
    def do_PATCH(self):
        try:
            names.append(socket.gethostbyname("coordinator"))
        except OSError:
            pass
        said["trace"] += self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(202, Range="0-%d" % len(said["trace"]))
    def do_PUT(self):
        said["put"] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(200)
    def answer(self, status, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": "0", "Job-Status": "running", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
code = subprocess.call(["gitlab-runner", "exec-fetched-job", "--config", "/runner.toml", "/job.json"])
print("\\nnames: %s\\n" % names, said["trace"].decode(), said.get("put", {}).get("state"), code)
"""
URL = "http://127.0.0.1:8000"


def ran(docker: Docker, image: str, *lines: str, network: str, mounts: list[Mount], **more: Any) -> str:
    """What the coordinator beside the runner has heard of a job."""
    coordinator = docker.world.coordinator
    job = submitted(coordinator, script(*lines, **more))
    assert coordinator.acquire(docker.world.runner.runner_id, features=GRACEFUL) == job
    toml = docker.toml(host="unix:///var/run/docker.sock").replace(docker.url, f"{URL}/{docker.owner}")
    payload = job_payload(job, url=URL, options=coordinator.options)
    labels = {"paas-runner.owner": docker.owner}
    socket = docker.engine.url.removeprefix("unix://")
    with docker.engine.client() as client:
        container = client.create_container(
            image,
            labels=labels,
            entrypoint=["python3", "/coordinator.py"],
            environment={OBJECT_LABELS_VARIABLE: f"paas-runner.owner={docker.owner}"},
            host_config=client.create_host_config(
                network_mode=network,
                mounts=[Mount("/var/run/docker.sock", socket, type="bind"), *mounts],
            ),
        )
        files = {"coordinator.py": COORDINATOR, "runner.toml": toml, "job.json": json.dumps(payload)}
        client.put_archive(container, "/", tar(files))
        client.start(container)
        try:
            client.wait(container, timeout=60)
            return str(client.logs(container).decode())
        finally:
            others = docker.left() - {("container", container["Id"])}
            client.remove_container(container, v=True, force=True)
            assert {kind for kind, _ in others} <= {"volume"}, "the runner's own"


def tar(files: dict[str, str]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content.encode())
            archive.addfile(entry, io.BytesIO(content.encode()))
    return target.getvalue()


@pytest.fixture
def network(docker: Docker) -> Any:
    with docker.engine.client() as client:
        made = client.create_network(f"hosts-{docker.owner}")
        yield f"hosts-{docker.owner}"
        client.remove_network(made["Id"])


def volume(docker: Docker) -> Mount:
    return Mount("/builds", None, type="volume", labels={"paas-runner.owner": docker.owner})


@pytest.mark.parametrize("own_network", [True, False])
def test_job_and_services_share_the_runners_volume_and_are_reached(
    docker, greeter, host_image, network, own_network
) -> None:
    output = ran(
        docker,
        host_image,
        *("pwd; echo made > file; hostname", "exec 3<>/dev/tcp/db/7000; cat <&3"),
        network=network if own_network else "host",
        mounts=[volume(docker)],
        services=(ServiceSpec(name=greeter, alias="db"),),
        after_script=("cat file; ls /var/run/docker.sock || true",),
    )
    assert "\n/builds/sandbox/project\n" in output
    assert "\nhello there\n" in output
    assert "\nmade\n" in output
    assert "cannot access '/var/run/docker.sock'" in output, "the engine is the runner's alone"
    assert "didn't start properly" not in output
    assert output.endswith("success 0\n")


def test_no_service_takes_a_name_of_the_runners_network(docker, greeter, host_image, network) -> None:
    """A service may be called as the coordinator is: for the job, not for the runner."""
    output = ran(
        docker,
        host_image,
        "exec 3<>/dev/tcp/coordinator/7000; cat <&3",
        network=network,
        mounts=[volume(docker)],
        services=(ServiceSpec(name=greeter, alias="coordinator"),),
    )
    assert "\nhello there\n" in output
    assert "didn't start properly" not in output
    assert "success 0" in output
    assert "\nnames: []\n" in output


def test_a_runner_without_a_volume_to_share_says_so(docker, host_image, network) -> None:
    output = ran(docker, host_image, "true", network=network, mounts=[Mount("/builds", None, type="tmpfs")])
    assert "the runner is in a container without a volume for /builds" in output
    assert output.endswith("failed 1\n")
