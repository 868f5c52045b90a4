"""Tokens and certificates as they are shown to a real server; plugins are real programs."""

import json
import ssl
import sys
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from paas_runner.errors import Rejected, Transient
from paas_runner.http import Http, Tls
from paas_runner.kubernetes import credentials as room
from paas_runner.kubernetes.answers import UnauthorizedError
from paas_runner.kubernetes.api import Cluster, Kind
from paas_runner.kubernetes.config import Configuration, Plugin, User
from paas_runner.kubernetes.credentials import Credentials
from paas_runner.secret import Secret
from tests.support.scripted_cluster import ScriptedCluster, cluster_of, status

V1 = "client.authentication.k8s.io/v1"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def program(folder: Path, text: str) -> Plugin:
    """A plugin that notes each call in the file `calls`."""
    file = folder / "plugin"
    note = f"open({str(folder / 'calls')!r}, 'a').write('x')"
    file.write_text(f"#!{sys.executable} -I\nimport json, os, sys, time\n{note}\n{text}")
    file.chmod(0o755)
    return Plugin(command=str(file), api_version=V1, where="config: users[u].exec", hint="install it")


def answering(folder: Path, *, api_version: str = V1, **status_told: str) -> Plugin:
    told = {"apiVersion": api_version, "kind": "ExecCredential", "status": status_told}
    return program(folder, f"print({json.dumps(told)!r})")


def calls(folder: Path) -> int:
    return len((folder / "calls").read_text())


def of(plugin: Plugin, clock=lambda: NOW, **configuration) -> Credentials:
    whole = {"server": "https://k8s:6443", "tls": Tls(), "source": "a test", **configuration}
    found = Configuration(user=User(plugin=plugin), **whole)
    return Credentials(found, service="Kubernetes", environ={"PATH": "/usr/bin:/bin"}, clock=clock)


async def test_a_plugins_token_is_kept_until_shortly_before_its_end(tmp_path):
    end = NOW + timedelta(minutes=10)
    now = [NOW]
    shown = of(answering(tmp_path, token="t", expirationTimestamp=end.isoformat()), lambda: now[0])
    for _ in range(3):
        found = await shown.current()
        assert found.authorization
        assert found.authorization.reveal() == "Bearer t"
    assert calls(tmp_path) == 1
    now[0] = end - timedelta(seconds=20)
    await shown.current()
    assert calls(tmp_path) == 2


async def test_a_plugin_is_told_of_the_cluster_and_that_nobody_is_there_to_be_asked(tmp_path):
    text = (
        f"told = json.loads(os.environ['KUBERNETES_EXEC_INFO']); assert not sys.stdin.read()\n"
        f"token = '%s %s' % (told['spec']['interactive'], told['spec']['cluster']['server'])\n"
        f"print(json.dumps(dict(apiVersion='{V1}', status=dict(token=token))))"
    )
    plugin = program(tmp_path, text)
    shown = of(Plugin(command=plugin.command, api_version=V1, where="w", tells_cluster=True))
    found = await shown.current()
    assert found.authorization
    assert found.authorization.reveal() == "Bearer False https://k8s:6443"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sys.exit('no\\nlogin')", "ended with exit code 1: no login"),
        ("print('hello')", "gave no ExecCredential of"),
        ("print('[]')", "gave no ExecCredential of"),
        ('print(\'{"status": {"token": "t"}}\')', "gave no ExecCredential of"),
    ],
)
async def test_a_plugin_that_has_nothing_is_told_with_its_place_and_its_own_words(tmp_path, text, complaint):
    with pytest.raises(Transient) as caught:
        await of(program(tmp_path, text)).current()
    assert "config: users[u].exec" in str(caught.value)
    assert complaint in str(caught.value)


async def test_a_plugin_of_another_version_is_refused(tmp_path):
    with pytest.raises(Transient, match="gave no ExecCredential"):
        await of(answering(tmp_path, api_version=f"{V1}beta1", token="t")).current()


async def test_a_plugin_that_is_not_installed_comes_with_its_hint():
    with pytest.raises(Rejected, match="cannot be run: No such file") as caught:
        await of(Plugin(command="/nowhere/x", api_version=V1, where="w", hint="install it")).current()
    assert caught.value.advice == "install it"


async def test_a_plugin_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "PLUGIN_SECONDS", 0.3)
    with pytest.raises(Transient, match="has not ended within"):
        await of(program(tmp_path, "time.sleep(60)")).current()


async def test_a_plugin_that_never_stops_writing_costs_no_memory_and_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "PLUGIN_SECONDS", 2.0)
    endless = "while True: os.write(1, bytes(65536)); os.write(2, bytes(65536))"
    tracemalloc.start()
    try:
        with pytest.raises(Transient, match="has not ended within 2 s"):
            await of(program(tmp_path, endless)).current()
        assert tracemalloc.get_traced_memory()[1] < 32 * 1024**2
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("nonsense", ["'[' * 100000", "'\\ud800'", "'9' * 5000", "'{\"status\": []}'"])
async def test_nonsense_of_a_plugin_is_told(tmp_path, nonsense):
    plugin = program(tmp_path, f"sys.stdout.buffer.write(({nonsense}).encode(errors='surrogatepass'))")
    with pytest.raises(Transient, match="gave no ExecCredential"):
        await of(plugin).current()


async def test_a_token_file_is_read_again_as_it_changes(tmp_path):
    file = tmp_path / "token"
    file.write_text("one\n")
    scripted = ScriptedCluster(lambda _: {"gitVersion": "v1.33.1"})
    async with cluster_of(scripted, user=User(token_file=file)) as cluster:
        await cluster.version()
        file.write_text("two\n")
        assert await cluster.version() == "v1.33.1"
        file.unlink()
        with pytest.raises(Transient, match="token: No such file"):
            await cluster.version()
    assert [asked.headers["authorization"] for asked in scripted.asked] == ["Bearer one", "Bearer two"]


async def test_a_refused_token_of_a_plugin_is_replaced_once(tmp_path):
    plugin = program(
        tmp_path,
        f"n = len(open({str(tmp_path / 'calls')!r}).read())\n"
        f"print(json.dumps(dict(apiVersion='{V1}', status=dict(token='t%s' % n))))",
    )
    refused = status(401, "Unauthorized", "Unauthorized")
    scripted = ScriptedCluster(
        lambda asked: refused if asked.headers["authorization"] == "Bearer t1" else {"gitVersion": "v1"}
    )
    async with cluster_of(scripted, user=User(plugin=plugin)) as cluster:
        assert await cluster.version() == "v1"
        scripted.answer = lambda _: refused
        with pytest.raises(UnauthorizedError, match="the credentials are refused"):
            await cluster.version()
    assert len(scripted.asked) == 4


async def test_a_refused_token_of_the_file_itself_is_shown_once():
    scripted = ScriptedCluster(lambda _: status(401, "Unauthorized", "Unauthorized"))
    async with cluster_of(scripted, user=User(token=Secret("x"))) as cluster:
        with pytest.raises(UnauthorizedError):
            await cluster.version()
    assert len(scripted.asked) == 1


async def test_name_and_password_are_shown():
    scripted = ScriptedCluster(lambda _: {"gitVersion": "v1"})
    async with cluster_of(scripted, user=User(basic=("me", Secret("pass")))) as cluster:
        await cluster.version()
    assert scripted.asked[0].headers["authorization"] == "Basic bWU6cGFzcw=="


@pytest.fixture
def wanting_certificates(certificates):
    """A server's side of TLS, which lets nobody in without a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.load_cert_chain(certificates / "server-cert.pem", certificates / "server-key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def identity(certificates: Path) -> str:
    return (certificates / "cert.pem").read_text() + (certificates / "key.pem").read_text()


async def test_a_client_certificate_opens_the_door_and_none_does_not(certificates, wanting_certificates):
    authorities = (certificates / "ca.pem").read_text()
    tls = Tls(authorities=authorities, identity=Secret(identity(certificates)))
    scripted = ScriptedCluster(lambda _: {"gitVersion": "v1"})
    async with cluster_of(scripted, tls=tls, secure=wanting_certificates) as cluster:
        assert await cluster.version() == "v1"
    async with cluster_of(scripted, tls=Tls(authorities=authorities), secure=wanting_certificates) as cluster:
        with pytest.raises(Transient):
            await cluster.version()


async def test_a_plugins_certificate_opens_the_door(tmp_path, certificates, wanting_certificates):
    plugin = answering(
        tmp_path,
        clientCertificateData=(certificates / "cert.pem").read_text(),
        clientKeyData=(certificates / "key.pem").read_text(),
    )
    scripted = ScriptedCluster(lambda _: {"gitVersion": "v1"})
    tls = Tls(authorities=(certificates / "ca.pem").read_text())
    async with cluster_of(
        scripted, user=User(plugin=plugin), tls=tls, secure=wanting_certificates
    ) as cluster:
        assert await cluster.version() == "v1"


@pytest.fixture
def secure(certificates):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server-cert.pem", certificates / "server-key.pem")
    return context


@pytest.mark.parametrize(
    ("keys", "reached"),
    [
        ({}, False),
        ({"trusted": True}, True),
        ({"verify": False}, True),
        ({"trusted": True, "server_name": "k8s"}, False),
    ],
)
async def test_a_server_is_believed_by_the_clusters_own_authority_alone(certificates, secure, keys, reached):
    trusted = (certificates / "ca.pem").read_text() if keys.pop("trusted", False) else None
    scripted = ScriptedCluster(lambda _: {"gitVersion": "v1"})
    async with cluster_of(scripted, tls=Tls(authorities=trusted, **keys), secure=secure) as cluster:
        if reached:
            assert await cluster.version() == "v1"
        else:
            with pytest.raises(Transient, match="no answer"):
                await cluster.version()


async def test_a_clusters_own_proxy_is_used():
    scripted = ScriptedCluster(lambda _: {"items": []})
    async with cluster_of(scripted) as behind:
        proxy = Secret(behind._configuration.server)
        configuration = Configuration(server="http://k8s.example", tls=Tls(), proxy=proxy, source="a test")
        cluster = Cluster(configuration, Http())
        assert await cluster.list(Kind.JOB) == []
        await cluster.aclose()
    assert scripted.asked[0].path == "/apis/batch/v1/namespaces/default/jobs"
    assert scripted.asked[0].headers["host"] == "k8s.example"


@pytest.mark.parametrize("content", [b"", b"\n", b"half\nanother", b"t\xc3\xb6ken", b"\xff"])
async def test_a_token_file_that_is_being_written_is_waited_for_and_quoted_nowhere(tmp_path, content):
    file = tmp_path / "token"
    file.write_bytes(content)
    scripted = ScriptedCluster(lambda _: {"items": []})
    async with cluster_of(scripted, user=User(token_file=file)) as cluster:
        with pytest.raises(Transient, match="token: has no token") as caught:
            await cluster.list(Kind.JOB)
    assert caught.value.__cause__ is None
    assert not scripted.asked


async def test_an_end_without_a_time_zone_is_none(tmp_path):
    with pytest.raises(Transient, match="gave no ExecCredential"):
        await of(answering(tmp_path, token="t", expirationTimestamp="2026-01-01T01:00:00")).current()


async def test_what_a_failing_plugin_says_has_no_credential_in_it(tmp_path):
    jwt = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJtZSIsImV4cCI6MTcwMDAwMDAwMH0.c2lnbmF0dXJlMTIzNDU2"
    text = (
        f"sys.exit('https://sts.example.org: {jwt} expired; client_secret=hunter2; AWS_KEY: \"hunter3\"; '\n"
        "  + os.environ['PASS'] + '; ' + sys.argv[1])"
    )
    made = program(tmp_path, text)
    plugin = Plugin(
        command=made.command,
        arguments=("--client=canary-argument",),
        environment={"PASS": "canary-environment"},
        api_version=V1,
        where="w",
    )
    with pytest.raises(Transient, match=r"exit code 1: https://sts\.example\.org: ") as caught:
        await of(plugin).current()
    for secret in ("eyJ", "c2lnb", "hunter", "canary"):
        assert secret not in str(caught.value)
    assert "expired" in str(caught.value)
