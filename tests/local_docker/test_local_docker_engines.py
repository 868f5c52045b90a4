"""local-docker and engines that are not there, refuse, hang, are too old, full, elsewhere or restarted."""

import asyncio
import os
import socket
import subprocess
import uuid
from contextlib import asynccontextmanager, contextmanager

import pytest

from executors.local_docker import LocalDocker, LocalDockerSettings
from executors.local_docker.executor import LocalDockerExecutor
from executors.local_docker.settings import address, host_socket
from paas_runner.docker.engine import Engine
from paas_runner.errors import Rejected, RunnerError, Transient
from paas_runner.executor.contract import RunnerSection
from tests.local_docker.conftest import Setup, requested, stub
from tests.support.engine.certificates import tls_options
from tests.support.host_values import provisioned, removal

SECTION = RunnerSection(
    name="local", url="https://gitlab.example", short_token="abc", forwarded={}, installation="one"
)


def executor(host, *, seconds=5, **settings):
    settings = LocalDockerSettings(host=host, **settings)
    return LocalDockerExecutor(settings, SECTION, engine=Engine(address(settings, {}), seconds=seconds))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@asynccontextmanager
async def answering(path, answer):
    """A would-be engine that answers every request in the same way."""

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if answer is not None:
            writer.write(answer)
            await writer.drain()
        else:
            await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(talk, path):
        yield f"unix://{path}"


def response(status, body):
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return f"{head}{body}".encode()


@contextmanager
def refusing_registry():
    """A registry that has no image."""
    import http.server
    import threading

    class Registry(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.path == "/v2/"
            body = (
                b"{}"
                if known
                else b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
            )
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_):
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


async def test_an_absent_engine_is_waited_for(tmp_path):
    with pytest.raises(Transient, match="there is no engine: start Docker, or set `host`"):
        await executor(f"unix://{tmp_path}/docker.sock").hosts("")


async def test_a_socket_at_which_no_one_listens_is_waited_for(tmp_path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "docker.sock"))
    with pytest.raises(Transient, match="no one listens there"):
        await executor(f"unix://{tmp_path}/docker.sock").hosts("")
    with pytest.raises(Transient, match="no one listens there"):
        await executor(f"tcp://127.0.0.1:{free_port()}").hosts("")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_a_socket_that_may_not_be_used_is_rejected_with_the_remedy(tmp_path):
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    path = tmp_path / "docker.sock"
    async with answering(path, response("200 OK", "{}")) as host:
        path.chmod(0o600)
        os.seteuid(65534)
        try:
            with pytest.raises(Rejected, match="add the service's user to its group"):
                await executor(host).hosts("")
        finally:
            os.seteuid(0)


async def test_an_engine_that_hangs_is_given_up_and_tried_again(tmp_path):
    async with answering(tmp_path / "docker.sock", None) as host:
        with pytest.raises(Transient, match="no answer in time"):
            await executor(host, seconds=1).hosts("")


@pytest.mark.parametrize("version", ["1.12", "1.39"])
async def test_an_engine_that_is_too_old_is_rejected(tmp_path, version):
    async with answering(
        tmp_path / "docker.sock", response("200 OK", f'{{"ApiVersion": "{version}"}}')
    ) as host:
        with pytest.raises(Rejected, match=rf"too old: it speaks API {version}, 1\.40 \(Docker 19\.03\)"):
            await executor(host).hosts("")


@pytest.mark.parametrize("answer", [response("200 OK", "garbage"), b"SSH-2.0-OpenSSH\r\n", b""])
async def test_what_is_no_engine_at_all_is_an_error_in_words(tmp_path, answer):
    async with answering(tmp_path / "docker.sock", answer) as host:
        with pytest.raises(Transient, match="no usable answer"):
            await executor(host).hosts("")


async def test_an_engine_replaced_by_another_version_is_asked_anew(tmp_path):
    path = tmp_path / "docker.sock"
    one = executor(f"unix://{path}")
    refusal = response("400 Bad Request", '{"message": "client version 1.41 is too old. Minimum is 1.44"}')
    async with answering(path, response("200 OK", '{"ApiVersion": "1.41"}')):
        with pytest.raises(Exception, match=r"indices|attribute"):
            await one.hosts("")
    path.unlink(missing_ok=True)
    async with answering(path, refusal):
        for _ in range(2):
            with pytest.raises(Transient, match=r"too old\. Minimum"):
                await one.hosts("")


@pytest.mark.parametrize(
    ("settings", "environ", "url", "mounted"),
    [
        ({}, {}, "unix:///var/run/docker.sock", "/var/run/docker.sock"),
        (
            {},
            {"DOCKER_HOST": "unix:///run/user/1000/d.sock"},
            "unix:///run/user/1000/d.sock",
            "/run/user/1000/d.sock",
        ),
        ({"host": "unix:///a"}, {"DOCKER_HOST": "unix:///b"}, "unix:///a", "/a"),
        ({"host": "tcp://ci:2375"}, {}, "tcp://ci:2375", "/var/run/docker.sock"),
        ({"host": "tcp://ci:2375", "docker_socket": "/c"}, {}, "tcp://ci:2375", "/c"),
    ],
)
def test_the_engine_is_where_the_settings_or_the_environment_say(settings, environ, url, mounted):
    wanted = LocalDockerSettings(**settings)
    found = address(wanted, environ)
    assert (found.url, str(host_socket(wanted, found))) == (url, mounted)


@pytest.mark.parametrize(
    "host", ["", "unix://", "unix://etc/x", "http://x:1", "ssh://x", "tcp://", "tcp://u:p@x:1"]
)
def test_an_address_that_is_none_is_refused_at_the_start(host):
    with pytest.raises(RunnerError, match="`host` is no engine"):
        LocalDocker(environ={}).build(LocalDockerSettings(host=host), SECTION, None)


def test_tls_without_its_files_is_refused_at_the_start(tmp_path):
    environ = {"DOCKER_HOST": "tcp://ci:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    with pytest.raises(RunnerError, match=r"\$DOCKER_HOST wants TLS, but there is no file .*/ca\.pem"):
        LocalDocker(environ=environ).build(LocalDockerSettings(), SECTION, None)


async def test_a_base_that_no_registry_has_is_rejected_with_its_name_and_the_remedy(docker):
    with refusing_registry() as registry:
        base = f"{registry}/inner:1"
        with pytest.raises(Rejected, match=f"its base {base} cannot be pulled") as caught:
            await docker.make(heptapod_runner_main_image=base).provision(requested())
    assert "build or pull it on the engine, or set `heptapod_runner_main_image`" in str(caught.value)
    assert docker.everything() == set()


async def test_a_base_whose_registry_does_not_answer_may_be_there_later(docker):
    base = f"127.0.0.1:{free_port()}/inner:1"
    with pytest.raises(Transient, match=f"its base {base} is not there, and its registry does not answer"):
        await docker.make(heptapod_runner_main_image=base).provision(requested())


async def test_a_build_that_fails_is_reported_with_its_last_lines(docker):
    base = docker.engine.build(
        "paas-runner-test/onbuild",
        f"FROM {docker.engine.base}\nONBUILD RUN echo 'checking the host'; echo 'no luck today'; exit 4\n",
    )
    with pytest.raises(Rejected, match="returned a non-zero code: 4") as caught:
        await docker.make(heptapod_runner_main_image=base).provision(requested())
    assert "\n    checking the host\n    no luck today" in str(caught.value)
    await docker.make().decommission(removal(requested().host_name, search=True))
    assert docker.everything() == set()


@pytest.fixture
def small_disk(tmp_path):
    """A folder that holds little; unmounted after the engine on it has ended."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk_of_the_engine_is_reported_and_waited_for(small_disk, start_engine):
    engine = start_engine("--data-root", str(small_disk), furnished=False)
    with engine.client() as client:
        client.import_image_from_data(b"\0" * 1024, repository="empty")
    setup = Setup(engine=engine, image="empty", installation="one")
    one = setup.make()
    filler = small_disk / "filler"
    filling = await asyncio.create_subprocess_exec(
        "dd", "if=/dev/zero", f"of={filler}", stderr=subprocess.DEVNULL
    )
    assert await filling.wait() == 1
    with pytest.raises(Transient, match="its disk is full: remove what is not needed there"):
        await one.provision(requested())
    filler.unlink()
    await one.decommission(removal(requested().host_name, await one.provision(requested()), search=True))
    assert setup.everything() == set()
    await setup.aclose()


async def test_an_engine_elsewhere_is_used_by_tcp(start_engine):
    port = free_port()
    engine = start_engine("-H", f"tcp://127.0.0.1:{port}", "--tls=false")
    setup = Setup(engine=engine, image=stub(engine), installation=uuid.uuid4().hex)
    one = setup.make(host=f"tcp://127.0.0.1:{port}", docker_socket=engine.url.removeprefix("unix://"))
    host = await one.provision(requested(do="echo there"))
    await one.launch(requested(), host)
    assert setup.wait(host) == "there\n"
    await setup.aclose()


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
async def test_an_engine_that_wants_tls_is_used_with_certificates_and_not_without(certificates, start_engine):
    port = free_port()
    start_engine("-H", f"tcp://127.0.0.1:{port}", *tls_options(certificates), furnished=False)
    url = f"tcp://127.0.0.1:{port}"
    assert await executor(url, docker_cert_path=certificates).hosts("") == []
    with pytest.raises(Rejected, match="it speaks TLS only: set `docker_cert_path`"):
        await executor(url).hosts("")
    (certificates / "ca.pem").write_bytes((certificates / "server-cert.pem").read_bytes())
    with pytest.raises(Rejected, match="TLS failed, see `docker_cert_path` and `docker_tls_verify`"):
        await executor(url, docker_cert_path=certificates).hosts("")
    assert await executor(url, docker_cert_path=certificates, docker_tls_verify=False).hosts("") == []


async def test_an_engine_that_restarts_is_no_verdict_until_it_is_there_again(start_engine):
    engine = start_engine()
    setup = Setup(engine=engine, image=stub(engine), installation=uuid.uuid4().hex)
    one = setup.make()
    host = await one.provision(requested(do="trap 'exit 143' TERM; sleep 60 & wait"))
    await one.launch(requested(), host)
    assert await one.trouble(provisioned(host)) is None
    restarting = asyncio.get_running_loop().run_in_executor(None, engine.restart)
    verdicts = []
    while not restarting.done():
        try:
            verdicts.append(await one.trouble(provisioned(host)))
        except Transient:
            verdicts.append("no verdict")
    assert "no verdict" in verdicts
    assert "ended before its job had" in await one.trouble(provisioned(host))
    await one.launch(requested(), host)
    assert setup.inspect(host)["State"]["Status"] == "exited"
    await setup.aclose()


async def test_a_build_cut_off_at_any_step_leaves_nothing_that_cannot_be_found(start_engine):
    """As by kill -9 of the service: the engine hears no more of it."""
    engine = start_engine()
    setup = Setup(engine=engine, image=stub(engine), installation=uuid.uuid4().hex)
    one = setup.make()
    before = engine.everything()
    with engine.client() as client:
        for cut in range(1, 12):
            steps = one._recipe(requested(), one._labels(requested().host_name))._steps(client)
            for _, step in zip(range(cut), steps, strict=False):
                assert "error" not in step
            steps.close()
    assert engine.everything() - before
    async with asyncio.timeout(60):
        while engine.everything() != before:  # the engine may not have noticed yet that nobody listens
            await one.decommission(removal(requested().host_name, search=True))
            await asyncio.sleep(0.1)
    await setup.aclose()
