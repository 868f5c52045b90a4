"""`[pipelines]` of the settings file: credentials, statements, log-in, notifiers, limits (§8-§10).

What stands here no pipeline file can say: whoever edits one of those cannot grant himself anything. Read as
strictly as `config.toml`, whose file it may share: every complaint at once, with its line.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs

from paas_pipelines.access.identity import RESERVED_DOMAINS
from paas_pipelines.access.people import People
from paas_pipelines.access.statements import Statement
from paas_pipelines.login.settings import LoginSettings
from paas_pipelines.notices.settings import NotifierSettings
from paas_pipelines.plugins.registry import Built, Kind, Registry
from paas_pipelines.server.access_settings import read_statements
from paas_pipelines.server.named_settings import read_credentials, read_notifiers
from paas_pipelines.server.people_settings import read_people
from paas_pipelines.server.plugging import found_plugins
from paas_runner.config.complaints import Complaint, ConfigError, Findings, by_line
from paas_runner.config.lines import KeyPath
from paas_runner.config.load import document_of, text_of
from paas_runner.config.reader import Reader, described
from paas_runner.config.secret_references import Surroundings, exposed, read_secrets_file
from paas_runner.secret import Secret, secrets_in
from paas_runner.setting_types import Url
from paas_runner.settings import keys_of, setting

TABLE = "pipelines"


@attrs.frozen(kw_only=True)
class Limits:
    """What strangers may take (§10)."""

    body_bytes: int = setting(
        "Of one delivery of a webhook.", default=1024 * 1024, minimum=1024, maximum=25 * 1024 * 1024
    )
    depth: int = setting("How deep a payload may be nested.", default=64, minimum=1, maximum=500)
    deliveries_per_minute: int = setting("For one webhook.", default=60, minimum=1)
    read_seconds: timedelta = setting(
        "In which a delivery has to come.", default=timedelta(seconds=10), minimum=1, maximum=100
    )
    triggers: int = setting("Of one pipeline.", default=100, minimum=1)
    tasks: int = setting("Of one pipeline.", default=500, minimum=1)
    open_approvals: int = setting("Of the whole server.", default=1000, minimum=1)
    stuck_after: timedelta = setting(
        "How long a task waits for a worker that can take it.", default=timedelta(hours=24), minimum=1
    )


@attrs.frozen(kw_only=True)
class PluginSettings:
    """Which plugins may be used."""

    allow: Sequence[str] | None = setting(
        "Names of distributions; without it all that are installed.", default=None
    )


@attrs.frozen(kw_only=True)
class Automation:
    """All of `[pipelines]`; without a file everything has its default."""

    external_url: Url | None = setting(
        "How people and hosts reach this server; --external-url wins.", default=None
    )
    token_domain: str = setting("The domain of whoever has a token.", default="")
    limits: Limits = setting("What strangers may take.", factory=Limits)
    login: LoginSettings | None = setting("Who vouches for people.", default=None)
    plugins: PluginSettings = setting("Which plugins may be used.", factory=PluginSettings)
    notifiers: Mapping[str, NotifierSettings | Built] = attrs.field(factory=dict)
    """By which ways people are told."""

    access: tuple[Statement, ...] = ()
    people: People = People()
    """Which identities are the same person's."""

    credential_keys: tuple[Secret, ...] = ()
    """The first encrypts what is stored, all decrypt."""

    credentials: Mapping[str, Any] = attrs.field(factory=dict)
    """An instance of one of `credentials.types`, or a plug-in's, by name."""

    registry: Registry = Registry()
    """The plug-ins of this machine."""

    path: Path | None = None
    secret_variables: frozenset[str] = frozenset()
    """Those of the environment that the file refers to: no task has them."""

    warnings: tuple[str, ...] = ()

    def problems(self) -> Sequence[tuple[str, str]]:
        """What contradicts."""
        if "/" in self.token_domain or self.token_domain in RESERVED_DOMAINS:
            return [("token_domain", "is no word of its own: no slash, neither `pipeline` nor `trigger`")]
        if self.login and self.login.domain == self.token_domain:
            return [("token_domain", "is that of the log-in: whoever makes tokens could take anybody's name")]
        return []

    @property
    def secrets(self) -> Sequence[Secret]:
        """All that must appear nowhere."""
        held = (self.login, *self.notifiers.values(), *self.credentials.values())
        return [*self.credential_keys, *(secret for each in held for secret in secrets_in(each))]


_OWN = ("access", "people", "credentials", "credential_keys", "notifiers", "secrets_file")


def load(path: Path, environ: Mapping[str, str]) -> Automation:
    """Read the file; raises `ConfigError` with all that is wrong."""
    text = text_of(path)
    document = document_of(path, text)
    findings, noted = Findings(), _Noted(environ)
    table = document.get(TABLE, {})
    found: Automation | None = None
    if isinstance(table, dict):
        found = _read(table, Surroundings(environ=noted, folder=path.absolute().parent), findings)
    else:
        findings.wrong((TABLE,), described(table, quote=False), expected="a table")
    if findings.faults or found is None:
        raise ConfigError(fault.located(path, text) for fault in findings.faults)
    warnings = [warning.located(path, text) for warning in findings.warnings]
    if findings.literal_secrets and (danger := exposed(path)):
        warnings.append(Complaint(path=path, found=f"has secrets in it, and {danger}"))
    return attrs.evolve(
        found,
        path=path,
        secret_variables=frozenset(noted.asked),
        warnings=tuple(map(str, by_line(warnings))),
    )


class _Noted(Mapping[str, str]):
    """An environment that keeps in mind what it was asked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._environ[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)


def _read(table: Mapping[str, Any], around: Surroundings, findings: Findings) -> Automation | None:
    at: KeyPath = (TABLE,)
    if isinstance(name := table.get("secrets_file"), str):
        around = attrs.evolve(around, secrets_file=read_secrets_file(around.folder / name))
    reader = Reader(findings=findings, around=around, aliases={})
    reader.refuse_unknown(table, at, {*keys_of(Automation), *_OWN})
    values = reader.values(Automation, table, at)
    values["access"] = read_statements(table.get("access", []), (*at, "access"), findings)
    login = values.get("login")
    domains = {values.get("token_domain") or "", *([login.domain] if login else [])}
    values["people"] = read_people(table.get("people", {}), (*at, "people"), domains, findings)
    values["credential_keys"] = _keys(table.get("credential_keys", []), (*at, "credential_keys"), reader)
    allow = values["plugins"].allow if values.get("plugins") else None
    registry = values["registry"] = found_plugins(allow)
    for unknown in registry.unknown(allow or ()):
        findings.warn((*at, "plugins", "allow"), f"no plug-in of {unknown} is installed")
    values["credentials"] = read_credentials(
        table.get("credentials", {}), (*at, "credentials"), reader, registry.of(Kind.CREDENTIALS)
    )
    values["notifiers"] = read_notifiers(table, at, reader, registry.of(Kind.NOTIFIERS))
    if findings.faults:
        return None
    found = Automation(**values)
    for key, sentence in found.problems():
        findings.wrong((*at, key), sentence)
    return found


@attrs.frozen(kw_only=True)
class _OneKey:
    key: Secret = setting("32 bytes in base64: `openssl rand -base64 32`.")


def _keys(raw: Any, at: KeyPath, reader: Reader) -> tuple[Secret, ...]:
    from paas_pipelines.credentials.envelope import WrongKeyError, checked_key

    if not isinstance(raw, list):
        reader.findings.wrong(at, described(raw, quote=False), expected="a list of texts")
        return ()
    found: list[Secret] = []
    for index, each in enumerate(raw):
        values = reader.values(_OneKey, {"key": each}, (*at, index))
        if values.get("key") is not None:
            try:
                checked_key(values["key"])
            except WrongKeyError as error:
                reader.findings.wrong((*at, index), str(error))
            found.append(values["key"])
    return tuple(found)
