"""Where the cluster is, and how we show who we are: kubectl's own files, or what a pod finds in itself.

As kubectl does it (kubernetes.io, "Organizing Cluster Access Using kubeconfig Files"): of the files in
$KUBECONFIG the first to name something wins, files that are absent are left out, and relative paths are
relative to the file that has them. Without any file a pod uses its service account.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from paas_runner.errors import MissingPackagesError
from paas_runner.http import Tls
from paas_runner.kubernetes.entry import Entry, KubeconfigError
from paas_runner.secret import Secret

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_NAMESPACE = "default"
_OLD = ("auth-provider", "as", "as-uid", "as-groups", "as-user-extra")


@attrs.frozen(kw_only=True)
class Plugin:
    """A program that says who we are (`client.authentication.k8s.io`)."""

    command: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    api_version: str
    hint: str = ""
    tells_cluster: bool = False
    where: str
    """The file and the key, for messages."""


@attrs.frozen(kw_only=True)
class User:
    """How we show who we are: of several ways the first that is there."""

    token: Secret | None = None
    token_file: Path | None = None
    """Read again for each call: such tokens are replaced; goes before `token`."""

    basic: tuple[str, Secret] | None = None
    plugin: Plugin | None = None


@attrs.frozen(kw_only=True)
class Configuration:
    """One cluster as one user."""

    server: str
    tls: Tls
    proxy: Secret | None = None
    user: User = User()
    namespace: str = DEFAULT_NAMESPACE
    source: str
    """Where all that was found, in words."""


def load(
    environ: Mapping[str, str],
    *,
    kubeconfig: Path | None = None,
    context: str | None = None,
    service_account: Path = SERVICE_ACCOUNT,
) -> Configuration:
    """Read it; raises `KubeconfigError`, and `MissingPackagesError` where YAML cannot be read."""
    named = [kubeconfig] if kubeconfig else [Path(each) for each in _listed(environ)]
    usual = Path(environ.get("HOME", "/"), ".kube", "config")
    if not named and (context or usual.is_file()):
        named = [usual]
    if named:
        return _of_files(_Files.read(named), context)
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return _of_pod(environ, service_account)
    raise KubeconfigError(
        "no cluster is named: set `kubeconfig`, $KUBECONFIG, or make ~/.kube/config; "
        "in a pod of the cluster nothing is needed"
    )


def _listed(environ: Mapping[str, str]) -> Iterator[str]:
    return filter(None, environ.get("KUBECONFIG", "").split(":"))


def _of_pod(environ: Mapping[str, str], folder: Path) -> Configuration:
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    try:
        namespace = (folder / "namespace").read_text().strip()
        authorities = (folder / "ca.crt").read_text()
        (folder / "token").read_bytes()
    except OSError as error:
        raise KubeconfigError(
            f"{error.filename}: {error.strerror}; the pod's service account is not mounted "
            "(automountServiceAccountToken)"
        ) from error
    return Configuration(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        tls=Tls(authorities=authorities),
        user=User(token_file=folder / "token"),
        namespace=namespace or DEFAULT_NAMESPACE,
        source="the pod's service account",
    )


@attrs.frozen
class _Files:
    """All files as one."""

    names: str
    documents: tuple[tuple[Path, Mapping[str, object]], ...]

    @classmethod
    def read(cls, files: list[Path]) -> "_Files":
        found = tuple((file, _document(file)) for file in files if file.exists())
        names = ":".join(map(str, files))
        if not found:
            raise KubeconfigError(f"{names}: no such file")
        return cls(names, found)

    @property
    def current_context(self) -> str:
        told = (Entry(file, "", document).text("current-context") for file, document in self.documents)
        return next(filter(None, told), "")

    def entry(self, kind: str, name: str) -> Entry:
        """The first of that name, of `clusters`, `contexts` or `users`."""
        for file, document in self.documents:
            for each in Entry(file, "", document).entries(f"{kind}s"):
                if each.text("name") == name:
                    return each.part(kind, f"{kind}s[{name}]")
        raise KubeconfigError(f"{self.names}: there is no {kind} {name!r}")


def _document(file: Path) -> Mapping[str, object]:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise MissingPackagesError(error, extra="kubernetes", wanted_by="Kubernetes") from error
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise KubeconfigError(f"{file}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise KubeconfigError(f"{file}{line}: is no YAML") from None  # its text may quote a credential
    if found is not None and not isinstance(found, dict):
        raise KubeconfigError(f"{file}: a mapping was expected")
    return found or {}


def _of_files(files: _Files, context: str | None) -> Configuration:
    name = context or files.current_context
    if not name:
        raise KubeconfigError(f"{files.names}: no current-context; set `context`")
    chosen = files.entry("context", name)
    cluster = files.entry("cluster", chosen.required("cluster"))
    user = files.entry("user", chosen.text("user")) if chosen.text("user") else None
    if "@" in cluster.text("server"):  # messages have the address in them
        raise cluster.wrong("server", "has credentials in it, which belong to the user")
    return Configuration(
        server=cluster.address("server", ("https", "http")),
        tls=_tls(cluster, user),
        proxy=Secret(cluster.address("proxy-url", ("http", "https"))) if cluster.text("proxy-url") else None,
        user=_user(user) if user else User(),
        namespace=chosen.text("namespace") or DEFAULT_NAMESPACE,
        source=f"context {name} of {files.names}",
    )


def _tls(cluster: Entry, user: Entry | None) -> Tls:
    verify = not cluster.flag("insecure-skip-tls-verify")
    authorities = cluster.content("certificate-authority")
    if authorities and not verify:
        raise cluster.wrong("insecure-skip-tls-verify", "there is a certificate-authority, too; keep one")
    certificate = user.content("client-certificate") if user else ""
    key = user.content("client-key") if user else ""
    if user and bool(certificate) is not bool(key):
        raise user.wrong("client-key" if certificate else "client-certificate", "is missing beside the other")
    tls = Tls(
        authorities=authorities or None,
        identity=Secret(f"{certificate}\n{key}") if certificate else None,
        verify=verify,
        server_name=cluster.text("tls-server-name"),
    )
    try:
        tls.context()
    except (OSError, ValueError):
        entry = cluster if not tls.identity else user or cluster
        raise entry.wrong("", "its certificates or its key cannot be used") from None
    return tls


def _user(entry: Entry) -> User:
    for key in _OLD:
        if entry.has(key):
            raise entry.wrong(key, "is not known here; credentials come by `exec` or a token")
    token = entry.text("token")
    plugin = entry.part("exec", f"{entry.where}.exec") if entry.has("exec") else None
    return User(
        token=Secret(token) if token else None,
        token_file=entry.path("tokenFile"),
        basic=(entry.text("username"), Secret(entry.text("password"))) if entry.text("username") else None,
        plugin=_plugin(plugin) if plugin else None,
    )


def _plugin(entry: Entry) -> Plugin:
    version = entry.text("apiVersion")
    if version not in ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"):
        raise entry.wrong("apiVersion", "v1 or v1beta1 of client.authentication.k8s.io is needed")
    if entry.text("interactiveMode") == "Always":
        raise entry.wrong("interactiveMode", "such a program asks a person; a service has none")
    command = entry.required("command")
    beside = entry.file.parent / command
    return Plugin(
        command=str(beside) if "/" in command else command,
        arguments=tuple(entry.texts("args")),
        environment={each.required("name"): each.text("value") for each in entry.entries("env")},
        api_version=version,
        hint=entry.text("installHint"),
        tells_cluster=entry.flag("provideClusterInfo"),
        where=f"{entry.file}: {entry.where}",
    )
