"""A coordinator whose certificate a private authority has signed, which `runner.toml` names."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from paas_runner.inner.files.folder import Folder
from paas_runner.inner.git import read_repository
from paas_runner.inner.job import Workspace, read_job
from paas_runner.inner.settings import InnerRunnerError, read_section
from paas_runner.inner.sources import job_sources
from paas_runner.inner.trust import verification, with_authority
from paas_runner.job.payload import Payload, decode
from tests.support.hosts import RUNNER_TOML, hosts, script
from tests.support.kept_files import Log


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of 127.0.0.1, signed by itself: certificate and key."""
    folder = tmp_path_factory.mktemp("authority")
    files = (
        "-keyout",
        folder / "key.pem",
        "-out",
        folder / "cert.pem",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    )
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=x")
    subprocess.run(["openssl", "req", "-x509", *new, *files], check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(certificate: tuple[Path, Path]) -> Iterator[str]:
    listening = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"https://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    thread.join()
    listening.server_close()


def toml(path: object, url: str = "https://gitlab.test") -> str:
    return f'[[runners]]\nurl = "{url}"\ntoken = "abc"\ntls-ca-file = "{path}"\n'


async def test_the_coordinator_is_trusted_as_the_file_says(
    server: str, certificate: tuple[Path, Path]
) -> None:
    for path, trusted in ((certificate[0], True), ("", False)):
        section = with_authority(read_section(toml(path, server)))
        verify = verification(section, trust_environment=True)
        async with httpx.AsyncClient(verify=verify, base_url=section.url) as client:
            if trusted:
                assert (await client.get("/")).status_code == 200
            else:
                with pytest.raises(httpx.ConnectError, match="certificate"):
                    await client.get("/")


async def test_git_and_the_job_have_the_file(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    section = with_authority(read_section(toml(certificate[0])))
    folders = Workspace(builds=tmp_path, project=tmp_path / "g/p")
    job = read_job(_payload(), section, folders)
    Path(folders.project).mkdir(parents=True)
    path = tmp_path / "g/p.tmp/CI_SERVER_TLS_CA_FILE"
    assert job.variables.get("CI_SERVER_TLS_CA_FILE") == str(path)
    assert read_repository(job) is not None
    sources = job_sources(
        job, Folder(tmp_path), Log().narrator, lambda *_, **__: pytest.fail("nothing is run")
    )
    assert sources is not None
    assert path.read_text() == certificate[0].read_text()
    environment = sources.git.environment
    keys = {value: name for name, value in environment.items() if name.startswith("GIT_CONFIG_KEY_")}
    for url in ("https://gitlab.test", "https://sources.test"):
        name = keys[f"http.{url}.sslCAInfo"].replace("KEY", "VALUE")
        assert environment[name] == str(path)


def _payload() -> Payload:
    text = (
        '{"id": 1, "token": "t", "variables": [{"key": "CI_SERVER_TLS_CA_FILE", "value": "the author\'s"}],'
        f' "git_info": {{"repo_url": "https://u:p@sources.test/p.git", "sha": "{"0" * 40}"}}}}'
    )
    return decode(text.encode())


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read: .*No such file"), ("no PEM", "holds no certificates in PEM")],
)
async def test_a_file_that_is_none_ends_the_program_with_words(
    tmp_path: Path, content: str | None, words: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    _, job_json = hosts().handed_out(script("true"))
    with pytest.raises(InnerRunnerError, match=words):
        await hosts().inner().run(f'{RUNNER_TOML}tls-ca-file = "{path}"\n', job_json)


def test_a_certificate_of_ours_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    section = read_section(
        f'[[runners]]\nurl = "https://g.test"\ntoken = "t"\ntls-cert-file = "{tmp_path}/c"\n'
    )
    with pytest.raises(InnerRunnerError, match=r"`tls-cert-file` .*/c and its `tls-key-file` cannot be used"):
        verification(section, trust_environment=True)
