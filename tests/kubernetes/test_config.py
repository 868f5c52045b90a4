"""Where the cluster is, and who we are, by kubectl's own files or by what a pod has."""

import base64
import json
import sys
from pathlib import Path

import pytest

from paas_runner.errors import MissingPackagesError
from paas_runner.kubernetes.config import Configuration, load
from paas_runner.kubernetes.entry import KubeconfigError

CANARY = "canary-b0a7-token"


def document(**changes):
    """A kubeconfig file; a change replaces one of its parts."""
    whole = {
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "ci"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://k8s.example:6443/"}}],
        "users": [{"name": "u", "user": {"token": CANARY}}],
    }
    return {**whole, **changes}


def written(folder: Path, name: str = "config", **changes) -> Path:
    file = folder / name
    file.write_text(json.dumps(document(**changes)))  # JSON is YAML
    return file


def user(**keys):
    return [{"name": "u", "user": keys}]


def cluster(**keys):
    return [{"name": "c", "cluster": {"server": "https://k8s.example:6443", **keys}}]


def of(file: Path, context: str | None = None) -> Configuration:
    return load({}, kubeconfig=file, context=context)


def test_a_file_names_server_namespace_and_token(tmp_path):
    found = of(written(tmp_path))
    assert (found.server, found.namespace) == ("https://k8s.example:6443", "ci")
    assert found.user.token
    assert found.user.token.reveal() == CANARY
    assert CANARY not in repr(found)
    assert str(tmp_path / "config") in found.source


def test_a_chosen_context_goes_before_the_current_one(tmp_path):
    contexts = [
        {"name": "one", "context": {"cluster": "c", "user": "u"}},
        {"name": "two", "context": {"cluster": "c", "namespace": "other"}},
    ]
    found = of(written(tmp_path, contexts=contexts), "two")
    assert (found.namespace, found.user.token) == ("other", None)


def test_of_several_files_the_first_to_name_something_wins_and_absent_ones_are_left_out(tmp_path):
    first = tmp_path / "first"
    first.write_text("current-context: one\nclusters:\n- name: c\n  cluster: {server: 'https://first:1'}\n")
    second = written(tmp_path, "second", **{"current-context": "two"})
    found = load({"KUBECONFIG": f"{tmp_path / 'absent'}:{first}:{second}"})
    assert found.server == "https://first:1"
    assert found.user.token


def test_paths_are_relative_to_the_file_that_has_them(tmp_path):
    (tmp_path / "token").write_text("x")
    found = of(written(tmp_path, users=user(tokenFile="token")))
    assert found.user.token_file == tmp_path / "token"


def test_certificates_are_read_from_files_or_data(tmp_path, certificates):
    as_data = {
        f"{key}-data": base64.b64encode((certificates / file).read_bytes()).decode()
        for key, file in (("client-certificate", "cert.pem"), ("client-key", "key.pem"))
    }
    as_files = {"client-certificate": "certificates/cert.pem", "client-key": "certificates/key.pem"}
    trusted = cluster(**{"certificate-authority": "certificates/ca.pem", "tls-server-name": "k8s"})
    by_file = of(written(tmp_path, "files", clusters=trusted, users=user(**as_files)))
    by_data = of(written(tmp_path, "data", clusters=trusted, users=user(**as_data)))
    assert by_file.tls == by_data.tls
    assert by_file.tls.server_name == "k8s"
    assert by_file.tls.identity


def test_an_exec_plugin_is_read(tmp_path):
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "./me",
        "args": ["a"],
        "env": [{"name": "A", "value": "b"}],
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": True,
    }
    found = of(written(tmp_path, users=user(exec=plugin))).user.plugin
    assert found
    assert (found.command, found.arguments, found.environment) == (str(tmp_path / "me"), ("a",), {"A": "b"})
    assert found.tells_cluster


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"current-context": ""}, "no current-context"),
        ({"current-context": "none"}, "there is no context 'none'"),
        ({"contexts": [{"name": "one", "context": {}}]}, "contexts[one].cluster: is missing"),
        ({"contexts": [{"name": "one", "context": {"cluster": "x"}}]}, "there is no cluster 'x'"),
        ({"contexts": ["one"]}, "contexts[0]: must be a mapping"),
        ({"clusters": cluster(server="k8s:1")}, "clusters[c].server: an address that begins with https"),
        ({"clusters": cluster(server=f"https://me:{CANARY}@k8s:1")}, "server: has credentials in it"),
        ({"clusters": cluster(**{"proxy-url": "socks5://p:1"})}, "clusters[c].proxy-url: an address"),
        ({"clusters": cluster(**{"certificate-authority": "gone.pem"})}, "gone.pem: No such file"),
        ({"clusters": cluster(**{"certificate-authority-data": "!"})}, "is no text in base64"),
        ({"clusters": cluster(**{"certificate-authority-data": "eA=="})}, "clusters[c]: its certificates"),
        ({"clusters": cluster(**{"insecure-skip-tls-verify": "yes"})}, "must be true or false"),
        ({"users": user(token=3)}, "users[u].token: must be a text"),
        ({"users": user(**{"client-key-data": "eA=="})}, "users[u].client-certificate: is missing"),
        ({"users": user(**{"auth-provider": {"name": "gcp"}})}, "users[u].auth-provider: is not known here"),
        ({"users": user(**{"as": "admin"})}, "users[u].as: is not known here"),
        (
            {"users": user(exec={"command": "x", "apiVersion": "v1"})},
            "users[u].exec.apiVersion: v1 or v1beta1",
        ),
        (
            {"users": user(exec={"apiVersion": "client.authentication.k8s.io/v1"})},
            "users[u].exec.command: is missing",
        ),
        (
            {
                "users": user(
                    exec={
                        "apiVersion": "client.authentication.k8s.io/v1",
                        "command": "x",
                        "interactiveMode": "Always",
                    }
                )
            },
            "interactiveMode: such a program asks a person",
        ),
    ],
)
def test_what_cannot_be_used_is_named_with_its_file_and_key(tmp_path, changes, complaint):
    file = written(tmp_path, **changes)
    with pytest.raises(KubeconfigError) as caught:
        of(file)
    assert str(caught.value).startswith(str(file))
    assert complaint in str(caught.value)
    assert CANARY not in str(caught.value)


def test_a_file_that_is_no_yaml_is_named_with_its_line_and_never_quoted(tmp_path):
    file = tmp_path / "config"
    file.write_text(f"users:\n  token: {CANARY}: [\n")
    with pytest.raises(KubeconfigError, match="line 2: is no YAML") as caught:
        of(file)
    assert CANARY not in str(caught.value)


def test_without_a_yaml_reader_it_is_said_which_packages_are_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingPackagesError, match=r"\[kubernetes\]"):
        of(written(tmp_path))


@pytest.fixture
def service_account(tmp_path, certificates):
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text("t1\n")
    (folder / "namespace").write_text("ci\n")
    (folder / "ca.crt").write_text((certificates / "ca.pem").read_text())
    return folder


def test_a_pod_uses_its_service_account(service_account, tmp_path):
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443", "HOME": str(tmp_path)}
    found = load(environ, service_account=service_account)
    assert (found.server, found.namespace) == ("https://[fd00::1]:443", "ci")
    assert found.user.token_file == service_account / "token"


def test_the_file_in_the_home_folder_goes_before_the_service_account(service_account, tmp_path):
    (tmp_path / ".kube").mkdir()
    written(tmp_path / ".kube")
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOME": str(tmp_path)}
    assert load(environ, service_account=service_account).server == "https://k8s.example:6443"


def test_a_pod_without_its_service_account_says_which_file_is_missing(tmp_path):
    with pytest.raises(KubeconfigError, match=r"namespace: No such file.*automountServiceAccountToken"):
        load({"KUBERNETES_SERVICE_HOST": "x", "HOME": str(tmp_path)}, service_account=tmp_path)


def test_nothing_at_all_is_told_with_what_to_do(tmp_path):
    with pytest.raises(KubeconfigError, match="set `kubeconfig`"):
        load({"HOME": str(tmp_path)})
