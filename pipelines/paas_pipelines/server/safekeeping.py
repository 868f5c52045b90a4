"""Access, audit and credentials of a server, from the settings file and the data folder; and what reading the
file again changes: statements and the credentials of the file. All else of it needs a restart.
"""

import os
from collections.abc import Callable, Mapping
from datetime import datetime

import attrs
import structlog

from paas_pipelines.access.identity import SERVER
from paas_pipelines.access.policy import Access
from paas_pipelines.access.resources import SERVER as ITSELF
from paas_pipelines.credentials.envelope import Keys
from paas_pipelines.credentials.records import StoredCredentials
from paas_pipelines.credentials.vault import Vault
from paas_pipelines.login.attempts import Attempts
from paas_pipelines.login.github import GithubProvider
from paas_pipelines.login.oidc import OidcProvider
from paas_pipelines.login.provider import Calls, LoginError, Provider, library
from paas_pipelines.login.routes import Login
from paas_pipelines.login.sessions import Sessions
from paas_pipelines.login.settings import LoginSettings
from paas_pipelines.runs.book import RunBook
from paas_pipelines.server import automation
from paas_pipelines.server.automation import Automation
from paas_pipelines.server.plugging import found_plugins
from paas_pipelines.server.settings import Settings
from paas_pipelines.store.audit import Audit
from paas_pipelines.store.audited_runs import noting
from paas_pipelines.store.journal import Journal
from paas_runner.errors import Exit, RunnerError
from paas_runner.logs import redactor


class SettingsError(RunnerError):
    """What the settings ask for cannot be had."""

    exit_code = Exit.CONFIG


log = structlog.stdlib.get_logger(__name__)


def automation_of(settings: Settings) -> Automation:
    """What the settings file says, everything's default without one; raises `ConfigError`."""
    if settings.settings is None:
        return Automation(registry=found_plugins(None))
    found = automation.load(settings.settings, os.environ)
    redactor.add(found.secrets)
    for warning in found.warnings:
        log.warning(warning)
    return found


def without_secrets(environment: Mapping[str, str], found: Automation) -> Mapping[str, str]:
    """The environment of tasks: what the settings file refers to is for the server alone."""
    return {name: value for name, value in environment.items() if name not in found.secret_variables}


@attrs.frozen(kw_only=True)
class Safekeeping:
    """That of one server; made by `open`."""

    automation: Automation
    access: Access
    audit: Audit
    vault: Vault

    @classmethod
    async def open(
        cls, found: Automation, journal: Journal, runs: RunBook, clock: Callable[[], datetime]
    ) -> "Safekeeping":
        """Notes what happens to runs from now on; raises `StoreError`, `RunnerError`."""
        access, audit = Access(found.access, found.people), await Audit.open(journal, clock)
        stored = await StoredCredentials.open(journal, Keys(found.credential_keys), clock)
        runs.observers.append(noting(audit))
        vault = Vault(stored=stored, access=access, audit=audit, configured=found.credentials)
        return cls(automation=found, access=access, audit=audit, vault=vault)

    async def login(self, journal: Journal, clock: Callable[[], datetime], external_url: str) -> Login | None:
        """How people log in, if they can; raises `StoreError`, `RunnerError`."""
        settings = self.automation.login
        if settings is None:
            return None
        try:
            provider = provider_of(settings)
        except LoginError as error:
            raise SettingsError(str(error)) from None
        return Login(
            provider=provider,
            sessions=await Sessions.open(journal, clock, settings.session, settings.domain),
            attempts=Attempts(clock),
            audit=self.audit,
            journal=journal,
            name=settings.domain,
            external_url=external_url.rstrip("/"),
        )

    def reread(self, settings: Settings) -> Callable[[], None]:
        """Read the file; what is returned puts it in force. Raises `ConfigError`."""
        found = automation_of(settings)

        def put_in_force() -> None:
            self.access.replace(found.access, found.people)
            self.vault.configured = found.credentials
            self.audit.note(str(SERVER), "reload", ITSELF, statements=len(found.access))

        return put_in_force


def provider_of(settings: LoginSettings) -> Provider:
    """Raises `LoginError` where a library is missing."""
    library("authlib.oauth2.rfc7636")
    library("joserfc.jwt")
    calls = Calls()
    return OidcProvider(settings, calls) if settings.type == "oidc" else GithubProvider(settings, calls)
